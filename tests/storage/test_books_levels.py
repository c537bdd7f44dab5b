"""The counters of every level are what the receipts add up to, when they are lost and when they missed a receipt."""

import itertools
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.ids import new_id
from app.domain.spend import Admitted, BudgetClaim
from app.domain.tenancy import PLATFORM, owners_in, scope_of_model, scope_of_pool, scopes_of
from app.storage.books import Books
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.storage.ledger_support import counter, make_budget, make_claim, make_receipt, redis_server

pytestmark = pytest.mark.services

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class House:
    """Two teams, two users with a space in their names, one organization; four keys."""

    def __init__(self, engine: AsyncEngine, redis: Redis, ledger: RedisLedger) -> None:
        self.engine, self.redis, self.ledger = engine, redis, ledger
        self.books = Books(engine, ledger)
        ledger.on_missing_counter = self.books.rebuild
        mark = new_id("team")
        people = [("red", "ada l", "moon"), ("red", "bob", None), ("blue", "ada l", None), ("blue", None, "mars 2")]
        self.owners: list[dict[str, Any]] = [
            {
                "key_id": new_id("key"),
                "team_id": f"{team} {mark}",
                "user_id": user and f"{user} {mark}",
                "organization_id": f"acme {mark}",
                "project_id": project and f"{project} {mark}",
            }
            for team, user, project in people
        ]
        # The platform is everybody's, so also of those that other tests have made.
        self.scopes = sorted({scope for owners in self.owners for scope in scopes_of(**owners)} - {PLATFORM})

    def budgets(self, scopes: tuple[str, ...]) -> list[BudgetClaim]:
        return [make_budget(2**53 - 1, 500, counter=f"{one}:bud:1:1", scope=one, start=LONG_AGO) for one in scopes]

    async def counters(self) -> dict[str, tuple[int, int]]:
        return {scope: await counter(self.redis, f"{scope}:bud:1:1") for scope in self.scopes}

    async def sum_of(self, scope: str) -> int:
        owners = owners_in(scope)
        conditions = " AND ".join(f"{name} = :{name}" for name in owners)
        async with self.engine.connect() as connection:
            query = text(f"SELECT coalesce(sum(cost_nanousd), 0) FROM receipts WHERE {conditions}")
            return int((await connection.execute(query, dict(owners))).scalar_one())


@pytest.fixture
async def house(database_url: str) -> AsyncIterator[House]:
    await upgrade(database_url)
    engine = create_engine(database_url)
    with redis_server() as server:
        runner = script_runner(server.url)
        async with Redis.from_url(server.url, decode_responses=True) as redis:
            yield House(engine, redis, RedisLedger(runner, lease_s=30))
        await runner.close()
    await engine.dispose()


async def test_counters_that_are_lost_come_back_exact_at_every_level(house: House) -> None:
    draw = random.Random(7)
    for number in range(60):
        owners = draw.choice(house.owners)
        claim = make_claim(*house.budgets(scopes_of(**owners)), orphan=make_receipt(new_id("req"), 0, **owners))
        assert isinstance(await house.ledger.reserve(claim), Admitted)
        if number % 10:
            await house.ledger.settle(make_receipt(claim.request_id, draw.randrange(1_000), **owners), 1)
        if not number % 20:
            await house.books.drain_once()
    before = await house.counters()
    assert sum(held for _, held in before.values()) > 0
    async for name in house.redis.scan_iter("{kh}:budget:*"):
        await house.redis.delete(name)
    for budget in house.budgets(tuple(house.scopes)):
        await house.books.rebuild(budget)
    assert await house.counters() == before
    # A rebuild drains first, so by now the book has all of it.
    assert {scope: spent for scope, (spent, _) in before.items()} == {
        scope: await house.sum_of(scope) for scope in house.scopes
    }


async def test_a_window_holds_what_began_in_it_to_the_microsecond(house: House) -> None:
    draw = random.Random(11)
    owners, day_s = house.owners[0], 86_400
    moments = [LONG_AGO + timedelta(seconds=draw.uniform(0, 3 * day_s)) for _ in range(60)]
    costs = {moment: draw.randrange(1, 1_000) for moment in moments}
    # A customer, tags, a pool and a model's share of a team count like any level.
    customer, tag, model = new_id("user"), new_id("budget"), scope_of_model(f"team:{new_id('team')}", "gpt-*")
    further = {"customer_id": customer, "tags": (tag, tag, "other"), "scopes": (scope_of_pool(tag), model)}
    await house.books.book_directly(
        [
            structs.replace(make_receipt(new_id("req"), cost, at=moment, **owners), **further)
            for moment, cost in costs.items()
        ]
    )
    scopes = (*scopes_of(**owners, customer_id=customer, tags=(tag,))[:-1], scope_of_pool(tag), model)
    microsecond = timedelta(microseconds=1)
    edges = [*moments[:3], moments[3] + microsecond, LONG_AGO + timedelta(hours=5, minutes=15)]
    windows = [(min(pair), max(pair)) for pair in itertools.combinations(edges, 2)]
    for start, end in [*windows, (edges[0], None), (datetime(1970, 1, 1, tzinfo=UTC), None)]:
        for scope in scopes:
            budget = make_budget(1, 0, counter=new_id("bud"), scope=scope, start=start, end=end)
            await house.books.rebuild(budget)
            in_window = sum(cost for at, cost in costs.items() if start <= at and (end is None or at < end))
            assert await house.ledger.find_counter(budget) == (in_window, 0)


async def test_every_receipt_is_the_platforms(house: House) -> None:
    # Long before anything that other tests have booked.
    day = datetime(2001, 5, 7, tzinfo=UTC)
    for owners, cost in zip(house.owners, (1, 20, 300, 4000), strict=True):
        moment = day + timedelta(hours=cost % 7, minutes=7)
        await house.books.book_directly([make_receipt(new_id("req"), cost, at=moment, **owners)])
    for start, spent in ((day, 4321), (day + timedelta(hours=2), 4320), (day + timedelta(days=1), 0)):
        claim = make_budget(1, 0, counter=new_id("bud"), scope=PLATFORM, start=start, end=day + timedelta(days=2))
        await house.books.rebuild(claim)
        assert await house.ledger.find_counter(claim) == (spent, 0)


async def test_a_receipt_that_no_counter_saw_is_added_at_every_level(house: House) -> None:
    for budget in house.budgets(tuple(house.scopes)):
        await house.books.rebuild(budget)
    owners = house.owners[0]
    await house.ledger.settle(make_receipt(new_id("req"), 70, **owners), 1)
    await house.ledger.settle(make_receipt(new_id("req"), 30, at=LONG_AGO - timedelta(days=1), **owners), 1)
    assert await house.books.drain_once() == 2
    touched = scopes_of(**owners)
    assert await house.counters() == {scope: (70 if scope in touched else 0, 0) for scope in house.scopes}


async def test_what_ran_before_a_level_had_a_budget_is_held_and_spent_on_it(house: House) -> None:
    owners = house.owners[0]
    claim = make_claim(orphan=make_receipt(new_id("req"), 40, **owners))
    await house.ledger.reserve(claim)
    (budget,) = house.budgets((scopes_of(**owners)[2],))
    await house.books.rebuild(budget)
    assert await counter(house.redis, budget.counter) == (0, 40)
    await house.ledger.settle(make_receipt(claim.request_id, 25, **owners), 1)
    assert await counter(house.redis, budget.counter) == (25, 0)
