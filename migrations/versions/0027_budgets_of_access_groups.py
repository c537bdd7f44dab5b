"""Budgets of access groups: of all calls of the models in one."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "access_group_budgets",
        sa.Column("access_group", sa.Text, nullable=False),
        sa.Column("budget_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("access_group", name="pk_access_group_budgets"),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.budget_id"], name="fk_access_group_budgets_budget_id"),
    )


def downgrade() -> None:
    op.drop_table("access_group_budgets")
