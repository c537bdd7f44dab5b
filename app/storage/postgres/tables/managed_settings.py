"""Settings of Claude Code that are set for everybody, an organization or a team."""

from sqlalchemy import Column, Index, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from app.storage.postgres.columns import id_column, metadata, reference_column, time_column

managed_settings = Table(
    "managed_settings",
    metadata,
    # As app.domain.tenancy names levels; the owner's row, where there is one, takes it along when it goes.
    id_column("scope"),
    reference_column("organization_id", "organizations.organization_id", on_delete="CASCADE"),
    reference_column("team_id", "teams.team_id", on_delete="CASCADE"),
    Column("settings", JSONB, nullable=False),
    time_column("updated_at"),
    Column("updated_by", Text, nullable=False),
    Index("ix_managed_settings_organization_id", "organization_id"),
    Index("ix_managed_settings_team_id", "team_id"),
)
