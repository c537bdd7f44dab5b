"""Receipts that failed are found by an index of their own: few are in it, and the log is narrowed to them."""

import sqlalchemy as sa
from alembic import op

revision = "0042"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_receipts_failed", "receipts", ["key_id", "started_at", "status"], postgresql_where=sa.text("status <> 'ok'")
    )


def downgrade() -> None:
    op.drop_index("ix_receipts_failed", "receipts")
