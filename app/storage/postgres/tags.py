"""Queries on tags: the labels of calls, where something is set for them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import BudgetId
from app.storage.postgres.tables import tags


@dataclass(frozen=True, slots=True)
class StoredTag:
    """One row of tags; the name is what calls carry."""

    tag: str
    description: str | None
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


_STORED = select(*(tags.c[name] for name in StoredTag.__slots__))


async def find_tag(connection: AsyncConnection, tag: str, *, lock: bool = False) -> StoredTag | None:
    query = _STORED.where(tags.c.tag == tag)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else StoredTag(**row._mapping)


async def insert_tag(connection: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """False, and nothing done, when the name is taken."""
    made = insert(tags).values(**values).on_conflict_do_nothing().returning(tags.c.tag)
    return (await connection.execute(made)).one_or_none() is not None


async def update_tag(connection: AsyncConnection, tag: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(tags).where(tags.c.tag == tag).values(**values))


async def delete_tag(connection: AsyncConnection, tag: str) -> None:
    await connection.execute(delete(tags).where(tags.c.tag == tag))


async def list_tags(connection: AsyncConnection, limit: int, offset: int) -> tuple[list[StoredTag], int]:
    """One page, newest first, and how many there are."""
    total = (await connection.execute(select(func.count()).select_from(tags))).scalar_one()
    rows = await connection.execute(_STORED.order_by(tags.c.created_at.desc(), tags.c.tag).limit(limit).offset(offset))
    return [StoredTag(**row._mapping) for row in rows], total
