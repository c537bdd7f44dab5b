"""Queries on sign-ins of programs: their codes, what came of them, and their refresh tokens."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import KeyId
from app.storage.postgres.tables import (
    device_authorizations,
    keys,
    refresh_tokens,
    retired_key_digests,
    sign_ins,
    teams,
)


@dataclass(frozen=True, slots=True)
class StoredAuthorization:
    """One program that asks to be signed in; ``state`` is pending, approved, denied or redeemed."""

    authorization_id: str
    user_code: str
    client_name: str
    client_address: str
    state: str
    user_id: str | None
    team_id: str | None
    last_polled_at: datetime | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StoredSignIn:
    """One program that is signed in, or was until ``ended_at``; without a refresh it lapses at ``expires_at``."""

    sign_in_id: str
    user_id: str
    team_id: str | None
    key_id: KeyId
    client_name: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class ListedSignIn:
    """One program that is signed in, as its person sees it; ``last_active_at`` is when its key was used last."""

    sign_in_id: str
    client_name: str
    team_name: str | None
    created_at: datetime
    expires_at: datetime
    last_active_at: datetime | None


_AUTHORIZATION = select(*(device_authorizations.c[name] for name in StoredAuthorization.__slots__))
_SIGN_IN = select(*(sign_ins.c[name] for name in StoredSignIn.__slots__))


async def insert_authorization(connection: AsyncConnection, values: Mapping[str, Any]) -> bool:
    """False, and nothing done, when another program waits under the same code."""
    made = upsert(device_authorizations).values(**values).on_conflict_do_nothing(index_elements=["user_code"])
    found = await connection.execute(made.returning(device_authorizations.c.authorization_id))
    return found.one_or_none() is not None


async def find_authorization(
    connection: AsyncConnection, *, user_code: str | None = None, device_digest: bytes | None = None, lock: bool = False
) -> StoredAuthorization | None:
    """By either of its codes; ``lock`` keeps others out until the transaction ends."""
    columns = device_authorizations.c
    named = columns.user_code == user_code if device_digest is None else columns.device_digest == device_digest
    query = _AUTHORIZATION.where(named)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else StoredAuthorization(**row._mapping)


async def update_authorization(connection: AsyncConnection, authorization_id: str, values: Mapping[str, Any]) -> None:
    which = device_authorizations.c.authorization_id == authorization_id
    await connection.execute(update(device_authorizations).where(which).values(**values))


async def delete_authorizations(connection: AsyncConnection, expired_by: datetime) -> None:
    await connection.execute(delete(device_authorizations).where(device_authorizations.c.expires_at < expired_by))


async def insert_sign_in(connection: AsyncConnection, values: Mapping[str, Any], refresh_digest: bytes) -> None:
    await connection.execute(insert(sign_ins).values(**values))
    await insert_refresh_token(connection, values["sign_in_id"], refresh_digest)


async def insert_refresh_token(connection: AsyncConnection, sign_in_id: str, digest: bytes) -> None:
    await connection.execute(insert(refresh_tokens).values(sign_in_id=sign_in_id, digest=digest))


async def hold_sign_in_of_token(
    connection: AsyncConnection, digest: bytes
) -> tuple[StoredSignIn, datetime | None] | None:
    """The sign-in that a refresh token is of, locked, and when the token was used."""
    of_token = select(refresh_tokens.c.sign_in_id).where(refresh_tokens.c.digest == digest).scalar_subquery()
    sign_in = await _hold(connection, sign_ins.c.sign_in_id == of_token)
    if sign_in is None:
        return None
    # Only now: while we waited for the lock the token may have been used.
    used = select(refresh_tokens.c.used_at).where(refresh_tokens.c.digest == digest)
    return sign_in, (await connection.execute(used)).scalar_one()


async def hold_sign_in_of_key(connection: AsyncConnection, key_id: str) -> StoredSignIn | None:
    return await _hold(connection, sign_ins.c.key_id == key_id)


async def _hold(connection: AsyncConnection, which: ColumnElement[bool]) -> StoredSignIn | None:
    row: Row[Any] | None = (await connection.execute(_SIGN_IN.where(which).with_for_update())).one_or_none()
    return None if row is None else StoredSignIn(**row._mapping)


async def hold_sign_in_of_user(connection: AsyncConnection, user_id: str, sign_in_id: str) -> StoredSignIn | None:
    return await _hold(connection, and_(sign_ins.c.user_id == user_id, sign_ins.c.sign_in_id == sign_in_id))


async def list_sign_ins(connection: AsyncConnection, user_id: str, at: datetime) -> list[ListedSignIn]:
    """Of one user, those that have not ended; the newest first."""
    columns = sign_ins.c
    query = (
        select(
            columns.sign_in_id,
            columns.client_name,
            func.coalesce(teams.c.team_alias, columns.team_id).label("team_name"),
            columns.created_at,
            columns.expires_at,
            keys.c.last_active_at,
        )
        .select_from(
            sign_ins.join(keys, keys.c.key_id == columns.key_id).outerjoin(teams, teams.c.team_id == columns.team_id)
        )
        .where(columns.user_id == user_id, columns.ended_at.is_(None), columns.expires_at > at)
        .where(keys.c.deleted_at.is_(None))
    )
    rows = await connection.execute(query.order_by(columns.created_at.desc()))
    return [ListedSignIn(**row._mapping) for row in rows]


async def use_refresh_token(connection: AsyncConnection, digest: bytes, at: datetime) -> None:
    await connection.execute(update(refresh_tokens).where(refresh_tokens.c.digest == digest).values(used_at=at))


async def update_sign_in(connection: AsyncConnection, sign_in_id: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(sign_ins).where(sign_ins.c.sign_in_id == sign_in_id).values(**values))


async def hold_lapsed(connection: AsyncConnection, at: datetime, most: int) -> list[StoredSignIn]:
    """Sign-ins that lapsed and were not ended yet, but for those that another process works on."""
    lapsed = (sign_ins.c.expires_at <= at, sign_ins.c.ended_at.is_(None))
    rows = await connection.execute(_SIGN_IN.where(*lapsed).limit(most).with_for_update(skip_locked=True))
    return [StoredSignIn(**row._mapping) for row in rows]


async def forget_old(connection: AsyncConnection, used_by: datetime, ended_by: datetime) -> None:
    """Drop tokens used before ``used_by``, earlier secrets of keys that stopped by then, and sign-ins that had
    ended by ``ended_by``."""
    await connection.execute(delete(refresh_tokens).where(refresh_tokens.c.used_at < used_by))
    of_sign_ins = retired_key_digests.c.key_id.in_(select(sign_ins.c.key_id))
    await connection.execute(
        delete(retired_key_digests).where(of_sign_ins, retired_key_digests.c.works_until < used_by)
    )
    await connection.execute(delete(sign_ins).where(sign_ins.c.ended_at < ended_by))
