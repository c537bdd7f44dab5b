"""What people are told of by itself, and when: pure rules on spend, time and what providers say."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from app.base.money import NANO_PER_USD, NanoUSD
from app.domain.budgets import BudgetWindow

AlertKind = Literal[
    "budget.threshold_reached",
    "budget.soft_limit_reached",
    "budget.forecast_exceeded",
    "spend.velocity",
    "model.unpriced",
    "provider.billing_refused",
    "deployment.ejected",
    "key.expiring",
    "test",
]
ALERT_KINDS: tuple[AlertKind, ...] = get_args(AlertKind)

DestinationKind = Literal["webhook", "slack", "email"]
DESTINATION_KINDS: tuple[DestinationKind, ...] = get_args(DestinationKind)

RETRY_AFTER_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800)
"""Pauses after a failed attempt: ten attempts in sixteen hours, then it is given up."""

THRESHOLDS = (50, 75, 90, 100)
EXPIRY_NOTICES_DAYS = (7, 1)
VELOCITY_FACTOR = 5
VELOCITY_LEAST_NANOUSD: NanoUSD = NANO_PER_USD
VELOCITY_LEAST_HOURS = 24
FORECAST_SHORTEST = timedelta(days=1)
_FORECAST_FROM = 5
"""A forecast is made when a fifth of the window has passed."""
_DAY, _WEEK = timedelta(days=1), timedelta(days=7)
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to be told once: ``name`` is the same whoever finds it, and whenever.

    ``subject`` is what it is about: all alerts of one window of a budget have the same. ``team_id`` is the team that
    hears of it beside the operator. ``facts`` are for programs. ``sent`` false: noted, so that it is not told later,
    but something that is told in the same moment says more. ``spent_nanousd`` and ``percent`` are of the alerts of
    budgets.
    """

    name: str
    subject: str
    kind: AlertKind
    title: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    team_id: str | None = None
    organization_id: str | None = None
    spent_nanousd: NanoUSD | None = None
    percent: int | None = None
    sent: bool = True


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """An alert that was noted: whoever is told of it twice knows it again by ``event_id``."""

    event_id: str
    kind: AlertKind
    title: str
    text: str
    facts: Mapping[str, Any]
    team_id: str | None
    organization_id: str | None
    sent: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """A line that was told of before in this window; ``spent_nanousd`` is what had been spent then."""

    kind: str
    percent: int
    spent_nanousd: NanoUSD


def crossed(spent: NanoUSD, limit: NanoUSD, told: Sequence[Told]) -> list[int]:
    """The thresholds of ``limit``, in percent, that ``spent`` has reached and that nobody was told of, lowest first.

    After a change of the limit the lines are others. One is told again only where it lies above what had been spent
    when the same or a higher one was told: so a raised limit arms those that are not reached yet, and is silent about
    the rest.
    """
    if limit <= 0:
        return []
    return [
        percent
        for percent in THRESHOLDS
        if spent * 100 >= limit * percent
        and not any(one.percent >= percent and one.spent_nanousd * 100 >= limit * percent for one in told)
    ]


def weights_of(by_weekday: Sequence[NanoUSD]) -> tuple[int, ...]:
    """How much each weekday, Monday first, weighs in a forecast, from what was spent on them lately.

    A tenth is spread evenly, so that no day weighs nothing. Without any spend all days weigh the same.
    """
    total = sum(by_weekday)
    return (1,) * 7 if total <= 0 else tuple(63 * spent + total for spent in by_weekday)


def forecast(spent: NanoUSD, window: BudgetWindow, at: datetime, weights: Sequence[int]) -> NanoUSD | None:
    """What the window will have cost at its end if things go on as they do; None where it is too early to say.

    That is ``spent``, times the weighted length of the window, by the weighted part of it that has passed. With equal
    weights it is linear in time.
    """
    if window.end is None or window.end - window.start < FORECAST_SHORTEST or not window.start < at <= window.end:
        return None
    if (at - window.start) * _FORECAST_FROM < window.end - window.start:
        return None
    passed = _weigh(window.start, at, weights)
    return None if passed == 0 else spent * _weigh(window.start, window.end, weights) // passed


def reached_at(
    spent: NanoUSD, limit: NanoUSD, window: BudgetWindow, at: datetime, weights: Sequence[int]
) -> datetime | None:
    """When a forecast that exceeds the limit reaches it, to the second; None when it does not within the window."""
    assert window.end is not None
    passed = _weigh(window.start, at, weights)
    low, high = 0, (window.end - at) // _SECOND

    def reaches(seconds: int) -> bool:
        return spent * _weigh(window.start, at + timedelta(seconds=seconds), weights) >= limit * passed

    if not reaches(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle + 1, high)
    return at + timedelta(seconds=low)


def is_far_above_usual(last_hour: NanoUSD, earlier_hours: Collection[NanoUSD]) -> bool:
    """Whether the spend of the last hour is far above the owner's own.

    ``earlier_hours`` are those of the last two weeks in which it spent anything. With fewer than a day of them nothing
    is usual yet. Far above is five times their mean, more than the dearest of them, and at least a dollar.
    """
    hours = [spent for spent in earlier_hours if spent > 0]
    if len(hours) < VELOCITY_LEAST_HOURS or last_hour < VELOCITY_LEAST_NANOUSD:
        return False
    return last_hour > max(hours) and last_hour * len(hours) >= VELOCITY_FACTOR * sum(hours)


def expiry_notice(created_at: datetime, expires_at: datetime, at: datetime) -> int | None:
    """The notice, in days, under which a key's end is near; None for a key with more time, or none left.

    A notice of more than half of the key's life is not given: whoever makes a key for a day knows.
    """
    left, life = expires_at - at, expires_at - created_at
    if left <= timedelta(0):
        return None
    due = [days for days in EXPIRY_NOTICES_DAYS if left <= days * _DAY and 2 * days * _DAY <= life]
    return min(due, default=None)


def _weigh(start: datetime, end: datetime, weights: Sequence[int]) -> int:
    """The seconds from ``start`` to ``end``, those of each day of UTC times the weight of its weekday."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    weeks = max(0, (end - start) // _WEEK)
    total = weeks * 86_400 * sum(weights)
    start += weeks * _WEEK
    while start < end:
        midnight = start.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        until = min(midnight, end)
        total += (until - start) // _SECOND * weights[start.weekday()]
        start = until
    return total
