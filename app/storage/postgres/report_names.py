"""What people call those who are in the groups of a report."""

from collections.abc import Collection, Mapping

from sqlalchemy import ColumnElement, Text, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.reports import Dimension
from app.storage.postgres.tables import customers, departed, keys, organizations, projects, teams, users

_NAMES: Mapping[Dimension, tuple[ColumnElement[str], ColumnElement[str | None]]] = {
    "organization": (organizations.c.organization_id, organizations.c.organization_alias),
    "team": (teams.c.team_id, teams.c.team_alias),
    "user": (users.c.user_id, func.coalesce(users.c.user_alias, users.c.user_email)),
    "key": (keys.c.key_id, keys.c.key_alias),
    "customer": (customers.c.customer_id, customers.c.customer_alias),
    "project": (projects.c.project_id, projects.c.project_alias),
}


NAMED: tuple[Dimension, ...] = tuple(_NAMES)
"""Those that people give names."""


async def find_names(connection: AsyncConnection, dimension: Dimension, ids: Collection[str]) -> dict[str, str]:
    """What people call them, or called those that are deleted; of those that have a name."""
    if dimension not in _NAMES or not ids:
        return {}
    column, name = _NAMES[dimension]
    wanted = func.any(literal(list(ids), ARRAY(Text)))
    gone = select(departed.c.id, departed.c.name).where(departed.c.kind == dimension, departed.c.id == wanted)
    of_the_dead = {one: str(alias) for one, alias in await connection.execute(gone)}
    living = await connection.execute(select(column, name).where(column == wanted))
    found = of_the_dead | {row[0]: row[1] for row in living}
    return {one: str(alias) for one, alias in found.items() if alias is not None}


async def find_living_keys(connection: AsyncConnection, key_ids: Collection[str]) -> set[str]:
    wanted = keys.c.key_id == func.any(literal(list(key_ids), ARRAY(Text)))
    found = await connection.execute(select(keys.c.key_id).where(wanted, keys.c.deleted_at.is_(None)))
    return set(found.scalars())
