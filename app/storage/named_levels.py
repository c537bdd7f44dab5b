"""What is set for the customers and tags that a call names: a cache per process over Postgres, emptied as that of keys.

Customers are many and mostly unknown, so what is not there is remembered too; where no customer and no tag has a row,
nothing is asked for at all.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.errors import StorageUnavailable
from app.domain.budgets import Budget
from app.domain.tenancy import Level, scope_of
from app.storage.postgres.engine import reading
from app.storage.postgres.named_level_rows import customer_levels, some_are_named, tag_levels
from app.storage.principals import EVERYTHING, FRESH_S, LOAD_TIMEOUT_S, OUTAGE_S, STALE_S, Principals

MOST_ENTRIES = 100_000
_RELOADS = 3
_NOTHING: tuple[Level, ...] = ()


@dataclass(frozen=True, slots=True)
class _Entry:
    """``level`` None: nothing is set for that name."""

    level: Level | None
    loaded_at: float


@dataclass(frozen=True, slots=True)
class CustomerDefaults:
    """Of customers that have no budget of their own: a budget, or the id of a shared one."""

    budget: Budget | None = None
    budget_id: str | None = None


NO_DEFAULTS = CustomerDefaults()


class NamedLevels:
    """Look-ups of warm names touch no store. ``principals`` tells of changes."""

    def __init__(self, engine: AsyncEngine, principals: Principals, defaults: CustomerDefaults = NO_DEFAULTS) -> None:
        self._engine = engine
        self._defaults = defaults
        self._entries: dict[str, _Entry] = {}
        self._nobody_since: float | None = None
        self._changes = 0
        self._refreshing: set[asyncio.Task[None]] = set()
        principals.listen(self._drop)

    def peek(self, customers: Sequence[str], tags: Sequence[str]) -> tuple[Level, ...] | None:
        """What memory knows for certain; None when it may take a store to know."""
        return self._known(customers, tags, FRESH_S)

    async def find(self, customers: Sequence[str], tags: Sequence[str]) -> tuple[Level, ...]:
        """Those that set something: within ``FRESH_S`` from memory; until ``STALE_S`` from memory while one task
        refreshes; then read. While Postgres is away, what is known serves for ``OUTAGE_S``.

        Raises StorageUnavailable for the rest.
        """
        known = self._known(customers, tags, STALE_S)
        if known is not None:
            if self.peek(customers, tags) is None and not self._refreshing:
                task = asyncio.create_task(self._refresh(tuple(customers), tuple(tags)))
                self._refreshing.add(task)
                task.add_done_callback(self._refreshing.discard)
            return known
        try:
            await self._load(customers, tags)
        except StorageUnavailable:
            known = self._known(customers, tags, OUTAGE_S)
            if known is None:
                raise
            return known
        return self._known(customers, tags, OUTAGE_S) or _NOTHING

    def _known(self, customers: Sequence[str], tags: Sequence[str], age_s: float) -> tuple[Level, ...] | None:
        """What memory has of all of them, where it is no older than this."""
        since = time.monotonic() - age_s
        if self._nobody_since is not None and self._nobody_since > since:
            return _NOTHING
        levels: list[Level] = []
        for scope in _scopes(customers, tags):
            entry = self._entries.get(scope)
            if entry is None or entry.loaded_at <= since:
                return None
            if entry.level is not None:
                levels.append(entry.level)
        return tuple(levels)

    async def _refresh(self, customers: Sequence[str], tags: Sequence[str]) -> None:
        with contextlib.suppress(StorageUnavailable):
            await self._load(customers, tags)

    async def _load(self, customers: Sequence[str], tags: Sequence[str]) -> None:
        changes, at = self._changes, time.monotonic()
        found = await self._read(customers, tags)
        for _ in range(_RELOADS):
            if changes == self._changes:
                break
            # Something changed while we read: what we read may be what stood before.
            changes, at = self._changes, time.monotonic()
            found = await self._read(customers, tags)
        self._nobody_since = at if found is None else None
        if found is None:
            return
        while len(self._entries) >= MOST_ENTRIES:
            del self._entries[next(iter(self._entries))]
        for customer in customers:
            scope = scope_of("customer", customer)
            self._entries[scope] = _Entry(self._with_default(customer, found.get(scope)), at)
        for tag in tags:
            scope = scope_of("tag", tag)
            self._entries[scope] = _Entry(found.get(scope), at)

    async def _read(self, customers: Sequence[str], tags: Sequence[str]) -> dict[str, Level] | None:
        """By scope; None where nothing can be set for anybody."""
        try:
            async with asyncio.timeout(LOAD_TIMEOUT_S), reading(self._engine) as connection:
                if self._defaults == NO_DEFAULTS and not await some_are_named(connection):
                    return None
                found = await customer_levels(connection, customers, self._defaults.budget_id)
                return found | await tag_levels(connection, tags)
        except TimeoutError as error:
            raise StorageUnavailable("Postgres does not answer in time; try again shortly.") from error

    def _with_default(self, customer: str, level: Level | None) -> Level | None:
        default = self._defaults.budget
        if default is None or (level is not None and level.budgets):
            return level
        if level is None:
            return Level("customer", scope_of("customer", customer), f'customer "{customer}"', budgets=(default,))
        return replace(level, budgets=(default,))

    def _drop(self, name: str) -> None:
        kind, _, named = name.partition(":")
        if name == EVERYTHING or kind == "budget":
            self._entries.clear()
        elif kind in ("customer", "tag"):
            self._entries.pop(scope_of(kind, named), None)  # type: ignore[arg-type]  # two of its words
        else:
            return
        self._changes += 1
        self._nobody_since = None


def _scopes(customers: Sequence[str], tags: Sequence[str]) -> list[str]:
    return [*(scope_of("customer", one) for one in customers), *(scope_of("tag", one) for one in tags)]
