"""Receipts, and what a provider keeps for callers of ours."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)

from app.storage.postgres.columns import (
    count_column,
    metadata,
    optional_time_column,
    texts_column,
    time_column,
)

receipts = Table(
    "receipts",
    metadata,
    Column("request_id", Text, nullable=False),
    Column("attempt", SmallInteger, nullable=False),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("first_byte_ms", BigInteger),
    Column("organization_id", Text),
    Column("team_id", Text),
    Column("user_id", Text),
    Column("key_id", Text, nullable=False),
    Column("customer_id", Text),
    texts_column("tags"),
    Column("session_id", Text),
    Column("agent_id", Text),
    Column("route", Text, nullable=False),
    Column("model_asked", Text, nullable=False),
    Column("model_served", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("deployment_id", Text, nullable=False),
    Column("protocol_in", Text, nullable=False),
    Column("protocol_out", Text, nullable=False),
    Column("streamed", Boolean, nullable=False),
    count_column("input_tokens"),
    count_column("cache_read_tokens"),
    count_column("cache_write_5m_tokens"),
    count_column("cache_write_1h_tokens"),
    count_column("output_tokens"),
    count_column("reasoning_tokens"),
    count_column("audio_input_tokens"),
    count_column("audio_output_tokens"),
    count_column("images"),
    count_column("web_searches"),
    count_column("file_searches"),
    count_column("input_cost_nanousd"),
    count_column("cache_read_cost_nanousd"),
    count_column("cache_write_cost_nanousd"),
    count_column("output_cost_nanousd"),
    count_column("other_cost_nanousd"),
    count_column("cost_nanousd"),
    Column("price_version", Text, nullable=False),
    Column("price_source", Text, nullable=False),
    Column("usage_source", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("finish_reason", Text),
    Column("request_class", Text, nullable=False, server_default="unknown"),
    Column("project", Text),
    Column("parent_agent_id", Text),
    Column("agent_type", Text),
    Column("prompt_id", Text),
    Column("client", Text),
    Column("kind", Text, nullable=False, server_default="usage"),
    Column("service_tier", Text, nullable=False, server_default=""),
    time_column("booked_at"),
    # When reports count it, where that is not when it began: the month of its beginning was closed.
    optional_time_column("posted_at"),
    # What it counted on that its owners do not tell: shared pools, and budgets of one model.
    texts_column("scopes"),
    # What an answer out of the response cache had cost when the provider gave it.
    count_column("saved_nanousd"),
    # Why a cheaper model than the one asked for has served it.
    Column("step_down", Text),
    # Of the key; ``project`` is what reports say, which may be what the call said.
    Column("project_id", Text),
    # What it would have cost here, where a login of the caller's own paid and the cost is zero.
    Column("notional_nanousd", BigInteger),
    # Unique per attempt; a partitioned table needs the partition key in it.
    PrimaryKeyConstraint("request_id", "attempt", "started_at"),
    Index("ix_receipts_key_id_started_at", "key_id", "started_at"),
    Index("ix_receipts_started_at", "started_at"),
    Index("ix_receipts_posted_at", "posted_at", postgresql_where=text("posted_at IS NOT NULL")),
    Index("ix_receipts_session_id", "session_id", postgresql_where=text("session_id IS NOT NULL")),
    # One in fifty, which the log is narrowed to most often.
    Index("ix_receipts_failed", "key_id", "started_at", "status", postgresql_where=text("status <> 'ok'")),
    Index("ix_receipts_unpriced", "started_at", postgresql_where=text("price_source = 'fallback'")),
    postgresql_partition_by="RANGE (started_at)",
)

# What a provider keeps for a caller of ours: batches and files. Owners are noted as on receipts, without foreign keys.
provider_objects = Table(
    "provider_objects",
    metadata,
    Column("kind", Text, nullable=False),
    # The provider's own name for it.
    Column("object_id", Text, nullable=False),
    Column("organization_id", Text),
    Column("team_id", Text),
    Column("user_id", Text),
    Column("key_id", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("api_base", Text, nullable=False),
    Column("deployment_id", Text, nullable=False),
    Column("facts", LargeBinary, nullable=False),
    time_column("created_at"),
    # When its results were first read: the time of all its receipts, so that each has one name for ever.
    optional_time_column("results_read_at"),
    optional_time_column("booked_at"),
    optional_time_column("deleted_at"),
    PrimaryKeyConstraint("kind", "object_id"),
    Index("ix_provider_objects_key_id_created_at", "key_id", "created_at"),
    Index("ix_provider_objects_team_id_created_at", "team_id", "created_at"),
)

# Who made the responses that providers keep, for as long as those keep them. A table of its own: there may be one for
# each call, and the pages of files and batches, which go along the objects of a key, would wade through them.
response_owners = Table(
    "response_owners",
    metadata,
    # The provider's own name for it.
    Column("response_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("team_id", Text),
    time_column("noted_at"),
    PrimaryKeyConstraint("response_id"),
    Index("ix_response_owners_noted_at", "noted_at"),
)
