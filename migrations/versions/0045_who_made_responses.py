"""Who made the responses that a provider keeps: a later request may go on only from the caller's own."""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "response_owners",
        sa.Column("response_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("team_id", sa.Text()),
        sa.Column("noted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("response_id", name="pk_response_owners"),
    )
    op.create_index("ix_response_owners_noted_at", "response_owners", ["noted_at"])


def downgrade() -> None:
    op.drop_table("response_owners")
