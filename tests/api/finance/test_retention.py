"""Receipts go after their time: exported, in sums that are true, and without a trace in any report."""

import csv
import gzip
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor
from app.admin.retention import ReceiptRetention
from app.base import clock
from app.base.ids import new_id
from app.domain.budgets import Duration
from app.domain.retention import Retention, oldest_kept, parse_retention
from app.storage.books import Books
from app.storage.postgres import tables
from app.storage.postgres.owner_spend import spend_of_owners
from app.storage.postgres.partitions import create_partitions
from tests.api.support import Door, admin_door_of
from tests.conftest import RunningServers, empty, fresh_database
from tests.fakes.months import months_ago
from tests.storage.ledger_support import make_receipt

NO_LEDGER: Any = None
TWO_MONTHS = Duration(2, "mo")


@pytest.fixture(scope="module")
async def house(servers: RunningServers, migrated: str, redis_url: str) -> AsyncIterator[Door]:
    """On a database of its own: months are dropped for everybody."""
    with fresh_database(servers, migrated) as url:
        async with admin_door_of(url, redis_url) as opened:
            yield opened


@pytest.fixture
async def door(house: Door) -> Door:
    """Empty, with partitions since the oldest receipt."""
    await empty(house.engine)
    async with house.engine.begin() as connection:
        await create_partitions(connection, months_ago(4), months_ahead=3)
    return house


async def book(engine: AsyncEngine, at: datetime, cost: int, **changes: Any) -> str:
    receipt = replace(make_receipt(new_id("req"), cost, at=at), **changes)
    await Books(engine, NO_LEDGER).book_directly([receipt])
    return receipt.request_id


def retention(door: Door, *, needs_export: bool = True) -> ReceiptRetention:
    return ReceiptRetention(door.engine, Retention(TWO_MONTHS, needs_export=needs_export))


async def export(door: Door, month: datetime, style: str = "jsonl") -> bytes:
    url = f"/spend/export?month={month:%Y-%m}&format={style}"
    answer = await door.client.get(url, headers={"authorization": "Bearer sk-master-of-the-tests-1234567890"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/gzip")
    return gzip.decompress(answer.content)


async def left(door: Door) -> set[str]:
    async with door.engine.connect() as connection:
        return set((await connection.execute(select(tables.receipts.c.request_id))).scalars())


@pytest.mark.services
async def test_old_receipts_go_when_they_are_exported_and_reports_do_not_change(door: Door) -> None:
    for at, cost in (
        (months_ago(5), 1),
        (months_ago(4), 20),
        (months_ago(4) + timedelta(minutes=1), 40),
        (months_ago(1), 300),
    ):
        await book(door.engine, at + timedelta(days=3), cost)
    kept = await book(door.engine, clock.now(), 5_000)
    days = {"start_date": f"{months_ago(5):%Y-%m-%d}", "end_date": f"{clock.now():%Y-%m-%d}"}
    asked = {**days, "group_by": "key,model,tag", "interval": "day", "timezone": "Asia/Kolkata"}
    before = (await door.get("/spend/report", query=asked)).text

    policy = retention(door)
    assert await policy.run(Actor()) == []
    assert [due.obstacle for due in await policy.due()] == [
        f"its receipts were not exported; run keyhouse spend export --month {month:%Y-%m}"
        for month in (months_ago(5), months_ago(4))
    ]
    for month in (months_ago(5), months_ago(4)):
        await export(door, month)
    await book(door.engine, months_ago(5) + timedelta(days=9), 7)
    (due, _) = await policy.due()
    assert due.obstacle is not None
    assert "not what was exported" in due.obstacle
    await export(door, months_ago(5), "csv")
    before = (await door.get("/spend/report", query=asked)).text
    assert [gone.month for gone in await policy.run(Actor(name="retention"))] == [
        months_ago(5).date(),
        months_ago(4).date(),
    ]

    assert len(await left(door)) == 2
    assert kept in await left(door)
    assert (await door.get("/spend/report", query=asked)).text == before
    rebuilt = await door.post("/spend/aggregates/rebuild", {**days, "start_date": f"{months_ago(0):%Y-%m-%d}"})
    assert rebuilt.status == 200
    assert (await door.get("/spend/report", query=asked)).text == before
    async with door.engine.connect() as connection:
        partition = await connection.execute(text(f"SELECT to_regclass('receipts_{months_ago(4):%Y_%m}')"))
        assert partition.scalar() is None
        found = await spend_of_owners(
            connection, ("key_id",), [(("key_alpha",), months_ago(4) + timedelta(days=3, minutes=1))]
        )
    assert found["key_alpha",].window_nanousd == 5_360, "the quarter in which it begins counts whole"
    closes = (await door.get("/spend/closes")).fields["closes"]
    assert {close["month"] for close in closes} == {f"{months_ago(5):%Y-%m}", f"{months_ago(4):%Y-%m}"}
    audit = (await door.get("/audit", query={"object_type": "receipts"})).fields["audit_logs"]
    assert sorted(row["action"] for row in audit) == ["drop", "drop", "export", "export", "export"]
    by_session = await door.get("/spend/report", query={**days, "group_by": "session"})
    assert (by_session.status, by_session.error["param"]) == (422, "start_date")
    since = {**days, "start_date": f"{months_ago(3):%Y-%m-%d}", "group_by": "session"}
    assert (await door.get("/spend/report", query=since)).status == 200
    assert await policy.run(Actor()) == []


@pytest.mark.services
async def test_what_is_wrong_or_counted_later_stays(door: Door) -> None:
    await book(door.engine, months_ago(5) + timedelta(days=3), 1)
    await book(door.engine, months_ago(4) + timedelta(days=3), 1)
    assert (await door.post("/spend/close", {"month": f"{months_ago(4):%Y-%m}"})).status == 200
    await book(door.engine, months_ago(4) + timedelta(days=4), 2)
    async with door.engine.begin() as connection:
        await connection.execute(
            update(tables.receipts).where(tables.receipts.c.started_at < months_ago(4)).values(cost_nanousd=9)
        )
    policy = retention(door, needs_export=False)
    wrong, late = [due.obstacle for due in await policy.due()]
    assert wrong is not None
    assert "not those of the receipts" in wrong
    assert late == "reports count some of its receipts in a month that is kept"
    assert await policy.run(Actor()) == []
    assert len(await left(door)) == 3


@pytest.mark.services
async def test_an_export_has_every_receipt_and_its_digest_is_noted(door: Door) -> None:
    first = await book(door.engine, months_ago(4) + timedelta(days=3), 123, customer_id="=1+1", tags=("a", "b"))
    second = await book(door.engine, months_ago(4) + timedelta(days=2), -7, kind="adjustment")
    await book(door.engine, months_ago(1), 300)
    lines = await export(door, months_ago(4))
    rows = [msgspec.json.decode(line) for line in lines.splitlines()]
    assert [(row["request_id"], row["cost_nanousd"]) for row in rows] == [(second, -7), (first, 123)]
    assert (rows[1]["customer_id"], rows[1]["tags"], rows[0]["kind"]) == ("=1+1", ["a", "b"], "adjustment")
    page = await export(door, months_ago(4), "csv")
    table = list(csv.DictReader(io.StringIO(page.decode())))
    assert [(row["request_id"], row["customer_id"], row["tags"]) for row in table][1] == (first, "'=1+1", "a;b")
    noted = (await door.get("/spend/exports")).fields["exports"]
    digests = {hashlib.sha256(content).hexdigest() for content in (lines, page)}
    assert {one["digest"] for one in noted} == digests
    assert {(one["month"], one["receipts"]) for one in noted} == {(f"{months_ago(4):%Y-%m}", 2)}
    for month in ("soon", f"{clock.now():%Y-%m}"):
        answer = await door.get("/spend/export", query={"month": month})
        assert (answer.status, answer.error["param"]) == (422, "month")


@pytest.mark.services
async def test_one_process_of_all_does_it(door: Door) -> None:
    await book(door.engine, months_ago(4) + timedelta(days=3), 1)
    policies = [retention(door, needs_export=False) for _ in range(2)]
    gone = [await policy.run_in_turn(3600) for policy in policies]
    assert [len(dropped) for dropped in gone] == [1, 0]
    books = Books(door.engine, NO_LEDGER)
    await book(door.engine, clock.now(), 1)
    async with door.engine.begin() as connection:
        await connection.execute(text("UPDATE spend_days SET cost_nanousd = 9"))
    assert [len(await books.compare_sums([clock.now().date()], 3600)) for _ in range(2)] == [1, 0]


@pytest.mark.services
async def test_receipts_are_kept_for_ever_unless_told_otherwise(door: Door) -> None:
    await book(door.engine, months_ago(5), 1)
    found = (await door.post("/spend/retention", {})).fields
    assert found == {"receipts_retention": None, "retention_export": "required", "dropped": []}


@pytest.mark.parametrize(
    ("text_of", "at", "expected"),
    [
        ("13mo", "2026-11-21", "2025-10-01"), ("2mo", "2026-01-31", "2025-11-01"), ("62d", "2026-11-21", "2026-09-01"),
    ],
)  # fmt: skip
def test_whole_months_are_kept(text_of: str, at: str, expected: str) -> None:
    policy = Retention(parse_retention(text_of))
    assert str(oldest_kept(policy, datetime.fromisoformat(at).replace(tzinfo=UTC))) == expected


@pytest.mark.parametrize("wrong", ["1mo", "30d", "for ever", "13", "99h", ""])
def test_a_time_that_is_too_short_or_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="13mo"):
        parse_retention(wrong)
