"""Queries on who signs in by which identity of an issuer, and on what groups gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.tables import group_grants, identities


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """One person at one issuer, and which user that is here."""

    issuer: str
    subject: str
    user_id: str
    email: str | None
    linked_at: datetime
    seen_at: datetime


_STORED = select(*(identities.c[name] for name in StoredIdentity.__slots__))


async def find_identity(connection: AsyncConnection, issuer: str, subject: str) -> StoredIdentity | None:
    query = _STORED.where(identities.c.issuer == issuer, identities.c.subject == subject)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredIdentity(**row._mapping)


async def list_identities(connection: AsyncConnection, user_id: str) -> list[StoredIdentity]:
    """Of one user, the first linked first."""
    query = _STORED.where(identities.c.user_id == user_id).order_by(identities.c.linked_at)
    return [StoredIdentity(**row._mapping) for row in await connection.execute(query)]


async def write_identity(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    """New, or seen again; whose it is does not change."""
    again = {name: values[name] for name in ("email", "seen_at")}
    statement = insert(identities).values(**values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["issuer", "subject"], set_=again))


async def delete_identities(connection: AsyncConnection, user_id: str) -> int:
    """Returns how many there were."""
    return (await connection.execute(delete(identities).where(identities.c.user_id == user_id))).rowcount


async def find_grants(connection: AsyncConnection, user_id: str) -> dict[str, Any]:
    query = select(group_grants.c.given).where(group_grants.c.user_id == user_id)
    found: dict[str, Any] | None = (await connection.execute(query)).scalar_one_or_none()
    return found or {}


async def write_grants(connection: AsyncConnection, user_id: str, given: Mapping[str, Any], at: datetime) -> None:
    values = {"given": dict(given), "updated_at": at}
    statement = insert(group_grants).values(user_id=user_id, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))
