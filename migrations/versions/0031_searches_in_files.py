"""Searches in files that a provider keeps are counted and priced."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

COLUMNS = (("receipts", "file_searches"), ("prices", "file_searches_nanousd_per_million"))


def upgrade() -> None:
    for table, column in COLUMNS:
        op.add_column(table, sa.Column(column, sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    for table, column in COLUMNS:
        op.drop_column(table, column)
