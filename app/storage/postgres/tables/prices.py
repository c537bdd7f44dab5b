"""Dated prices, discounts and margins that were set at run time; a row is never changed."""

from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from app.domain.pricing import RATE_NAMES
from app.storage.postgres.columns import count_column, flag_column, id_column, metadata, time_column

NO_LIST = text("'[]'::jsonb")

prices = Table(
    "prices",
    metadata,
    id_column("price_id"),
    # An admin's own, or imported from a list.
    Column("kind", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    # Null: for all that have none of their own. No foreign key: what was charged is told apart when its payer is gone.
    Column("organization_id", Text),
    # In force from ``effective_from`` until the next row of the same kind, organization, provider and model.
    Column("effective_from", DateTime(timezone=True), nullable=False),
    flag_column("withdrawn"),
    *(count_column(f"{name}_nanousd_per_million") for name in RATE_NAMES),
    Column("tiers", JSONB, nullable=False, server_default=NO_LIST),
    Column("services", JSONB, nullable=False, server_default=NO_LIST),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    Index(
        "ux_prices",
        "kind",
        "provider",
        "model",
        text("coalesce(organization_id, '')"),
        "effective_from",
        unique=True,
    ),
)

price_terms = Table(
    "price_terms",
    metadata,
    id_column("price_term_id"),
    # A discount or a margin.
    Column("kind", Text, nullable=False),
    # ``*`` is any that has none of its own.
    Column("provider", Text, nullable=False),
    Column("organization_id", Text),
    Column("effective_from", DateTime(timezone=True), nullable=False),
    # In billionths; null: from then on the wider one counts.
    Column("share_billionths", BigInteger),
    count_column("fixed_nanousd"),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    Index("ix_price_terms_kind_organization_id", "kind", "organization_id"),
)
