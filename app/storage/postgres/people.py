"""Queries on how people sign in: passwords, sessions of browsers, invitations, and attempts that were made."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import UserId
from app.storage.postgres.tables import browser_sessions, invitations, passwords, sign_in_attempts, users


@dataclass(frozen=True, slots=True)
class StoredSession:
    """One browser that is signed in, and whose it is."""

    session_id: str
    user_id: UserId
    user_email: str | None
    user_alias: str | None
    started_at: datetime
    seen_at: datetime
    client_address: str | None
    browser: str | None


@dataclass(frozen=True, slots=True)
class SignInState:
    """Whether and since when somebody can sign in; ``invited_until`` is of an invitation that holds."""

    password_changed_at: datetime | None
    invited_until: datetime | None
    seen_at: datetime | None


async def list_states(connection: AsyncConnection, user_ids: Collection[str], at: datetime) -> dict[str, SignInState]:
    seen = (
        select(browser_sessions.c.user_id, func.max(browser_sessions.c.seen_at).label("seen_at"))
        .where(browser_sessions.c.user_id.in_(user_ids))
        .group_by(browser_sessions.c.user_id)
        .subquery()
    )
    holds = and_(invitations.c.user_id == users.c.user_id, invitations.c.expires_at > at)
    joined = users.outerjoin(passwords, passwords.c.user_id == users.c.user_id).outerjoin(invitations, holds)
    query = (
        select(users.c.user_id, passwords.c.changed_at, invitations.c.expires_at, seen.c.seen_at)
        .select_from(joined.outerjoin(seen, seen.c.user_id == users.c.user_id))
        .where(users.c.user_id.in_(user_ids))
    )
    return {row[0]: SignInState(*row[1:]) for row in await connection.execute(query)}


async def find_password(connection: AsyncConnection, user_id: str) -> str | None:
    """Its hash."""
    query = select(passwords.c.password_hash).where(passwords.c.user_id == user_id)
    return (await connection.execute(query)).scalar_one_or_none()


async def write_password(connection: AsyncConnection, user_id: str, password_hash: str, at: datetime) -> None:
    values = {"password_hash": password_hash, "changed_at": at}
    statement = insert(passwords).values(user_id=user_id, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=values))


async def is_any_owner(connection: AsyncConnection) -> bool:
    """Whether a proxy_admin who is not blocked has a password."""
    owner = passwords.join(users, passwords.c.user_id == users.c.user_id)
    conditions = (users.c.user_role == "proxy_admin", users.c.blocked.is_(False))
    return bool((await connection.execute(select(exists(select(1).select_from(owner).where(*conditions))))).scalar())


async def insert_session(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    await connection.execute(insert(browser_sessions).values(**values))


async def find_session(
    connection: AsyncConnection, digest: bytes, seen_since: datetime, started_since: datetime
) -> StoredSession | None:
    """None too for one of a user who is blocked, and for one that has ended."""
    joined = browser_sessions.join(users, browser_sessions.c.user_id == users.c.user_id)
    columns = [(users if name.startswith("user_") else browser_sessions).c[name] for name in StoredSession.__slots__]
    query = (
        select(*columns)
        .select_from(joined)
        .where(
            browser_sessions.c.digest == digest,
            browser_sessions.c.seen_at >= seen_since,
            browser_sessions.c.started_at >= started_since,
            users.c.blocked.is_(False),
        )
    )
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else StoredSession(**row._mapping)


async def touch_session(connection: AsyncConnection, session_id: str, at: datetime) -> None:
    statement = update(browser_sessions).where(browser_sessions.c.session_id == session_id)
    await connection.execute(statement.values(seen_at=at))


async def delete_session(connection: AsyncConnection, digest: bytes) -> None:
    await connection.execute(delete(browser_sessions).where(browser_sessions.c.digest == digest))


async def delete_sessions_of(connection: AsyncConnection, user_id: str) -> int:
    """All of the user's; returns how many there were."""
    statement = delete(browser_sessions).where(browser_sessions.c.user_id == user_id)
    return (await connection.execute(statement)).rowcount


async def delete_ended_sessions(connection: AsyncConnection, seen_since: datetime, started_since: datetime) -> None:
    ended = or_(browser_sessions.c.seen_at < seen_since, browser_sessions.c.started_at < started_since)
    await connection.execute(delete(browser_sessions).where(ended))


async def count_attempts(
    connection: AsyncConnection, subjects: Collection[str], at: datetime, window_since: datetime
) -> tuple[int, datetime]:
    """One more for each subject, this one included; the largest count, and since when that counts.

    A window begins with its first attempt, and attempts do not lengthen it: whoever waits may try again.
    """
    table = sign_in_attempts
    over = table.c.counting_since < window_since
    # In one order, so that two at once wait for each other and never both.
    statement = insert(table).values([
        {"subject": subject, "attempts": 1, "counting_since": at} for subject in sorted(subjects)
    ])  # fmt: skip
    counted = statement.on_conflict_do_update(
        index_elements=["subject"],
        set_={
            "attempts": case((over, 1), else_=table.c.attempts + 1),
            "counting_since": case((over, at), else_=table.c.counting_since),
        },
    ).returning(table.c.attempts, table.c.counting_since)
    return max((row.attempts, row.counting_since) for row in await connection.execute(counted))


async def forgive_attempt(connection: AsyncConnection, account: str, address: str) -> None:
    """After a success: the account begins anew, and of the address this one attempt is taken back."""
    table = sign_in_attempts
    await connection.execute(delete(table).where(table.c.subject == account))
    fewer = func.greatest(table.c.attempts - 1, 0)
    await connection.execute(update(table).where(table.c.subject == address).values(attempts=fewer))


async def delete_old_attempts(connection: AsyncConnection, window_since: datetime) -> None:
    """Those that somebody else holds at this moment are left for the next time."""
    table = sign_in_attempts
    old = select(table.c.subject).where(table.c.counting_since < window_since).with_for_update(skip_locked=True)
    await connection.execute(delete(table).where(table.c.subject.in_(old)))


async def write_invitation(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    """In place of an earlier one of the same user."""
    statement = insert(invitations).values(**values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=dict(values)))


async def find_invited(connection: AsyncConnection, digest: bytes, at: datetime, *, lock: bool = False) -> str | None:
    """The id of the user whom the invitation is for; None for one that has expired or was used."""
    query = select(invitations.c.user_id).where(invitations.c.digest == digest, invitations.c.expires_at > at)
    return (await connection.execute(query.with_for_update() if lock else query)).scalar_one_or_none()


async def delete_invitation(connection: AsyncConnection, user_id: str) -> None:
    await connection.execute(delete(invitations).where(invitations.c.user_id == user_id))
