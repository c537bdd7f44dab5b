"""Whatever is asked, a report adds up to its receipts, to the last nano-dollar."""

import zoneinfo
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace as dataclass_replace
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin import spend_explorer
from app.base.clock import now
from app.base.ids import new_id
from app.domain.report_periods import Interval, Period, list_periods
from app.domain.roles import EVERYTHING
from app.domain.spend import Receipt, ReceiptKind
from app.storage.books import Books
from app.storage.postgres.aggregates import compare_day, rebuild_day
from app.storage.postgres.cost_centers import OWNERS, Charged, end_cost_center, set_cost_center
from app.storage.postgres.engine import create_engine
from app.storage.postgres.log_bounds import find_page
from app.storage.postgres.owner_spend import spend_of_owners
from app.storage.postgres.rankings import Ranked, Ranking, rank_cells
from app.storage.postgres.receipts import LogPage, ReceiptFilter, list_receipts
from app.storage.postgres.reports import (
    OTHERS,
    Amounts,
    Cell,
    Dimension,
    Report,
    find_extent,
    list_cells,
    total_spend,
)
from app.storage.postgres.tables.closing import spend_closes
from app.storage.postgres.tables.reports import MEASURES, session_days_that_tell
from app.storage.postgres.tenants import TENANT_COLUMNS
from tests.conftest import RunningServers, fresh_database
from tests.storage.ledger_support import make_receipt
from tests.storage.receipt_batches import NO_LEDGER, book, receipts

pytestmark = pytest.mark.services

FIRST, LAST = date(2026, 3, 27), date(2026, 4, 5)  # clocks change in Europe, Lord Howe and Chatham meanwhile
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham")
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)


@pytest.fixture(scope="module")
async def engine(servers: RunningServers, migrated: str) -> AsyncIterator[AsyncEngine]:
    with fresh_database(servers, migrated) as url:
        opened = create_engine(url)
        yield opened
        await opened.dispose()


async def cells(engine: AsyncEngine, report: Report) -> list[Cell]:
    async with engine.connect() as connection:
        return await list_cells(connection, EVERYTHING, report)


async def rank(engine: AsyncEngine, report: Report, ranking: Ranking) -> Ranked:
    async with engine.begin() as connection:
        return await rank_cells(connection, EVERYTHING, report, ranking)


def expected(
    batch: Sequence[Receipt],
    group_by: Sequence[Dimension],
    periods: Sequence[Period],
    centers: Mapping[str, str] = MappingProxyType({}),
) -> Counter[Any]:
    """Cost by period and group; ``centers`` are the cost centres by request."""
    found: Counter[Any] = Counter()
    for receipt in batch:
        (period,) = [place for place, one in enumerate(periods) if one.start <= receipt.started_at < one.end]
        for tag in (set(receipt.tags) or {""}) if "tag" in group_by else {""}:
            found[period, tuple(_value(receipt, dimension, tag, centers) for dimension in group_by)] += (
                receipt.cost.total
            )
    return found


def _value(receipt: Receipt, dimension: Dimension, tag: str, centers: Mapping[str, str]) -> str:
    value = {
        "organization": receipt.organization_id, "team": receipt.team_id, "user": receipt.user_id,
        "key": receipt.key_id, "customer": receipt.customer_id, "tag": tag, "model": receipt.model_served,
        "model_asked": receipt.model_asked, "provider": receipt.provider, "project": receipt.project,
        "request_class": receipt.request_class, "session": receipt.session_id, "agent": receipt.agent_id,
        "kind": receipt.kind, "project_id": receipt.project_id,
        "cost_center": centers.get(receipt.request_id),
    }[dimension]  # fmt: skip
    return value or ""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.lists(receipts(), min_size=1, max_size=30),
    zone=st.sampled_from(ZONES),
    interval=st.sampled_from(get_args(Interval)),
    group_by=st.lists(st.sampled_from(DIMENSIONS), unique=True, max_size=4),
)
async def test_every_report_in_every_zone_adds_up_to_the_receipts(
    engine: AsyncEngine, batch: list[Receipt], zone: str, interval: Interval, group_by: list[Dimension]
) -> None:
    await book(engine, batch)
    periods = list_periods(FIRST - timedelta(days=2), LAST + timedelta(days=2), zoneinfo.ZoneInfo(zone), interval)
    report = Report(periods, tuple(group_by))
    found = await cells(engine, report)
    assert {(cell.period, cell.group): cell.amounts.cost_nanousd for cell in found} == expected(
        batch, group_by, periods
    )
    total = Amounts()
    for cell in found:
        total = total.plus(cell.amounts)
    ranked = await rank(engine, report, Ranking(most=3))
    assert (len(ranked.cells), ranked.count, ranked.total or total) == (min(3, len(found)), len(found), total)
    if group_by and found:
        first = found[0].group[0]
        of_others: Counter[Any] = Counter()
        for cell in found:
            kept = cell.group[0] if cell.group[0] == first else OTHERS
            of_others[cell.period, (kept, *cell.group[1:])] += cell.amounts.cost_nanousd
        narrow = await cells(
            engine, Report(periods, tuple(group_by), apart={group_by[0]: [first]}, measures=("cost_nanousd",))
        )
        assert {(cell.period, cell.group): cell.amounts for cell in narrow} == {
            place: Amounts(cost_nanousd=cost) for place, cost in of_others.items() if cost
        }
    if "tag" not in group_by:
        assert total.cost_nanousd == sum(receipt.cost.total for receipt in batch)
        assert total.total_tokens == sum(receipt.usage.total_tokens for receipt in batch)
        requests = [receipt for receipt in batch if receipt.kind == "usage"]
        assert (total.requests, total.failures) == (len(requests), sum(one.status != "ok" for one in requests))
    for day in {receipt.started_at.date() for receipt in batch}:
        async with engine.begin() as connection:
            assert (await compare_day(connection, day)).agrees
            await rebuild_day(connection, day)
    assert await cells(engine, report) == found


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.lists(receipts(), min_size=1, max_size=20),
    zone=st.sampled_from(ZONES),
    interval=st.sampled_from(("day", "month")),
    further=st.none() | st.sampled_from(DIMENSIONS),
    only=st.none() | st.sampled_from(("team", "key", "model", "session", "kind", "project", "request_class")),
    ranking=st.builds(
        Ranking,
        measures=st.sampled_from((("cost_nanousd",), ("requests",), ("failures",), ("input_tokens", "output_tokens"))),
        descending=st.booleans(),
        skip=st.integers(0, 3),
        most=st.integers(1, 4),
    ),
)
async def test_sessions_are_ranked_as_if_each_was_added_up_whole(
    engine: AsyncEngine,
    batch: list[Receipt],
    zone: str,
    interval: Interval,
    further: Dimension | None,
    only: Dimension | None,
    ranking: Ranking,
) -> None:
    await book(engine, batch)
    periods = list_periods(FIRST - timedelta(days=2), LAST + timedelta(days=2), zoneinfo.ZoneInfo(zone), interval)
    group_by: tuple[Dimension, ...] = tuple(dict.fromkeys(("session", further or "session")))
    wanted: dict[Dimension, list[str]] = {only: ["a", "k", "m", "usage", "main"]} if only else {}
    report = Report(periods, group_by, wanted)
    found = await cells(engine, report)
    of_these = [one for one in batch if only is None or _value(one, only, "", {}) in wanted[only]]
    costs = {(cell.period, cell.group): cell.amounts.cost_nanousd for cell in found}
    assert costs == expected(of_these, group_by, periods)
    if "tag" not in group_by:
        whole = await cells(engine, Report(periods, (), wanted))
        assert sum(cell.amounts.total_tokens for cell in whole) == sum(cell.amounts.total_tokens for cell in found)

    def size(cell: Cell) -> int:
        amount: int = sum(getattr(cell.amounts, name) for name in ranking.measures)
        return -amount if ranking.descending else amount

    for asked in (report, dataclass_replace(report, measures=ranking.measures)):
        by_size = sorted(await cells(engine, asked), key=size)
        page = by_size[ranking.skip : ranking.skip + ranking.most]
        ranked = await rank(engine, asked, ranking)
        assert (ranked.cells, ranked.count) == (page, len(by_size) if page else 0)


def test_sessions_that_are_narrowed_are_ranked_by_days_in_each_order_that_the_explorer_has() -> None:
    narrowed = {"session_id", "model_served", "model_asked", "provider", "project", "request_class", "agent_id", "tags"}
    for measures in spend_explorer.MEASURES.values():
        asked = narrowed | {"requests", "cost_nanousd"} | set(measures) | set(TENANT_COLUMNS)
        assert session_days_that_tell(asked) is not None


async def test_a_session_that_corrections_took_off_again_is_counted_where_they_left_anything(
    engine: AsyncEngine,
) -> None:
    at = datetime(2026, 3, 28, tzinfo=UTC)
    put_on, taken_off = (replace(make_receipt(new_id("req"), cost, at=at), kind="adjustment") for cost in (5, -5))
    await book(engine, [put_on, taken_off, replace(make_receipt(new_id("req"), 1, at=at), session_id="other")])
    days = list_periods(FIRST, LAST, zoneinfo.ZoneInfo("UTC"), "month")
    whole = await rank(engine, Report(days, ("session",)), Ranking())
    assert [cell.group for cell in whole.cells] == [("other",), ("5c0b7d5e",)]
    for measures in (("cost_nanousd",), ("requests", "failures", "cost_nanousd")):
        brief = await rank(engine, Report(days, ("session",), measures=measures), Ranking())
        assert ([cell.group for cell in brief.cells], brief.count) == ([("other",)], 1)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(receipts(), min_size=1, max_size=20), seconds=st.integers(0, 9 * 86_400))
async def test_an_owner_has_spent_what_its_receipts_say_whenever_its_window_began(
    engine: AsyncEngine, batch: list[Receipt], seconds: int
) -> None:
    await book(engine, batch)
    start = datetime(2026, 3, 28, tzinfo=UTC) + timedelta(seconds=seconds)
    async with engine.connect() as connection:
        asked = [(("a", "b"), start), (("b", "a"), start + timedelta(days=1)), (("nobody", "a"), start)]
        found = await spend_of_owners(connection, ("team_id", "user_id"), asked)
        assert await total_spend(connection, EVERYTHING) == sum(receipt.cost.total for receipt in batch)
    for (team, user), since in asked:
        own = [receipt for receipt in batch if (receipt.team_id, receipt.user_id) == (team, user)]
        assert found[team, user].total_nanousd == sum(receipt.cost.total for receipt in own)
        in_window = [receipt.cost.total for receipt in own if receipt.started_at >= since]
        assert found[team, user].window_nanousd == sum(in_window)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.lists(receipts(), min_size=1, max_size=15),
    late=st.lists(receipts(), min_size=1, max_size=15),
    seconds=st.integers(0, 9 * 86_400),
    group_by=st.lists(st.sampled_from(DIMENSIONS), unique=True, max_size=3),
)
async def test_what_comes_after_a_close_moves_no_closed_report_and_is_lost_in_none(
    engine: AsyncEngine, batch: list[Receipt], late: list[Receipt], seconds: int, group_by: list[Dimension]
) -> None:
    await book(engine, batch)
    until = datetime(2026, 4, 1, tzinfo=UTC)
    closed = Report(list_periods(date(2026, 3, 1), date(2026, 3, 31), zoneinfo.ZoneInfo("UTC"), "day"), tuple(group_by))
    before = await cells(engine, closed)
    async with engine.begin() as connection:
        row = {"month": date(2026, 3, 1), "until": until, "requests": 0, "cost_nanousd": 0, "adjustments_nanousd": 0}
        await connection.execute(insert(spend_closes).values(**row, digest="", closed_by="test"))
    await Books(engine, NO_LEDGER).book_directly([*late, *batch])
    assert await cells(engine, closed) == before
    whole = [Period("all", datetime(2026, 1, 1, tzinfo=UTC), now() + timedelta(days=1))]
    everything = [*batch, *late]
    by_kind = Report(whole, tuple(dict.fromkeys((*(one for one in group_by if one != "tag"), "kind"))))
    found = await cells(engine, by_kind)
    assert sum(cell.amounts.cost_nanousd for cell in found) == sum(receipt.cost.total for receipt in everything)
    corrections = [one for one in batch if one.kind == "adjustment"]
    corrections += [one for one in late if one.kind == "adjustment" or one.started_at < until]
    adjusted = [cell for cell in found if cell.group[by_kind.group_by.index("kind")] == "adjustment"]
    assert sum(cell.amounts.cost_nanousd for cell in adjusted) == sum(one.cost.total for one in corrections)
    start = datetime(2026, 3, 28, tzinfo=UTC) + timedelta(seconds=seconds)
    days = {one.started_at.date() for one in everything} | {now().date()}
    async with engine.begin() as connection:
        spent = await spend_of_owners(connection, ("key_id",), [(("k",), start)])
        for day in days:
            assert (await compare_day(connection, day)).agrees
            await rebuild_day(connection, day)
    own = [one.cost.total for one in everything if one.key_id == "k" and one.started_at >= start]
    assert spent["k",].window_nanousd == sum(own)
    assert await cells(engine, by_kind) == found


Assigned = tuple[Charged, str, str]
assignments = st.lists(
    st.tuples(st.sampled_from(tuple(OWNERS)), st.sampled_from(("a", "b")), st.sampled_from(("", "4711", "R&D EMEA"))),
    max_size=6,
)


def charged_to(receipt: Receipt, assigned: Sequence[Assigned]) -> str:
    """The latest of the nearest owner that has one."""
    held: dict[tuple[str, str | None], str] = {(kind, owner): center for kind, owner, center in assigned}
    return next(filter(None, (held.get((kind, getattr(receipt, OWNERS[kind])), "") for kind in OWNERS)), "")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.lists(receipts(), min_size=1, max_size=20),
    before=assignments,
    ended=st.none() | st.integers(0, 5 * 86_400),
    after=assignments,
    zone=st.sampled_from(ZONES),
    interval=st.sampled_from(get_args(Interval)),
    further=st.lists(st.sampled_from(DIMENSIONS), unique=True, max_size=2),
)
async def test_cost_centres_add_up_to_the_whole_and_no_later_change_moves_a_closed_month(
    engine: AsyncEngine,
    batch: list[Receipt],
    before: list[Assigned],
    ended: int | None,
    after: list[Assigned],
    zone: str,
    interval: Interval,
    further: list[Dimension],
) -> None:
    await book(engine, batch)
    group_by: tuple[Dimension, ...] = tuple(dict.fromkeys(("cost_center", *further)))
    march = list_periods(date(2026, 3, 1), date(2026, 3, 31), zoneinfo.ZoneInfo("UTC"), "day")
    periods = list_periods(FIRST - timedelta(days=2), LAST + timedelta(days=2), zoneinfo.ZoneInfo(zone), interval)
    april = datetime(2026, 4, 1, tzinfo=UTC)
    async with engine.begin() as connection:
        for one in before:
            await set_cost_center(connection, *one)
    closed = await cells(engine, Report(march, group_by))
    async with engine.begin() as connection:
        row = {"month": date(2026, 3, 1), "until": april, "requests": 0, "cost_nanousd": 0, "adjustments_nanousd": 0}
        await connection.execute(insert(spend_closes).values(**row, digest="", closed_by="test"))
        if ended is not None:  # a team is deleted, and its id is used again
            await end_cost_center(connection, "team", "a", april + timedelta(seconds=ended))
        for one in after:
            await set_cost_center(connection, *one)
    assert await cells(engine, Report(march, group_by)) == closed
    found = await cells(engine, Report(periods, group_by))
    reused = ended is not None and any(one[:2] == ("team", "a") and one[2] for one in before)
    again = april + timedelta(days=-(-(ended or 0) // 86_400))

    def assigned(receipt: Receipt) -> list[Assigned]:
        if receipt.started_at < april:
            return before
        of_the_reused = after if receipt.started_at >= again or not reused else before
        others = [one for one in (*before, *after) if one[:2] != ("team", "a") or not reused]
        return [*others, *(one for one in of_the_reused if one[:2] == ("team", "a"))]

    centers = {one.request_id: charged_to(one, assigned(one)) for one in batch}
    assert {(cell.period, cell.group): cell.amounts.cost_nanousd for cell in found} == expected(
        batch, group_by, periods, centers
    )
    of_one = [cell for cell in found if cell.group[0] == "4711"]
    assert await cells(engine, Report(periods, group_by, only={"cost_center": ["4711"]})) == of_one
    others = await cells(engine, Report(periods, group_by, but_not={"cost_center": ["4711"]}))
    assert others == [cell for cell in found if cell not in of_one]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.lists(receipts(), min_size=1, max_size=20),
    late=st.lists(receipts(), min_size=1, max_size=8),
    before=assignments,
    after=assignments,
    first=st.integers(0, 12),
    days=st.integers(1, 400),
    zone=st.sampled_from(ZONES),
    kind=st.sampled_from((None, "usage", "adjustment")),
)
async def test_the_log_of_a_cost_centre_adds_up_to_its_report(
    engine: AsyncEngine,
    batch: list[Receipt],
    late: list[Receipt],
    before: list[Assigned],
    after: list[Assigned],
    first: int,
    days: int,
    zone: str,
    kind: ReceiptKind | None,
) -> None:
    await book(engine, batch)
    async with engine.begin() as connection:
        for one in before:
            await set_cost_center(connection, *one)
        row = {"month": date(2026, 3, 1), "until": datetime(2026, 4, 1, tzinfo=UTC), "requests": 0, "cost_nanousd": 0}
        await connection.execute(insert(spend_closes).values(**row, adjustments_nanousd=0, digest="", closed_by="test"))
        for one in after:
            await set_cost_center(connection, *one)
    await Books(engine, NO_LEDGER).book_directly(late)
    begins = FIRST + timedelta(days=first - 2)
    periods = list_periods(begins, begins + timedelta(days=days), zoneinfo.ZoneInfo(zone), "month")
    asked = ReceiptFilter(since=periods[0].start, until=periods[-1].end, kind=kind, as_counted=True)
    wanted: dict[Dimension, list[str]] = {} if kind is None else {"kind": [kind]}
    sums: Counter[str] = Counter()
    for cell in await cells(engine, Report(periods, ("cost_center",), only=wanted)):
        sums[cell.group[0]] += cell.amounts.cost_nanousd
    async with engine.connect() as connection:
        for center in ("", "4711", "R&D EMEA", "nobody's"):
            filtered, page = dataclass_replace(asked, cost_center=center), LogPage(most=1_000)
            logged = await find_page(connection, EVERYTHING, filtered, page, now())
            assert logged == await list_receipts(connection, EVERYTHING, filtered, page)
            assert sum(one.cost_nanousd for one in logged) == sums[center], center


async def test_pages_of_a_report_follow_on_one_another(engine: AsyncEngine) -> None:
    at = datetime(2026, 3, 28, tzinfo=UTC)
    batch = [
        replace(make_receipt(new_id("req"), number, at=at + timedelta(hours=number)), team_id=f"team {number % 7}")
        for number in range(60)
    ]
    await book(engine, batch)
    periods = list_periods(FIRST, LAST, zoneinfo.ZoneInfo("Asia/Kolkata"), "day")
    whole = await cells(engine, Report(periods, ("team", "tag")))
    paged: list[Cell] = []
    while page := await cells(
        engine, Report(periods, ("team", "tag"), after=(paged[-1].period, paged[-1].group) if paged else None, most=4)
    ):
        assert len(page) <= 4
        paged += page
    assert paged == whole
    assert len(whole) > 20


async def test_filters_keep_what_is_named_and_leave_out_what_is_not_wanted(engine: AsyncEngine) -> None:
    at = datetime(2026, 3, 28, tzinfo=UTC)
    one, two, three = (make_receipt(new_id("req"), cost, at=at) for cost in (1, 2, 4))
    await book(engine, [replace(one, team_id=None, tags=()), replace(two, team_id="t"), replace(three, team_id="u")])
    days = list_periods(FIRST, LAST, zoneinfo.ZoneInfo("UTC"), "day")

    async def cost(**filters: Any) -> int:
        return sum(cell.amounts.cost_nanousd for cell in await cells(engine, Report(days, **filters)))

    assert await cost(only={"team": ["t", ""]}) == 3
    assert await cost(but_not={"team": ["t", ""]}) == 4
    assert await cost(only={"tag": ["blue"]}) == 6
    assert await cost(only={"tag": [""]}) == 1
    assert await cost(only={"tag": ["blue"], "team": ["u"]}, group_by=("tag",)) == 4
    assert await cost(only={"tag": ["blue"], "session": ["5c0b7d5e"]}) == 6
    assert await cost(only={"tag": ["", "blue"], "session": ["5c0b7d5e"]}, but_not={"tag": ["red"]}) == 7
    assert await cost(only={"tag": ["blue"], "session": [""]}) == 0
    async with engine.connect() as connection:
        assert await find_extent(connection) == (at.date(), at.date())


def test_amounts_are_the_columns_of_the_tables() -> None:
    assert Amounts._fields == MEASURES
