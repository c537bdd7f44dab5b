"""What people call those who are in the groups of a report."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Text, bindparam, false, func, literal, select, true
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
    rows = (await connection.execute(_names_query(dimension), {"ids": list(ids)})).all()
    gone, living = ({one: alias for one, alias, lives in rows if lives is state} for state in (False, True))
    return {one: str(alias) for one, alias in (gone | living).items() if alias is not None}


@cache
def _names_query(dimension: Dimension) -> CompoundSelect[Any]:
    column, name = _NAMES[dimension]
    wanted = func.any(bindparam("ids", type_=ARRAY(Text)))
    gone = select(departed.c.id, departed.c.name, false()).where(departed.c.kind == dimension, departed.c.id == wanted)
    return gone.union_all(select(column, name, true()).where(column == wanted))


async def find_living_keys(connection: AsyncConnection, key_ids: Collection[str]) -> set[str]:
    wanted = keys.c.key_id == func.any(literal(list(key_ids), ARRAY(Text)))
    found = await connection.execute(select(keys.c.key_id).where(wanted, keys.c.deleted_at.is_(None)))
    return set(found.scalars())
