"""The schema of the book of record, as SQLAlchemy Core tables; Alembic compares the migrations with it.

Money is ``bigint`` nano-dollars, time ``timestamptz``, ids prefixed text (app.base.ids), open maps ``jsonb``.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

TIME = DateTime(timezone=True)
NOW = text("now()")
NO_TEXTS = text("'{}'::text[]")
EMPTY_MAP = text("'{}'::jsonb")


def _id(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def _time(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=NOW)


def _optional_time(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True))


def _texts(name: str) -> Column[Any]:
    return Column(name, ARRAY(Text), nullable=False, server_default=NO_TEXTS)


def _map(name: str) -> Column[Any]:
    return Column(name, JSONB, nullable=False, server_default=EMPTY_MAP)


def _flag(name: str, *, default: bool = False) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=text("true" if default else "false"))


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _reference(name: str, target: str, *, required: bool = False, on_delete: str | None = None) -> Column[str]:
    return Column(name, Text, ForeignKey(target, ondelete=on_delete), nullable=not required)


organizations = Table(
    "organizations",
    metadata,
    _id("organization_id"),
    Column("organization_alias", Text),
    _texts("models"),
    _map("metadata"),
    _time("created_at"),
    _time("updated_at"),
)

teams = Table(
    "teams",
    metadata,
    _id("team_id"),
    Column("team_alias", Text),
    _reference("organization_id", "organizations.organization_id"),
    _texts("models"),
    _flag("blocked"),
    _map("metadata"),
    _time("created_at"),
    Column("created_by", Text, nullable=False),
    _time("updated_at"),
    Column("updated_by", Text, nullable=False),
    Index("ix_teams_organization_id", "organization_id"),
)

users = Table(
    "users",
    metadata,
    _id("user_id"),
    Column("user_alias", Text),
    Column("user_email", Text),
    Column("user_role", Text),
    _reference("organization_id", "organizations.organization_id"),
    _map("metadata"),
    _time("created_at"),
    _time("updated_at"),
)

memberships = Table(
    "memberships",
    metadata,
    _reference("team_id", "teams.team_id", required=True, on_delete="CASCADE"),
    _reference("user_id", "users.user_id", required=True, on_delete="CASCADE"),
    Column("role", Text, nullable=False, server_default=text("'user'")),
    _time("created_at"),
    PrimaryKeyConstraint("team_id", "user_id"),
    Index("ix_memberships_user_id", "user_id"),
)

budgets = Table(
    "budgets",
    metadata,
    _id("budget_id"),
    # Null: spend is shown per window of ``duration``, and nothing is refused.
    Column("limit_nanousd", BigInteger),
    Column("duration", Text),
    Column("anchor", DateTime(timezone=True), nullable=False),
    Column("counting_since", DateTime(timezone=True), nullable=False),
    _time("created_at"),
    _time("updated_at"),
)

keys = Table(
    "keys",
    metadata,
    _id("key_id"),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("last_four", Text, nullable=False),
    Column("key_alias", Text),
    Column("key_type", Text, nullable=False, server_default=text("'default'")),
    _reference("organization_id", "organizations.organization_id"),
    _reference("team_id", "teams.team_id"),
    _reference("user_id", "users.user_id"),
    _reference("budget_id", "budgets.budget_id"),
    _texts("models"),
    _map("aliases"),
    _texts("allowed_routes"),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("max_parallel_requests", BigInteger),
    _flag("blocked"),
    _map("metadata"),
    _texts("tags"),
    _optional_time("expires_at"),
    # All time, kept by whoever books receipts; the receipts are the truth.
    _count("spend_nanousd"),
    _optional_time("last_active_at"),
    _count("rotation_count"),
    _optional_time("last_rotation_at"),
    _time("created_at"),
    Column("created_by", Text, nullable=False),
    _time("updated_at"),
    Column("updated_by", Text, nullable=False),
    # A deleted key stays as an archive: its receipts keep their owner and its digest can never be issued again.
    _optional_time("deleted_at"),
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
    _reference("key_id", "keys.key_id", required=True, on_delete="CASCADE"),
    Column("last_four", Text, nullable=False),
    # The old key works until this instant, exclusive.
    Column("works_until", DateTime(timezone=True), nullable=False),
    _time("created_at"),
    Index("ix_retired_key_digests_key_id", "key_id"),
)

models = Table(
    "models",
    metadata,
    _id("model_id"),
    Column("name", Text, nullable=False, unique=True),
    Column("display_name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    _texts("access_groups"),
    Column("max_input_tokens", BigInteger),
    Column("max_output_tokens", BigInteger),
    _flag("listed", default=True),
    _map("metadata"),
    _time("created_at"),
    _time("updated_at"),
)

provider_credentials = Table(
    "provider_credentials",
    metadata,
    _id("credential_id"),
    Column("name", Text, nullable=False, unique=True),
    Column("provider", Text, nullable=False),
    # AES-256-GCM; the associated data is ``credential_id``, ``encryption_key_id`` says which key, for rotation.
    Column("ciphertext", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    Column("encryption_key_id", Text, nullable=False),
    _map("metadata"),
    _time("created_at"),
    _time("updated_at"),
)

deployments = Table(
    "deployments",
    metadata,
    _id("deployment_id"),
    _reference("model_id", "models.model_id", required=True, on_delete="CASCADE"),
    Column("provider", Text, nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("api_base", Text, nullable=False),
    _reference("credential_id", "provider_credentials.credential_id"),
    _map("headers"),
    _map("timeouts"),
    Column("weight", Integer, nullable=False, server_default=text("1")),
    _time("created_at"),
    _time("updated_at"),
    Index("ix_deployments_model_id", "model_id"),
)

prices = Table(
    "prices",
    metadata,
    _id("price_id"),
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
    _count("images_nanousd_per_million"),
    _count("web_searches_nanousd_per_million"),
    Column("tiers", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    _time("created_at"),
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
    _texts("tags"),
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
    _count("input_tokens"),
    _count("cache_read_tokens"),
    _count("cache_write_5m_tokens"),
    _count("cache_write_1h_tokens"),
    _count("output_tokens"),
    _count("reasoning_tokens"),
    _count("audio_input_tokens"),
    _count("audio_output_tokens"),
    _count("images"),
    _count("web_searches"),
    _count("input_cost_nanousd"),
    _count("cache_read_cost_nanousd"),
    _count("cache_write_cost_nanousd"),
    _count("output_cost_nanousd"),
    _count("other_cost_nanousd"),
    _count("cost_nanousd"),
    Column("price_version", Text, nullable=False),
    Column("price_source", Text, nullable=False),
    Column("usage_source", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("finish_reason", Text),
    _time("booked_at"),
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
    _time("created_at"),
    # When its results were first read: the time of all its receipts, so that each has one name for ever.
    _optional_time("results_read_at"),
    _optional_time("booked_at"),
    _optional_time("deleted_at"),
    PrimaryKeyConstraint("kind", "object_id"),
    Index("ix_provider_objects_key_id_created_at", "key_id", "created_at"),
    Index("ix_provider_objects_team_id_created_at", "team_id", "created_at"),
)

audit = Table(
    "audit",
    metadata,
    _id("audit_id"),
    _time("at"),
    Column("actor", Text, nullable=False),
    # The litellm-changed-by header: on whose behalf the actor says it acted.
    Column("changed_by", Text),
    Column("client_address", Text),
    Column("action", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("before", JSONB(none_as_null=True)),
    Column("after", JSONB(none_as_null=True)),
    Index("ix_audit_at", "at"),
    Index("ix_audit_object_type_object_id", "object_type", "object_id"),
)
