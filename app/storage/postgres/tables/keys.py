"""Virtual keys, and the digests that a rotation retired."""

from sqlalchemy import Column, DateTime, Index, LargeBinary, Table, Text, text

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
    reference_column("project_id", "projects.project_id"),
    reference_column("budget_id", "budgets.budget_id"),
    since_column("budget_since"),
    texts_column("models"),
    map_column("aliases"),
    map_column("budget_fallbacks"),
    Column("allowed_model_region", Text),
    texts_column("allowed_routes"),
    *limit_columns(),
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
    Index("ix_keys_project_id", "project_id"),
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
