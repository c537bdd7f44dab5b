"""The days of a customer had two indexes, of which one begins with the other."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_spend_days_customer_id", "spend_days")


def downgrade() -> None:
    op.create_index("ix_spend_days_customer_id", "spend_days", ["customer_id"])
