"""Periods leave no gap and do not overlap, whatever clocks do, and are made of whole buckets."""

import zoneinfo
from bisect import bisect_right
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from app.domain.report_periods import (
    DAY_S,
    HOUR_S,
    QUARTER_S,
    Interval,
    Period,
    Piece,
    ceiling,
    cut,
    list_periods,
    nearest_midnight,
    pieces_of,
)

ZONES = st.sampled_from(sorted(zoneinfo.available_timezones())).map(zoneinfo.ZoneInfo)
DAYS = st.dates(date(2000, 1, 1), date(2035, 1, 1))
INTERVALS: st.SearchStrategy[Interval] = st.sampled_from(("hour", "day", "week", "month"))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(zone=ZONES, first=DAYS, ahead=st.integers(0, 40), interval=INTERVALS)
@example(zone=zoneinfo.ZoneInfo("Pacific/Apia"), first=date(2011, 12, 29), ahead=3, interval="day")
def test_periods_follow_on_one_another_and_their_pieces_cover_them(
    zone: zoneinfo.ZoneInfo, first: date, ahead: int, interval: Interval
) -> None:
    periods = list_periods(first, first + timedelta(days=ahead), zone, interval)
    for before, after in pairwise(periods):
        assert before.start <= before.end == after.start
    pieces = cut(periods)
    assert (pieces[0].start, pieces[-1].end) == (periods[0].start, periods[-1].end)
    for one, other in pairwise(pieces):
        assert one.end == other.start
    edges = {period.start for period in periods}
    for piece in pieces:
        assert piece.grain_s in {QUARTER_S, HOUR_S, DAY_S}
        assert ceiling(piece.start, piece.grain_s) == piece.start
        assert ceiling(piece.end, piece.grain_s) == piece.end
        inside = {edge for edge in edges if piece.start < edge < piece.end}
        assert all(ceiling(edge, piece.grain_s) == edge for edge in inside)


@given(zone=ZONES, first=DAYS, ahead=st.integers(0, 40), interval=INTERVALS, minutes=st.integers(-2_000, 43 * 1_440))
@example(zone=zoneinfo.ZoneInfo("Europe/Berlin"), first=date(2026, 3, 28), ahead=3, interval="day", minutes=1_440)
@example(zone=zoneinfo.ZoneInfo("Asia/Kolkata"), first=date(2026, 3, 28), ahead=3, interval="day", minutes=1_120)
def test_a_call_counts_once_in_its_period_whichever_buckets_are_read(
    zone: zoneinfo.ZoneInfo, first: date, ahead: int, interval: Interval, minutes: int
) -> None:
    at = datetime(first.year, first.month, first.day, tzinfo=UTC) + timedelta(minutes=minutes)
    periods = list_periods(first, first + timedelta(days=ahead), zone, interval)
    counted: Counter[int] = Counter()
    for piece in pieces_of(periods):
        if piece.start <= at < piece.end:
            starts = [nearest_midnight(one.start) if piece.rounded else one.start for one in periods]
            bucket = at - (at - piece.start) % timedelta(seconds=piece.grain_s)
            counted[bisect_right(starts, bucket) - 1] += 1 if piece.is_added else -1
    true = [place for place, one in enumerate(periods) if one.start <= at < one.end]
    assert [place for place, count in counted.items() if count] == true
    assert all(count in (0, 1) for count in counted.values())


def test_days_east_and_west_of_utc_are_read_from_days_and_a_few_hours() -> None:
    for name in ("Europe/Berlin", "America/New_York", "Asia/Kolkata"):
        pieces = pieces_of(list_periods(date(2026, 7, 1), date(2026, 7, 30), zoneinfo.ZoneInfo(name), "day"))
        hours = sum((piece.end - piece.start).total_seconds() / 3600 for piece in pieces if piece.grain_s != DAY_S)
        assert hours < 30 * 24 / 2


@given(zone=ZONES, minutes=st.integers(0, 35 * 366 * 1_440))
def test_an_instant_is_in_the_period_of_its_local_date(zone: zoneinfo.ZoneInfo, minutes: int) -> None:
    at = utc("2000-01-03T00:00") + timedelta(minutes=minutes)
    local = at.astimezone(zone).date()
    day, one = timedelta(days=1), 0
    for period in list_periods(local - day, local + day, zone, "day"):
        if period.start <= at < period.end:
            one += 1
            assert period.label == local.isoformat()
    assert one == 1


def test_a_day_of_a_changing_clock_has_its_23_or_25_hours() -> None:
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    assert [len(list_periods(day, day, berlin, "hour")) for day in (date(2026, 3, 29), date(2026, 10, 25))] == [23, 25]
    labels = [hour.label for hour in list_periods(date(2026, 10, 25), date(2026, 10, 25), berlin, "hour")]
    assert labels[2:4] == ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]


def test_a_month_in_a_zone_of_half_hours_is_days_with_quarters_and_hours_at_its_ends() -> None:
    (month,) = list_periods(date(2026, 11, 1), date(2026, 11, 30), zoneinfo.ZoneInfo("Asia/Kolkata"), "month")
    assert cut([month]) == [
        Piece(QUARTER_S, utc("2026-10-31T18:30"), utc("2026-10-31T19:00")),
        Piece(HOUR_S, utc("2026-10-31T19:00"), utc("2026-11-01T00:00")),
        Piece(DAY_S, utc("2026-11-01T00:00"), utc("2026-11-30T00:00")),
        Piece(HOUR_S, utc("2026-11-30T00:00"), utc("2026-11-30T18:00")),
        Piece(QUARTER_S, utc("2026-11-30T18:00"), utc("2026-11-30T18:30")),
    ]


def test_many_days_of_a_zone_are_read_as_coarsely_as_can_be() -> None:
    days = list_periods(date(2026, 1, 1), date(2026, 12, 31), zoneinfo.ZoneInfo("Europe/Berlin"), "day")
    assert cut(days) == [Piece(HOUR_S, utc("2025-12-31T23:00"), utc("2026-12-31T23:00"))]
    days = list_periods(date(2026, 1, 1), date(2026, 1, 20), zoneinfo.ZoneInfo("Asia/Kolkata"), "day")
    quarters = [at for piece in cut(days) if piece.grain_s == QUARTER_S for at in piece.buckets()]
    assert len(quarters) == 20 * 4
    assert cut([Period("", utc("2026-01-01"), utc("2026-01-01"))]) == []


def test_weeks_begin_on_monday_and_are_cut_at_the_edges_of_the_report() -> None:
    weeks = list_periods(date(2026, 11, 18), date(2026, 11, 24), zoneinfo.ZoneInfo("UTC"), "week")
    assert [(week.label, (week.end - week.start).days) for week in weeks] == [("2026-11-16", 5), ("2026-11-23", 2)]
