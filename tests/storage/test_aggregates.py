"""The sums of the reports move with the receipts: never twice, never without them, and can be written anew."""

import asyncio
import importlib.util
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from msgspec.structs import replace
from sqlalchemy import Connection, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import app
from app.base.ids import new_id
from app.domain.spend import Receipt
from app.storage.books import Books, hold_book
from app.storage.postgres.aggregates import ALL_TABLES, Comparison, compare_day, days_with_spend, rebuild_day
from app.storage.postgres.closing import digest_of
from app.storage.postgres.engine import create_engine
from app.storage.postgres.tables.reports import HOUR_S, SPEND, SPEND_BY_TAG, spend_owner_days
from tests.conftest import RunningServers, fresh_database
from tests.storage.ledger_support import make_receipt

pytestmark = pytest.mark.services

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
async def engine(servers: RunningServers, migrated: str) -> AsyncIterator[AsyncEngine]:
    """On a database of its own: the sums are of everything there is."""
    with fresh_database(servers, migrated) as url:
        opened = create_engine(url)
        yield opened
        await opened.dispose()


@pytest.fixture
def books(engine: AsyncEngine) -> Books:
    no_ledger: Any = None
    return Books(engine, no_ledger)


def at(minutes: float, cost: int, **changes: Any) -> Receipt:
    return replace(make_receipt(new_id("req"), cost, at=NOON + timedelta(minutes=minutes)), **changes)


async def compare(engine: AsyncEngine) -> Comparison:
    async with engine.begin() as connection:
        return await compare_day(connection, NOON.date())


async def test_a_bucket_adds_up_what_was_booked_in_it_and_a_repetition_adds_nothing(
    books: Books, engine: AsyncEngine
) -> None:
    batch = [at(0, 7), at(59.9, 11, status="hung_up"), at(60, 13), at(1, 17, key_id="key_beta", tags=())]
    await books.book_directly(batch)
    await books.book_directly([*batch, batch[0]])
    hours = SPEND[HOUR_S]
    query = select(hours.c.bucket, hours.c.key_id, hours.c.requests, hours.c.failures, hours.c.cost_nanousd)
    async with engine.connect() as connection:
        rows = sorted(tuple(row) for row in await connection.execute(query))
    assert rows == [
        (NOON, "key_alpha", 2, 1, 18),
        (NOON, "key_beta", 1, 0, 17),
        (NOON + timedelta(hours=1), "key_alpha", 1, 0, 13),
    ]
    assert await compare(engine) == Comparison(NOON.date(), 4, 48, 48, agrees=True)


async def test_a_tag_that_is_named_twice_counts_once(books: Books, engine: AsyncEngine) -> None:
    await books.book_directly([at(0, 5, tags=("a", "a", "b")), at(1, 7, tags=("b",)), at(2, 9, tags=())])
    table = SPEND_BY_TAG[HOUR_S]
    query = select(table.c.tag, func.sum(table.c.cost_nanousd)).group_by(table.c.tag)
    async with engine.connect() as connection:
        assert {tag: int(cost) for tag, cost in await connection.execute(query)} == {"a": 5, "b": 12}
    assert (await compare(engine)).agrees


async def test_what_own_logins_paid_is_added_up_beside_the_cost_and_signed_with_no_month(
    books: Books, engine: AsyncEngine
) -> None:
    batch = [at(0, 5), at(1, 0, notional_nanousd=7), at(2, 0, notional_nanousd=11), at(90, 0, notional_nanousd=0)]
    await books.book_directly([replace(one, tags=("a", "b"), session_id="s") for one in batch])
    month = (NOON.date(), NOON - timedelta(days=1), NOON + timedelta(days=1), 1)
    async with engine.begin() as connection:
        for table in ALL_TABLES:
            sums = select(func.sum(table.c.cost_nanousd), func.sum(table.c.notional_nanousd))
            times = 2 if table in SPEND_BY_TAG.values() else 1
            assert tuple(map(int, (await connection.execute(sums)).one())) == (5 * times, 18 * times)
        signed = await digest_of(connection, *month)
        await connection.execute(text("UPDATE spend_days SET notional_nanousd = 0"))
        assert await digest_of(connection, *month) == signed, "as it was before this was known"
    assert not (await compare(engine)).agrees


async def test_names_of_any_length_and_content_have_buckets_of_their_own(books: Books, engine: AsyncEngine) -> None:
    customers = ["x" * 100_000, "x" * 99_999 + "y", '","', "", None, "a,b", "ü"]
    await books.book_directly([at(0, 1, customer_id=name, tags=(name or "none",)) for name in customers])
    table = SPEND[HOUR_S]
    async with engine.connect() as connection:
        found = dict(tuple(row) for row in await connection.execute(select(table.c.customer_id, table.c.requests)))
    assert found == {name: 1 for name in customers if name} | {"": 2}


async def test_many_drainers_at_once_leave_the_sums_of_one(books: Books, engine: AsyncEngine) -> None:
    no_ledger: Any = None
    others = [Books(engine, no_ledger) for _ in range(3)]
    batches = [[at(minute, 1) for minute in range(start, start + 40)] for start in range(0, 120, 20)]
    await asyncio.gather(*(drainer.book_directly(batch) for drainer in (books, *others) for batch in batches))
    found = await compare(engine)
    assert (found.receipts, found.booked_nanousd, found.agrees) == (240, 240, True)


async def test_what_was_changed_behind_our_back_is_found_and_written_anew(books: Books, engine: AsyncEngine) -> None:
    await books.book_directly([at(minute, 3) for minute in range(0, 600, 7)])
    for damage in (
        "UPDATE spend_hours SET cost_nanousd = cost_nanousd + 1",
        "DELETE FROM spend_tag_quarters",
        "DELETE FROM spend_owner_days WHERE level = 'tag'",
        "UPDATE spend_owner_days SET owner_id = 'key_other' WHERE level = 'key'",
        "UPDATE spend_days_by_key SET key_id = 'key_other'",
        "UPDATE spend_days_by_model SET reasoning_tokens = reasoning_tokens + 1",
        "UPDATE spend_session_days SET session_id = 'other'",
        "UPDATE spend_session_days_by_model SET model_served = 'other'",
        "UPDATE receipts SET output_tokens = output_tokens + 1",
    ):
        async with engine.begin() as connection:
            await connection.execute(text(damage))
        assert not (await compare(engine)).agrees
        async with engine.begin() as connection:
            assert await rebuild_day(connection, NOON.date()) == 86
        assert (await compare(engine)).agrees


async def test_sums_outlive_their_receipts(books: Books, engine: AsyncEngine) -> None:
    await books.book_directly([at(0, 5)])
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM receipts"))
        assert await rebuild_day(connection, NOON.date()) == 0
        assert await days_with_spend(connection) == (NOON.date(), NOON.date())
    found = await compare(engine)
    assert (found.reported_nanousd, found.receipts_are_gone) == (5, True)


async def test_the_worker_is_told_of_days_that_differ(books: Books, engine: AsyncEngine) -> None:
    await books.book_directly([at(0, 5), at(24 * 60, 7)])
    days = [NOON.date(), NOON.date() + timedelta(days=1)]
    assert await books.compare_sums(days) == []
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE spend_days SET cost_nanousd = 8 WHERE cost_nanousd = 7"))
    (wrong,) = await books.compare_sums(days)
    assert (wrong.day, wrong.booked_nanousd, wrong.reported_nanousd) == (days[1], 7, 8)


async def test_nothing_is_booked_while_sums_are_written_anew(books: Books, engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await hold_book(connection)
        booking = asyncio.create_task(books.book_directly([at(0, 5)]))
        await asyncio.sleep(0.2)
        assert not booking.done()
        assert await rebuild_day(connection, NOON.date()) == 0
    await booking
    assert (await compare(engine)).booked_nanousd == 5


async def test_an_upgrade_fills_the_sums_from_the_receipts_there_are(books: Books, engine: AsyncEngine) -> None:
    batch = [at(minute, minute, tags=("a",) * (minute % 3), session_id="s") for minute in range(0, 900, 11)]
    await books.book_directly(batch)
    names = [table.name for table in (*ALL_TABLES, spend_owner_days)]
    async with engine.begin() as connection:
        by_drain = {name: await _rows(connection, name) for name in names}
        await connection.run_sync(_fill_anew)
        assert {name: await _rows(connection, name) for name in names} == by_drain


async def _rows(connection: AsyncConnection, name: str) -> list[Any]:
    """All but the digest, which older versions made of fewer names, in whatever order."""
    found = await connection.execute(text(f"SELECT * FROM {name}"))
    columns = sorted(set(found.keys()) - {"digest"})
    return sorted((tuple(row._mapping[column] for column in columns) for row in found), key=repr)


def _fill_anew(connection: Connection) -> None:
    """The migrations that make and fill sums, down and up again, on their own."""
    files = (
        "0004_what_receipts_add_up_to.py",
        "0008_what_calls_were_for.py",
        "0022_projects.py",
        "0024_what_own_logins_paid.py",
        "0035_numbers_before_names.py",
        "0041_days_in_fewer_rows.py",
        "0043_days_of_sessions.py",
        "0044_days_of_sessions_by_model.py",
    )
    migrations = [_migration(name) for name in files]
    with Operations.context(MigrationContext.configure(connection)):
        for migration in reversed(migrations):
            migration.downgrade()
        for migration in migrations:
            migration.upgrade()


def _migration(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(
        "sums", Path(app.__file__).parent.parent / "migrations" / "versions" / name
    )
    assert spec is not None
    assert spec.loader is not None
    migration = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(migration)
    return migration
