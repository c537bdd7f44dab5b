"""Queries on budgets: those of one row, and those that are shared by reference."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import BudgetId
from app.base.money import NanoUSD
from app.storage.postgres.tables import budgets


@dataclass(frozen=True, slots=True)
class StoredBudget:
    """One row of budgets; ``limit_nanousd`` None shows spend per window and refuses nothing."""

    budget_id: BudgetId
    limit_nanousd: NanoUSD | None
    soft_limit_nanousd: NanoUSD | None
    duration: str | None
    anchor: datetime
    counting_since: datetime
    requests_per_minute: int | None
    tokens_per_minute: int | None
    max_parallel_requests: int | None
    shared: bool
    created_at: datetime
    created_by: str | None
    updated_at: datetime
    updated_by: str | None


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


async def insert_budget(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(budgets).values(**values))


async def update_budget(connection: AsyncConnection, budget_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(budgets).where(budgets.c.budget_id == budget_id).values(**values))


async def delete_own_budgets(connection: AsyncConnection, budget_ids: Collection[str | None]) -> None:
    """Those of one row that is gone; shared ones stay."""
    named = [budget_id for budget_id in budget_ids if budget_id is not None]
    if named:
        await connection.execute(delete(budgets).where(budgets.c.budget_id.in_(named), ~budgets.c.shared))
