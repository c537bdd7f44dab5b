"""Closed months, and receipts that came after their month was closed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("receipts", sa.Column("posted_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_receipts_posted_at", "receipts", ["posted_at"], postgresql_where=sa.text("posted_at IS NOT NULL")
    )
    op.create_table(
        "spend_closes",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("cost_nanousd", sa.BigInteger(), nullable=False),
        sa.Column("adjustments_nanousd", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("month", name="pk_spend_closes"),
    )
    op.create_table(
        "spend_close_names",
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["month"], ["spend_closes.month"], name="fk_spend_close_names_month"),
        sa.PrimaryKeyConstraint("month", "dimension", "id", name="pk_spend_close_names"),
    )


def downgrade() -> None:
    op.drop_table("spend_close_names")
    op.drop_table("spend_closes")
    op.drop_index("ix_receipts_posted_at", "receipts")
    op.drop_column("receipts", "posted_at")
