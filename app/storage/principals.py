"""Who a key digest names: a cache per process over Postgres, emptied over Redis when a key or a level above changes."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.clock import now
from app.base.errors import StorageUnavailable
from app.base.logs import get_logger
from app.domain.access import Principal
from app.storage.postgres.engine import reading
from app.storage.postgres.principal_rows import find_digest, find_principal

CHANNEL = "kh:keys"
EVERYTHING = "*"
FRESH_S = 10.0
STALE_S = 30.0
OUTAGE_S = 300.0
ABSENT_S = 5.0
LOAD_TIMEOUT_S = 5.0
PAUSE_AFTER_FAILURE_S = 1.0
MOST_ENTRIES = 100_000
MOST_ABSENT = 10_000
_RELOADS = 3


@dataclass(frozen=True, slots=True)
class _Entry:
    """Instants are of the monotonic clock; ``ends_at`` is the end of a regenerated key's grace."""

    principal: Principal
    loaded_at: float
    fresh_until: float
    ends_at: float


class Principals:
    """Look-ups of warm digests touch no store. ``watch`` must run for changes to arrive at once; without it they
    arrive when the entries age."""

    def __init__(self, engine: AsyncEngine, redis: Redis, pepper: bytes) -> None:
        self.pepper = pepper
        self._engine = engine
        self._redis = redis
        self._entries: dict[bytes, _Entry] = {}
        self._absent_until: dict[bytes, float] = {}
        self._digests: dict[str, set[bytes]] = {}
        self._loads: dict[bytes, asyncio.Task[_Entry | None]] = {}
        self._changes = 0
        self._listeners: list[Callable[[str], None]] = []
        self._failing_until = 0.0
        self._logger = get_logger()

    async def find(self, digest: bytes) -> Principal | None:
        """None when no key has this digest (or has it no longer).

        Within ``FRESH_S`` from memory; until ``STALE_S`` from memory while one task refreshes; then read. While
        Postgres is away, what is known serves for ``OUTAGE_S``. Raises StorageUnavailable for the rest.
        """
        entry = self._entries.get(digest)
        if entry is not None and time.monotonic() < entry.fresh_until:
            return entry.principal
        return await self._find_aged(digest, entry)

    async def find_key(self, key_id: str) -> Principal | None:
        """By the key's id, for who has no secret of it; None for a key that is deleted or was never there. Raises as
        ``find``."""
        async with reading(self._engine) as connection:
            digest = await find_digest(connection, key_id)
        return None if digest is None else await self.find(digest)

    def peek(self, digest: bytes) -> Principal | None:
        """What memory knows and need not ask about: the hot path of ``find``, without a coroutine."""
        entry = self._entries.get(digest)
        return entry.principal if entry is not None and time.monotonic() < entry.fresh_until else None

    def remembers(self, digest: bytes) -> bool:
        """Whether the digest was a key's when it was last looked up."""
        return digest in self._entries

    def listen(self, listener: Callable[[str], None]) -> None:
        """Have what is announced, here or in another process, told to a further cache; ``*`` is everything."""
        self._listeners.append(listener)

    async def announce(self, name: str) -> None:
        """Tell every process that something changed that keys depend on; call after commit.

        ``name`` is a key's id, ``team:<id>`` (its members and their budgets too), ``user:<id>``,
        ``organization:<id>``, ``customer:<id>``, ``tag:<name>``, ``budget:<id>`` (for one that several owners share),
        or ``*`` for all.
        With Redis away the others learn it when their entries age, so this does not fail.
        """
        self._drop(name)
        try:
            await self._redis.publish(CHANNEL, name)
        except (RedisError, OSError) as error:
            self._logger.warning("change_not_announced", name=name, error=str(error))

    async def watch(self) -> None:
        """Run for the life of the process: drop what others announce, and everything whenever the line was down."""
        while True:
            try:
                async with self._redis.pubsub() as line:
                    await line.subscribe(CHANNEL)
                    async for message in line.listen():
                        self._hear(message["type"], message["data"])
            except (RedisError, OSError) as error:
                self._logger.warning("key_changes_not_heard", error=str(error))
            self._drop(EVERYTHING)
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)

    def _hear(self, kind: str, data: object) -> None:
        if kind == "subscribe":  # the first time, and after each reconnect of the client
            self._drop(EVERYTHING)
        elif kind == "message":
            self._drop(data.decode() if isinstance(data, bytes) else str(data))

    async def _find_aged(self, digest: bytes, entry: _Entry | None) -> Principal | None:
        at = time.monotonic()
        if entry is None:
            if at < self._absent_until.get(digest, 0.0):
                return None
            loaded = await self._load(digest)
            return None if loaded is None else loaded.principal
        if at >= entry.ends_at:
            self._forget(digest)
            return None
        age_s = at - entry.loaded_at
        if age_s < OUTAGE_S and at < self._failing_until:
            return entry.principal
        if age_s < STALE_S:
            self._start_load(digest)
            return entry.principal
        try:
            loaded = await self._load(digest)
        except StorageUnavailable:
            if age_s < OUTAGE_S:
                return entry.principal
            raise
        return None if loaded is None else loaded.principal

    async def _load(self, digest: bytes) -> _Entry | None:
        # Shielded: one caller who hangs up must not fail the others who wait for the same key.
        return await asyncio.shield(self._start_load(digest))

    def _start_load(self, digest: bytes) -> asyncio.Task[_Entry | None]:
        task = self._loads.get(digest)
        if task is None:
            task = self._loads[digest] = asyncio.create_task(self._read(digest))
            task.add_done_callback(lambda done: self._end_load(digest, done))
        return task

    def _end_load(self, digest: bytes, task: asyncio.Task[_Entry | None]) -> None:
        self._loads.pop(digest, None)
        if not task.cancelled() and task.exception() is not None:
            self._failing_until = time.monotonic() + PAUSE_AFTER_FAILURE_S

    async def _read(self, digest: bytes) -> _Entry | None:
        entry = None
        for _ in range(_RELOADS):
            changes = self._changes
            entry = await self._read_once(digest)
            if changes == self._changes:
                self._keep(digest, entry)
                break
            # Something changed while we read: what we read may be what stood before.
        return entry

    async def _read_once(self, digest: bytes) -> _Entry | None:
        at, instant = time.monotonic(), now()
        try:
            found = await self._ask(digest, instant)
        except StorageUnavailable:
            # After a restart of Postgres the pool's connections are dead; it knows that once one was used.
            found = await self._ask(digest, instant)
        if found is None:
            return None
        principal, works_until = found
        ends_at = float("inf") if works_until is None else at + (works_until - instant).total_seconds()
        return _Entry(principal, at, min(at + FRESH_S, ends_at), ends_at)

    async def _ask(self, digest: bytes, instant: datetime) -> tuple[Principal, datetime | None] | None:
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S), reading(self._engine) as connection:
                return await find_principal(connection, digest, instant)
        except TimeoutError as error:
            raise StorageUnavailable("Postgres does not answer in time; try again shortly.") from error

    def _keep(self, digest: bytes, entry: _Entry | None) -> None:
        self._forget(digest)
        if entry is None:
            self._make_room(self._absent_until, MOST_ABSENT)
            self._absent_until[digest] = time.monotonic() + ABSENT_S
            return
        while len(self._entries) >= MOST_ENTRIES:
            self._forget(next(iter(self._entries)))
        self._absent_until.pop(digest, None)
        self._entries[digest] = entry
        for name in _names(entry.principal):
            self._digests.setdefault(name, set()).add(digest)

    def _make_room(self, entries: dict[bytes, float], most: int) -> None:
        while len(entries) >= most:
            del entries[next(iter(entries))]

    def _forget(self, digest: bytes) -> None:
        entry = self._entries.pop(digest, None)
        if entry is None:
            return
        for name in _names(entry.principal):
            with contextlib.suppress(KeyError):
                self._digests[name].discard(digest)
                if not self._digests[name]:
                    del self._digests[name]

    def _drop(self, name: str) -> None:
        self._changes += 1
        for listener in self._listeners:
            listener(name)
        # A key made a moment ago may have been asked for before it was.
        self._absent_until.clear()
        if name == EVERYTHING:
            self._entries.clear()
            self._digests.clear()
            return
        for digest in tuple(self._digests.get(name, ())):
            self._forget(digest)


def _names(principal: Principal) -> tuple[str, ...]:
    """What ``announce`` may call this principal by."""
    key = principal.key
    owners = {"team": key.team_id, "user": key.user_id, "organization": key.organization_id, "project": key.project_id}
    names = [key.key_id, *(f"{kind}:{name}" for kind, name in owners.items() if name is not None)]
    return (*names, *(f"budget:{name}" for name in principal.budget_ids))
