"""The schema of the book of record, as SQLAlchemy Core tables; Alembic compares the migrations with it.

Money is ``bigint`` nano-dollars, time ``timestamptz``, ids prefixed text (app.base.ids), open maps ``jsonb``.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.storage.postgres.columns import (
    count_column,
    flag_column,
    id_column,
    limit_columns,
    map_column,
    metadata,
    optional_time_column,
    reference_column,
    since_column,
    texts_column,
    time_column,
)

organizations = Table(
    "organizations",
    metadata,
    id_column("organization_id"),
    Column("organization_alias", Text),
    texts_column("models"),
    map_column("metadata"),
    time_column("created_at"),
    time_column("updated_at"),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    flag_column("blocked"),
    Column("created_by", Text),
    Column("updated_by", Text),
)

teams = Table(
    "teams",
    metadata,
    id_column("team_id"),
    Column("team_alias", Text),
    reference_column("organization_id", "organizations.organization_id"),
    texts_column("models"),
    flag_column("blocked"),
    map_column("metadata"),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    time_column("updated_at"),
    Column("updated_by", Text, nullable=False),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    # What each member may spend where the membership has no budget of its own.
    reference_column("member_budget_id", "budgets.budget_id"),
    since_column("member_budget_since"),
    Index("ix_teams_organization_id", "organization_id"),
)

users = Table(
    "users",
    metadata,
    id_column("user_id"),
    Column("user_alias", Text),
    Column("user_email", Text),
    Column("user_role", Text),
    reference_column("organization_id", "organizations.organization_id"),
    map_column("metadata"),
    time_column("created_at"),
    time_column("updated_at"),
    texts_column("models"),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    flag_column("blocked"),
    Column("created_by", Text),
    Column("updated_by", Text),
)

memberships = Table(
    "memberships",
    metadata,
    reference_column("team_id", "teams.team_id", required=True, on_delete="CASCADE"),
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    Column("role", Text, nullable=False, server_default=text("'user'")),
    time_column("created_at"),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    *limit_columns(),
    PrimaryKeyConstraint("team_id", "user_id"),
    Index("ix_memberships_user_id", "user_id"),
)

organization_memberships = Table(
    "organization_memberships",
    metadata,
    reference_column("organization_id", "organizations.organization_id", required=True, on_delete="CASCADE"),
    reference_column("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    Column("role", Text, nullable=False, server_default=text("'internal_user'")),
    time_column("created_at"),
    reference_column("budget_id", "budgets.budget_id"),
    PrimaryKeyConstraint("organization_id", "user_id"),
    Index("ix_organization_memberships_user_id", "user_id"),
)

# The people a caller names in its requests (end users); a row is only needed for what is set for one of them.
customers = Table(
    "customers",
    metadata,
    id_column("customer_id"),
    Column("customer_alias", Text),
    flag_column("blocked"),
    reference_column("budget_id", "budgets.budget_id"),
    Column("default_model", Text),
    map_column("metadata"),
    time_column("created_at"),
    time_column("updated_at"),
)

budgets = Table(
    "budgets",
    metadata,
    id_column("budget_id"),
    # Null: spend is shown per window of ``duration``, and nothing is refused.
    Column("limit_nanousd", BigInteger),
    Column("duration", Text),
    Column("anchor", DateTime(timezone=True), nullable=False),
    Column("counting_since", DateTime(timezone=True), nullable=False),
    time_column("created_at"),
    time_column("updated_at"),
    # Above it people are told, and nothing is refused.
    Column("soft_limit_nanousd", BigInteger),
    *limit_columns(),
    # Made by /budget/new to be shared by reference; others belong to the one row that names them.
    flag_column("shared"),
    Column("created_by", Text),
    Column("updated_by", Text),
    # Nothing before it counts on the budget; the receipts stay.
    optional_time_column("reset_at"),
)

keys = Table(
    "keys",
    metadata,
    id_column("key_id"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("last_four", Text, nullable=False),
    Column("key_alias", Text),
    Column("key_type", Text, nullable=False, server_default=text("'default'")),
    reference_column("organization_id", "organizations.organization_id"),
    reference_column("team_id", "teams.team_id"),
    reference_column("user_id", "users.user_id"),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    texts_column("models"),
    map_column("aliases"),
    texts_column("allowed_routes"),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("max_parallel_requests", BigInteger),
    flag_column("blocked"),
    map_column("metadata"),
    texts_column("tags"),
    optional_time_column("expires_at"),
    # All time, kept by whoever books receipts; the receipts are the truth.
    count_column("spend_nanousd"),
    optional_time_column("last_active_at"),
    count_column("rotation_count"),
    optional_time_column("last_rotation_at"),
    time_column("created_at"),
    Column("created_by", Text, nullable=False),
    time_column("updated_at"),
    Column("updated_by", Text, nullable=False),
    # A deleted key stays as an archive: its receipts keep their owner and its digest can never be issued again.
    optional_time_column("deleted_at"),
    Column("deleted_by", Text),
    Index(
        "uq_keys_key_alias",
        "key_alias",
        unique=True,
        postgresql_where=text("key_alias IS NOT NULL AND deleted_at IS NULL"),
    ),
    Index("ix_keys_team_id", "team_id"),
    Index("ix_keys_user_id", "user_id"),
    Index("ix_keys_created_at", "created_at"),
)

retired_key_digests = Table(
    "retired_key_digests",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    reference_column("key_id", "keys.key_id", required=True, on_delete="CASCADE"),
    Column("last_four", Text, nullable=False),
    # The old key works until this instant, exclusive.
    Column("works_until", DateTime(timezone=True), nullable=False),
    time_column("created_at"),
    Index("ix_retired_key_digests_key_id", "key_id"),
)

models = Table(
    "models",
    metadata,
    id_column("model_id"),
    Column("name", Text, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    texts_column("access_groups"),
    Column("max_input_tokens", BigInteger),
    Column("max_output_tokens", BigInteger),
    flag_column("listed", default=True),
    map_column("metadata"),
    time_column("created_at"),
    time_column("updated_at"),
)

provider_credentials = Table(
    "provider_credentials",
    metadata,
    id_column("credential_id"),
    Column("name", Text, nullable=False, unique=True),
    Column("provider", Text, nullable=False),
    # AES-256-GCM; the associated data is ``credential_id``, ``encryption_key_id`` says which key, for rotation.
    Column("ciphertext", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("encryption_key_id", Text, nullable=False),
    map_column("metadata"),
    time_column("created_at"),
    time_column("updated_at"),
)

deployments = Table(
    "deployments",
    metadata,
    id_column("deployment_id"),
    reference_column("model_id", "models.model_id", required=True, on_delete="CASCADE"),
    Column("provider", Text, nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("api_base", Text, nullable=False),
    reference_column("credential_id", "provider_credentials.credential_id"),
    map_column("headers"),
    map_column("timeouts"),
    Column("weight", Integer, nullable=False, server_default=text("1")),
    time_column("created_at"),
    time_column("updated_at"),
    Index("ix_deployments_model_id", "model_id"),
)

prices = Table(
    "prices",
    metadata,
    id_column("price_id"),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    # In force from ``effective_from`` until the next row of the same provider and model.
    Column("effective_from", DateTime(timezone=True), nullable=False),
    Column("source", Text, nullable=False),
    Column("input_nanousd_per_million", BigInteger, nullable=False),
    Column("output_nanousd_per_million", BigInteger, nullable=False),
    Column("cache_read_nanousd_per_million", BigInteger, nullable=False),
    Column("cache_write_5m_nanousd_per_million", BigInteger, nullable=False),
    Column("cache_write_1h_nanousd_per_million", BigInteger, nullable=False),
    Column("reasoning_nanousd_per_million", BigInteger, nullable=False),
    Column("audio_input_nanousd_per_million", BigInteger, nullable=False),
    Column("audio_output_nanousd_per_million", BigInteger, nullable=False),
    count_column("images_nanousd_per_million"),
    count_column("web_searches_nanousd_per_million"),
    Column("tiers", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    time_column("created_at"),
    UniqueConstraint("provider", "model", "effective_from"),
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
    time_column("booked_at"),
    # Unique per attempt; a partitioned table needs the partition key in it.
    PrimaryKeyConstraint("request_id", "attempt", "started_at"),
    Index("ix_receipts_key_id_started_at", "key_id", "started_at"),
    Index("ix_receipts_started_at", "started_at"),
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

audit = Table(
    "audit",
    metadata,
    id_column("audit_id"),
    time_column("at"),
    Column("actor", Text, nullable=False),
    # The litellm-changed-by header: on whose behalf the actor says it acted.
    Column("changed_by", Text),
    Column("client_address", Text),
    Column("action", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("before", JSONB(none_as_null=True)),
    Column("after", JSONB(none_as_null=True)),
    Column("actor_key_id", Text),
    # The place in the chain; null for rows that are older than the chain.
    Column("sequence", BigInteger),
    Column("previous_hash", LargeBinary),
    Column("hash", LargeBinary),
    Index("uq_audit_sequence", "sequence", unique=True),
    Index("ix_audit_at", "at"),
    Index("ix_audit_object_type_object_id", "object_type", "object_id"),
)

# One row: where the chain ends, so that rows cannot be cut off its end unseen.
audit_head = Table(
    "audit_head",
    metadata,
    Column("head_id", SmallInteger, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
