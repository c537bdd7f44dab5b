"""Queries on customers: the people whom callers name in their requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import BudgetId
from app.storage.postgres.tables import customers


@dataclass(frozen=True, slots=True)
class StoredCustomer:
    """One row of customers; the id is what callers write into ``user``."""

    customer_id: str
    customer_alias: str | None
    blocked: bool
    budget_id: BudgetId | None
    default_model: str | None
    metadata: dict[str, Any]
    created_at: datetime
    updated_at: datetime


_STORED = select(*(customers.c[name] for name in StoredCustomer.__slots__))


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
