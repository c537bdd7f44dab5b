"""Receipts go to Postgres and counters come back: nothing is lost or doubled, whatever is killed."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base import clock
from app.base.errors import StorageUnavailable
from app.base.ids import new_id
from app.domain.spend import Admitted, BudgetClaim, Receipt, Refused
from app.domain.tenancy import scope_of_pool
from app.storage.books import BOOK_LOCK, COLUMNS, Books
from app.storage.postgres.engine import create_engine
from app.storage.postgres.tables import receipts
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from app.storage.redis.script import Answer, Script, ScriptRunner
from tests.conftest import RunningServers, fresh_database
from tests.storage.ledger_support import RedisServer, make_budget, make_claim, make_receipt, redis_server, until

pytestmark = pytest.mark.services

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
async def engine(servers: RunningServers, migrated: str) -> AsyncIterator[AsyncEngine]:
    """On a database of its own: a gateway of other tests that drains at the moment would have the book's lock."""
    with fresh_database(servers, migrated) as database_url:
        opened = create_engine(database_url)
        yield opened
        await opened.dispose()


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server("valkey", "--appendonly", "yes", "--appendfsync", "everysec") as running:
        yield running


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def ledger(server: RedisServer, redis: Redis) -> AsyncIterator[RedisLedger]:
    runner = script_runner(server.url)
    opened = RedisLedger(runner, lease_s=30)
    yield opened
    await opened.close()
    await runner.close()


@pytest.fixture
async def books(engine: AsyncEngine, ledger: RedisLedger) -> Books:
    made = Books(engine, ledger)
    ledger.on_missing_counter = made.rebuild
    return made


@pytest.fixture
def key_id() -> str:
    return new_id("key")


async def booked(engine: AsyncEngine, key_id: str) -> list[Any]:
    async with engine.connect() as connection:
        query = text("SELECT * FROM receipts WHERE key_id = :key_id ORDER BY request_id")
        return list((await connection.execute(query, {"key_id": key_id})).mappings())


async def drain(books: Books) -> None:
    async def is_empty() -> bool:
        return await books.drain_once() == 0

    await until(is_empty)


def budget_of(key_id: str, limit: int, hold: int) -> BudgetClaim:
    return make_budget(limit, hold, counter=f"bud_{key_id}:1:1", scope=key_id, start=LONG_AGO)


def test_every_column_of_the_table_is_filled() -> None:
    assert {name for name, _ in COLUMNS} | {"booked_at", "posted_at"} == {column.name for column in receipts.columns}


async def test_a_process_that_ends_without_redis_books_directly_and_a_later_repetition_is_dropped(
    books: Books, ledger: RedisLedger, engine: AsyncEngine, key_id: str
) -> None:
    receipt = make_receipt(new_id("req"), 1_234, key_id=key_id)
    await books.book_directly([receipt, receipt])
    await ledger.settle(receipt, 1)
    await drain(books)
    (row,) = await booked(engine, key_id)
    assert row["cost_nanousd"] == 1_234


async def test_a_receipt_arrives_whole_and_once(
    books: Books, ledger: RedisLedger, engine: AsyncEngine, key_id: str
) -> None:
    receipt = make_receipt(new_id("req"), 1_234, key_id=key_id)
    await ledger.settle(receipt, 1)
    assert await books.drain_once() == 1
    await ledger.settle(receipt, 1)
    await ledger.settle(receipt, 1)
    assert await books.drain_once() == 2
    (row,) = await booked(engine, key_id)
    assert tuple(row["tags"]) == receipt.tags
    assert row["started_at"] == receipt.started_at
    assert (row["cache_write_1h_tokens"], row["output_tokens"], row["cost_nanousd"]) == (4, 5, 1_234)
    assert row["organization_id"] is None
    assert row["streamed"] is True
    assert await books.drain_once() == 0


async def test_what_waits_is_booked_batch_after_batch(
    books: Books, ledger: RedisLedger, engine: AsyncEngine, key_id: str
) -> None:
    for _ in range(5):
        await ledger.settle(make_receipt(new_id("req"), 1, key_id=key_id), 1)
    assert [batch async for batch in books.drain(2)] == [2, 2, 1]
    assert len(await booked(engine, key_id)) == 5
    assert [batch async for batch in books.drain(2)] == []


async def test_a_key_counts_only_what_was_really_new(
    books: Books, ledger: RedisLedger, engine: AsyncEngine, key_id: str
) -> None:
    async with engine.begin() as connection:
        await _insert_key(connection, key_id)
    early, late = (make_receipt(new_id("req"), 100, key_id=key_id, at=LONG_AGO + timedelta(days=d)) for d in (1, 2))
    for receipt in (late, early, late):
        await ledger.settle(receipt, 1)
        await books.drain_once()
    async with engine.connect() as connection:
        query = text("SELECT spend_nanousd, last_active_at FROM keys WHERE key_id = :key_id")
        row = (await connection.execute(query, {"key_id": key_id})).one()
    assert tuple(row) == (200, late.started_at)


async def _insert_key(connection: Any, key_id: str) -> None:
    """A row with whatever the table asks for: the books need only that it is there."""
    columns = await connection.execute(
        text(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'keys' "
            "AND is_nullable = 'NO' AND column_default IS NULL AND column_name <> 'key_id'"
        )
    )
    fill = {"text": f"'{key_id}'", "bytea": f"'{key_id}'::bytea", "timestamp with time zone": "now()"}
    values = {"key_id": f"'{key_id}'"} | {name: fill.get(kind, "0") for name, kind in columns}
    await connection.execute(text(f"INSERT INTO keys ({', '.join(values)}) VALUES ({', '.join(values.values())})"))


async def test_a_receipt_that_the_book_refuses_is_put_aside_and_stops_no_other(
    books: Books, ledger: RedisLedger, engine: AsyncEngine, redis: Redis, key_id: str
) -> None:
    good = [make_receipt(new_id("req"), 10, key_id=key_id) for _ in range(9)]
    bad = replace(make_receipt(new_id("req"), 10, key_id=key_id), attempt=10**9)
    for receipt in (*good[:5], bad, *good[5:]):
        await ledger.settle(receipt, 1)
    await redis.xadd("{kh}:receipts", {"receipt": "no receipt at all"})
    assert await books.drain_once() == 11
    assert [row["request_id"] for row in await booked(engine, key_id)] == sorted(
        good_one.request_id for good_one in good
    )
    assert await books.drain_once() == 0
    rejected: list[Any] = [fields for _, fields in await redis.xrange("{kh}:rejected") or []]
    assert {fields[b"receipt"][:5] for fields in rejected} == {b"no re", b'[1,"r'}
    assert any(b"smallint" in fields[b"error"] or b"int16" in fields[b"error"] for fields in rejected)


async def test_a_nul_character_is_replaced_as_postgres_has_none(
    books: Books, ledger: RedisLedger, engine: AsyncEngine, key_id: str
) -> None:
    receipt = replace(make_receipt(new_id("req"), 10, key_id=key_id), tags=("a\x00b",))
    await ledger.settle(receipt, 1)
    await books.drain_once()
    (row,) = await booked(engine, key_id)
    assert row["tags"] == ["a�b"]


async def test_only_one_drains_at_a_time(books: Books, ledger: RedisLedger, engine: AsyncEngine, key_id: str) -> None:
    await ledger.settle(make_receipt(new_id("req"), 1, key_id=key_id), 1)
    async with engine.connect() as other:
        await other.execute(text("SELECT pg_advisory_lock(:number)"), {"number": BOOK_LOCK})
        assert await books.drain_once() == 0
        await other.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": BOOK_LOCK})
    assert await books.drain_once() == 1


async def test_many_drainers_book_everything_once(ledger: RedisLedger, engine: AsyncEngine, key_id: str) -> None:
    names = [new_id("req") for _ in range(300)]
    await asyncio.gather(*(ledger.settle(make_receipt(name, 7, key_id=key_id), 1) for name in names))
    drainers = [Books(engine, ledger) for _ in range(4)]
    for _ in range(20):
        await asyncio.gather(*(drainer.drain_once(50) for drainer in drainers))
    assert [row["request_id"] for row in await booked(engine, key_id)] == sorted(names)
    assert await ledger.read_receipts(1) == []


async def test_without_postgres_receipts_wait_in_the_stream(ledger: RedisLedger, key_id: str) -> None:
    away = create_engine("postgresql://nobody@127.0.0.1:1/nowhere")
    await ledger.settle(make_receipt(new_id("req"), 1, key_id=key_id), 1)
    with pytest.raises(StorageUnavailable):
        await Books(away, ledger).drain_once()
    assert len(await ledger.read_receipts(10)) == 1
    await away.dispose()


async def test_a_killed_postgres_connection_loses_no_receipt_and_no_lock(
    books: Books, ledger: RedisLedger, engine: AsyncEngine, key_id: str
) -> None:
    await ledger.settle(make_receipt(new_id("req"), 1, key_id=key_id), 1)
    end_others = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()"
    )
    async with engine.connect() as connection:
        await connection.execute(end_others)
    for _ in range(10):
        try:
            await drain(books)
            break
        except StorageUnavailable:
            continue
    assert len(await booked(engine, key_id)) == 1


async def test_a_counter_is_rebuilt_from_the_book_with_what_is_still_on_its_way(
    books: Books, ledger: RedisLedger, key_id: str
) -> None:
    budget = budget_of(key_id, 1_000, 50)
    for cost in (100, 200):
        await ledger.settle(make_receipt(new_id("req"), cost, key_id=key_id), 1)
        await books.drain_once()
    await ledger.settle(make_receipt(new_id("req"), 1, key_id=key_id, at=LONG_AGO - timedelta(days=1)), 1)
    await ledger.settle(make_receipt(new_id("req"), 400, key_id=key_id), 1)
    admitted = await ledger.reserve(make_claim(budget))
    assert isinstance(admitted, Admitted)
    assert (admitted.budgets[0].spent_nanousd, admitted.budgets[0].held_nanousd) == (700, 50)


async def test_a_redis_that_lost_its_data_in_the_middle_gets_its_counters_back(
    books: Books, ledger: RedisLedger, engine: AsyncEngine, redis: Redis, key_id: str
) -> None:
    budget = budget_of(key_id, 1_000, 100)
    running = [make_claim(budget, scope=key_id) for _ in range(6)]
    for claim in running:
        assert isinstance(await ledger.reserve(claim), Admitted)
    for claim in running[:2]:
        await ledger.settle(make_receipt(claim.request_id, 90, key_id=key_id), 1)
    await drain(books)
    await redis.flushall()
    # Rebuilt from the book while four calls run on without their holds.
    another = make_claim(budget, scope=key_id)
    admitted = await ledger.reserve(another)
    assert isinstance(admitted, Admitted)
    assert (admitted.budgets[0].spent_nanousd, admitted.budgets[0].held_nanousd) == (180, 100)
    for claim in (*running[2:], another):
        receipt = make_receipt(claim.request_id, 80, key_id=key_id)
        assert await ledger.settle(receipt, 1) is (claim is another)
        await ledger.settle(receipt, 1)
    await drain(books)
    assert sum(row["cost_nanousd"] for row in await booked(engine, key_id)) == 580
    assert await ledger.find_counter(budget) == (580, 0)


class Unheard:
    """A ScriptRunner whose server goes away as soon as a script of these is sent to it: before it runs, or after."""

    def __init__(self, inner: ScriptRunner, names: frozenset[str], *, runs: bool) -> None:
        self._inner = inner
        self._names = names
        self._runs = runs
        self.connections = 1

    async def run(self, script: Script, keys: list[bytes], arguments: list[bytes | str | int]) -> Answer:
        if script.name not in self._names:
            return await self._inner.run(script, keys, arguments)
        if self._runs:
            await self._inner.run(script, keys, arguments)
        raise StorageUnavailable("Redis is away")

    def start(self, script: Script, keys: list[bytes], arguments: list[bytes | str | int]) -> asyncio.Future[Answer]:
        return self._inner.start(script, keys, arguments)

    async def close(self) -> None:
        await self._inner.close()


@pytest.mark.parametrize("runs", [False, True], ids=["not said", "said, and no answer heard"])
async def test_what_had_no_hold_moves_its_counters_once_though_the_drainer_dies_when_it_is_in_the_book(
    runs: bool, books: Books, ledger: RedisLedger, engine: AsyncEngine, server: RedisServer, key_id: str
) -> None:
    budget = budget_of(key_id, 1_000, 100)
    pool = budget_of(scope_of_pool(new_id("dep")), 1_000, 100)
    assert isinstance(await ledger.reserve(make_claim(budget, pool, scope=key_id)), Admitted)
    of_batch = replace(make_receipt(new_id("req"), 70, key_id=key_id), scopes=(pool.scope,))
    for _ in range(2):
        await ledger.settle(of_batch, 1)
    runner = Unheard(script_runner(server.url), frozenset({"correct", "acknowledge"}), runs=runs)
    with pytest.raises(StorageUnavailable):
        await Books(engine, RedisLedger(runner)).drain_once()
    await runner.close()
    assert len(await booked(engine, key_id)) == 1

    await ledger.settle(of_batch, 1)
    await drain(books)
    assert [await ledger.find_counter(one) for one in (budget, pool)] == [(70, 100)] * 2


async def test_a_killed_redis_loses_no_receipt_and_no_counter(engine: AsyncEngine, key_id: str) -> None:
    """Calls settle while the server is killed at random points; each is repeated until it is answered."""
    with redis_server("valkey", "--appendonly", "yes", "--appendfsync", "everysec") as server:
        runner = script_runner(server.url, timeout_s=1.0)
        ledger = RedisLedger(runner, lease_s=30)
        books = Books(engine, ledger)
        ledger.on_missing_counter = books.rebuild
        budget = budget_of(key_id, 10**9, 10)
        started = asyncio.Event()

        async def insist(work: Any, *arguments: Any) -> Any:
            while True:
                try:
                    return await work(*arguments)
                except StorageUnavailable:
                    await asyncio.sleep(0.01)

        async def call(number: int) -> Receipt:
            await asyncio.sleep(random.random() * 0.6)
            claim = make_claim(budget, scope=key_id)
            assert isinstance(await insist(ledger.reserve, claim), Admitted)
            started.set()
            await asyncio.sleep(random.random() * 0.3)
            receipt = make_receipt(claim.request_id, number, key_id=key_id)
            await insist(ledger.settle, receipt, 1)
            return receipt

        calls = [asyncio.create_task(call(number)) for number in range(1, 301)]
        await started.wait()
        for _ in range(3):
            await asyncio.sleep(random.random() * 0.2)
            await insist(books.drain_once)
            server.kill()
            server.start()
        done = await asyncio.gather(*calls)
        await insist(drain, books)
        rows = {row["request_id"]: row["cost_nanousd"] for row in await booked(engine, key_id)}
        assert rows == {receipt.request_id: receipt.cost.total for receipt in done}

        async def is_settled() -> bool:
            await drain(books)
            return await ledger.find_counter(budget) == (sum(rows.values()), 0)

        # Undoing a reservation whose answer was lost may still be under way.
        await until(is_settled)
        await ledger.close()
        await runner.close()


async def test_what_redis_forgot_when_it_died_is_said_again(engine: AsyncEngine, key_id: str) -> None:
    with redis_server() as server:
        runner = script_runner(server.url)
        ledger = RedisLedger(runner, lease_s=30)
        books = Books(engine, ledger)
        names = [new_id("req") for _ in range(3)]
        for name in names:
            await ledger.settle(make_receipt(name, 5, key_id=key_id), 1)
        server.kill()
        server.start()

        async def is_answered() -> bool:
            try:
                await ledger.sweep()
            except StorageUnavailable:
                return False
            return len(await ledger.read_receipts(10)) == 3

        await until(is_answered)
        await drain(books)
        assert [row["request_id"] for row in await booked(engine, key_id)] == sorted(names)
        await ledger.close()
        await runner.close()


async def test_a_reservation_whose_caller_left_holds_nothing(ledger: RedisLedger, redis: Redis, key_id: str) -> None:
    await redis.set("{kh}:born", 0)
    claim = make_claim(budget_of(key_id, 100, 10))
    await ledger.sweep()
    leaving = asyncio.create_task(ledger.reserve(claim))
    await asyncio.sleep(0)
    leaving.cancel()

    async def is_undone() -> bool:
        return not await redis.exists("{kh}:leases") and leaving.cancelled()

    await until(is_undone)
    assert await ledger.find_counter(claim.budgets[0]) in {None, (0, 0)}


async def test_a_window_ends_and_the_next_begins_at_zero(books: Books, ledger: RedisLedger, key_id: str) -> None:
    turn = clock.now()
    last = make_budget(100, 60, counter=f"{key_id}:1", scope=key_id, start=turn - timedelta(hours=1), end=turn)
    next_one = make_budget(100, 60, counter=f"{key_id}:2", scope=key_id, start=turn, end=turn + timedelta(hours=1))
    claim = make_claim(last, orphan=make_receipt(new_id("req"), 60, key_id=key_id, at=turn - timedelta(seconds=1)))
    assert isinstance(await ledger.reserve(claim), Admitted)
    await ledger.settle(make_receipt(claim.request_id, 100, key_id=key_id, at=turn - timedelta(seconds=1)), 1)
    refused = await ledger.reserve(make_claim(last))
    assert isinstance(refused, Refused)
    assert refused.reason == "budget"
    outcome = await ledger.reserve(make_claim(next_one))
    assert isinstance(outcome, Admitted)
    assert outcome.budgets[0].spent_nanousd == 0


async def test_partitions_are_made_ahead_and_making_them_again_does_nothing(books: Books, engine: AsyncEngine) -> None:
    for _ in range(2):
        await books.ensure_partitions(datetime(2031, 11, 30, tzinfo=UTC))
    async with engine.connect() as connection:
        query = text("SELECT relname FROM pg_class WHERE relname LIKE 'receipts_203%' AND relkind = 'r' ORDER BY 1")
        names = (await connection.execute(query)).scalars().all()
    assert names == ["receipts_2031_11", "receipts_2031_12", "receipts_2032_01"]


async def test_a_rebuilding_that_waits_too_long_for_the_book_is_refused_and_can_be_repeated(
    books: Books, engine: AsyncEngine, key_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.storage.books.LOCK_TIMEOUT_S", 0.1)
    budget = budget_of(key_id, 100, 10)
    async with engine.connect() as other:
        await other.execute(text("SELECT pg_advisory_lock(:number)"), {"number": BOOK_LOCK})
        with pytest.raises(StorageUnavailable):
            await books.rebuild(budget)
        await other.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": BOOK_LOCK})
    await books.rebuild(budget)
