"""When the counting of a budget was begun anew by hand."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("budgets", sa.Column("reset_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("budgets", "reset_at")
