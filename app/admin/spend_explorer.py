"""Spend as people look at it: the groups of a span of days by size, each beside the days before, and a chart of them.

Every figure is one of ``Spend``'s reports of the same question; nothing is added up here that a report does not give.
"""

import asyncio
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.admin.spend import Ask, Found, Spend
from app.base.money import NanoUSD
from app.domain.report_periods import list_periods
from app.domain.report_spans import Span
from app.domain.roles import Tenant
from app.storage.postgres.rankings import Ranking
from app.storage.postgres.report_names import NAMED
from app.storage.postgres.reports import OF_SESSIONS, OTHERS, Amounts, Dimension
from app.storage.postgres.tables.reports import RANKING_MEASURES

MOST_SERIES = 7
"""Groups with a colour of their own in a chart; the others are one."""
MEASURES: Mapping[str, tuple[str, ...]] = {
    "cost": ("cost_nanousd",),
    "requests": ("requests",),
    "failures": ("failures",),
    "in": (
        "input_tokens", "cache_read_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "audio_input_tokens",
    ),
    "cached": ("cache_read_tokens",),
    "out": ("output_tokens", "audio_output_tokens"),
}  # fmt: skip
"""What groups can be ordered by."""
_COST = ("cost_nanousd",)


@dataclass(frozen=True, slots=True)
class Question:
    """``group_by`` None is by day. ``stack`` is what the bars of the chart are made of; None for plain bars.
    ``sort`` is one of ``MEASURES``, or ``day``. ``most`` None is all groups."""

    span: Span
    timezone: str = "UTC"
    group_by: Dimension | None = None
    stack: Dimension | None = None
    only: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    compares: bool = False
    sort: str = "cost"
    descending: bool = True
    skip: int = 0
    most: int = 50

    def ask(self, span: Span | None = None, group_by: tuple[Dimension, ...] = ()) -> Ask:
        asked = span or self.span
        return Ask(asked.first, asked.last, self.timezone, group_by=group_by, only=self.only)


@dataclass(frozen=True, slots=True)
class Group:
    """One line. ``id`` is empty for none, a date where groups are days; ``before_nanousd`` None where nothing is
    compared."""

    id: str
    name: str
    amounts: Amounts
    before_nanousd: NanoUSD | None


@dataclass(frozen=True, slots=True)
class Series:
    """What one group spent in each period of the chart; ``id`` None is all others together."""

    id: str | None
    name: str
    costs_nanousd: Sequence[NanoUSD]


@dataclass(frozen=True, slots=True)
class Exploration:
    """``count`` is how many groups there are, of which ``groups`` are a page. ``labels`` are of the chart's periods."""

    total: Amounts
    total_before_nanousd: NanoUSD | None
    groups: Sequence[Group]
    count: int
    labels: Sequence[str]
    series: Sequence[Series]


@dataclass(frozen=True, slots=True)
class _Page:
    """Id, name and amounts of each line; ``count`` lines on all pages add up to ``total``, where it is known."""

    lines: Sequence[tuple[str, str, Amounts]]
    count: int
    total: Amounts | None


class SpendExplorer:
    """Reads only, what the tenant reaches."""

    def __init__(self, spend: Spend) -> None:
        self._spend = spend

    async def explore(self, question: Question, tenant: Tenant) -> Exploration:
        # What does not wait for one another is asked at once: a report is mostly the store's work.
        labels = _labels(question)
        asked = asyncio.create_task(self._page(question, tenant))
        page, total, (groups, before), series = await asyncio.gather(
            asked,
            self._total(question, tenant),
            self._compared(question, asked, tenant),
            self._series(question, asked, labels, tenant),
        )
        return Exploration(total or page.total or Amounts(), before, groups, page.count, labels, series)

    async def groups(self, question: Question, tenant: Tenant) -> tuple[list[Group], int]:
        """One page of the groups, and how many there are; the last page where there are fewer."""
        asked = asyncio.create_task(self._page(question, tenant))
        page, (groups, _) = await asyncio.gather(asked, self._compared(question, asked, tenant))
        return groups, page.count

    async def _page(self, question: Question, tenant: Tenant) -> _Page:
        """The first, where there are fewer."""
        if question.group_by is None:
            return await self._days(question, tenant)
        ask = question.ask(group_by=(question.group_by,))
        if question.group_by == "session":  # days have what a line shows, and no more
            ask = replace(ask, measures=RANKING_MEASURES)
        ranking = Ranking(MEASURES[question.sort], question.descending, question.skip, question.most)
        found, count, total = await self._spend.ranked(ask, ranking, tenant)
        if not count and question.skip:
            found, count, total = await self._spend.ranked(ask, replace(ranking, skip=0), tenant)
        named = [(cell.group[0], cell.amounts) for cell in found.cells]
        lines = [(one, found.names.get((question.group_by, one), one), amounts) for one, amounts in named]
        return _Page(lines, count, total)

    async def _days(self, question: Question, tenant: Tenant) -> _Page:
        """Days without spend are left out, as in reports."""
        by_day = await self._spend.report(replace(question.ask(), interval="day"), tenant)
        lines = [(by_day.label(cell), by_day.label(cell), cell.amounts) for cell in by_day.cells]
        lines.sort(key=lambda line: line[0], reverse=question.descending)
        if question.sort in MEASURES:
            lines.sort(key=lambda line: amount_of(line[2], question.sort), reverse=question.descending)
        skip = question.skip if question.skip < len(lines) else 0
        return _Page(lines[skip : skip + question.most], len(lines), total_of(by_day))

    async def _total(self, question: Question, tenant: Tenant) -> Amounts | None:
        """None where the page has it: a call counts under each of its tags, and sessions are too many to add up."""
        if question.group_by not in ("tag", "session"):
            return None
        return total_of(await self._spend.report(question.ask(), tenant))

    async def _largest(self, question: Question, asked: "asyncio.Task[_Page]", tenant: Tenant) -> Sequence[str]:
        """What has a colour of its own."""
        if question.stack is None:
            return ()
        by_cost = question.sort == "cost" and question.descending and not question.skip
        if question.stack == question.group_by and by_cost:
            return _ids(await asked)[:MOST_SERIES]
        ask = replace(question.ask(group_by=(question.stack,)), measures=_COST)
        found, _, _ = await self._spend.ranked(ask, Ranking(most=MOST_SERIES), tenant)
        return [cell.group[0] for cell in found.cells]

    async def _compared(
        self, question: Question, asked: "asyncio.Task[_Page]", tenant: Tenant
    ) -> tuple[list[Group], NanoUSD | None]:
        """The lines beside what they cost before, and what all cost then."""
        before: Mapping[str, NanoUSD] = {}
        total = None
        if question.compares:
            before, total = await self._before(question, asked, tenant)
        compares = question.compares and question.group_by not in OF_SESSIONS
        return [Group(*line, before.get(line[0], 0) if compares else None) for line in (await asked).lines], total

    async def _before(
        self, question: Question, asked: "asyncio.Task[_Page]", tenant: Tenant
    ) -> tuple[Mapping[str, NanoUSD], NanoUSD]:
        group_by = question.group_by
        ask = replace(question.ask(question.span.before()), measures=_COST, named=False)
        if group_by is None:
            by_day = await self._spend.report(replace(ask, interval="day"), tenant)
            costs = {by_day.label(cell): cell.amounts.cost_nanousd for cell in by_day.cells}
            return _aligned(question, costs), sum(costs.values())
        by_group = replace(ask, group_by=(group_by,))
        if group_by == "tag":
            named = replace(by_group, only={**question.only, group_by: _ids(await asked)})
            found, whole = await asyncio.gather(self._spend.report(named, tenant), self._spend.report(ask, tenant))
        elif group_by in OF_SESSIONS:  # none of them goes on for so long
            found = whole = await self._spend.report(ask, tenant)
        else:
            found = whole = await self._spend.report(replace(by_group, apart={group_by: _ids(await asked)}), tenant)
        of_groups = {cell.group[0]: cell.amounts.cost_nanousd for cell in found.cells if cell.group}
        return of_groups, total_of(whole).cost_nanousd

    async def names_of(self, question: Question, tenant: Tenant) -> Mapping[tuple[Dimension, str], str]:
        """What people call those that the question is only about: as far as the tenant reaches them."""
        named = tuple(dimension for dimension in question.only if dimension in NAMED)
        if not named:
            return {}
        found = await self._spend.report(replace(question.ask(group_by=named), most=100), tenant)
        return found.names

    async def _series(
        self, question: Question, asked: "asyncio.Task[_Page]", labels: Sequence[str], tenant: Tenant
    ) -> list[Series]:
        largest = await self._largest(question, asked, tenant)
        stack = question.stack
        ask = replace(question.ask(), interval=question.span.interval, measures=_COST)
        if stack is None:
            return [Series(None, "", _by_label(await self._spend.report(ask, tenant), labels))]
        by_stack = replace(ask, group_by=(stack,))
        # A call counts under each of its tags, so that what is left of the whole would be too little.
        if stack == "tag":
            by_stack = replace(by_stack, only={**question.only, stack: largest})
        else:
            by_stack = replace(by_stack, apart={stack: largest})
        found = await self._spend.report(by_stack, tenant)
        series = [Series(one, found.names.get((stack, one), one), _by_label(found, labels, one)) for one in largest]
        rest = _by_label(found, labels, OTHERS)
        return [*series, Series(None, "", rest)] if any(rest) else series


def _ids(page: _Page) -> list[str]:
    return [line[0] for line in page.lines]


def total_of(found: Found) -> Amounts:
    total = Amounts()
    for cell in found.cells:
        total = total.plus(cell.amounts)
    return total


def amount_of(amounts: Amounts, sort: str) -> int:
    return sum(getattr(amounts, measure) for measure in MEASURES[sort])


def _labels(question: Question) -> list[str]:
    zone = zoneinfo.ZoneInfo(question.timezone)
    span = question.span
    return [period.label for period in list_periods(span.first, span.last, zone, span.interval)]


def _by_label(found: Found, labels: Sequence[str], group: str | None = None) -> list[NanoUSD]:
    """The cost of each period, also of those without any; of one group, or of all cells."""
    costs = dict.fromkeys(labels, 0)
    for cell in found.cells:
        if group is None or cell.group[0] == group:
            label = found.label(cell)
            costs[label] = costs.get(label, 0) + cell.amounts.cost_nanousd
    return [costs[label] for label in labels]


def _aligned(question: Question, before: Mapping[str, NanoUSD]) -> dict[str, NanoUSD]:
    """What each day is compared with: the day at the same place of the days before."""
    zone = zoneinfo.ZoneInfo(question.timezone)
    span, earlier = question.span, question.span.before()
    days = [period.label for period in list_periods(span.first, span.last, zone, "day")]
    days_before = [period.label for period in list_periods(earlier.first, earlier.last, zone, "day")]
    return {day: before.get(other, 0) for day, other in zip(days, days_before, strict=False)}
