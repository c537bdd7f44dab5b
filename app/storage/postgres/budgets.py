"""Queries on budgets: those of one row, and those that are shared by reference."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import BudgetId
from app.base.money import NanoUSD
from app.domain.budgets import Budget
from app.storage.postgres.tables import (
    budgets,
    customers,
    keys,
    memberships,
    organization_memberships,
    organizations,
    projects,
    tags,
    teams,
    users,
)
from app.storage.postgres.terms import TERMS, budgets_of


@dataclass(frozen=True, slots=True)
class StoredBudget:
    """One row of budgets; ``limit_nanousd`` None shows spend per window and refuses nothing."""

    budget_id: BudgetId
    limit_nanousd: NanoUSD | None
    soft_limit_nanousd: NanoUSD | None
    duration: str | None
    on_exceed: str | None
    anchor: datetime
    counting_since: datetime
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    max_parallel_requests: int | None
    model_requests_per_minute: dict[str, int]
    model_tokens_per_minute: dict[str, int]
    further_limits: list[dict[str, Any]]
    shared: bool
    created_at: datetime
    created_by: str | None
    updated_at: datetime
    updated_by: str | None
    reset_at: datetime | None
    timezone: str | None
    windows: list[dict[str, Any]]
    model_budgets: dict[str, dict[str, Any]]
    pooled: bool
    increase_nanousd: NanoUSD | None
    increase_until: datetime | None


_STORED = select(*(budgets.c[name] for name in StoredBudget.__slots__))


async def find_budget(connection: AsyncConnection, budget_id: str, *, lock: bool = False) -> StoredBudget | None:
    """The budget; ``lock`` keeps changes and removal of it out until the transaction ends."""
    query = _STORED.where(budgets.c.budget_id == budget_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else StoredBudget(**row._mapping)


async def find_budgets(connection: AsyncConnection, budget_ids: Collection[str]) -> dict[str, StoredBudget]:
    """Those that exist, by id."""
    if not budget_ids:
        return {}
    found = await connection.execute(_STORED.where(budgets.c.budget_id.in_(budget_ids)))
    return {row.budget_id: StoredBudget(**row._mapping) for row in found}


async def list_shared_budgets(connection: AsyncConnection, limit: int, offset: int) -> tuple[list[StoredBudget], int]:
    """One page of the budgets made to be shared, newest first, and how many there are."""
    shared = budgets.c.shared
    total = (await connection.execute(select(func.count()).select_from(budgets).where(shared))).scalar_one()
    query = _STORED.where(shared).order_by(budgets.c.created_at.desc(), budgets.c.budget_id)
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [StoredBudget(**row._mapping) for row in rows], total


async def budgets_of_key(connection: AsyncConnection, key_id: str) -> list[tuple[Budget, str | None]]:
    """All that the budget of a key stands for, each with its duration as it was written."""
    terms = [budgets.c[name] for name in TERMS]
    query = select(*terms, keys.c.budget_since).join_from(keys, budgets, budgets.c.budget_id == keys.c.budget_id)
    row = (await connection.execute(query.where(keys.c.key_id == key_id))).one_or_none()
    if row is None:
        return []
    written = {f"w{one['duration']}": one["duration"] for one in row.windows}
    written |= {f"m{model}": one["duration"] for model, one in row.model_budgets.items()}
    found = budgets_of({name: row._mapping[name] for name in TERMS}, row.budget_since, since_made=True)
    return [(budget, written.get(budget.part, row.duration)) for budget in found]


async def insert_budget(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(budgets).values(**values))


async def update_budget(connection: AsyncConnection, budget_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(budgets).where(budgets.c.budget_id == budget_id).values(**values))


async def delete_own_budgets(connection: AsyncConnection, budget_ids: Collection[str | None]) -> None:
    """Those of one row that is gone; shared ones stay."""
    named = [budget_id for budget_id in budget_ids if budget_id is not None]
    if named:
        await connection.execute(delete(budgets).where(budgets.c.budget_id.in_(named), ~budgets.c.shared))


async def delete_shared_budget(connection: AsyncConnection, budget_id: str) -> None:
    await connection.execute(delete(budgets).where(budgets.c.budget_id == budget_id))


async def forget_by_deleted_keys(connection: AsyncConnection, budget_id: str) -> None:
    """What is archived of deleted keys names the budget no longer."""
    deleted = (keys.c.budget_id == budget_id, keys.c.deleted_at.is_not(None))
    await connection.execute(update(keys).where(*deleted).values(budget_id=None))


async def count_owners(connection: AsyncConnection, budget_id: str) -> dict[str, int]:
    """How many name the budget, by kind, of the kinds that do."""
    columns = {
        "keys": keys.c.budget_id,
        "teams": teams.c.budget_id,
        "teams for their members": teams.c.member_budget_id,
        "members": memberships.c.budget_id,
        "users": users.c.budget_id,
        "organizations": organizations.c.budget_id,
        "members of organizations": organization_memberships.c.budget_id,
        "customers": customers.c.budget_id,
        "tags": tags.c.budget_id,
        "projects": projects.c.budget_id,
    }
    counts = [
        select(func.count()).where(column == budget_id).scalar_subquery().label(kind.replace(" ", "_"))
        for kind, column in columns.items()
    ]
    row = (await connection.execute(select(*counts))).one()
    return {kind: count for kind, count in zip(columns, row, strict=True) if count}
