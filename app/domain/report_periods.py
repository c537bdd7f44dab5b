"""The periods of a report in the time zone of its reader, and the buckets of UTC that they are made of.

Since 1980 every zone has been a multiple of a quarter of an hour from UTC, so that quarters add up to any of its days.
"""

import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

Interval = Literal["hour", "day", "week", "month"]

QUARTER_S, HOUR_S, DAY_S = 900, 3_600, 86_400
_GRAINS = (QUARTER_S, HOUR_S, DAY_S)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """``start`` is in it, ``end`` is not. ``label`` is the day, week (its Monday), month (its first) or hour."""

    label: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole buckets of ``grain_s`` seconds, from ``start`` up to ``end``."""

    grain_s: int
    start: datetime
    end: datetime

    def buckets(self) -> Iterator[datetime]:
        at = self.start
        while at < self.end:
            yield at
            at += timedelta(seconds=self.grain_s)


def list_periods(first: date, last: date, zone: zoneinfo.ZoneInfo, interval: Interval) -> list[Period]:
    """From the first to the last day, both whole: no gap, no overlap, whatever the clocks do in between.

    A week or month that begins before the first day, or goes on after the last, has only its days between them.
    """
    if interval == "hour":
        return [hour for day in _days(first, last) for hour in _hours(day, zone)]
    found: list[Period] = []
    for day in _days(first, last):
        label = _label(day, interval)
        start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
        if found and found[-1].label == label:
            found[-1] = Period(label, found[-1].start, end)
        else:
            found.append(Period(label, start, end))
    return found


def midnight(day: date, zone: zoneinfo.ZoneInfo) -> datetime:
    """When a day begins, in UTC; where the clocks skip midnight, the instant at which they do."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def cut(periods: Iterable[Period]) -> list[Piece]:
    """The fewest whole buckets that make up the periods, none of them in two; coarse ones where they fit."""
    return _join(piece for period in periods if period.start < period.end for piece in _cut(period.start, period.end))


def ceiling(at: datetime, grain_s: int) -> datetime:
    """The first boundary of the grain that is not before ``at``."""
    return at + (_EPOCH - at) % timedelta(seconds=grain_s)


def _floor(at: datetime, grain_s: int) -> datetime:
    return at - (at - _EPOCH) % timedelta(seconds=grain_s)


def _cut(start: datetime, end: datetime, grains: Sequence[int] = _GRAINS) -> Iterator[Piece]:
    *finer, grain = grains
    inner, outer = ceiling(start, grain), _floor(end, grain)
    if not finer:
        yield Piece(grain, start, end)
    elif inner >= outer:
        yield from _cut(start, end, finer)
    else:
        if start < inner:
            yield from _cut(start, inner, finer)
        yield Piece(grain, inner, outer)
        if outer < end:
            yield from _cut(outer, end, finer)


def _join(pieces: Iterable[Piece]) -> list[Piece]:
    found: list[Piece] = []
    for piece in pieces:
        if found and found[-1].grain_s == piece.grain_s and found[-1].end == piece.start:
            found[-1] = Piece(piece.grain_s, found[-1].start, piece.end)
        else:
            found.append(piece)
    return found


def _days(first: date, last: date) -> Iterator[date]:
    for ahead in range((last - first).days + 1):
        yield first + timedelta(days=ahead)


def _hours(day: date, zone: zoneinfo.ZoneInfo) -> Iterator[Period]:
    start, end = midnight(day, zone), midnight(day + timedelta(days=1), zone)
    while start < end:
        after = min(start + timedelta(hours=1), end)
        yield Period(start.astimezone(zone).isoformat(timespec="minutes"), start, after)
        start = after


def _label(day: date, interval: Interval) -> str:
    if interval == "week":
        return (day - timedelta(days=day.weekday())).isoformat()
    return day.replace(day=1).isoformat() if interval == "month" else day.isoformat()
