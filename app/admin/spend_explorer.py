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
from app.storage.postgres.reports import NAMED, OF_SESSIONS, Amounts, Dimension, Ranking

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
    """One line. ``id`` is empty for none, a date where groups are days; ``before`` None where nothing is compared."""

    id: str
    name: str
    amounts: Amounts
    before: Amounts | None


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
    total_before: Amounts | None
    groups: Sequence[Group]
    count: int
    labels: Sequence[str]
    series: Sequence[Series]


class SpendExplorer:
    """Reads only, what the tenant reaches."""

    def __init__(self, spend: Spend) -> None:
        self._spend = spend

    async def explore(self, question: Question, tenant: Tenant) -> Exploration:
        # What does not wait for one another is asked at once: a report is mostly the store's work.
        (ranked, count), chart, before = await asyncio.gather(
            self._ranked(question, tenant),
            self._spend.report(replace(question.ask(), interval=question.span.interval), tenant),
            self._total_before(question, tenant),
        )
        labels = _labels(question)
        whole = _by_label(chart, labels)
        (groups, count), series = await asyncio.gather(
            self._compared(question, ranked, count, tenant), self._series(question, ranked, whole, labels, tenant)
        )
        return Exploration(total_of(chart), before, groups, count, labels, series)

    async def _total_before(self, question: Question, tenant: Tenant) -> Amounts | None:
        if not question.compares:
            return None
        return total_of(await self._spend.report(question.ask(question.span.before()), tenant))

    async def groups(self, question: Question, tenant: Tenant) -> tuple[list[Group], int]:
        """One page of the groups, and how many there are; the last page where there are fewer."""
        ranked, count = await self._ranked(question, tenant)
        return await self._compared(question, ranked, count, tenant)

    async def _ranked(self, question: Question, tenant: Tenant) -> tuple[Found | None, int]:
        """Without those before; None where groups are days."""
        if question.group_by is None:
            return None, 0
        ask = question.ask(group_by=(question.group_by,))
        ranking = Ranking(MEASURES[question.sort], question.descending, question.skip, question.most)
        found, count = await self._spend.ranked(ask, ranking, tenant)
        if not count and question.skip:
            found, count = await self._spend.ranked(ask, replace(ranking, skip=0), tenant)
        return found, count

    async def _compared(
        self, question: Question, found: Found | None, count: int, tenant: Tenant
    ) -> tuple[list[Group], int]:
        if found is None or question.group_by is None:
            return await self._days(question, tenant)
        before: dict[str, Amounts] = {}
        compares = question.compares and question.group_by not in OF_SESSIONS
        if compares and found.cells:
            ids = [cell.group[0] for cell in found.cells]
            earlier = question.ask(question.span.before(), (question.group_by,))
            earlier = replace(earlier, only={**question.only, question.group_by: ids})
            before = {cell.group[0]: cell.amounts for cell in (await self._spend.report(earlier, tenant)).cells}
        groups = [
            Group(
                cell.group[0],
                found.names.get((question.group_by, cell.group[0]), cell.group[0]),
                cell.amounts,
                before.get(cell.group[0], Amounts()) if compares else None,
            )
            for cell in found.cells
        ]
        return groups, count

    async def names_of(self, question: Question, tenant: Tenant) -> Mapping[tuple[Dimension, str], str]:
        """What people call those that the question is only about: as far as the tenant reaches them."""
        named = tuple(dimension for dimension in question.only if dimension in NAMED)
        if not named:
            return {}
        found = await self._spend.report(replace(question.ask(group_by=named), most=100), tenant)
        return found.names

    async def _days(self, question: Question, tenant: Tenant) -> tuple[list[Group], int]:
        """Days without spend are left out, as in reports."""
        by_day = await self._spend.report(replace(question.ask(), interval="day"), tenant)
        of_days = {by_day.label(cell): cell.amounts for cell in by_day.cells}
        earlier: dict[str, Amounts] = {}
        if question.compares:
            before = await self._spend.report(replace(question.ask(question.span.before()), interval="day"), tenant)
            earlier = _aligned(question, {before.label(cell): cell.amounts for cell in before.cells})
        groups = [
            Group(day, day, amounts, earlier.get(day, Amounts()) if question.compares else None)
            for day, amounts in of_days.items()
        ]
        groups.sort(key=lambda group: group.id, reverse=question.descending)
        if question.sort in MEASURES:
            groups.sort(key=lambda group: amount_of(group.amounts, question.sort), reverse=question.descending)
        skip = question.skip if question.skip < len(groups) else 0
        return groups[skip : skip + question.most], len(groups)

    async def _series(
        self,
        question: Question,
        ranked: Found | None,
        whole: Sequence[NanoUSD],
        labels: Sequence[str],
        tenant: Tenant,
    ) -> list[Series]:
        stack = question.stack
        if stack is None:
            return [Series(None, "", whole)]
        by_cost = question.sort == "cost" and question.descending and not question.skip
        if stack == question.group_by and by_cost and ranked is not None:
            largest = [cell.group[0] for cell in ranked.cells[:MOST_SERIES]]
        else:
            ranking = Ranking(most=MOST_SERIES)
            found, _ = await self._spend.ranked(question.ask(group_by=(stack,)), ranking, tenant)
            largest = [cell.group[0] for cell in found.cells]
        ask = replace(question.ask(group_by=(stack,)), interval=question.span.interval)
        by_group = await self._spend.report(replace(ask, only={**question.only, stack: largest}), tenant)
        series = []
        for one in largest:
            costs = _by_label(by_group, labels, one)
            series.append(Series(one, by_group.names.get((stack, one), one), costs))
        # A call counts under each of its tags, so that what is left of the whole would be too little.
        if stack != "tag":
            rest = [cost - sum(each.costs_nanousd[place] for each in series) for place, cost in enumerate(whole)]
            if any(rest):
                series.append(Series(None, "", rest))
        return series


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


def _aligned(question: Question, before: Mapping[str, Amounts]) -> dict[str, Amounts]:
    """What each day is compared with: the day at the same place of the days before."""
    zone = zoneinfo.ZoneInfo(question.timezone)
    span, earlier = question.span, question.span.before()
    days = [period.label for period in list_periods(span.first, span.last, zone, "day")]
    days_before = [period.label for period in list_periods(earlier.first, earlier.last, zone, "day")]
    return {day: before.get(other, Amounts()) for day, other in zip(days, days_before, strict=False)}
