"""Spans of days that people ask reports about by name, and the days before them that they are compared with."""

import calendar
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from app.domain.report_periods import Interval

SpanName = Literal["today", "7d", "30d", "month", "last-month", "custom"]
_DAYS_BACK = {"today": 0, "7d": 6, "30d": 29}
_MOST_HOURS, _MOST_DAYS, _MOST_WEEKS = 2, 92, 731
"""So many days are told by the hour, the day, the week."""


@dataclass(frozen=True, slots=True)
class Span:
    """Whole days, both included."""

    name: SpanName
    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def interval(self) -> Interval:
        """The steps in which a chart of it is told."""
        limits: tuple[tuple[int, Interval], ...] = ((_MOST_HOURS, "hour"), (_MOST_DAYS, "day"), (_MOST_WEEKS, "week"))
        return next((interval for most, interval in limits if self.days <= most), "month")

    def before(self) -> "Span":
        """What it is compared with: as many months before it, for whole months; the same days of the month before, for
        the one that runs; else as many days before it."""
        if self.name == "month":
            first = _month_before(self.first)
            days = min(self.days, calendar.monthrange(first.year, first.month)[1])
            return Span("custom", first, first + timedelta(days=days - 1))
        after = self.last + timedelta(days=1)
        if self.first.day == after.day == 1:
            first, month = self.first, self.first
            while month < after:
                first, month = _month_before(first), (month + timedelta(days=31)).replace(day=1)
            return Span("custom", first, self.first - timedelta(days=1))
        return Span("custom", self.first - timedelta(days=self.days), self.first - timedelta(days=1))


def _month_before(first: date) -> date:
    return (first - timedelta(days=1)).replace(day=1)


def span_of(name: SpanName, today: date) -> Span:
    """A span that is not custom."""
    if name == "month":
        return Span(name, today.replace(day=1), today)
    if name == "last-month":
        last = today.replace(day=1) - timedelta(days=1)
        return Span(name, last.replace(day=1), last)
    return Span(name, today - timedelta(days=_DAYS_BACK[name]), today)
