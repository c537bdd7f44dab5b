"""People sign in at the pages: passwords, sessions of browsers, invitations, attempts."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def _time(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.text("now()"))


def _user(table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=f"fk_{table}_user_id", ondelete="CASCADE"),
    ]


def upgrade() -> None:
    op.create_table(
        "passwords",
        *_user("passwords"),
        sa.Column("password_hash", sa.Text(), nullable=False),
        _time("changed_at"),
        sa.PrimaryKeyConstraint("user_id", name="pk_passwords"),
    )
    op.create_table(
        "browser_sessions",
        sa.Column("session_id", sa.Text(), nullable=False),
        *_user("browser_sessions"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _time("started_at"),
        _time("seen_at"),
        sa.Column("client_address", sa.Text()),
        sa.Column("browser", sa.Text()),
        sa.PrimaryKeyConstraint("session_id", name="pk_browser_sessions"),
    )
    op.create_index("uq_browser_sessions_digest", "browser_sessions", ["digest"], unique=True)
    op.create_index("ix_browser_sessions_user_id", "browser_sessions", ["user_id"])
    op.create_index("ix_browser_sessions_seen_at", "browser_sessions", ["seen_at"])
    op.create_table(
        "invitations",
        *_user("invitations"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _time("created_at"),
        sa.Column("created_by", sa.Text(), nullable=False),
        _time("expires_at"),
        sa.PrimaryKeyConstraint("user_id", name="pk_invitations"),
    )
    op.create_index("uq_invitations_digest", "invitations", ["digest"], unique=True)
    op.create_table(
        "sign_in_attempts",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        _time("counting_since"),
        sa.PrimaryKeyConstraint("subject", name="pk_sign_in_attempts"),
    )
    op.create_index("ix_sign_in_attempts_counting_since", "sign_in_attempts", ["counting_since"])


def downgrade() -> None:
    for table in ("sign_in_attempts", "invitations", "browser_sessions", "passwords"):
        op.drop_table(table)
