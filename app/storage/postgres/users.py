"""Queries on users."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.clock import now
from app.base.errors import StorageUnavailable
from app.base.ids import BudgetId, OrganizationId, UserId
from app.storage.postgres.cost_centers import cost_center_of, end_cost_center
from app.storage.postgres.departed import keep_name
from app.storage.postgres.tables import keys, memberships, users


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
    tokens_per_day: int | None
    max_parallel_requests: int | None
    model_requests_per_minute: dict[str, int]
    model_tokens_per_minute: dict[str, int]
    further_limits: list[dict[str, Any]]
    blocked: bool
    cost_center: str | None
    metadata: dict[str, Any]
    created_at: datetime
    created_by: str | None
    updated_at: datetime
    updated_by: str | None


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list; None does not filter. ``email_part`` may stand anywhere in the address, ``search`` in the
    name too, or is a whole id. ``or_without_role`` takes those without a role besides those of ``role``."""

    user_ids: tuple[str, ...] | None = None
    role: str | None = None
    email_part: str | None = None
    team_id: str | None = None
    search: str | None = None
    blocked: bool | None = None
    or_without_role: bool = False


_DELETED_MEANWHILE = 3
_STORED = select(
    *(users.c[name] for name in StoredUser.__slots__ if name in users.c),
    cost_center_of("user", users.c.user_id),
)


async def ensure_user(connection: AsyncConnection, user_id: str) -> StoredUser:
    """The user, made when it is named for the first time; it cannot be deleted until the transaction ends."""
    for _ in range(_DELETED_MEANWHILE):
        await connection.execute(insert(users).values(user_id=user_id).on_conflict_do_nothing())
        found = await hold_user(connection, user_id)
        if found is not None:
            return found
    raise StorageUnavailable(f'the user "{user_id}" is deleted again and again; nothing was changed. Try again.')


async def hold_user(connection: AsyncConnection, user_id: str) -> StoredUser | None:
    """The user, who cannot be deleted until the transaction ends."""
    query = _STORED.where(users.c.user_id == user_id).with_for_update(read=True, key_share=True)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredUser(**row._mapping)


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


async def update_user(connection: AsyncConnection, user_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(users).where(users.c.user_id == user_id).values(**values))


async def change_organization(connection: AsyncConnection, user_id: str, organization_id: str | None) -> None:
    """The user's own organization, to which the keys of the user alone belong too."""
    await connection.execute(update(users).where(users.c.user_id == user_id).values(organization_id=organization_id))
    personal = (keys.c.user_id == user_id, keys.c.team_id.is_(None), keys.c.deleted_at.is_(None))
    await connection.execute(update(keys).where(*personal).values(organization_id=organization_id))


async def delete_user(connection: AsyncConnection, user_id: str) -> None:
    """With its memberships; no key may name it any more. Its name stays."""
    name = func.coalesce(users.c.user_alias, users.c.user_email)
    await keep_name(connection, "user", users.c.user_id, name, user_id)
    await end_cost_center(connection, "user", user_id, now())
    await connection.execute(delete(users).where(users.c.user_id == user_id))


async def list_users(
    connection: AsyncConnection, wanted: UserFilter, limit: int, offset: int
) -> tuple[list[StoredUser], int]:
    """One page, newest first, and how many there are."""
    conditions = _conditions(wanted)
    total = (await connection.execute(select(func.count()).select_from(users).where(*conditions))).scalar_one()
    query = _STORED.where(*conditions).order_by(users.c.created_at.desc(), users.c.user_id)
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [StoredUser(**row._mapping) for row in rows], total


async def count_keys(connection: AsyncConnection, user_ids: Collection[str]) -> dict[str, int]:
    """Keys that are not deleted, by user, of those who have any."""
    query = select(keys.c.user_id, func.count()).where(keys.c.user_id.in_(user_ids), keys.c.deleted_at.is_(None))
    return {row[0]: row[1] for row in await connection.execute(query.group_by(keys.c.user_id))}


def _conditions(wanted: UserFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.user_ids is not None:
        conditions.append(users.c.user_id.in_(wanted.user_ids))
    if wanted.role is not None:
        of_role = users.c.user_role == wanted.role
        conditions.append(or_(of_role, users.c.user_role.is_(None)) if wanted.or_without_role else of_role)
    if wanted.search is not None:
        parts = (users.c.user_email, users.c.user_alias)
        held = [part.icontains(wanted.search, autoescape=True) for part in parts]
        conditions.append(or_(*held, users.c.user_id == wanted.search))
    if wanted.blocked is not None:
        conditions.append(users.c.blocked.is_(wanted.blocked))
    if wanted.email_part is not None:
        conditions.append(users.c.user_email.icontains(wanted.email_part, autoescape=True))
    if wanted.team_id is not None:
        members = select(memberships.c.user_id).where(memberships.c.team_id == wanted.team_id)
        conditions.append(users.c.user_id.in_(members))
    return conditions
