"""In which window of time a budget counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.ids import BudgetId
from app.domain.budgets import Budget, BudgetWindow, after, counter_name, parse_duration, window_at


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def budget(duration: str | None, anchor: str = "2026-01-15T10:20:30") -> Budget:
    parsed = None if duration is None else parse_duration(duration)
    return Budget(BudgetId("budget_1"), 1_000_000_000, parsed, at(anchor), at(anchor))


@pytest.mark.parametrize(
    ("duration", "instant", "start", "end"),
    [
        # A month ends where the next one begins, whatever its length.
        ("30d", "2026-01-31T23:59:59.999999", "2026-01-01", "2026-02-01"),
        ("30d", "2026-02-01T00:00:00", "2026-02-01", "2026-03-01"),
        ("1mo", "2026-02-28T12:00:00", "2026-02-01", "2026-03-01"),
        ("1mo", "2028-02-29T12:00:00", "2028-02-01", "2028-03-01"),
        ("1mo", "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        ("30d", "2027-01-01T00:00:00", "2027-01-01", "2027-02-01"),
        # Longer months step from the month of the anchor.
        ("3mo", "2026-01-15T10:20:30", "2026-01-01", "2026-04-01"),
        ("3mo", "2026-12-31T23:00:00", "2026-10-01", "2027-01-01"),
        ("2mo", "2027-02-28T00:00:00", "2027-01-01", "2027-03-01"),
        ("12mo", "2028-02-29T00:00:00", "2028-01-01", "2029-01-01"),
        # Weeks begin on Monday.
        ("7d", "2026-11-21T00:00:00", "2026-11-16", "2026-11-23"),
        ("7d", "2026-11-23T00:00:00", "2026-11-23", "2026-11-30"),
        ("1w", "2026-11-22T23:59:59", "2026-11-16", "2026-11-23"),
        ("1w", "2027-01-01T00:00:00", "2026-12-28", "2027-01-04"),
        # Days at midnight, hours on the hour.
        ("1d", "2026-11-21T23:59:59", "2026-11-21", "2026-11-22"),
        ("24h", "2026-01-15T11:00:00", "2026-01-15T10:00:00", "2026-01-16T10:00:00"),
        ("1h", "2026-11-21T04:59:59", "2026-11-21T04:00:00", "2026-11-21T05:00:00"),
        ("1d", "2028-02-29T01:00:00", "2028-02-29", "2028-03-01"),
        # Minutes and seconds step from the anchor itself.
        ("15m", "2026-01-15T10:35:29", "2026-01-15T10:20:30", "2026-01-15T10:35:30"),
        ("15m", "2026-01-15T10:35:30", "2026-01-15T10:35:30", "2026-01-15T10:50:30"),
        ("30s", "2026-01-15T10:20:59", "2026-01-15T10:20:30", "2026-01-15T10:21:00"),
    ],
)
def test_windows_snap_to_the_calendar(duration: str, instant: str, start: str, end: str) -> None:
    assert window_at(budget(duration), at(instant)) == BudgetWindow(at(start), at(end))


def test_a_budget_without_a_duration_is_one_window_without_end() -> None:
    assert window_at(budget(None), at("2030-01-01")) == BudgetWindow(at("2026-01-15T10:20:30"), None)


INSTANT = st.datetimes(datetime(2026, 1, 15), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
DURATIONS = ("45s", "15m", "1h", "5h", "1d", "3d", "7d", "1w", "2w", "30d", "1mo", "2mo", "5mo", "12mo")


@given(st.sampled_from(DURATIONS), INSTANT)
def test_the_instant_lies_in_its_window_and_windows_meet_without_gap(duration: str, instant: datetime) -> None:
    owner = budget(duration)
    window = window_at(owner, instant)

    assert window.end is not None
    assert window.start <= instant < window.end
    assert window_at(owner, window.start) == window
    assert window_at(owner, window.end - timedelta(microseconds=1)) == window
    assert window_at(owner, window.end).start == window.end


@pytest.mark.parametrize("text", ["", "d", "30", "30 days", "0d", "-1d", "1.5h", "1M", "٣d", "1d1h", " 1d", "40000d"])
def test_what_is_no_duration_is_refused_with_the_forms_that_are(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["30s", "15m", "1h", "7d", "2w", "1mo", "1178mo"])
def test_a_duration_is_written_as_it_was_read(text: str) -> None:
    assert str(parse_duration(text)) == text


@pytest.mark.parametrize(
    ("duration", "start", "end"),
    [
        ("1mo", "2026-01-31", "2026-02-28"),
        ("1mo", "2028-01-31", "2028-02-29"),
        ("1mo", "2026-12-31", "2027-01-31"),
        ("2mo", "2026-12-31", "2027-02-28"),
        ("12mo", "2028-02-29", "2029-02-28"),
        ("1mo", "2026-03-15", "2026-04-15"),
        ("30d", "2026-01-31", "2026-03-02"),
        ("90s", "2026-12-31T23:59:00", "2027-01-01T00:00:30"),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last(duration: str, start: str, end: str) -> None:
    assert after(parse_duration(duration), at(start)) == at(end)


def test_a_counter_is_of_one_owner_one_definition_and_one_window() -> None:
    own = budget("1mo")
    shared = replace(own, shared=True)
    january, february = window_at(own, at("2026-01-20T00:00:00")), window_at(own, at("2026-02-20T00:00:00"))
    redefined = replace(own, counting_since=at("2026-01-19T00:00:00"))
    handed_over = replace(own, owned_since=at("2026-01-18T00:00:00"))
    names = [
        counter_name("key_1", own, january),
        counter_name("key_1", own, february),
        counter_name("key_1", redefined, january),
        counter_name("key_1", handed_over, january),
        counter_name("key_1", shared, january),
        counter_name("key_2", shared, january),
        counter_name("team:a", own, january),
        counter_name("user:a", own, january),
    ]

    assert len(set(names)) == len(names)
    assert all(name.split() == [name] for name in names)
    assert counter_name("key_1", replace(own, owned_since=at("2025-01-01T00:00:00")), january) == names[0]
    # The name of before there were levels: counters in use stay in use.
    assert names[0] == f"budget_1:{int(own.anchor.timestamp() * 1000)}:{int(january.start.timestamp())}"


def test_nothing_before_a_reset_is_in_the_window_and_its_end_stays() -> None:
    for duration in (None, "30d", "1d", "2h"):
        plain = budget(duration)
        moment = at("2026-03-10T11:30:00")
        calendar = window_at(plain, moment)
        anew = replace(plain, reset_at=at("2026-03-10T11:15:00"))
        assert window_at(anew, moment) == BudgetWindow(at("2026-03-10T11:15:00"), calendar.end)
        if calendar.end is not None:
            assert window_at(anew, calendar.end) == window_at(plain, calendar.end)
