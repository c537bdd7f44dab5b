"""How much of each budget was spent at the last look, so that the nearest of many are found."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget_standings",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "team_id", "id", "budget_id", "part")),
        sa.Column("percent", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kind", "team_id", "id", "budget_id", "part", name="pk_budget_standings"),
    )


def downgrade() -> None:
    op.drop_table("budget_standings")
