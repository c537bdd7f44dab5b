"""Queries on allow-lists of models: which teams and organizations have one, and how many have none."""

from typing import Any, NamedTuple

from sqlalchemy import Column, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.tables import keys, organizations, teams

_OWNERS: dict[str, tuple[Table, Column[Any], Column[Any]]] = {
    "team": (teams, teams.c.team_id, teams.c.team_alias),
    "organization": (organizations, organizations.c.organization_id, organizations.c.organization_alias),
}


class AllowList(NamedTuple):
    owner_id: str
    name: str
    models: tuple[str, ...]


async def list_allow_lists(connection: AsyncConnection, kind: str, most: int) -> tuple[list[AllowList], int]:
    """Those of teams or organizations that have one, by name, and how many have none: these may use every model."""
    table, own_id, alias = _OWNERS[kind]
    name = func.coalesce(alias, own_id)
    has_one = func.cardinality(table.c.models) > 0
    rows = await connection.execute(select(own_id, name, table.c.models).where(has_one).order_by(name).limit(most))
    found = [AllowList(row[0], row[1], tuple(row[2])) for row in rows]
    free = (await connection.execute(select(func.count()).select_from(table).where(~has_one))).scalar_one()
    return found, int(free)


async def count_keys_naming(connection: AsyncConnection, names: list[str]) -> int:
    """The keys whose own list has one of the names."""
    query = select(func.count()).select_from(keys).where(keys.c.models.overlap(names), keys.c.deleted_at.is_(None))
    return int((await connection.execute(query)).scalar_one())
