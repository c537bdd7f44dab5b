"""Queries on organizations."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.clock import now
from app.base.ids import BudgetId, OrganizationId
from app.storage.postgres.budgets import StoredBudget, find_budget
from app.storage.postgres.cost_centers import cost_center_of, end_cost_center
from app.storage.postgres.departed import keep_name
from app.storage.postgres.tables import organizations, users


@dataclass(frozen=True, slots=True)
class StoredOrganization:
    """One row of organizations."""

    organization_id: OrganizationId
    organization_alias: str | None
    models: list[str]
    allowed_model_region: str | None
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
    created_by: str | None
    updated_at: datetime
    updated_by: str | None


@dataclass(frozen=True, slots=True)
class OrganizationFilter:
    """Which organizations to list; None does not filter. ``alias_part`` may stand anywhere in the name, ``search`` too,
    or it is a whole id."""

    organization_id: str | None = None
    alias_part: str | None = None
    search: str | None = None


_STORED = select(
    *(organizations.c[name] for name in StoredOrganization.__slots__ if name in organizations.c),
    cost_center_of("organization", organizations.c.organization_id),
)


async def hold_organization(connection: AsyncConnection, organization_id: str) -> bool:
    """Whether it exists; if so it cannot be deleted until the transaction ends."""
    query = select(organizations.c.organization_id).where(organizations.c.organization_id == organization_id)
    return (await connection.execute(query.with_for_update(read=True, key_share=True))).one_or_none() is not None


async def organization_budget(connection: AsyncConnection, organization_id: str) -> StoredBudget | None:
    query = select(organizations.c.budget_id).where(organizations.c.organization_id == organization_id)
    budget_id = (await connection.execute(query)).scalar_one_or_none()
    return None if budget_id is None else await find_budget(connection, budget_id)


async def find_organization(
    connection: AsyncConnection, organization_id: str, *, lock: bool = False
) -> StoredOrganization | None:
    query = _STORED.where(organizations.c.organization_id == organization_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else StoredOrganization(**row._mapping)


async def find_organization_id_by_alias(connection: AsyncConnection, alias: str) -> str | None:
    query = select(organizations.c.organization_id).where(organizations.c.organization_alias == alias)
    return (await connection.execute(query.limit(1))).scalar_one_or_none()


async def list_organizations(
    connection: AsyncConnection, wanted: OrganizationFilter, limit: int, offset: int
) -> tuple[list[StoredOrganization], int]:
    """One page, newest first, and how many there are."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.organization_id is not None:
        conditions.append(organizations.c.organization_id == wanted.organization_id)
    if wanted.alias_part is not None:
        conditions.append(organizations.c.organization_alias.icontains(wanted.alias_part, autoescape=True))
    if wanted.search is not None:
        named = organizations.c.organization_alias.icontains(wanted.search, autoescape=True)
        conditions.append(or_(named, organizations.c.organization_id == wanted.search))
    total = (await connection.execute(select(func.count()).select_from(organizations).where(*conditions))).scalar_one()
    query = _STORED.where(*conditions).order_by(organizations.c.created_at.desc(), organizations.c.organization_id)
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [StoredOrganization(**row._mapping) for row in rows], total


async def insert_organization(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(organizations).values(**values))


async def update_organization(connection: AsyncConnection, organization_id: str, values: Mapping[str, Any]) -> None:
    which = organizations.c.organization_id == organization_id
    await connection.execute(update(organizations).where(which).values(**values))


async def delete_organization(connection: AsyncConnection, organization_id: str) -> None:
    """With its memberships; no team and no key may name it any more, and no user does. Its name stays."""
    name = organizations.c.organization_alias
    await keep_name(connection, "organization", organizations.c.organization_id, name, organization_id)
    await end_cost_center(connection, "organization", organization_id, now())
    belongs = users.c.organization_id == organization_id
    await connection.execute(update(users).where(belongs).values(organization_id=None))
    await connection.execute(delete(organizations).where(organizations.c.organization_id == organization_id))
