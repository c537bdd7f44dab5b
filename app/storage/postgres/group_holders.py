"""Queries on the teams and keys whose lists of models hold access groups."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.roles import Tenant
from app.storage.postgres.tables import keys, teams
from app.storage.postgres.tenants import within


@dataclass(frozen=True, slots=True)
class Holder:
    """A team or key, its name, and its list of models."""

    holder_id: str
    name: str | None
    models: list[str]


async def list_team_holders(connection: AsyncConnection, tenant: Tenant, groups: Sequence[str]) -> list[Holder]:
    """The teams that name any of the groups."""
    query = select(teams.c.team_id, teams.c.team_alias, teams.c.models)
    query = query.where(teams.c.models.overlap(list(groups)), *within(tenant, teams)).order_by(teams.c.team_id)
    return [Holder(*row) for row in await connection.execute(query)]


async def list_key_holders(connection: AsyncConnection, tenant: Tenant, groups: Sequence[str]) -> list[Holder]:
    """The keys that name any of the groups, but for deleted ones."""
    query = select(keys.c.key_id, keys.c.key_alias, keys.c.models)
    named = keys.c.models.overlap(list(groups)), keys.c.deleted_at.is_(None)
    return [
        Holder(*row) for row in await connection.execute(query.where(*named, *within(tenant, keys)).order_by("key_id"))
    ]
