"""The receipts of one session are found by it."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_receipts_session_id", "receipts", ["session_id"], postgresql_where=sa.text("session_id IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_receipts_session_id", "receipts")
