"""Queries on teams."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.clock import now
from app.base.ids import BudgetId, OrganizationId, TeamId
from app.domain.roles import Tenant
from app.storage.postgres.cost_centers import cost_center_of, end_cost_center
from app.storage.postgres.departed import keep_name
from app.storage.postgres.owner_spend import owner_days
from app.storage.postgres.tables import keys, memberships, teams
from app.storage.postgres.tenants import within


@dataclass(frozen=True, slots=True)
class StoredTeam:
    """One row of teams; ``member_budget_id`` is for members without a budget of their own."""

    team_id: TeamId
    team_alias: str | None
    organization_id: OrganizationId | None
    models: list[str]
    allowed_model_region: str | None
    blocked: bool
    cost_center: str | None
    metadata: dict[str, Any]
    budget_id: BudgetId | None
    member_budget_id: BudgetId | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    max_parallel_requests: int | None
    model_requests_per_minute: dict[str, int]
    model_tokens_per_minute: dict[str, int]
    further_limits: list[dict[str, Any]]
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class TeamFilter:
    """Which teams to list, and in which order; None does not filter. ``user_id`` is a member, ``search`` a part of the
    name or the whole id. ``sort_by`` is one of ``SORT_COLUMNS``, or ``spend``: what this month of UTC cost."""

    organization_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    team_alias: str | None = None
    search: str | None = None
    blocked: bool | None = None
    sort_by: str = "created_at"
    descending: bool = True


SORT_COLUMNS: Mapping[str, ColumnElement[Any]] = {
    "created_at": teams.c.created_at,
    "updated_at": teams.c.updated_at,
    "team_alias": teams.c.team_alias,
    "team_id": teams.c.team_id,
}
_STORED = select(
    *(teams.c[name] for name in StoredTeam.__slots__ if name in teams.c),
    cost_center_of("team", teams.c.team_id),
)


async def find_team(
    connection: AsyncConnection, tenant: Tenant, team_id: str, *, lock: bool = False
) -> StoredTeam | None:
    query = _STORED.where(teams.c.team_id == team_id, *within(tenant, teams))
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else StoredTeam(**row._mapping)


async def hold_team(connection: AsyncConnection, team_id: str) -> StoredTeam | None:
    """The team, which cannot be deleted until the transaction ends."""
    query = _STORED.where(teams.c.team_id == team_id).with_for_update(read=True, key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredTeam(**row._mapping)


async def find_team_id_by_alias(connection: AsyncConnection, organization_id: str | None, alias: str) -> str | None:
    """The id of the team that bears this name in the organization, or among the teams without one."""
    query = select(teams.c.team_id).where(
        teams.c.team_alias == alias, teams.c.organization_id.is_not_distinct_from(organization_id)
    )
    return (await connection.execute(query.limit(1))).scalar_one_or_none()


async def list_teams(
    connection: AsyncConnection, tenant: Tenant, wanted: TeamFilter, limit: int, offset: int
) -> tuple[list[StoredTeam], int]:
    """One page, newest first, and how many there are."""
    conditions = [*within(tenant, teams), *_conditions(wanted)]
    total = (await connection.execute(select(func.count()).select_from(teams).where(*conditions))).scalar_one()
    column = _spent_this_month() if wanted.sort_by == "spend" else SORT_COLUMNS[wanted.sort_by]
    order = column.desc().nulls_last() if wanted.descending else column.asc().nulls_last()
    query = _STORED.where(*conditions).order_by(order, teams.c.team_id)
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [StoredTeam(**row._mapping) for row in rows], total


@dataclass(frozen=True, slots=True)
class Belongings:
    """How many members a team has, and keys that are not deleted."""

    members: int
    keys: int


async def count_belongings(connection: AsyncConnection, team_ids: Collection[str]) -> dict[str, Belongings]:
    """Of each of the teams."""
    members = select(memberships.c.team_id, func.count()).where(memberships.c.team_id.in_(team_ids))
    living = select(keys.c.team_id, func.count()).where(keys.c.team_id.in_(team_ids), keys.c.deleted_at.is_(None))
    of_members = {row[0]: row[1] for row in await connection.execute(members.group_by(memberships.c.team_id))}
    of_keys = {row[0]: row[1] for row in await connection.execute(living.group_by(keys.c.team_id))}
    return {one: Belongings(of_members.get(one, 0), of_keys.get(one, 0)) for one in team_ids}


async def teams_of_organizations(connection: AsyncConnection, organization_ids: Collection[str]) -> list[StoredTeam]:
    """Oldest first."""
    query = _STORED.where(teams.c.organization_id.in_(organization_ids)).order_by(teams.c.created_at, teams.c.team_id)
    return [StoredTeam(**row._mapping) for row in await connection.execute(query)]


async def insert_team(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(teams).values(**values))


async def update_team(connection: AsyncConnection, team_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(teams).where(teams.c.team_id == team_id).values(**values))


async def move_keys(connection: AsyncConnection, team_id: str, organization_id: str | None) -> None:
    """Let the team's keys belong to its organization."""
    await connection.execute(update(keys).where(keys.c.team_id == team_id).values(organization_id=organization_id))


async def delete_team(connection: AsyncConnection, team_id: str) -> None:
    """With its memberships; no key may name it any more. Its name stays."""
    await keep_name(connection, "team", teams.c.team_id, teams.c.team_alias, team_id)
    await end_cost_center(connection, "team", team_id, now())
    await connection.execute(delete(teams).where(teams.c.team_id == team_id))


def _conditions(wanted: TeamFilter) -> list[ColumnElement[bool]]:
    conditions = [
        teams.c[name] == value
        for name in ("organization_id", "team_id", "team_alias")
        if (value := getattr(wanted, name)) is not None
    ]
    if wanted.search is not None:
        part = teams.c.team_alias.icontains(wanted.search, autoescape=True)
        conditions.append(or_(part, teams.c.team_id == wanted.search))
    if wanted.blocked is not None:
        conditions.append(teams.c.blocked.is_(wanted.blocked))
    if wanted.user_id is not None:
        of_user = select(memberships.c.team_id).where(memberships.c.user_id == wanted.user_id)
        conditions.append(teams.c.team_id.in_(of_user))
    return conditions


def _spent_this_month() -> ColumnElement[Any]:
    days = owner_days(("team_id",)).c
    month_start = now().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    spent = select(func.coalesce(func.sum(days.cost_nanousd), 0))
    return spent.where(days.team_id == teams.c.team_id, days.bucket >= month_start).scalar_subquery()
