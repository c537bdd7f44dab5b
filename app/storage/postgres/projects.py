"""Queries on projects, the parts of a team's work: a tenant reaches those of its teams."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.clock import now
from app.base.ids import BudgetId, ProjectId, TeamId
from app.domain.roles import Tenant
from app.storage.postgres.cost_centers import cost_center_of, end_cost_center
from app.storage.postgres.departed import keep_name
from app.storage.postgres.tables import keys, projects, teams
from app.storage.postgres.tenants import within


@dataclass(frozen=True, slots=True)
class StoredProject:
    """One row of projects."""

    project_id: ProjectId
    project_alias: str | None
    description: str | None
    team_id: TeamId
    models: list[str]
    blocked: bool
    cost_center: str | None
    metadata: dict[str, Any]
    budget_id: BudgetId | None
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


_STORED = select(
    *(projects.c[name] for name in StoredProject.__slots__ if name in projects.c),
    cost_center_of("project", projects.c.project_id),
).join_from(projects, teams, teams.c.team_id == projects.c.team_id)


async def find_project(
    connection: AsyncConnection, tenant: Tenant, project_id: str, *, lock: bool = False
) -> StoredProject | None:
    query = _STORED.where(projects.c.project_id == project_id, *within(tenant, teams))
    row = (await connection.execute(query.with_for_update(of=projects) if lock else query)).one_or_none()
    return None if row is None else StoredProject(**row._mapping)


async def hold_project(connection: AsyncConnection, project_id: str) -> StoredProject | None:
    """The project, which cannot be deleted until the transaction ends."""
    query = _STORED.where(projects.c.project_id == project_id)
    row = (await connection.execute(query.with_for_update(read=True, key_share=True, of=projects))).one_or_none()
    return None if row is None else StoredProject(**row._mapping)


async def find_project_id_by_alias(connection: AsyncConnection, team_id: str, alias: str) -> str | None:
    """The id of the project that bears this name in the team."""
    query = select(projects.c.project_id).where(projects.c.team_id == team_id, projects.c.project_alias == alias)
    return (await connection.execute(query.limit(1))).scalar_one_or_none()


async def list_projects(
    connection: AsyncConnection, tenant: Tenant, team_id: str | None, limit: int, offset: int, search: str | None = None
) -> tuple[list[StoredProject], int]:
    """One page, newest first, and how many there are; None does not filter. ``search`` is a part of the name, or the
    whole id."""
    conditions = within(tenant, teams)
    if team_id is not None:
        conditions = [*conditions, projects.c.team_id == team_id]
    if search is not None:
        part = projects.c.project_alias.icontains(search, autoescape=True)
        conditions = [*conditions, or_(part, projects.c.project_id == search)]
    found = _STORED.where(*conditions)
    total = (await connection.execute(select(func.count()).select_from(found.subquery()))).scalar_one()
    query = found.order_by(projects.c.created_at.desc(), projects.c.project_id)
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [StoredProject(**row._mapping) for row in rows], total


async def lock_projects_of_team(connection: AsyncConnection, team_id: str) -> list[str]:
    """Their ids, in one order so that no two removals wait for each other."""
    query = select(projects.c.project_id).where(projects.c.team_id == team_id).order_by(projects.c.project_id)
    return list((await connection.execute(query.with_for_update())).scalars())


async def count_keys_of_project(connection: AsyncConnection, project_id: str) -> int:
    """Those that are not deleted."""
    living = (keys.c.project_id == project_id, keys.c.deleted_at.is_(None))
    return int((await connection.execute(select(func.count()).select_from(keys).where(*living))).scalar_one())


async def insert_project(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(projects).values(**values))


async def update_project(connection: AsyncConnection, project_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(projects).where(projects.c.project_id == project_id).values(**values))


async def delete_project(connection: AsyncConnection, project_id: str) -> None:
    """No key may name it any more. Its name stays."""
    await keep_name(connection, "project", projects.c.project_id, projects.c.project_alias, project_id)
    await end_cost_center(connection, "project", project_id, now())
    await connection.execute(delete(projects).where(projects.c.project_id == project_id))
