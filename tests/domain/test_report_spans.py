"""Spans by name, and what each is compared with."""

from datetime import date

import pytest

from app.domain.report_spans import Span, SpanName, span_of


@pytest.mark.parametrize(
    ("name", "first", "last", "before"),
    [
        ("today", date(2026, 3, 31), date(2026, 3, 31), (date(2026, 3, 30), date(2026, 3, 30))),
        ("7d", date(2026, 3, 25), date(2026, 3, 31), (date(2026, 3, 18), date(2026, 3, 24))),
        ("month", date(2026, 3, 1), date(2026, 3, 31), (date(2026, 2, 1), date(2026, 2, 28))),
        ("last-month", date(2026, 2, 1), date(2026, 2, 28), (date(2026, 1, 1), date(2026, 1, 31))),
    ],
)
def test_a_span_and_the_days_that_it_is_compared_with(
    name: SpanName, first: date, last: date, before: tuple[date, date]
) -> None:
    span = span_of(name, date(2026, 3, 31))
    assert (span.first, span.last) == (first, last)
    earlier = span.before()
    assert (earlier.first, earlier.last) == before


def test_own_days_are_compared_with_as_many_before_them_months_with_months_and_told_in_fitting_steps() -> None:
    own = Span("custom", date(2026, 3, 2), date(2026, 3, 4))
    assert own.before() == Span("custom", date(2026, 2, 27), date(2026, 3, 1))
    march, quarter = ((date(2026, first, 1), date(2026, 3, 31)) for first in (3, 1))
    assert Span("custom", *march).before() == Span("custom", date(2026, 2, 1), date(2026, 2, 28))
    assert Span("custom", *quarter).before() == Span("custom", date(2025, 10, 1), date(2025, 12, 31))
    steps = [Span("custom", date(2026, 1, 1), date(year, month, day)).interval
             for year, month, day in ((2026, 1, 2), (2026, 4, 2), (2026, 4, 3), (2028, 6, 1))]  # fmt: skip
    assert steps == ["hour", "day", "week", "month"]
