"""The book of record: keys and their owners, budgets, the catalogue, prices, receipts by month, audit."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

MONTHS_AHEAD = 2
RECEIPT_COUNTS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_input_tokens",
    "audio_output_tokens",
    "images",
    "web_searches",
    "input_cost_nanousd",
    "cache_read_cost_nanousd",
    "cache_write_cost_nanousd",
    "output_cost_nanousd",
    "other_cost_nanousd",
    "cost_nanousd",
)


def upgrade() -> None:
    _create_audit()
    _create_budgets()
    _create_models()
    _create_organizations()
    _create_prices()
    _create_provider_credentials()
    _create_receipts()
    _create_deployments()
    _create_teams()
    _create_users()
    _create_keys()
    _create_memberships()
    _create_retired_key_digests()
    _create_partitions()


def downgrade() -> None:
    for table in (
        "retired_key_digests",
        "memberships",
        "keys",
        "users",
        "teams",
        "deployments",
        "receipts",
        "provider_credentials",
        "prices",
        "organizations",
        "models",
        "budgets",
        "audit",
    ):
        op.drop_table(table)


def _create_partitions() -> None:
    """The default partition takes what falls in no month; the months after the first ones are made as time passes."""
    op.execute("CREATE TABLE receipts_default PARTITION OF receipts DEFAULT")
    today = datetime.now(UTC)
    for ahead in range(MONTHS_AHEAD + 1):
        first, next_first = _month(today, ahead), _month(today, ahead + 1)
        op.execute(
            f"CREATE TABLE receipts_{first:%Y_%m} PARTITION OF receipts "
            f"FOR VALUES FROM ('{first:%Y-%m-%d} 00:00:00+00') TO ('{next_first:%Y-%m-%d} 00:00:00+00')"
        )


def _month(today: datetime, ahead: int) -> datetime:
    year, month = divmod(today.year * 12 + today.month - 1 + ahead, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def _time(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)


def _texts(name: str) -> sa.Column[Any]:
    return sa.Column(name, postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'::text[]"), nullable=False)


def _map(name: str) -> sa.Column[Any]:
    return sa.Column(name, postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _create_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("audit_id", sa.Text(), nullable=False),
        _time("at"),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text()),
        sa.Column("client_address", sa.Text()),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object_type", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("before", postgresql.JSONB()),
        sa.Column("after", postgresql.JSONB()),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_index("ix_audit_object_type_object_id", "audit", ["object_type", "object_id"])


def _create_budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("budget_id", sa.Text(), nullable=False),
        sa.Column("limit_nanousd", sa.BigInteger()),
        sa.Column("duration", sa.Text()),
        sa.Column("anchor", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counting_since", sa.DateTime(timezone=True), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("budget_id", name=op.f("pk_budgets")),
    )


def _create_models() -> None:
    op.create_table(
        "models",
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default=sa.text("''"), nullable=False),
        _texts("access_groups"),
        sa.Column("max_input_tokens", sa.BigInteger()),
        sa.Column("max_output_tokens", sa.BigInteger()),
        sa.Column("listed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        _map("metadata"),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("model_id", name=op.f("pk_models")),
        sa.UniqueConstraint("name", name=op.f("uq_models_name")),
    )


def _create_organizations() -> None:
    op.create_table(
        "organizations",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("organization_alias", sa.Text()),
        _texts("models"),
        _map("metadata"),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("organization_id", name=op.f("pk_organizations")),
    )


def _create_prices() -> None:
    op.create_table(
        "prices",
        sa.Column("price_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("input_nanousd_per_million", sa.BigInteger(), nullable=False),
        sa.Column("output_nanousd_per_million", sa.BigInteger(), nullable=False),
        sa.Column("cache_read_nanousd_per_million", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_5m_nanousd_per_million", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_1h_nanousd_per_million", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_nanousd_per_million", sa.BigInteger(), nullable=False),
        sa.Column("audio_input_nanousd_per_million", sa.BigInteger(), nullable=False),
        sa.Column("audio_output_nanousd_per_million", sa.BigInteger(), nullable=False),
        _count("images_nanousd_per_million"),
        _count("web_searches_nanousd_per_million"),
        sa.Column("tiers", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("price_id", name=op.f("pk_prices")),
        sa.UniqueConstraint(
            "provider", "model", "effective_from", name=op.f("uq_prices_provider_model_effective_from")
        ),
    )


def _create_provider_credentials() -> None:
    op.create_table(
        "provider_credentials",
        sa.Column("credential_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("ciphertext", sa.LargeBinary(), nullable=False),
        sa.Column("nonce", sa.LargeBinary(), nullable=False),
        sa.Column("encryption_key_id", sa.Text(), nullable=False),
        _map("metadata"),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_provider_credentials")),
        sa.UniqueConstraint("name", name=op.f("uq_provider_credentials_name")),
    )


def _create_receipts() -> None:
    op.create_table(
        "receipts",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("first_byte_ms", sa.BigInteger()),
        sa.Column("organization_id", sa.Text()),
        sa.Column("team_id", sa.Text()),
        sa.Column("user_id", sa.Text()),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text()),
        _texts("tags"),
        sa.Column("session_id", sa.Text()),
        sa.Column("agent_id", sa.Text()),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("model_asked", sa.Text(), nullable=False),
        sa.Column("model_served", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("protocol_in", sa.Text(), nullable=False),
        sa.Column("protocol_out", sa.Text(), nullable=False),
        sa.Column("streamed", sa.Boolean(), nullable=False),
        *(_count(name) for name in RECEIPT_COUNTS),
        sa.Column("price_version", sa.Text(), nullable=False),
        sa.Column("price_source", sa.Text(), nullable=False),
        sa.Column("usage_source", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("finish_reason", sa.Text()),
        _time("booked_at"),
        sa.PrimaryKeyConstraint("request_id", "attempt", "started_at", name=op.f("pk_receipts")),
        postgresql_partition_by="RANGE (started_at)",
    )
    op.create_index("ix_receipts_key_id_started_at", "receipts", ["key_id", "started_at"])
    op.create_index("ix_receipts_started_at", "receipts", ["started_at"])


def _create_deployments() -> None:
    op.create_table(
        "deployments",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("model_id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("upstream_model", sa.Text(), nullable=False),
        sa.Column("api_base", sa.Text(), nullable=False),
        sa.Column("credential_id", sa.Text()),
        _map("headers"),
        _map("timeouts"),
        sa.Column("weight", sa.Integer(), server_default=sa.text("1"), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.ForeignKeyConstraint(
            ["credential_id"], ["provider_credentials.credential_id"], name=op.f("fk_deployments_credential_id")
        ),
        sa.ForeignKeyConstraint(
            ["model_id"], ["models.model_id"], name=op.f("fk_deployments_model_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_deployments")),
    )
    op.create_index("ix_deployments_model_id", "deployments", ["model_id"])


def _create_teams() -> None:
    op.create_table(
        "teams",
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("team_alias", sa.Text()),
        sa.Column("organization_id", sa.Text()),
        _texts("models"),
        sa.Column("blocked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _map("metadata"),
        _time("created_at"),
        sa.Column("created_by", sa.Text(), nullable=False),
        _time("updated_at"),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.organization_id"], name=op.f("fk_teams_organization_id")
        ),
        sa.PrimaryKeyConstraint("team_id", name=op.f("pk_teams")),
    )
    op.create_index("ix_teams_organization_id", "teams", ["organization_id"])


def _create_users() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("user_alias", sa.Text()),
        sa.Column("user_email", sa.Text()),
        sa.Column("user_role", sa.Text()),
        sa.Column("organization_id", sa.Text()),
        _map("metadata"),
        _time("created_at"),
        _time("updated_at"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.organization_id"], name=op.f("fk_users_organization_id")
        ),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_users")),
    )


def _create_keys() -> None:
    op.create_table(
        "keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("last_four", sa.Text(), nullable=False),
        sa.Column("key_alias", sa.Text()),
        sa.Column("key_type", sa.Text(), server_default=sa.text("'default'"), nullable=False),
        sa.Column("organization_id", sa.Text()),
        sa.Column("team_id", sa.Text()),
        sa.Column("user_id", sa.Text()),
        sa.Column("budget_id", sa.Text()),
        _texts("models"),
        _map("aliases"),
        _texts("allowed_routes"),
        sa.Column("requests_per_minute", sa.BigInteger()),
        sa.Column("tokens_per_minute", sa.BigInteger()),
        sa.Column("max_parallel_requests", sa.BigInteger()),
        sa.Column("blocked", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        _map("metadata"),
        _texts("tags"),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        _count("spend_nanousd"),
        sa.Column("last_active_at", sa.DateTime(timezone=True)),
        _count("rotation_count"),
        sa.Column("last_rotation_at", sa.DateTime(timezone=True)),
        _time("created_at"),
        sa.Column("created_by", sa.Text(), nullable=False),
        _time("updated_at"),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.Column("deleted_by", sa.Text()),
        sa.ForeignKeyConstraint(["budget_id"], ["budgets.budget_id"], name=op.f("fk_keys_budget_id")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.organization_id"], name=op.f("fk_keys_organization_id")
        ),
        sa.ForeignKeyConstraint(["team_id"], ["teams.team_id"], name=op.f("fk_keys_team_id")),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name=op.f("fk_keys_user_id")),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_keys")),
        sa.UniqueConstraint("digest", name=op.f("uq_keys_digest")),
    )
    op.create_index("ix_keys_created_at", "keys", ["created_at"])
    op.create_index("ix_keys_team_id", "keys", ["team_id"])
    op.create_index("ix_keys_user_id", "keys", ["user_id"])
    op.create_index(
        "uq_keys_key_alias",
        "keys",
        ["key_alias"],
        unique=True,
        postgresql_where=sa.text("key_alias IS NOT NULL AND deleted_at IS NULL"),
    )


def _create_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("team_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), server_default=sa.text("'user'"), nullable=False),
        _time("created_at"),
        sa.ForeignKeyConstraint(
            ["team_id"], ["teams.team_id"], name=op.f("fk_memberships_team_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.user_id"], name=op.f("fk_memberships_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("team_id", "user_id", name=op.f("pk_memberships")),
    )
    op.create_index("ix_memberships_user_id", "memberships", ["user_id"])


def _create_retired_key_digests() -> None:
    op.create_table(
        "retired_key_digests",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("last_four", sa.Text(), nullable=False),
        sa.Column("works_until", sa.DateTime(timezone=True), nullable=False),
        _time("created_at"),
        sa.ForeignKeyConstraint(
            ["key_id"], ["keys.key_id"], name=op.f("fk_retired_key_digests_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_retired_key_digests")),
    )
    op.create_index("ix_retired_key_digests_key_id", "retired_key_digests", ["key_id"])
