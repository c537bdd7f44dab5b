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
        """What it is compared with: the same days of the month before, for months; else as many days before it."""
        if self.name in ("month", "last-month"):
            first = (self.first - timedelta(days=1)).replace(day=1)
            whole = calendar.monthrange(first.year, first.month)[1]
            days = whole if self.name == "last-month" else min(self.days, whole)
            return Span("custom", first, first + timedelta(days=days - 1))
        return Span("custom", self.first - timedelta(days=self.days), self.first - timedelta(days=1))


def span_of(name: SpanName, today: date) -> Span:
    """A span that is not custom."""
    if name == "month":
        return Span(name, today.replace(day=1), today)
    if name == "last-month":
        last = today.replace(day=1) - timedelta(days=1)
        return Span(name, last.replace(day=1), last)
    return Span(name, today - timedelta(days=_DAYS_BACK[name]), today)
