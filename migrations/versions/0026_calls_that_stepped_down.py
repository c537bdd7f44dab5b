"""Why a cheaper model than the one asked for has served a call."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("receipts", sa.Column("step_down", sa.Text()))


def downgrade() -> None:
    op.drop_column("receipts", "step_down")
