"""Programs are signed in by a code that a person approves."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_NOW = sa.text("now()")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "device_authorizations",
        sa.Column("authorization_id", sa.Text(), nullable=False),
        sa.Column("device_digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_code", sa.Text(), nullable=False),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.Column("client_address", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, server_default=sa.text("'pending'")),
        sa.Column("user_id", sa.Text()),
        sa.Column("team_id", sa.Text()),
        sa.Column("last_polled_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("authorization_id", name="pk_device_authorizations"),
        sa.UniqueConstraint("device_digest", name="uq_device_authorizations_device_digest"),
        sa.UniqueConstraint("user_code", name="uq_device_authorizations_user_code"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name="fk_device_authorizations_user_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.team_id"], name="fk_device_authorizations_team_id", ondelete="CASCADE"
        ),
    )
    op.create_index(
        "ix_device_authorizations_client_address_created_at", "device_authorizations", ["client_address", "created_at"]
    )
    op.create_table(
        "sign_ins",
        sa.Column("sign_in_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text()),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.Column("expires_at", _TIME, nullable=False),
        sa.Column("ended_at", _TIME),
        sa.PrimaryKeyConstraint("sign_in_id", name="pk_sign_ins"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_sign_ins_user_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["team_id"], ["teams.team_id"], name="fk_sign_ins_team_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["key_id"], ["keys.key_id"], name="fk_sign_ins_key_id"),
    )
    op.create_index("ix_sign_ins_key_id", "sign_ins", ["key_id"], unique=True)
    op.create_index("ix_sign_ins_user_id", "sign_ins", ["user_id"])
    op.create_index("ix_sign_ins_team_id", "sign_ins", ["team_id"])
    op.create_table(
        "refresh_tokens",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("sign_in_id", sa.Text(), nullable=False),
        sa.Column("used_at", _TIME),
        sa.Column("created_at", _TIME, nullable=False, server_default=_NOW),
        sa.PrimaryKeyConstraint("digest", name="pk_refresh_tokens"),
        sa.ForeignKeyConstraint(
            ["sign_in_id"], ["sign_ins.sign_in_id"], name="fk_refresh_tokens_sign_in_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_refresh_tokens_sign_in_id", "refresh_tokens", ["sign_in_id"])


def downgrade() -> None:
    for table in ("refresh_tokens", "sign_ins", "device_authorizations"):
        op.drop_table(table)
