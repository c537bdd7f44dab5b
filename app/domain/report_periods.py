"""The periods of a report in the time zone of its reader, and the buckets of UTC that they are made of.

Since 1980 every zone has been a multiple of a quarter of an hour from UTC, so that quarters add up to any of its days.
"""

import zoneinfo
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
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
    """Whole buckets of ``grain_s`` seconds, from ``start`` up to ``end``.

    They count in the period in which they lie; where ``rounded``, as if each period began and ended at the midnight of
    UTC that is nearest. ``is_added`` False: they are taken off.
    """

    grain_s: int
    start: datetime
    end: datetime
    rounded: bool = False
    is_added: bool = True

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


def pieces_of(periods: Sequence[Period], grains: Sequence[int] = _GRAINS) -> list[Piece]:
    """The buckets that add up to the periods, whichever way reads fewer rows: the periods cut into the coarsest that
    fit, or days of UTC, with what lies between midnight there and here moved from one period to its neighbour.

    ``grains`` are those that there are, the finest first.
    """
    plain = cut(periods, grains)
    moved = _moved(periods) if DAY_S in grains else None
    return plain if moved is None else min(plain, moved, key=_cost)


def cut(periods: Iterable[Period], grains: Sequence[int] = _GRAINS) -> list[Piece]:
    """The fewest whole buckets that make up the periods, none of them in two; coarse ones where they fit."""
    return _join(
        piece for period in periods if period.start < period.end for piece in _cut(period.start, period.end, grains)
    )


def nearest_midnight(at: datetime) -> datetime:
    """Of UTC."""
    return floor(at + timedelta(seconds=DAY_S // 2), DAY_S)


def _moved(periods: Sequence[Period]) -> list[Piece] | None:
    """None where periods do not follow on one another, or are shorter than a day."""
    edges = [*(period.start for period in periods), *(period.end for period in periods[-1:])]
    rounded = [nearest_midnight(edge) for edge in edges]
    follow = all(one.end == after.start for one, after in pairwise(periods))
    if not periods or not follow or any(one >= after for one, after in pairwise(rounded)):
        return None
    pieces = [Piece(DAY_S, rounded[0], rounded[-1], rounded=True)]
    for place, (edge, midnight_of_utc) in enumerate(zip(edges, rounded, strict=True)):
        is_first, is_last = place == 0, place == len(periods)
        # Rounded, what lies between counts in the period after the edge, or in the one before it.
        after = midnight_of_utc < edge
        for piece in _cut(min(edge, midnight_of_utc), max(edge, midnight_of_utc), _GRAINS[:-1]):
            if not (is_first if after else is_last):
                pieces.append(replace(piece, rounded=False))
            if not (is_last if after else is_first):
                pieces.append(replace(piece, rounded=True, is_added=False))
    return pieces


def _cost(pieces: Iterable[Piece]) -> int:
    """In buckets of an hour or a quarter, which have about as many rows; a day has some three times as many."""
    return sum(
        (3 if piece.grain_s == DAY_S else 1) * int((piece.end - piece.start).total_seconds()) // piece.grain_s
        for piece in pieces
    )


def ceiling(at: datetime, grain_s: int) -> datetime:
    """The first boundary of the grain that is not before ``at``."""
    return at + (_EPOCH - at) % timedelta(seconds=grain_s)


def floor(at: datetime, grain_s: int) -> datetime:
    return at - (at - _EPOCH) % timedelta(seconds=grain_s)


def _cut(start: datetime, end: datetime, grains: Sequence[int]) -> Iterator[Piece]:
    if start >= end:
        return
    *finer, grain = grains
    inner, outer = ceiling(start, grain), floor(end, grain)
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
            found[-1] = replace(piece, start=found[-1].start)
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
