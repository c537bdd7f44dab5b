"""When people are told: thresholds, forecasts, unusual spend, keys near their end."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.money import LARGEST_AMOUNT, NANO_PER_USD
from app.domain.alerts import (
    THRESHOLDS,
    Told,
    crossed,
    expiry_notice,
    forecast,
    is_far_above_usual,
    reached_at,
    weights_of,
)
from app.domain.budgets import BudgetWindow

amounts = st.integers(0, LARGEST_AMOUNT)
limits = st.integers(1, LARGEST_AMOUNT)
weekdays = st.lists(amounts, min_size=7, max_size=7).map(weights_of)
MONTH = BudgetWindow(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
moments = st.integers(1, 30 * 86_400).map(lambda seconds: MONTH.start + timedelta(seconds=seconds))
EVEN = weights_of([0] * 7)
DAY = timedelta(days=1)


def note(percents: list[int], spent: int) -> list[Told]:
    return [Told("budget.threshold_reached", percent, spent) for percent in percents]


@given(spends=st.lists(amounts), limit=limits)
def test_each_threshold_is_told_once_and_not_before_it_is_reached(spends: list[int], limit: int) -> None:
    told: list[Told] = []
    highest = 0
    for spent in sorted(spends):
        new = crossed(spent, limit, told)
        assert all(spent * 100 >= limit * percent for percent in new)
        told += note(new, spent)
        highest = spent
    reached = [percent for percent in THRESHOLDS if spends and highest * 100 >= limit * percent]
    assert [one.percent for one in told] == reached


def test_a_raised_limit_arms_what_is_not_reached_and_is_silent_about_the_rest() -> None:
    told = note(crossed(100, 100, []), 100)

    assert crossed(100, 110, told) == []
    assert crossed(110, 110, told) == [100]
    assert crossed(100, 400, told) == []
    assert crossed(200, 400, told) == [50]


def test_a_lowered_limit_tells_of_the_lines_that_the_spend_now_is_above() -> None:
    told = note(crossed(52, 100, []), 52)

    assert crossed(52, 60, told) == [75]


@given(spent=amounts, limit=limits, other=limits)
def test_a_limit_that_is_changed_and_changed_back_tells_nothing_new(spent: int, limit: int, other: int) -> None:
    told = note(crossed(spent, limit, []), spent)
    told += note(crossed(spent, other, told), spent)

    assert crossed(spent, limit, told) == []


def test_of_a_limit_of_nothing_there_is_nothing_to_tell() -> None:
    assert crossed(0, 0, []) == []


@given(spent=amounts, at=moments)
def test_with_equal_days_a_forecast_is_linear(spent: int, at: datetime) -> None:
    passed, whole = at - MONTH.start, 30 * DAY
    expected = forecast(spent, MONTH, at, EVEN)

    if passed * 5 < whole:
        assert expected is None
    else:
        assert expected == spent * (whole // timedelta(seconds=1)) // (passed // timedelta(seconds=1))


@given(spent=amounts, at=moments, weights=weekdays)
def test_a_forecast_is_never_below_what_is_spent_and_at_the_end_it_is_that(
    spent: int, at: datetime, weights: tuple[int, ...]
) -> None:
    assert MONTH.end is not None
    expected = forecast(spent, MONTH, at, weights)

    assert expected is None or expected >= spent
    assert forecast(spent, MONTH, MONTH.end, weights) == spent


@given(spent=amounts, more=amounts, at=moments, weights=weekdays)
def test_who_spends_more_is_forecast_more(spent: int, more: int, at: datetime, weights: tuple[int, ...]) -> None:
    less, expected = forecast(spent, MONTH, at, weights), forecast(spent + more, MONTH, at, weights)

    assert (less is None) == (expected is None)
    assert less is None or expected is None or less <= expected


@given(spent=limits, limit=limits, at=moments, weights=weekdays)
def test_the_limit_is_reached_in_the_window_exactly_when_the_forecast_reaches_it(
    spent: int, limit: int, at: datetime, weights: tuple[int, ...]
) -> None:
    expected = forecast(spent, MONTH, at, weights)
    if expected is None or MONTH.end is None:
        return
    when = reached_at(spent, limit, MONTH, at, weights)
    assert (when is not None) == (expected >= limit)
    assert when is None or at <= when <= MONTH.end


def test_a_weekend_of_rest_is_not_forecast_as_work() -> None:
    """Ten of 21 working days have passed on the evening of Friday, November 13."""
    working = weights_of([100, 100, 100, 100, 100, 0, 0])
    friday = datetime(2026, 11, 14, tzinfo=UTC)

    linear = forecast(1_000, MONTH, friday, EVEN)
    by_weekday = forecast(1_000, MONTH, friday, working)

    assert linear == 1_000 * 30 // 13
    assert by_weekday is not None
    assert 2_080 <= by_weekday <= 2_130


@pytest.mark.parametrize(
    "window",
    [
        BudgetWindow(MONTH.start, None),
        BudgetWindow(MONTH.start, MONTH.start + timedelta(hours=1)),
        BudgetWindow(MONTH.start + 90 * DAY, MONTH.start + 120 * DAY),
    ],
)
def test_of_a_window_without_end_a_short_one_and_one_to_come_nothing_is_forecast(window: BudgetWindow) -> None:
    assert forecast(1_000, window, MONTH.start + timedelta(minutes=59), EVEN) is None


@given(hour=limits, count=st.integers(0, 300))
def test_who_always_spends_the_same_is_never_unusual(hour: int, count: int) -> None:
    assert not is_far_above_usual(hour, [hour] * count)


@given(last=amounts, hours=st.lists(amounts, max_size=60))
def test_what_is_unusual_is_above_every_hour_and_five_times_the_mean(last: int, hours: list[int]) -> None:
    if is_far_above_usual(last, hours):
        active = [hour for hour in hours if hour]
        assert len(active) >= 24
        assert last > max(active)
        assert last * len(active) >= 5 * sum(active)
        assert last >= NANO_PER_USD


@given(last=st.integers(NANO_PER_USD, LARGEST_AMOUNT // 10), more=amounts, hours=st.lists(amounts, max_size=60))
def test_who_spends_still_more_stays_unusual(last: int, more: int, hours: list[int]) -> None:
    assert is_far_above_usual(last + more, hours) or not is_far_above_usual(last, hours)


@pytest.mark.parametrize(
    ("life_days", "left", "notice"),
    [
        (90, timedelta(days=8), None),
        (90, timedelta(days=7), 7),
        (90, timedelta(days=1, seconds=1), 7),
        (90, timedelta(hours=3), 1),
        (90, timedelta(0), None),
        (10, timedelta(days=6), None),
        (10, timedelta(hours=20), 1),
        (1, timedelta(hours=20), None),
    ],
)
def test_a_key_near_its_end_has_notice_unless_it_was_made_for_a_short_time(
    life_days: int, left: timedelta, notice: int | None
) -> None:
    ends = datetime(2026, 11, 21, tzinfo=UTC)

    assert expiry_notice(ends - life_days * DAY, ends, ends - left) == notice
