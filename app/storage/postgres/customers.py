"""Queries on customers: the people whom callers name in their requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import BudgetId
from app.base.money import NanoUSD
from app.domain.roles import Tenant
from app.storage.postgres.departed import keep_name
from app.storage.postgres.tables import customers
from app.storage.postgres.tables.reports import days_that_tell
from app.storage.postgres.tenants import TENANT_COLUMNS, within


@dataclass(frozen=True, slots=True)
class StoredCustomer:
    """One row of customers; the id is what callers write into ``user``."""

    customer_id: str
    customer_alias: str | None
    blocked: bool
    budget_id: BudgetId | None
    default_model: str | None
    allowed_model_region: str | None
    models: list[str]
    requests_per_minute: int | None
    tokens_per_minute: int | None
    tokens_per_day: int | None
    max_parallel_requests: int | None
    model_requests_per_minute: dict[str, int]
    model_tokens_per_minute: dict[str, int]
    further_limits: list[dict[str, Any]]
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


_STORED = select(*(customers.c[name] for name in StoredCustomer.__slots__))


def without_terms(customer_id: str, at: datetime) -> StoredCustomer:
    """As a customer stands for whom no row was made."""
    nothing: dict[str, Any] = dict.fromkeys(StoredCustomer.__slots__)
    nothing |= {name: {} for name in ("model_requests_per_minute", "model_tokens_per_minute", "metadata")}
    nothing |= {"models": [], "further_limits": [], "blocked": False, "created_at": at, "updated_at": at}
    return StoredCustomer(**{**nothing, "customer_id": customer_id})


async def find_customer(connection: AsyncConnection, customer_id: str, *, lock: bool = False) -> StoredCustomer | None:
    query = _STORED.where(customers.c.customer_id == customer_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else StoredCustomer(**row._mapping)


async def insert_customer(connection: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """False, and nothing done, when the id is taken."""
    made = insert(customers).values(**values).on_conflict_do_nothing().returning(customers.c.customer_id)
    return (await connection.execute(made)).one_or_none() is not None


async def update_customer(connection: AsyncConnection, customer_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(customers).where(customers.c.customer_id == customer_id).values(**values))


async def delete_customer(connection: AsyncConnection, customer_id: str) -> None:
    """Its name stays."""
    await keep_name(connection, "customer", customers.c.customer_id, customers.c.customer_alias, customer_id)
    await connection.execute(delete(customers).where(customers.c.customer_id == customer_id))


async def list_customers(
    connection: AsyncConnection, search: str | None, limit: int, offset: int
) -> tuple[list[StoredCustomer], int]:
    """One page, newest first, and how many there are; ``search`` is a part of the id or the alias."""
    conditions = []
    if search is not None:
        columns = (customers.c.customer_id, customers.c.customer_alias)
        conditions.append(or_(*(column.icontains(search, autoescape=True) for column in columns)))
    total = (await connection.execute(select(func.count()).select_from(customers).where(*conditions))).scalar_one()
    query = _STORED.where(*conditions).order_by(customers.c.created_at.desc(), customers.c.customer_id)
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [StoredCustomer(**row._mapping) for row in rows], total


async def largest_spenders(
    connection: AsyncConnection, tenant: Tenant, since: datetime, limit: int
) -> list[tuple[str, NanoUSD]]:
    """Customers that calls have named since the start of a day of UTC, and what they cost: the largest first."""
    days = days_that_tell(("customer_id", *TENANT_COLUMNS))
    cost = func.sum(days.c.cost_nanousd)
    query = select(days.c.customer_id, cost).where(
        *within(tenant, days), days.c.bucket >= since, days.c.customer_id != ""
    )
    query = query.group_by(days.c.customer_id).order_by(cost.desc(), days.c.customer_id).limit(limit)
    return [(row[0], int(row[1])) for row in await connection.execute(query)]
