"""Queries on the settings of Claude Code that are set at each level."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.tables import managed_settings


@dataclass(frozen=True, slots=True)
class StoredSettings:
    """What one level sets; ``scope`` as app.domain.tenancy names it."""

    scope: str
    organization_id: str | None
    team_id: str | None
    settings: dict[str, Any]
    updated_at: datetime
    updated_by: str


_STORED = select(*(managed_settings.c[name] for name in StoredSettings.__slots__))


async def find_settings(
    connection: AsyncConnection, scopes: Collection[str], *, lock: bool = False
) -> dict[str, StoredSettings]:
    """Of those levels that set any, by scope."""
    query = _STORED.where(managed_settings.c.scope.in_(scopes))
    rows = await connection.execute(query.with_for_update() if lock else query)
    return {row.scope: StoredSettings(**row._mapping) for row in rows}


async def list_settings(connection: AsyncConnection) -> list[StoredSettings]:
    rows = await connection.execute(_STORED.order_by(managed_settings.c.scope))
    return [StoredSettings(**row._mapping) for row in rows]


async def write_settings(connection: AsyncConnection, stored: StoredSettings) -> None:
    values = asdict(stored)
    written = insert(managed_settings).values(**values)
    await connection.execute(written.on_conflict_do_update(index_elements=["scope"], set_=values))


async def delete_settings(connection: AsyncConnection, scope: str) -> None:
    await connection.execute(delete(managed_settings).where(managed_settings.c.scope == scope))
