"""Budgets: how much may be spent in which window of time."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from app.base.ids import BudgetId
from app.base.money import NanoUSD

DurationUnit = Literal["s", "m", "h", "d", "w", "mo", "hour", "day", "week", "month", "quarter", "total"]
_DURATION = re.compile(r"([1-9][0-9]{0,8})(mo|min|[smhdw])", re.ASCII)
# A day on which durations are measured against one another.
_MEASURED_FROM = datetime(2026, 1, 1, tzinfo=UTC)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST_DURATION_DAYS = 36_525
PERIODS = ("hour", "day", "week", "month", "quarter", "total")
"""What a budget may be counted by beside durations. A total never resets."""
OnExceed = Literal["finish", "cut"]
"""What becomes of a running answer when its budget has no more room: it is finished, or it is cut there."""


@dataclass(frozen=True, slots=True)
class Duration:
    """A LiteLLM duration: ``30s``, ``15m``, ``1h``, ``7d``, ``2w``, ``1mo``; or one of ``PERIODS``, once."""

    count: int
    unit: DurationUnit

    def __str__(self) -> str:
        return self.unit if self.unit in PERIODS else f"{self.count}{self.unit}"


_SAME_AS = {
    "hour": Duration(1, "h"),
    "day": Duration(1, "d"),
    "week": Duration(1, "w"),
    "month": Duration(1, "mo"),
    "quarter": Duration(3, "mo"),
}


@dataclass(frozen=True, slots=True)
class Budget:
    """``limit_nanousd`` per window; ``duration`` None is one window without end that begins at ``anchor``.

    ``counting_since`` is the instant at which this definition (limit apart) came to be: a window that began
    before it may hold spend that no counter has seen, so its counter is rebuilt from the receipts. ``owned_since``,
    where known, is the instant since which its owner has had it. One that is ``shared`` counts for each owner alone.
    Nothing before ``reset_at`` counts. ``zone`` is the IANA name of the calendar's zone. ``on_exceed`` None: as the
    settings say.

    One row may stand for several budgets: ``part`` tells those apart, "" is the first. With a ``model``, a name or a
    pattern, only calls of such models count. One that is ``pooled`` is counted once for all who name it. The limit is
    higher by ``increase_nanousd`` before ``increase_until``. One that is a ``pace`` keeps calls back for a moment
    rather than refusing them for want of money. ``soft_nanousd`` is a soft limit beside the limit.
    """

    budget_id: BudgetId
    limit_nanousd: NanoUSD
    duration: Duration | None
    anchor: datetime
    counting_since: datetime
    owned_since: datetime | None = None
    shared: bool = False
    reset_at: datetime | None = None
    zone: str = "UTC"
    part: str = ""
    model: str | None = None
    pooled: bool = False
    increase_nanousd: NanoUSD = 0
    increase_until: datetime | None = None
    pace: bool = False
    on_exceed: OnExceed | None = None
    soft_nanousd: NanoUSD | None = None

    @property
    def counted_since(self) -> datetime:
        """Since when every call of the owner has been counted on it."""
        return self.counting_since if self.owned_since is None else max(self.counting_since, self.owned_since)


# A budget that never resets counts all that its owner ever spent; a key's own is as old as the key.
SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BudgetWindow:
    """Half-open: ``start`` is in it, ``end`` is not; ``end`` None is never."""

    start: datetime
    end: datetime | None


def limit_at(budget: Budget, at: datetime) -> NanoUSD:
    """The limit, with an increase that has not ended."""
    if budget.increase_until is None or at >= budget.increase_until:
        return budget.limit_nanousd
    return budget.limit_nanousd + budget.increase_nanousd


@lru_cache(maxsize=1_000)
def parse_duration(text: str) -> Duration:
    """Raises ValueError with the allowed forms for anything else (``30 days``, ``0d``, ``-1``)."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f'not a duration: "{text}"; write a number and s, m, h, d, w or mo, such as "30d" or "1mo"')
    duration = Duration(int(match[1]), "m" if match[2] == "min" else match[2])  # type: ignore[arg-type]  # the pattern names the units
    days = duration.count * 31 if duration.unit == "mo" else duration.count * _SECONDS[duration.unit] / 86_400
    if days > LONGEST_DURATION_DAYS:
        raise ValueError(f'too long a duration: "{text}"; at most 100 years')
    return duration


def parse_period(text: str) -> Duration:
    """A duration, or one of ``PERIODS``. Raises ValueError with the allowed forms for anything else."""
    if text in PERIODS:
        return Duration(1, text)  # type: ignore[arg-type]  # each of them is a unit
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ValueError(f"{error}; or one of {', '.join(PERIODS)}") from error


def is_longer(one: Duration, than: Duration) -> bool:
    """Whether a window of ``one`` may span several of ``than``; a total is no window."""
    if "total" in (one.unit, than.unit):
        return False
    ends = [after(_SAME_AS.get(duration.unit, duration), _MEASURED_FROM) for duration in (one, than)]
    return ends[0] > ends[1]


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
    """As the calendar of the budget's zone and the anchor have it.

    Windows snap to the calendar as LiteLLM's do: ``30d`` and ``1mo`` begin on the 1st of the month, ``7d``
    and ``1w`` on Monday, days at midnight, hours on the hour. Longer ones step from the snapped anchor; seconds and
    minutes step from the anchor itself. A day is as long as the zone makes it, an hour always 3600 s.
    """
    if budget.duration is None or budget.duration.unit == "total":
        return BudgetWindow(budget.anchor, None)
    duration = _SAME_AS.get(budget.duration.unit, budget.duration)
    zone = ZoneInfo(budget.zone)
    anchor = budget.anchor.astimezone(zone)
    if duration.unit in ("s", "m", "h"):
        first = anchor.replace(minute=0, second=0, microsecond=0) if duration.unit == "h" else anchor
        return _step(first.astimezone(UTC), timedelta(seconds=duration.count * _SECONDS[duration.unit]), at)
    today = at.astimezone(zone).date()
    if duration.unit == "mo" or duration == Duration(30, "d"):
        months = 1 if duration.unit == "d" else duration.count
        first_month = 0 if budget.duration.unit == "quarter" or months == 1 else _month_number(anchor.date())
        month = _month_number(today)
        month -= (month - first_month) % months
        return BudgetWindow(_midnight(_month_start(month), zone), _midnight(_month_start(month + months), zone))
    days = duration.count * (7 if duration.unit == "w" else 1)
    first_day = anchor.date()
    if days % 7 == 0:
        first_day -= timedelta(days=first_day.weekday())
    start = today - timedelta(days=(today - first_day).days % days)
    return BudgetWindow(_midnight(start, zone), _midnight(start + timedelta(days=days), zone))


def counter_name(scope: str, budget: Budget, window: BudgetWindow) -> str:
    """The name, one word, of the counter of a window of an owner's budget; ``scope`` says whose (app.domain.tenancy).

    A new definition of the budget, and one in new hands, counts afresh (from the receipts): it has its own counters.
    """
    name = quote(budget.budget_id, safe="")
    if budget.part:
        name = f"{name};{quote(budget.part, safe='')}"
    since = f"{name}:{int(budget.counted_since.timestamp() * 1000)}:{int(window.start.timestamp())}"
    # A key's own budget has no other owner. A key's scope has no colon.
    return since if not budget.shared and ":" not in scope else f"{scope}:{since}"


def _step(first: datetime, length: timedelta, at: datetime) -> BudgetWindow:
    start = first + (at - first) // length * length
    return BudgetWindow(start, start + length)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """When the day begins in the zone: at the first of two midnights, or where the clock jumps over midnight."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _month_number(day: date) -> int:
    return day.year * 12 + day.month - 1


def _month_start(number: int) -> date:
    year, month = divmod(number, 12)
    return date(year, month + 1, 1)
