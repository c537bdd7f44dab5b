"""What becomes of a running answer when its budget is full: finished or cut; null is as the settings say."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("budgets", sa.Column("on_exceed", sa.Text()))


def downgrade() -> None:
    op.drop_column("budgets", "on_exceed")
