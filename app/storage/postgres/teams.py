"""Queries on teams and organizations."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import OrganizationId, TeamId
from app.storage.postgres.tables import organizations, teams


@dataclass(frozen=True, slots=True)
class StoredTeam:
    """One row of teams."""

    team_id: TeamId
    team_alias: str | None
    organization_id: OrganizationId | None
    models: list[str]
    blocked: bool
    metadata: dict[str, Any]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


_STORED = select(*(teams.c[name] for name in StoredTeam.__slots__))


async def find_team(connection: AsyncConnection, team_id: str, *, lock: bool = False) -> StoredTeam | None:
    query = _STORED.where(teams.c.team_id == team_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else StoredTeam(**row._mapping)


async def list_teams(connection: AsyncConnection, organization_id: str | None = None) -> list[StoredTeam]:
    query = _STORED.order_by(teams.c.created_at.desc(), teams.c.team_id)
    if organization_id is not None:
        query = query.where(teams.c.organization_id == organization_id)
    return [StoredTeam(**row._mapping) for row in await connection.execute(query)]


async def insert_team(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(teams).values(**values))


async def update_team(connection: AsyncConnection, team_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(teams).where(teams.c.team_id == team_id).values(**values))


async def organization_exists(connection: AsyncConnection, organization_id: str) -> bool:
    query = select(organizations.c.organization_id).where(organizations.c.organization_id == organization_id)
    return (await connection.execute(query)).one_or_none() is not None
