"""Queries on users."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import BudgetId, OrganizationId, UserId
from app.storage.postgres.tables import users


@dataclass(frozen=True, slots=True)
class StoredUser:
    """One row of users."""

    user_id: UserId
    user_alias: str | None
    user_email: str | None
    user_role: str | None
    organization_id: OrganizationId | None
    models: list[str]
    budget_id: BudgetId | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    max_parallel_requests: int | None
    blocked: bool
    metadata: dict[str, Any]
    created_at: datetime
    created_by: str | None
    updated_at: datetime
    updated_by: str | None


_STORED = select(*(users.c[name] for name in StoredUser.__slots__))


async def ensure_user(connection: AsyncConnection, user_id: str) -> None:
    """Make the row of a user who is named for the first time."""
    await connection.execute(insert(users).values(user_id=user_id).on_conflict_do_nothing())


async def find_user(connection: AsyncConnection, user_id: str, *, lock: bool = False) -> StoredUser | None:
    query = _STORED.where(users.c.user_id == user_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else StoredUser(**row._mapping)


async def find_user_by_email(connection: AsyncConnection, email: str) -> StoredUser | None:
    """The user with this address, in any case of its letters."""
    query = _STORED.where(func.lower(users.c.user_email) == email.lower()).order_by(users.c.created_at).limit(1)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredUser(**row._mapping)


async def insert_user(connection: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """False, and nothing done, when the id is taken."""
    made = insert(users).values(**values).on_conflict_do_nothing().returning(users.c.user_id)
    return (await connection.execute(made)).one_or_none() is not None
