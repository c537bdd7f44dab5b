"""The months of the books: what each came to, whether it is closed, and what a month costs whom."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from app.admin.closing import Closed, Closing, span_of
from app.admin.spend import BRIEF, Ask, Found, Spend
from app.base.clock import now
from app.base.errors import NotFound
from app.base.money import NanoUSD
from app.domain.roles import Tenant
from app.storage.postgres.reports import Amounts, Dimension

MonthState = Literal["running", "open", "closed"]
Payer = Literal["cost_center", "organization"]
"""Whom a month is charged to."""
ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Month:
    """By its first day of UTC. ``cost_nanousd`` is with ``corrections_nanousd``, which were booked in it;
    ``later_nanousd`` of ``later`` receipts that began in it stand in months after it, as it was closed."""

    first: date
    state: MonthState
    requests: int
    cost_nanousd: NanoUSD
    corrections_nanousd: NanoUSD
    closed: Closed | None = None
    later: int = 0
    later_nanousd: NanoUSD = 0

    @property
    def last(self) -> date:
        return last_day(self.first)


@dataclass(frozen=True, slots=True)
class Charge:
    """What one is charged. The parts are the lines below it, the greatest first."""

    id: str
    name: str
    usage: Amounts
    corrections: Amounts
    parts: Sequence["Charge"] = ()

    @property
    def cost_nanousd(self) -> NanoUSD:
        return self.usage.cost_nanousd + self.corrections.cost_nanousd

    @property
    def requests(self) -> int:
        return self.usage.requests + self.corrections.requests


class Months:
    """Of what ``Spend`` and ``Closing`` tell."""

    def __init__(self, spend: Spend, closing: Closing) -> None:
        self._spend = spend
        self._closing = closing

    async def all(self) -> list[Month]:
        """The latest first, from the first month with spend to the one that runs. For those who see all the books."""
        closed = {one.month: one for one in await self._closing.closes()}
        # A closed month is what it was when it was closed: only those after it are added up.
        first_open = span_of(max(closed))[1].date() if closed else None
        ask = Ask(first_open, interval="month", group_by=("kind",), measures=BRIEF)
        found, later = await asyncio.gather(self._spend.report(ask), self._closing.booked_later())
        by_month: dict[date, tuple[Amounts, Amounts]] = {}
        for cell in found.cells:
            first = date.fromisoformat(found.label(cell)).replace(day=1)
            usage, corrections = by_month.get(first, (Amounts(), Amounts()))
            is_correction = cell.group[0] == ADJUSTMENT
            by_month[first] = (
                usage if is_correction else usage.plus(cell.amounts),
                corrections.plus(cell.amounts) if is_correction else corrections,
            )
        running = now().date().replace(day=1)
        months = []
        for first in _months(min([*by_month, *closed, running]), running):
            came_later = later.get(first, (0, 0))
            if first in closed:
                one = closed[first]
                amounts = (one.requests, one.cost_nanousd, one.adjustments_nanousd)
                months.append(Month(first, "closed", *amounts, one, *came_later))
            else:
                usage, corrections = by_month.get(first, (Amounts(), Amounts()))
                both = usage.plus(corrections)
                amounts = (both.requests, both.cost_nanousd, corrections.cost_nanousd)
                months.append(Month(first, "running" if first == running else "open", *amounts, None, *came_later))
        return months[::-1]

    async def one(self, first: date) -> tuple[Month, list[Month]]:
        """A month, and those before it that are open, the oldest first. Raises NotFound for one that is none of the
        books."""
        months = await self.all()
        month = next((month for month in months if month.first == first), None)
        if month is None:
            raise NotFound(f"There is no spend in {first:%B %Y}.")
        return month, [one for one in reversed(months) if one.state == "open" and one.first < first]

    async def choices(self) -> list[tuple[date, MonthState]]:
        """The months that there are, the latest first, with nothing of what was spent: for everybody."""
        extent = await self._spend.extent()
        running = now().date().replace(day=1)
        closed = {one.month for one in await self._closing.closes()}
        oldest = min(running, extent[0].replace(day=1)) if extent is not None else running
        states: list[tuple[date, MonthState]] = [
            (first, "closed" if first in closed else "running" if first == running else "open")
            for first in _months(oldest, running)
        ]
        return states[::-1]

    async def uncharged(self, first: date) -> NanoUSD:
        """What no cost centre pays of a month, where others pay the rest. For those who see all the books."""
        found = await self._spend.report(Ask(first, last_day(first), group_by=("cost_center",), measures=BRIEF))
        by_center = {cell.group[0]: cell.amounts.cost_nanousd for cell in found.cells}
        return by_center.pop("", 0) if len(by_center) > 1 else 0

    async def charges(self, first: date, by: Payer, below: Dimension | None, tenant: Tenant) -> list[Charge]:
        """A month by payer, in them by team, in them by ``below`` where it is set."""
        group_by: tuple[Dimension, ...] = (by, "team", *([below] if below is not None else []), "kind")
        ask = Ask(first, last_day(first), group_by=group_by, measures=BRIEF)
        return _charges(await self._spend.report(ask, tenant))


def last_day(month: date) -> date:
    return span_of(month)[1].date() - timedelta(days=1)


def _charges(found: Found, place: int = 0, group: tuple[str, ...] = ()) -> list[Charge]:
    """Of the cells whose groups begin with ``group``; the last grouping is the kind."""
    within = [cell for cell in found.cells if cell.group[:place] == group]
    charges = []
    for one in dict.fromkeys(cell.group[place] for cell in within):
        usage, corrections = Amounts(), Amounts()
        for cell in within:
            if cell.group[place] == one and cell.group[-1] == ADJUSTMENT:
                corrections = corrections.plus(cell.amounts)
            elif cell.group[place] == one:
                usage = usage.plus(cell.amounts)
        is_last = place == len(found.group_by) - 2
        parts = () if is_last else _charges(found, place + 1, (*group, one))
        charges.append(Charge(one, found.names.get((found.group_by[place], one), one), usage, corrections, parts))
    return sorted(charges, key=lambda charge: (-charge.cost_nanousd, charge.name.lower()))


def _months(first: date, last: date) -> list[date]:
    found = []
    while first <= last:
        found.append(first)
        first = span_of(first)[1].date()
    return found
