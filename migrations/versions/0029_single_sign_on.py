"""People sign in by an identity provider; sessions say how they were opened."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "identities",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text()),
        sa.Column("linked_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.PrimaryKeyConstraint("issuer", "subject", name="pk_identities"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_identities_user_id", ondelete="CASCADE"),
    )
    op.create_index("ix_identities_user_id", "identities", ["user_id"])
    op.create_table(
        "group_grants",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("given", JSONB(), nullable=False, server_default=sa.text("'{}'::jsonb")),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=NOW),
        sa.PrimaryKeyConstraint("user_id", name="pk_group_grants"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_group_grants_user_id", ondelete="CASCADE"),
    )
    op.add_column(
        "browser_sessions", sa.Column("method", sa.Text(), nullable=False, server_default=sa.text("'password'"))
    )


def downgrade() -> None:
    op.drop_column("browser_sessions", "method")
    op.drop_table("group_grants")
    op.drop_table("identities")
