"""Windows of a calendar and a zone: the last call before a reset is in the old one, the first after it in the new."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.base.ids import BudgetId
from app.domain.budgets import PERIODS, Budget, BudgetWindow, counter_name, is_longer, parse_period, window_at

ANCHOR = datetime(2025, 5, 15, 10, 20, 30, tzinfo=UTC)
# Clocks that jump at midnight, by half an hour, over a whole day; and some that never do.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Havana",
)
DURATIONS = ("90s", "1h", "5h", "1d", "3d", "7d", "2w", "30d", "1mo", "2mo", "hour", "day", "week", "month", "quarter")
INSTANT = st.datetimes(datetime(2010, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
BERLIN = ZoneInfo("Europe/Berlin")


def budget(duration: str, zone: str = "UTC") -> Budget:
    return Budget(BudgetId("budget_1"), 1, parse_period(duration), ANCHOR, ANCHOR, zone=zone)


@given(st.sampled_from(DURATIONS), st.sampled_from(ZONES), INSTANT)
@example("day", "Europe/Berlin", datetime(2026, 3, 29, 1, 0, tzinfo=UTC))  # the hour that is not
@example("day", "Europe/Berlin", datetime(2026, 10, 25, 0, 30, tzinfo=UTC))  # the hour that is twice
@example("month", "Europe/Berlin", datetime(2026, 2, 28, 23, 0, tzinfo=UTC))
@example("day", "Africa/Cairo", datetime(2026, 4, 23, 22, 0, tzinfo=UTC))  # a midnight that is not
@example("day", "Pacific/Apia", datetime(2011, 12, 30, 10, 0, tzinfo=UTC))  # a day that is not
def test_windows_meet_without_gap_in_every_zone(duration: str, zone: str, instant: datetime) -> None:
    owner = budget(duration, zone)
    window = window_at(owner, instant)

    assert window.end is not None
    assert window.start <= instant < window.end
    last, first = window.end - timedelta(microseconds=1), window.end
    assert window_at(owner, window.start) == window_at(owner, last) == window
    assert window_at(owner, first).start == window.end
    counters = {counter_name("team:red", owner, window_at(owner, moment)) for moment in (instant, last, first)}
    assert len(counters) == 2


@given(st.sampled_from(("day", "week", "month", "quarter", "3d")), st.sampled_from(ZONES), INSTANT)
def test_calendar_windows_begin_with_a_day_of_the_zone(duration: str, zone: str, instant: datetime) -> None:
    there = ZoneInfo(zone)
    start = window_at(budget(duration, zone), instant).start
    day = start.astimezone(there).date()
    assert (start - timedelta(microseconds=1)).astimezone(there).date() < day
    assert duration != "week" or day.weekday() == 0
    assert duration not in ("month", "quarter") or day.day == 1
    assert duration != "quarter" or day.month in (1, 4, 7, 10)


@pytest.mark.parametrize(
    ("duration", "instant", "start", "end"),
    [
        ("day", "2026-03-29T12:00", "2026-03-29T00:00", "2026-03-30T00:00"),
        ("day", "2026-10-25T02:30", "2026-10-25T00:00", "2026-10-26T00:00"),
        ("1d", "2026-11-21T00:00", "2026-11-21T00:00", "2026-11-22T00:00"),
        ("week", "2026-03-29T23:59", "2026-03-23T00:00", "2026-03-30T00:00"),
        ("month", "2026-02-28T23:59", "2026-02-01T00:00", "2026-03-01T00:00"),
        ("30d", "2026-03-31T23:59", "2026-03-01T00:00", "2026-04-01T00:00"),
        ("quarter", "2026-11-21T12:00", "2026-10-01T00:00", "2027-01-01T00:00"),
        ("hour", "2026-11-21T04:59", "2026-11-21T04:00", "2026-11-21T05:00"),
    ],
)
def test_windows_are_those_of_the_zones_wall_clock(duration: str, instant: str, start: str, end: str) -> None:
    moment, first, last = (datetime.fromisoformat(text).replace(tzinfo=BERLIN) for text in (instant, start, end))
    assert window_at(budget(duration, "Europe/Berlin"), moment.astimezone(UTC)) == BudgetWindow(first, last)


def test_the_days_of_a_change_of_clocks_have_23_and_25_hours() -> None:
    lengths = []
    for day in (datetime(2026, 3, 29, 12, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC)):
        window = window_at(budget("day", "Europe/Berlin"), day)
        assert window.end is not None
        lengths.append(window.end - window.start)
    assert lengths == [timedelta(hours=23), timedelta(hours=25)]


def test_a_total_never_resets() -> None:
    assert window_at(budget("total"), ANCHOR + timedelta(days=4000)) == BudgetWindow(ANCHOR, None)
    anew = replace(budget("total"), reset_at=ANCHOR + timedelta(days=1))
    assert window_at(anew, ANCHOR + timedelta(days=2)).start == ANCHOR + timedelta(days=1)


@pytest.mark.parametrize("text", PERIODS)
def test_a_period_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_period(text)) == text


@pytest.mark.parametrize("text", ["30 days", "-1d", "daily", "months", "", "1 month"])
def test_what_is_no_period_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r'such as "30d" or "1mo"; or one of hour, day, week, month, quarter, total'):
        parse_period(text)


@pytest.mark.parametrize(
    ("one", "than", "longer"),
    [
        ("month", "day", True),
        ("1mo", "month", False),
        ("quarter", "30d", True),
        ("day", "month", False),
        ("total", "day", False),
        ("quarter", "total", False),
    ],
)
def test_periods_and_durations_are_measured_alike(one: str, than: str, *, longer: bool) -> None:
    assert is_longer(parse_period(one), parse_period(than)) is longer
