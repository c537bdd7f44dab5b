"""Budgets: how much may be spent in which window of time."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import quote

from app.base.ids import BudgetId
from app.base.money import NanoUSD

DurationUnit = Literal["s", "m", "h", "d", "w", "mo"]
_DURATION = re.compile(r"([1-9][0-9]{0,8})(mo|[smhdw])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_DURATION_DAYS = 36_525


@dataclass(frozen=True, slots=True)
class Duration:
    """A LiteLLM duration: ``30s``, ``15m``, ``1h``, ``7d``, ``2w``, ``1mo``."""

    count: int
    unit: DurationUnit

    def __str__(self) -> str:
        return f"{self.count}{self.unit}"


@dataclass(frozen=True, slots=True)
class Budget:
    """``limit_nanousd`` per window; ``duration`` None is one window without end that begins at ``anchor``.

    ``counting_since`` is the instant at which this definition (limit apart) came to be: a window that began
    before it may hold spend that no counter has seen, so its counter is rebuilt from the receipts. ``owned_since``,
    where known, is the instant since which its owner has had it. One that is ``shared`` counts for each owner alone.
    Nothing before ``reset_at`` counts.
    """

    budget_id: BudgetId
    limit_nanousd: NanoUSD
    duration: Duration | None
    anchor: datetime
    counting_since: datetime
    owned_since: datetime | None = None
    shared: bool = False
    reset_at: datetime | None = None

    @property
    def counted_since(self) -> datetime:
        """Since when every call of the owner has been counted on it."""
        return self.counting_since if self.owned_since is None else max(self.counting_since, self.owned_since)


@dataclass(frozen=True, slots=True)
class BudgetWindow:
    """Half-open: ``start`` is in it, ``end`` is not; ``end`` None is never."""

    start: datetime
    end: datetime | None


def parse_duration(text: str) -> Duration:
    """Raises ValueError with the allowed forms for anything else (``30 days``, ``0d``, ``-1``)."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'not a duration: "{text}"; write a number and s, m, h, d, w or mo, such as "30d" or "1mo"')
    duration = Duration(int(match[1]), match[2])  # type: ignore[arg-type]  # the pattern names the units
    days = duration.count * 31 if duration.unit == "mo" else duration.count * _SECONDS[duration.unit] / 86_400
    if days > LONGEST_DURATION_DAYS:
        raise ValueError(f'too long a duration: "{text}"; at most 100 years')
    return duration


def after(duration: Duration, start: datetime) -> datetime:
    """``start`` plus the duration; a month ends on the same day of the next one, or on its last."""
    if duration.unit != "mo":
        return start + timedelta(seconds=duration.count * _SECONDS[duration.unit])
    months = start.year * 12 + start.month - 1 + duration.count
    year, month = divmod(months, 12)
    for day in range(start.day, 27, -1):
        try:
            return start.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return start.replace(year=year, month=month + 1)


def window_at(budget: Budget, at: datetime) -> BudgetWindow:
    """The window of ``budget`` that ``at`` lies in; it begins no earlier than the budget's counting was begun anew."""
    window = _calendar_window(budget, at)
    if budget.reset_at is None or budget.reset_at <= window.start:
        return window
    return BudgetWindow(budget.reset_at, window.end)


def _calendar_window(budget: Budget, at: datetime) -> BudgetWindow:
    """As the calendar and the anchor have it.

    Windows snap to the calendar in UTC as LiteLLM's do: ``30d`` and ``1mo`` begin on the 1st of the month, ``7d``
    and ``1w`` on Monday, days at midnight, hours on the hour. Longer ones step from the snapped anchor; seconds and
    minutes step from the anchor itself.
    """
    duration = budget.duration
    if duration is None:
        return BudgetWindow(budget.anchor, None)
    if duration in {Duration(30, "d"), Duration(1, "mo")}:
        start = _month_start(at)
        return BudgetWindow(start, after(Duration(1, "mo"), start))
    if duration.unit == "mo":
        first = _month_start(budget.anchor)
        passed = (at.year - first.year) * 12 + at.month - first.month
        start = _add_months(first, passed // duration.count * duration.count)
        return BudgetWindow(start, _add_months(start, duration.count))
    length_s = duration.count * _SECONDS[duration.unit]
    first = _snap(budget.anchor, duration)
    steps = (at - first) // timedelta(seconds=length_s)
    start = first + timedelta(seconds=steps * length_s)
    return BudgetWindow(start, start + timedelta(seconds=length_s))


def counter_name(scope: str, budget: Budget, window: BudgetWindow) -> str:
    """The name, one word, of the counter of a window of an owner's budget; ``scope`` says whose (app.domain.tenancy).

    A new definition of the budget, and one in new hands, counts afresh (from the receipts): it has its own counters.
    """
    name = quote(budget.budget_id, safe="")
    since = f"{name}:{int(budget.counted_since.timestamp() * 1000)}:{int(window.start.timestamp())}"
    # A key's own budget has no other owner. A key's scope has no colon.
    return since if not budget.shared and ":" not in scope else f"{scope}:{since}"


def _snap(anchor: datetime, duration: Duration) -> datetime:
    match duration.unit:
        case "s" | "m":
            return anchor
        case "h":
            return anchor.replace(minute=0, second=0, microsecond=0)
        case _:
            midnight = anchor.replace(hour=0, minute=0, second=0, microsecond=0)
            if duration.unit == "w" or duration.count % 7 == 0:
                return midnight - timedelta(days=midnight.weekday())
            return midnight


def _month_start(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _add_months(start: datetime, count: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
    return start.replace(year=year, month=month + 1)
