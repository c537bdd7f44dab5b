"""Dated prices for all and for one organization, discounts and margins, and the service tier of a receipt."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

RATES = (
    "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "reasoning", "audio_input", "audio_output",
    "images", "web_searches",
)  # fmt: skip
EARLIER = RATES[:8]
NO_LIST = sa.text("'[]'::jsonb")


def upgrade() -> None:
    # Nothing could write to it before.
    op.drop_table("prices")
    op.create_table(
        "prices",
        sa.Column("price_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text()),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        *(
            sa.Column(f"{name}_nanousd_per_million", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            for name in RATES
        ),
        sa.Column("tiers", postgresql.JSONB(), server_default=NO_LIST, nullable=False),
        sa.Column("services", postgresql.JSONB(), server_default=NO_LIST, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("price_id", name="pk_prices"),
    )
    owner = sa.text("coalesce(organization_id, '')")
    op.create_index("ux_prices", "prices", ["kind", "provider", "model", owner, "effective_from"], unique=True)
    op.create_table(
        "price_terms",
        sa.Column("price_term_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text()),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("share_billionths", sa.BigInteger()),
        sa.Column("fixed_nanousd", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("price_term_id", name="pk_price_terms"),
    )
    op.create_index("ix_price_terms_kind_organization_id", "price_terms", ["kind", "organization_id"])
    op.add_column("receipts", sa.Column("service_tier", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    op.drop_column("receipts", "service_tier")
    op.drop_table("price_terms")
    op.drop_table("prices")
    op.create_table(
        "prices",
        sa.Column("price_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        *(sa.Column(f"{name}_nanousd_per_million", sa.BigInteger(), nullable=False) for name in EARLIER),
        *(
            sa.Column(f"{name}_nanousd_per_million", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            for name in RATES[8:]
        ),
        sa.Column("tiers", postgresql.JSONB(), server_default=NO_LIST, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("price_id", name="pk_prices"),
        sa.UniqueConstraint("provider", "model", "effective_from", name="uq_prices_provider_model_effective_from"),
    )
