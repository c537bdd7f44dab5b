"""What finance asks: reports, which read sums of receipts, and the log, which reads receipts."""

import zoneinfo
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.base.clock import now
from app.base.errors import Unprocessable
from app.base.money import NanoUSD
from app.domain.report_periods import Interval, Period, list_periods, midnight
from app.domain.roles import EVERYTHING, Tenant
from app.storage.postgres import closing, rankings, report_names, reports
from app.storage.postgres import receipts as rows
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.log_bounds import find_page
from app.storage.postgres.rankings import Ranking
from app.storage.postgres.receipts import LogPage, Pace, ReceiptFilter
from app.storage.postgres.reports import OTHERS, Amounts, Cell, Dimension, Report
from app.storage.postgres.retention import dropped_until
from app.storage.postgres.tables.reports import MEASURES

MOST_LOG_ROWS = 10_000
MOST_COUNTED = 100_000
MOST_TIMED = 1_000
BRIEF = ("requests", "failures", "cost_nanousd")
"""The measures of what tells no tokens: a report of a few is read in half the time."""
GroupBy = Literal["team", "customer", "api_key", "organization"]
_DIMENSIONS: Mapping[GroupBy, Dimension] = {
    "team": "team", "customer": "customer", "api_key": "key", "organization": "organization",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ask:
    """A report to be made. Days are of the zone and both included; None is as far as there is spend.

    ``interval`` None makes one period of all days. ``after`` is the label and group of the last cell known already.
    """

    first: date | None = None
    last: date | None = None
    timezone: str = "UTC"
    interval: Interval | None = None
    group_by: tuple[Dimension, ...] = ()
    only: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    but_not: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    apart: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    measures: tuple[str, ...] = MEASURES
    after: tuple[str, tuple[str, ...]] | None = None
    most: int | None = None
    named: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """``cells`` by period and group; a cell's ``period`` is its place in ``periods``.

    ``names`` has what people call the teams, keys, organizations and users that are in the groups, where ``named`` was
    asked for.
    """

    periods: Sequence[Period]
    group_by: tuple[Dimension, ...]
    cells: Sequence[Cell]
    names: Mapping[tuple[Dimension, str], str]

    def label(self, cell: Cell) -> str:
        return self.periods[cell.period].label

    def of(self, cell: Cell, dimension: Dimension) -> str:
        """The cell's value in one dimension, empty for none."""
        return cell.group[self.group_by.index(dimension)]


@dataclass(frozen=True, slots=True)
class Sum:
    """One cell of LiteLLM's reports. ``group`` is a team's name, a customer or a key id; None where there is none."""

    day: str
    group: str | None
    model: str
    key_id: str
    user_id: str | None
    cost_nanousd: NanoUSD
    prompt_tokens: int
    completion_tokens: int


class Spend:
    """Reads only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def logs(self, tenant: Tenant, wanted: ReceiptFilter) -> Sequence[Row[Any]]:
        """Whole receipts, newest first, at most ``MOST_LOG_ROWS``."""
        async with transaction(self._engine) as connection:
            return await rows.list_receipts(connection, tenant, wanted, LogPage(most=MOST_LOG_ROWS))

    async def log_rows(self, tenant: Tenant, wanted: ReceiptFilter, page: LogPage) -> Sequence[Row[Any]]:
        """One page of the log, without counting what is on the others."""
        async with transaction(self._engine) as connection:
            return await find_page(connection, tenant, wanted, page, now())

    async def log_page(self, tenant: Tenant, wanted: ReceiptFilter, page: LogPage) -> tuple[Sequence[Row[Any]], int]:
        """One page of the log, and how many rows there are in all, counted as far as ``MOST_COUNTED``."""
        async with transaction(self._engine) as connection:
            found = await find_page(connection, tenant, wanted, page, now())
            return found, await rows.count_receipts(connection, tenant, wanted, MOST_COUNTED)

    async def report(self, ask: Ask, tenant: Tenant = EVERYTHING) -> Found:
        async with transaction(self._engine) as connection:
            report = await _report(connection, ask)
            cells = await reports.list_cells(connection, tenant, report)
            return await _found(connection, report, cells, named=ask.named)

    async def ranked(
        self, ask: Ask, ranking: Ranking, tenant: Tenant = EVERYTHING
    ) -> tuple[Found, int, Amounts | None]:
        """A page of the same cells in another order, how many there are on all pages, and what they add up to, None
        where a report without groups knows that sooner; nothing beyond the last page."""
        async with transaction(self._engine) as connection:
            report = await _report(connection, ask)
            page = await rankings.rank_cells(connection, tenant, report, ranking)
            return await _found(connection, report, page.cells, named=ask.named), page.count, page.total

    async def sums(self, ask: Ask, group_by: GroupBy, tenant: Tenant = EVERYTHING) -> list[Sum]:
        """By day, group, model, key and user, in that order; groups without a name come last."""
        dimension = _DIMENSIONS[group_by]
        wanted: tuple[Dimension, ...] = tuple(dict.fromkeys((dimension, "model", "key", "user")))
        found = await self.report(Ask(ask.first, ask.last, ask.timezone, "day", wanted, ask.only), tenant)
        sums = [
            Sum(
                found.label(cell),
                found.names.get((dimension, found.of(cell, dimension)), found.of(cell, dimension)) or None,
                found.of(cell, "model"),
                found.of(cell, "key"),
                found.of(cell, "user") or None,
                cell.amounts.cost_nanousd,
                cell.amounts.prompt_tokens,
                cell.amounts.completion_tokens,
            )
            for cell in found.cells
        ]
        return sorted(
            sums,
            key=lambda one: (one.day, one.group is None, one.group or "", one.model, one.key_id, one.user_id or ""),
        )

    async def living_keys(self, key_ids: Collection[str]) -> set[str]:
        """Those of the keys that were not deleted."""
        async with transaction(self._engine) as connection:
            return await report_names.find_living_keys(connection, key_ids)

    async def extent(self) -> tuple[date, date] | None:
        """The first and the last day of UTC that have spend."""
        async with transaction(self._engine) as connection:
            return await reports.find_extent(connection)

    async def pace(self, tenant: Tenant, since: datetime) -> Pace | None:
        """How long the latest calls took; None where there were none since then."""
        async with reading(self._engine) as connection:
            return await rows.find_pace(connection, tenant, since, MOST_TIMED)

    async def unpriced(self, tenant: Tenant, since: datetime) -> Mapping[str, int]:
        """Models that were called without a price since then, with how many of the latest calls."""
        async with reading(self._engine) as connection:
            return await rows.find_unpriced(connection, tenant, since, MOST_TIMED)

    async def total(self, tenant: Tenant = EVERYTHING) -> NanoUSD:
        async with transaction(self._engine) as connection:
            return await reports.total_spend(connection, tenant)


async def _report(connection: AsyncConnection, ask: Ask) -> Report:
    periods = await _periods(connection, ask)
    after = None if ask.after is None else (_place(periods, ask.after[0]), ask.after[1])
    await _check_known(connection, ask, periods)
    return Report(periods, ask.group_by, ask.only, ask.but_not, ask.apart, ask.measures, after, ask.most)


async def _found(connection: AsyncConnection, report: Report, cells: Sequence[Cell], *, named: bool) -> Found:
    names = await _names(connection, report.group_by, cells, report.periods) if named else {}
    return Found(report.periods, report.group_by, cells, names)


async def _periods(connection: AsyncConnection, ask: Ask) -> list[Period]:
    """Of the days that were asked about only those between the first and last spend."""
    extent = await reports.find_extent(connection)
    # Where nothing was spent, today is as good as any day.
    earliest, latest = extent or (now().date(), now().date())
    day = timedelta(days=1)  # the spend of a day of UTC is in the one before or after it elsewhere
    first = max(ask.first or earliest, earliest - day)
    last = min(ask.last or latest + day, latest + day)
    if first > last:
        return []
    zone = zoneinfo.ZoneInfo(ask.timezone)
    if ask.interval is not None:
        return list_periods(first, last, zone, ask.interval)
    if ask.first is None and ask.last is None:
        zone = zoneinfo.ZoneInfo("UTC")
    return [Period((ask.first or first).isoformat(), midnight(first, zone), midnight(last + day, zone))]


async def _check_known(connection: AsyncConnection, ask: Ask, periods: Sequence[Period]) -> None:
    """Raises Unprocessable for sessions of a time whose receipts were dropped."""
    asked = (*ask.group_by, *ask.only, *ask.but_not)
    if not periods or not any(dimension in reports.OF_SESSIONS for dimension in asked):
        return
    gone = await dropped_until(connection)
    if gone is not None and periods[0].start < gone:
        raise Unprocessable(
            f"sessions and agents are known as long as receipts are kept: from {gone:%Y-%m-%d} on", param="start_date"
        )


def _place(periods: Sequence[Period], label: str) -> int:
    """Where a label stands; before all of them, when it is none of theirs."""
    return next((place for place, period in enumerate(periods) if period.label == label), -1)


async def _names(
    connection: AsyncConnection, group_by: Sequence[Dimension], cells: Sequence[Cell], periods: Sequence[Period]
) -> dict[tuple[Dimension, str], str]:
    """A report of closed months alone has the names of that time, so that it reads the same for ever."""
    found: dict[tuple[Dimension, str], str] = {}
    if not cells or not any(dimension in report_names.NAMED for dimension in group_by):
        return found
    closed = await closing.closed_until(connection)
    since, until = periods[0].start, periods[-1].end
    for place, dimension in enumerate(group_by):
        ids = {cell.group[place] for cell in cells} - {"", OTHERS}
        if closed is not None and until <= closed:
            named = await closing.find_kept_names(connection, dimension, ids, since, until)
        else:
            named = await report_names.find_names(connection, dimension, ids)
        found |= {(dimension, one): name for one, name in named.items()}
    return found
