"""What calls would have cost that a caller's own login paid: beside the cost, never in it."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

NAME = "notional_nanousd"
SUMS = (
    "spend_quarters", "spend_hours", "spend_days", "spend_tag_quarters", "spend_tag_hours", "spend_tag_days",
    "spend_session_quarters",
)  # fmt: skip


def upgrade() -> None:
    op.add_column("receipts", sa.Column(NAME, sa.BigInteger()))
    for table in SUMS:
        op.add_column(table, sa.Column(NAME, sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    for table in SUMS:
        op.drop_column(table, NAME)
    op.drop_column("receipts", NAME)
