"""What is charged to which cost centre, by owner and since which month."""

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cost_centers",
        sa.Column("owner_kind", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cost_center", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("owner_kind", "owner_id", "since", name="pk_cost_centers"),
    )


def downgrade() -> None:
    op.drop_table("cost_centers")
