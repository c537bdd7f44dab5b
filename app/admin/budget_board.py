"""The budgets that somebody reaches, with what is spent and held on them now, the nearest to its limit first."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.budget_facts import budget_facts
from app.admin.serving_budgets import serving_budgets
from app.base.clock import now
from app.base.errors import StorageUnavailable
from app.base.money import NanoUSD
from app.domain.alert_words import Owner
from app.domain.alerts import forecast
from app.domain.budgets import Budget, BudgetWindow, counter_name, limit_at, window_at
from app.domain.catalog import Catalog
from app.domain.report_periods import DAY_S, QUARTER_S, ceiling
from app.domain.roles import Tenant
from app.domain.tenancy import PLATFORM, owners_in
from app.storage.postgres.access_group_budgets import list_watched_groups
from app.storage.postgres.alert_sources import OWNER_COLUMNS, WATCHED_KINDS, WatchedBudget, WatchedKind, list_budgeted
from app.storage.postgres.engine import reading
from app.storage.postgres.owner_spend import rough_spend, spend_of_days
from app.storage.redis.counters import Counters

BoardKind = Literal[
    "platform", "organization", "team", "project", "member", "user", "key", "customer", "tag", "group", "provider",
    "deployment",
]  # fmt: skip
BOARD_KINDS: tuple[BoardKind, ...] = get_args(BoardKind)
BoardState = Literal["reached", "near", "ahead", "unused"]
BOARD_STATES: tuple[BoardState, ...] = get_args(BoardState)
MOST_OF_KIND = 500
MOST_OF_EACH = 100
"""Owners of a kind that are looked at, alone or with those of all others: the nearest to their limits; a search narrows
them before."""
NEAR_PERCENT = 80
_EVEN = (1,) * 7
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_MOST_QUERIES = 30
_FEW = 50


@dataclass(frozen=True, slots=True)
class BoardLine:
    """One budget in the window in which ``at`` is. ``held_nanousd`` is for calls that run."""

    kind: BoardKind
    of: WatchedBudget
    window: BudgetWindow
    at: datetime
    limit_nanousd: NanoUSD | None
    soft_limit_nanousd: NanoUSD | None
    spent_nanousd: NanoUSD
    held_nanousd: NanoUSD
    is_counted: bool

    @property
    def key(self) -> str:
        return _key(self.of)

    @property
    def owner(self) -> Owner:
        return self.of.owner

    @property
    def budget(self) -> Budget:
        return self.of.budget

    @property
    def line_nanousd(self) -> NanoUSD:
        """The limit, or the soft one where nothing else is set."""
        return self.limit_nanousd if self.limit_nanousd is not None else self.soft_limit_nanousd or 0

    @property
    def thousandths(self) -> int:
        """How much of the limit is spent and held."""
        used, line = self.spent_nanousd + self.held_nanousd, self.line_nanousd
        return used * 1_000 // line if line else 1_000

    @property
    def forecast_nanousd(self) -> NanoUSD | None:
        """What the window will have cost at its end at the pace so far; None where it is too early to say, or there is
        no end."""
        return forecast(self.spent_nanousd, self.window, self.at, _EVEN)

    @property
    def state(self) -> BoardState | None:
        if self.thousandths >= 1_000:
            return "reached"
        if self.thousandths >= NEAR_PERCENT * 10:
            return "near"
        expected = self.forecast_nanousd
        if expected is not None and expected > self.line_nanousd:
            return "ahead"
        return None if self.spent_nanousd + self.held_nanousd else "unused"


@dataclass(frozen=True, slots=True)
class Board:
    """One page. ``cut``: there are kinds with more owners than were looked at."""

    lines: Sequence[BoardLine]
    total: int
    cut: bool


class BudgetBoard:
    """Reads only: the budgets from Postgres, what is spent on them from the counters by which calls are admitted, and
    where there is no counter, from the sums of receipts. ``platform`` are the budgets of all calls together, those of
    deployments and providers are told by the ``catalog``."""

    def __init__(
        self,
        engine: AsyncEngine,
        counters: Counters,
        platform: Sequence[Budget] = (),
        catalog: Callable[[], Catalog] = lambda: Catalog(()),
    ) -> None:
        self._engine = engine
        self._counters = counters
        self._platform = platform
        self._catalog = catalog

    async def of_serving(self, watched: Sequence[WatchedBudget]) -> Sequence[BoardLine]:
        """Of some deployments and providers, in this order."""
        if not watched:
            return ()
        at = now()
        lines = await self._counted([(_kind_of(one), one) for one in watched], at)
        async with reading(self._engine) as connection:
            return await _booked(connection, lines, at)

    async def page(
        self, tenant: Tenant, kind: BoardKind | None, state: BoardState | None, search: str, number: int, size: int
    ) -> Board:
        at = now()
        async with reading(self._engine) as connection:
            unused = state == "unused"
            watched, cut = await self._watched(connection, tenant, kind, search, at, unused=unused)
            lines = await _placed(connection, await self._counted(watched, at), at)
            if state is not None:
                lines = [line for line in lines if line.state == state]
            lines = sorted(lines, key=lambda line: (-line.thousandths, -line.spent_nanousd, line.owner.title))
            shown = lines[(number - 1) * size : number * size]
            return Board(await _booked(connection, shown, at), len(lines), cut)

    async def _counted(self, watched: Sequence[tuple[BoardKind, WatchedBudget]], at: datetime) -> list[BoardLine]:
        """By the counters; a pool that several name is one."""
        once = {(one.owner.scope, one.budget.budget_id, one.budget.part): (kind, one) for kind, one in watched}
        windows = [window_at(one.budget, at) for _, one in once.values()]
        names = [
            counter_name(one.owner.scope, one.budget, window)
            for (_, one), window in zip(once.values(), windows, strict=True)
        ]
        counters: Sequence[tuple[int, int] | None] = [None] * len(names)
        with suppress(StorageUnavailable):  # the books tell it, too
            counters = await self._counters.look(names)
        return [
            _line(kind, one, window, counter, at)
            for (kind, one), window, counter in zip(once.values(), windows, counters, strict=True)
        ]

    async def _watched(
        self,
        connection: AsyncConnection,
        tenant: Tenant,
        kind: BoardKind | None,
        search: str,
        at: datetime,
        *,
        unused: bool,
    ) -> tuple[list[tuple[BoardKind, WatchedBudget]], bool]:
        wanted = [one for one in kinds_within(tenant) if kind in (None, one)]
        found: list[tuple[BoardKind, WatchedBudget]] = []
        if "platform" in wanted and search.lower() in "the platform":
            everybody = Owner(PLATFORM, "the platform")
            found += [("platform", _of_platform((), everybody, one)) for one in self._platform]
        if "group" in wanted:
            groups = await list_watched_groups(connection)
            found += [("group", one) for one in groups if search.lower() in one.ids[0].lower()]
        for serving in serving_budgets(self._catalog()):
            of = _kind_of(serving)
            if of in wanted and any(search.lower() in word.lower() for word in (serving.owner.title, serving.ids[1])):
                found.append((of, serving))

        async def listed(reader: AsyncConnection, kinds: Sequence[WatchedKind]) -> bool:
            cut = False
            for known in kinds:
                if known in wanted:
                    most = most_of(kind)
                    some, more = await list_budgeted(reader, tenant, known, search, most, at, farthest=unused)
                    found.extend((known, one) for one in some)
                    cut = cut or more
            return cut

        # What does not wait for one another is asked at once, on two connections: it is mostly the store's work.
        async with reading(self._engine) as other:
            cut = await asyncio.gather(listed(connection, WATCHED_KINDS[::2]), listed(other, WATCHED_KINDS[1::2]))
        return found, any(cut)


def most_of(kind: BoardKind | None) -> int:
    """How many owners of each kind are looked at; None is of all kinds."""
    return MOST_OF_EACH if kind is None else MOST_OF_KIND


def kinds_within(tenant: Tenant) -> Sequence[BoardKind]:
    """The levels of which a tenant may have budgets: those that belong to none are for who reaches everything."""
    if tenant.everything:
        return BOARD_KINDS
    found: list[BoardKind] = ["organization"] if tenant.organization_ids else []
    found += ["team", "project"] if tenant.team_ids else []
    return [*found, "member", "user", "key"]


def _key(one: WatchedBudget) -> str:
    return f"{one.owner.scope}|{one.budget.budget_id}|{one.budget.part}"


def _kind_of(serving: WatchedBudget) -> BoardKind:
    return "provider" if serving.ids[0] == "provider" else "deployment"


def _of_platform(ids: tuple[str, ...], owner: Owner, budget: Budget) -> WatchedBudget:
    return WatchedBudget("platform", ids, owner, budget, refuses=True, soft_limit_nanousd=None)


async def _placed(connection: AsyncConnection, lines: Sequence[BoardLine], at: datetime) -> Sequence[BoardLine]:
    """With what was spent on those without a counter, so that they find their place: exactly where a kind has few of
    them, else what the sums say to the quarter of an hour, in one query for those whose windows began at midnights of
    UTC, and one for those whose began together."""
    unknown: dict[WatchedKind, list[BoardLine]] = defaultdict(list)
    for line in lines:
        if not line.is_counted:
            unknown[line.of.kind].append(line)
    few = frozenset(kind for kind, some in unknown.items() if len(some) <= _FEW)
    lines = await _booked(connection, lines, at, few)
    alike: dict[tuple[WatchedKind, datetime], list[BoardLine]] = defaultdict(list)
    of_days: dict[WatchedKind, dict[str, tuple[tuple[str, ...], datetime]]] = defaultdict(dict)
    for line in lines:
        if not line.is_counted and "scope" not in owners_in(line.owner.scope):
            start = ceiling(max(line.window.start, _EARLIEST), QUARTER_S)
            if start == ceiling(start, DAY_S):
                of_days[line.of.kind][line.key] = (line.of.ids, start)
            else:
                alike[line.of.kind, start].append(line)
    spent: dict[str, NanoUSD] = {}
    for kind, windows in of_days.items():
        by_window = await spend_of_days(connection, OWNER_COLUMNS[kind], set(windows.values()))
        spent |= {key: by_window.get(window, 0) for key, window in windows.items()}
    for (kind, start), some in sorted(alike.items(), key=lambda one: -len(one[1]))[:_MOST_QUERIES]:
        found = await rough_spend(connection, OWNER_COLUMNS[kind], [line.of.ids for line in some], start)
        spent |= {line.key: found.get(line.of.ids, 0) for line in some}
    return [replace(line, spent_nanousd=spent[line.key]) if line.key in spent else line for line in lines]


async def _booked(
    connection: AsyncConnection,
    lines: Sequence[BoardLine],
    at: datetime,
    kinds: Collection[WatchedKind] = get_args(WatchedKind),
) -> Sequence[BoardLine]:
    """Where nothing was counted since the counters began, what the books say, exactly."""
    alike: dict[WatchedKind, list[WatchedBudget]] = defaultdict(list)
    for line in lines:
        if not line.is_counted and line.of.kind in kinds:
            alike[line.of.kind].append(line.of)
    spent: dict[str, NanoUSD] = {}
    for kind, some in alike.items():
        for one, facts in await budget_facts(connection, kind, some, at):
            spent[_key(one)] = facts.spent_nanousd
    return [
        replace(line, spent_nanousd=spent[line.key], is_counted=True) if line.key in spent else line for line in lines
    ]


def _line(
    kind: BoardKind, one: WatchedBudget, window: BudgetWindow, counter: tuple[int, int] | None, at: datetime
) -> BoardLine:
    spent, held = counter or (0, 0)
    return BoardLine(
        kind=kind,
        of=one,
        window=window,
        at=at,
        limit_nanousd=limit_at(one.budget, at) if one.refuses else None,
        soft_limit_nanousd=one.soft_limit_nanousd,
        spent_nanousd=spent,
        held_nanousd=held,
        is_counted=counter is not None,
    )
