"""The pool of connections to Postgres, and the transactions opened on it."""

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    EmulatedDBAPIException,
    InterfaceError,
    InvalidatePoolError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.base.errors import StorageUnavailable, Unprocessable

POOL_SIZE = 5
MAX_OVERFLOW = 5
RECYCLE_S = 1_800
POOL_TIMEOUT_S = 10
CONNECT_TIMEOUT_S = 10
_MOST_STATEMENTS = 500
"""That a connection knows: the pages alone have more than two hundred, and one that was forgotten is read anew, and
planned anew for each of its first values."""
_TRUSTED_S = 5
"""For so long after its last use a connection is not asked whether it lives."""

# What opening a connection raises: errors of the server itself come bare, those of a statement as DBAPIError.
UNREACHABLE = (
    OSError, TimeoutError, PoolTimeout, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError
)  # fmt: skip


def driver_url(database_url: str) -> URL:
    """``postgresql://…`` as the asyncpg driver wants it; ``sslmode`` of libpq becomes its ``ssl``.

    Raises ValueError for anything that is not the URL of a Postgres database.
    """
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise ValueError("DATABASE_URL is not a URL; write postgresql://user:password@host:5432/database") from error
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ValueError(f'DATABASE_URL begins "{url.drivername}://"; write postgresql://user:password@host/database')
    query = dict(url.query)
    if "sslmode" in query:
        query["ssl"] = query.pop("sslmode")
    query.setdefault("prepared_statement_cache_size", str(_MOST_STATEMENTS))
    return url.set(drivername="postgresql+asyncpg", query=query)


def create_engine(database_url: str, *, pool_size: int = POOL_SIZE, max_overflow: int = MAX_OVERFLOW) -> AsyncEngine:
    """A pool of at most ten connections, each seen to live before it is used: after Postgres was restarted the first
    request must not pay for the connections that died with it. Who comes next gets the one that was used last: it knows
    the statements."""
    engine = create_async_engine(
        driver_url(database_url),
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_recycle=RECYCLE_S,
        pool_timeout=POOL_TIMEOUT_S,
        pool_use_lifo=True,
        json_serializer=_encode_json,
        json_deserializer=msgspec.json.decode,
        connect_args={"timeout": CONNECT_TIMEOUT_S, "server_settings": {"timezone": "UTC"}},
    )
    event.listen(engine.sync_engine, "checkout", _check_life)
    event.listen(engine.sync_engine, "checkin", _note_use)
    return engine


def _check_life(connection: Any, record: Any, _fairy: Any) -> None:  # noqa: ANN401  the pool's own
    """Raises for a connection that is dead, in whose place the pool opens another. A server that ends closes its
    connections, which is known here; that one was cut on the way is known only by asking, three messages to and fro."""
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError("the server has closed it")
    used_at = record.info.get("used_at")
    if used_at is not None and time.monotonic() - used_at > _TRUSTED_S:
        try:
            connection.ping()
        except (EmulatedDBAPIException, *UNREACHABLE) as error:
            raise InvalidatePoolError("it does not answer") from error


def _note_use(_connection: Any, record: Any) -> None:  # noqa: ANN401  the pool's own
    record.info["used_at"] = time.monotonic()


_GAVE_WAY = frozenset({"40P01", "40001"})
"""Deadlock detected, and could not serialize: Postgres undid this change to let another pass."""
_REFERS_TO_NOTHING = "23503"
"""A foreign key: what a row refers to was deleted meanwhile, or a row that goes was referred to."""
_KEY_OF_DETAIL = re.compile(r"Key \((\w+)\)=\((.*)\) is (not present|still referenced)")
_WENT_AWAY = ("08", "53", "57P")
"""Classes of SQLSTATE: connection exceptions, no more resources, and a server that stops, starts or crashed."""


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction: committed at the end, rolled back by any exception.

    Raises StorageUnavailable when Postgres cannot be reached or goes away meanwhile, Unprocessable when what a row
    refers to does.
    """
    with _told_as_unavailable():
        async with engine.begin() as connection:
            yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection for single queries, without the round trips of a transaction. Raises StorageUnavailable."""
    with _told_as_unavailable():
        async with engine.connect() as connection:
            yield await connection.execution_options(isolation_level="AUTOCOMMIT")


@contextmanager
def _told_as_unavailable() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        sqlstate = getattr(error.orig, "sqlstate", None) or ""
        if sqlstate in _GAVE_WAY:
            raise StorageUnavailable(
                "two changes met and this one gave way; nothing was changed. Try again."
            ) from error
        if sqlstate == _REFERS_TO_NOTHING:
            raise _changed_meanwhile(error) from error
        lost = error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)
        if not lost and not sqlstate.startswith(_WENT_AWAY):
            raise
        raise StorageUnavailable("Postgres went away; nothing was changed. Try again shortly.") from error
    except UNREACHABLE as error:
        raise StorageUnavailable("Postgres does not answer; nothing was changed. Try again shortly.") from error


def _changed_meanwhile(error: DBAPIError) -> Unprocessable:
    detail = getattr(getattr(error.orig, "__cause__", None), "detail", None) or ""
    found = _KEY_OF_DETAIL.search(detail)
    if found is None:
        return Unprocessable("what the request names was changed meanwhile; nothing was changed. Try again.")
    column, value, kind = found.groups()
    what = "was deleted meanwhile" if kind == "not present" else "was given something new meanwhile"
    return Unprocessable(f'"{column}" names "{value}", which {what}; nothing was changed. Try again.', param=column)


def _encode_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
