"""A closed month stands: its reports read the same for ever, and what comes late corrects the month that runs."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import DBAPIError

from app.base import clock
from app.base.ids import new_id
from app.storage.books import Books
from app.storage.postgres import tables
from app.storage.postgres.closing import digest_of
from app.storage.postgres.cost_centers import set_cost_center
from app.storage.postgres.owner_spend import spend_of_owners
from app.storage.postgres.tables.closing import spend_closes
from tests.api.support import Door, admin_door_of
from tests.conftest import RunningServers, empty, fresh_database
from tests.fakes.months import months_ago
from tests.storage.ledger_support import make_receipt

pytestmark = pytest.mark.services

NO_LEDGER: Any = None
NANO = Decimal("0.000000001")


def last_month() -> dict[str, str]:
    return {"start_date": f"{months_ago(1):%Y-%m-%d}", "end_date": f"{months_ago(0) - timedelta(days=1):%Y-%m-%d}"}


def since_the_first() -> dict[str, str]:
    """With tomorrow."""
    return {"start_date": f"{months_ago(0):%Y-%m-%d}", "end_date": f"{clock.now() + timedelta(days=1):%Y-%m-%d}"}


@pytest.fixture(scope="module")
async def house(servers: RunningServers, migrated: str, redis_url: str) -> AsyncIterator[Door]:
    """On a database of its own: a month is closed for everybody."""
    with fresh_database(servers, migrated) as url:
        async with admin_door_of(url, redis_url) as opened:
            yield opened


@pytest.fixture
async def door(house: Door) -> Door:
    await empty(house.engine)
    return house


async def book(door: Door, at: datetime, cost: int, **changes: Any) -> None:
    await Books(door.engine, NO_LEDGER).book_directly([replace(make_receipt(new_id("req"), cost, at=at), **changes)])


async def report(door: Door, days: dict[str, str], **further: str) -> str:
    query = {**days, "group_by": "team,model,kind", "interval": "day", **further}
    answer = await door.get("/spend/report", query=query)
    assert answer.status == 200, answer.text
    return answer.text


async def close(door: Door, month: datetime) -> list[dict[str, Any]]:
    answer = await door.post("/spend/close", {"month": f"{month:%Y-%m}"})
    assert answer.status == 200, answer.text
    closed: list[dict[str, Any]] = answer.fields["closed"]
    return closed


async def test_a_cost_centre_that_is_set_while_a_month_is_closed_waits_for_it_and_leaves_it_as_it_was(
    door: Door,
) -> None:
    row = {
        "month": months_ago(1).date(),
        "until": months_ago(0),
        "requests": 0,
        "cost_nanousd": 0,
        "adjustments_nanousd": 0,
    }
    async with door.engine.begin() as closing:
        await closing.execute(insert(spend_closes).values(**row, digest="", closed_by="test"))
        async with door.engine.connect() as setting:
            await setting.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(DBAPIError, match="lock timeout"):
                await set_cost_center(setting, "team", "team_alpha", "4711")
    async with door.engine.begin() as setting:
        await set_cost_center(setting, "team", "team_alpha", "4711")
        assert (await setting.execute(select(tables.cost_centers.c.since))).scalars().all() == [months_ago(0)]


async def test_a_closed_month_reads_the_same_whatever_happens_afterwards(door: Door) -> None:
    async with door.engine.begin() as connection:
        team = {"team_id": "team_alpha", "team_alias": "research", "created_by": "x", "updated_by": "x"}
        await connection.execute(insert(tables.teams).values(**team))
    assert (await door.post("/team/update", {"team_id": "team_alpha", "cost_center": "4711"})).status == 200
    await book(door, months_ago(2) + timedelta(days=3), 100)
    await book(door, months_ago(1) + timedelta(days=3), 5)
    await book(door, months_ago(1) + timedelta(days=4), 7, tags=(), team_id=None)
    both = await close(door, months_ago(1))
    assert [(one["month"], one["spend"], one["requests"]) for one in both] == [
        (f"{months_ago(2):%Y-%m}", 100 * NANO, 1),
        (f"{months_ago(1):%Y-%m}", 12 * NANO, 2),
    ]
    assert await close(door, months_ago(1)) == []
    forms: list[dict[str, str]] = [
        {}, {"format": "csv"}, {"limit": "1"}, {"group_by": "tag"}, {"group_by": "cost_center"},
        {"interval": "month", "group_by": "session"},
        {"timezone": "Europe/Berlin", "end_date": f"{months_ago(0) - timedelta(days=2):%Y-%m-%d}"},
    ]  # fmt: skip
    before = [await report(door, last_month(), **form) for form in forms]
    assert '"team_alias":"research"' in before[0]

    await book(door, months_ago(1) + timedelta(days=3), 1_000)
    await book(door, months_ago(2), 2_000)
    await book(door, months_ago(1) + timedelta(days=5), -3, kind="adjustment")
    async with door.engine.begin() as connection:
        await connection.execute(update(tables.teams).values(team_alias="renamed"))
    await door.post("/team/update", {"team_id": "team_alpha", "cost_center": "4712"})
    rebuilt = await door.post("/spend/aggregates/rebuild", last_month())
    assert (rebuilt.status, rebuilt.fields["days"]) == (200, [])

    assert [await report(door, last_month(), **form) for form in forms] == before
    verdict = (await door.get(f"/spend/closes/{months_ago(1):%Y-%m}")).fields
    assert (verdict["is_unchanged"], verdict["digest_now"]) == (True, both[1]["digest"])
    answer = await door.get("/spend/report", query={**since_the_first(), "group_by": "team,kind,cost_center"})
    (corrections,) = answer.fields["data"]
    assert corrections["cost_center"] == "4712"
    assert (corrections["kind"], corrections["cost"], corrections["requests"]) == ("adjustment", 2_997 * NANO, 2)
    assert corrections["team_alias"] == "renamed"
    for day in (months_ago(1) + timedelta(days=3), clock.now()):
        one_day = {"start_date": f"{day:%Y-%m-%d}", "end_date": f"{day:%Y-%m-%d}"}
        (checked,) = (await door.get("/spend/aggregates/check", query=one_day)).fields["days"]
        assert checked["agrees"]
    rebuilt = await door.post("/spend/aggregates/rebuild", since_the_first())
    assert rebuilt.fields["days"][-1]["agrees"]
    assert (
        await door.get("/spend/report", query={**since_the_first(), "group_by": "team,kind,cost_center"})
    ).fields == answer.fields


async def test_a_budget_counts_a_late_call_when_it_began(door: Door) -> None:
    await book(door, months_ago(1) + timedelta(days=3), 5)
    await close(door, months_ago(1))
    late = months_ago(0) - timedelta(minutes=7, seconds=1)
    await book(door, late, 1_000)
    await book(door, clock.now(), 7)
    starts = {
        months_ago(0): 7, late: 1_007, late + timedelta(seconds=1): 7, months_ago(1): 1_012,
        datetime(1970, 1, 1, tzinfo=UTC): 1_012,
    }  # fmt: skip
    async with door.engine.connect() as connection:
        for start, expected in starts.items():
            found = await spend_of_owners(connection, ("key_id",), [(("key_alpha",), start)])
            assert found["key_alpha",].window_nanousd == expected, start
            assert found["key_alpha",].total_nanousd == 1_012


async def test_a_close_leaves_a_line_in_the_audit_and_in_the_list(door: Door) -> None:
    await book(door, months_ago(1) + timedelta(days=3), 5)
    (closed,) = await close(door, months_ago(1))
    assert (await door.get("/spend/closes")).fields["closes"] == [closed]
    (row,) = (await door.get("/audit", query={"object_type": "spend_month"})).fields["audit_logs"]
    assert (row["action"], row["object_id"]) == ("close", f"{months_ago(1):%Y-%m}")


async def test_sums_that_are_not_those_of_the_receipts_are_not_closed(door: Door) -> None:
    await book(door, months_ago(1) + timedelta(days=3), 5)
    async with door.engine.begin() as connection:
        await connection.execute(text("UPDATE spend_days SET cost_nanousd = 6"))
    answer = await door.post("/spend/close", {"month": f"{months_ago(1):%Y-%m}"})
    assert (answer.status, answer.error["param"]) == (422, "month")
    assert f"{months_ago(1) + timedelta(days=3):%Y-%m-%d}" in answer.error["message"]
    assert (await door.get("/spend/closes")).fields["closes"] == []


async def test_a_closed_month_that_somebody_changed_is_told(door: Door) -> None:
    await book(door, months_ago(1) + timedelta(days=3), 5)
    await close(door, months_ago(1))
    async with door.engine.begin() as connection:
        await connection.execute(text("UPDATE spend_tag_days SET cost_nanousd = 6 WHERE tag = 'blue'"))
    assert (await door.get(f"/spend/closes/{months_ago(1):%Y-%m}")).fields["is_unchanged"] is False


@pytest.mark.parametrize(
    ("tampered", "is_told_by"),
    [
        ("UPDATE cost_centers SET cost_center = '4712' WHERE since < now() - interval '40 days'", {2}),
        ("DELETE FROM cost_centers WHERE since < now() - interval '40 days'", {2}),
        ("INSERT INTO cost_centers VALUES ('user', 'user_beta', '2020-01-01 00:00+00', '4712')", {2}),
        (
            "INSERT INTO cost_centers VALUES ('team', 'team_alpha', "
            "date_trunc('month', now(), 'UTC') - interval '3 days', '')",
            {2},
        ),
        ("UPDATE spend_close_names SET name = 'ours'", {2}),
        ("UPDATE spend_closes SET cost_nanousd = cost_nanousd + 1", {2}),
        ("UPDATE spend_days SET team_id = 'team_beta'", {1, 2}),
        ("UPDATE cost_centers SET cost_center = '4712' WHERE since > now() - interval '40 days'", set()),
    ],
)
async def test_the_signature_of_a_month_covers_its_cost_centres_and_names(
    door: Door, tampered: str, is_told_by: set[int]
) -> None:
    async with door.engine.begin() as connection:
        team = {"team_id": "team_alpha", "team_alias": "research", "created_by": "x", "updated_by": "x"}
        await connection.execute(insert(tables.teams).values(**team))
    await door.post("/team/update", {"team_id": "team_alpha", "cost_center": "4711"})
    await book(door, months_ago(1) + timedelta(days=3), 5)
    await close(door, months_ago(1))
    await door.post("/team/update", {"team_id": "team_alpha", "cost_center": "4713"})
    # As a version signed it that knew of sums alone.
    async with door.engine.connect() as connection:
        by_sums = await digest_of(connection, months_ago(1).date(), months_ago(1), months_ago(0), 1)
    for version, signature in ((2, None), (1, by_sums)):
        async with door.engine.begin() as connection:
            if signature is not None:
                row = {"digest": signature, "digest_version": version}
                await connection.execute(update(spend_closes).values(**row))
        verdict = (await door.get(f"/spend/closes/{months_ago(1):%Y-%m}")).fields
        assert (verdict["is_unchanged"], verdict["digest_version"]) == (True, version)
    signatures = {}
    async with door.engine.connect() as connection:
        for version in (1, 2):
            signatures[version] = await digest_of(
                connection, months_ago(1).date(), months_ago(1), months_ago(0), version
            )
        await connection.execute(text(tampered))
        for version, signature in signatures.items():
            now = await digest_of(connection, months_ago(1).date(), months_ago(1), months_ago(0), version)
            assert (now != signature) == (version in is_told_by), version
        await connection.rollback()


async def test_what_cannot_be_closed_is_named(door: Door) -> None:
    for body in (
        {},
        {"month": "2026-13"},
        {"month": "soon"},
        {"month": f"{months_ago(0):%Y-%m}"},
        {"month": "2999-01"},
    ):
        answer = await door.post("/spend/close", body)
        assert (answer.status, answer.error["param"]) == (422, "month"), body
    assert (await door.get("/spend/closes/2026-01")).status == 404
    assert (await door.get("/spend/closes/never")).status == 422
