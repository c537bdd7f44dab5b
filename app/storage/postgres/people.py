"""Queries on how people sign in: passwords, sessions of browsers, invitations, and attempts that were made."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, exists, func, not_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import UserId
from app.storage.postgres.columns import TIME
from app.storage.postgres.tables import browser_sessions, identities, invitations, passwords, sign_in_attempts, users


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
    method: str


@dataclass(frozen=True, slots=True)
class SessionLife:
    """Sessions hold that were seen since, and started since; those of single sign-on since a later time."""

    seen_since: datetime
    started_since: datetime
    sso_started_since: datetime


@dataclass(frozen=True, slots=True)
class SignInState:
    """Whether and since when somebody can sign in; ``invited_until`` is of an invitation that holds, ``linked_at`` of
    the first sign-in by single sign-on."""

    password_changed_at: datetime | None
    invited_until: datetime | None
    seen_at: datetime | None
    linked_at: datetime | None


async def list_states(connection: AsyncConnection, user_ids: Collection[str], at: datetime) -> dict[str, SignInState]:
    seen = (
        select(browser_sessions.c.user_id, func.max(browser_sessions.c.seen_at).label("seen_at"))
        .where(browser_sessions.c.user_id.in_(user_ids))
        .group_by(browser_sessions.c.user_id)
        .subquery()
    )
    linked = (
        select(identities.c.user_id, func.min(identities.c.linked_at).label("linked_at"))
        .where(identities.c.user_id.in_(user_ids))
        .group_by(identities.c.user_id)
        .subquery()
    )
    holds = and_(invitations.c.user_id == users.c.user_id, invitations.c.expires_at > at)
    joined = users.outerjoin(passwords, passwords.c.user_id == users.c.user_id).outerjoin(invitations, holds)
    query = (
        select(users.c.user_id, passwords.c.changed_at, invitations.c.expires_at, seen.c.seen_at, linked.c.linked_at)
        .select_from(
            joined.outerjoin(seen, seen.c.user_id == users.c.user_id).outerjoin(
                linked, linked.c.user_id == users.c.user_id
            )
        )
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


async def find_session(connection: AsyncConnection, digest: bytes, life: SessionLife) -> StoredSession | None:
    """None too for one of a user who is blocked, and for one that has ended."""
    row = (await connection.execute(_SESSION_OF_DIGEST, {"digest": digest, **_since(life)})).one_or_none()
    return None if row is None else StoredSession(**row._mapping)


async def list_sessions(connection: AsyncConnection, user_id: str, life: SessionLife) -> list[StoredSession]:
    """Those that hold, the one used last first."""
    query = _SESSION.where(browser_sessions.c.user_id == user_id, _HOLDS).order_by(browser_sessions.c.seen_at.desc())
    rows = await connection.execute(query, _since(life))
    return [StoredSession(**row._mapping) for row in rows]


_SESSION = select(
    *((users if name.startswith("user_") else browser_sessions).c[name] for name in StoredSession.__slots__)
).select_from(browser_sessions.join(users, browser_sessions.c.user_id == users.c.user_id))

_STARTED_SINCE, _SSO_STARTED_SINCE = (bindparam(name, type_=TIME) for name in ("started_since", "sso_started_since"))
_HOLDS = and_(
    browser_sessions.c.seen_at >= bindparam("seen_since", type_=TIME),
    browser_sessions.c.started_at
    >= case((browser_sessions.c.method == "sso", _SSO_STARTED_SINCE), else_=_STARTED_SINCE),
)
"""With the values of ``_since``."""
_SESSION_OF_DIGEST = _SESSION.where(
    browser_sessions.c.digest == bindparam("digest"), _HOLDS, users.c.blocked.is_(False)
)


def _since(life: SessionLife) -> dict[str, datetime]:
    return {name: getattr(life, name) for name in SessionLife.__slots__}


async def find_origin(connection: AsyncConnection, digest: bytes) -> tuple[str, bytes | None] | None:
    """How a session was opened, and its sealed ID token."""
    query = select(browser_sessions.c.method, browser_sessions.c.sealed_id_token)
    row = (await connection.execute(query.where(browser_sessions.c.digest == digest))).one_or_none()
    return None if row is None else (row.method, row.sealed_id_token)


async def touch_session(connection: AsyncConnection, session_id: str, at: datetime) -> None:
    statement = update(browser_sessions).where(browser_sessions.c.session_id == session_id)
    await connection.execute(statement.values(seen_at=at))


async def delete_session(connection: AsyncConnection, digest: bytes) -> None:
    await connection.execute(delete(browser_sessions).where(browser_sessions.c.digest == digest))


async def delete_session_of(connection: AsyncConnection, user_id: str, session_id: str) -> bool:
    """False where the user has no such session."""
    columns = browser_sessions.c
    statement = delete(browser_sessions).where(columns.user_id == user_id, columns.session_id == session_id)
    return (await connection.execute(statement)).rowcount > 0


async def delete_sessions_of(connection: AsyncConnection, user_id: str) -> int:
    """All of the user's; returns how many there were."""
    statement = delete(browser_sessions).where(browser_sessions.c.user_id == user_id)
    return (await connection.execute(statement)).rowcount


async def delete_sessions_of_issuer(
    connection: AsyncConnection, user_id: str | None, issuer_session: str | None
) -> list[tuple[str, str]]:
    """Those of single sign-on that an issuer has ended: of one user, by its session there, or both; at least one is
    given. Returns each with whose it was. One whose session there is not known may be any of the user's."""
    columns = browser_sessions.c
    conditions = [columns.method == "sso"]
    if user_id is not None:
        conditions.append(columns.user_id == user_id)
    if issuer_session is not None:
        is_it = columns.issuer_session == issuer_session
        conditions.append(is_it if user_id is None else or_(is_it, columns.issuer_session.is_(None)))
    statement = delete(browser_sessions).where(*conditions).returning(columns.session_id, columns.user_id)
    return [(row.session_id, row.user_id) for row in await connection.execute(statement)]


async def delete_ended_sessions(connection: AsyncConnection, life: SessionLife) -> None:
    await connection.execute(delete(browser_sessions).where(not_(_HOLDS)), _since(life))


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


async def delete_attempts(connection: AsyncConnection, subject: str) -> None:
    await connection.execute(delete(sign_in_attempts).where(sign_in_attempts.c.subject == subject))


async def take_attempt_back(connection: AsyncConnection, subject: str) -> None:
    table = sign_in_attempts
    fewer = func.greatest(table.c.attempts - 1, 0)
    await connection.execute(update(table).where(table.c.subject == subject).values(attempts=fewer))


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
