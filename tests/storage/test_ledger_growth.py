"""Holds that grow while their calls run: beyond a limit or within it, and how far a budget can be exceeded then."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from app.base import clock
from app.domain.spend import Admitted, BudgetClaim, BudgetStanding, Growth, Refused
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.storage.ledger_support import RedisServer, counter, make_budget, make_claim, make_receipt, redis_server

pytestmark = pytest.mark.services

START = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = {"key": 100, "team": 150}


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as running:
        yield running


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    client = Redis.from_url(server.url, decode_responses=True)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def ledger(server: RedisServer, redis: Redis) -> AsyncIterator[RedisLedger]:
    runner = script_runner(server.url)
    opened = RedisLedger(runner, lease_s=30)
    await opened.open()
    yield opened
    await opened.close()
    await runner.close()


async def hold(ledger: RedisLedger, request_id: str, claim: BudgetClaim) -> None:
    assert isinstance(await ledger.reserve(make_claim(claim, request_id=request_id)), Admitted)


async def test_a_hold_grows_and_its_call_is_settled_for_what_it_cost(ledger: RedisLedger, redis: Redis) -> None:
    claim = make_budget(100, 10)
    await hold(ledger, "req_1", claim)
    assert await ledger.grow("req_1", [Growth(claim, 20, 40)]) == (40,)
    assert await counter(redis) == (0, 40)
    assert await ledger.settle(make_receipt("req_1", 35), 1)
    assert await counter(redis) == (35, 0)


async def test_a_hold_never_shrinks_while_its_call_runs(ledger: RedisLedger, redis: Redis) -> None:
    claim = make_budget(100, 50)
    await hold(ledger, "req_1", claim)
    assert await ledger.grow("req_1", [Growth(claim, 5, 10)]) == (50,)
    assert await counter(redis) == (0, 50)


async def test_a_budget_that_may_be_exceeded_lets_a_hold_grow_beyond_it_and_admits_nobody_then(
    ledger: RedisLedger, redis: Redis
) -> None:
    claim = make_budget(100, 10)
    await hold(ledger, "req_1", claim)
    assert await ledger.grow("req_1", [Growth(claim, 120, 130)]) == (130,)
    assert await counter(redis) == (0, 130)
    assert not isinstance(await ledger.reserve(make_claim(claim)), Admitted)


async def test_a_strict_budget_gives_what_it_has_and_refuses_what_it_has_not(ledger: RedisLedger, redis: Redis) -> None:
    claim = replace(make_budget(100, 10), strict=True)
    await hold(ledger, "req_1", claim)
    await hold(ledger, "req_2", claim)
    assert await ledger.grow("req_1", [Growth(claim, 60, 200)]) == (90,)
    assert await counter(redis) == (0, 100)
    assert await ledger.grow("req_2", [Growth(claim, 11, 20)]) == BudgetStanding(claim, 0, 100)
    assert await counter(redis) == (0, 100)
    await ledger.settle(make_receipt("req_1", 50), 1)
    assert await ledger.grow("req_2", [Growth(claim, 11, 20)]) == (20,)


async def test_a_strict_budget_never_admits_a_call_for_less_than_it_may_cost(ledger: RedisLedger, redis: Redis) -> None:
    claim = replace(make_budget(100, 101, end=clock.now() + timedelta(hours=2)), strict=True)
    outcome = await ledger.reserve(make_claim(claim))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "budget_short"
    assert 7000 < outcome.retry_after_s <= 7201
    assert await redis.exists(f"{{kh}}:budget:{claim.counter}") == 0
    await hold(ledger, "req_1", replace(claim, hold_nanousd=60))
    # What does not fit beside others waits for them, what does not fit alone has nothing to wait for.
    for amount, reason in ((60, "budget_held"), (101, "budget_short")):
        outcome = await ledger.reserve(make_claim(replace(claim, hold_nanousd=amount)))
        assert isinstance(outcome, Refused)
        assert outcome.reason == reason


async def test_all_budgets_grow_or_none(ledger: RedisLedger, redis: Redis) -> None:
    claims = [
        replace(make_budget(limit, 10, counter=name), strict=limit == 15) for name, limit in (("a", 100), ("b", 15))
    ]
    await ledger.reserve(make_claim(*claims, request_id="req_1"))
    refused = await ledger.grow("req_1", [Growth(claim, 20, 30) for claim in claims])
    assert refused == BudgetStanding(claims[1], 0, 10)
    assert await counter(redis, "a") == (0, 10)


async def test_what_is_settled_or_whose_counter_is_lost_does_not_grow(ledger: RedisLedger, redis: Redis) -> None:
    claim = make_budget(100, 10)
    assert await ledger.grow("req_1", [Growth(claim, 20, 30)]) is None
    await hold(ledger, "req_1", claim)
    await redis.delete(f"{{kh}}:budget:{claim.counter}")
    assert await ledger.grow("req_1", [Growth(claim, 20, 30)]) is None


async def test_a_process_that_dies_leaves_a_grown_hold_that_is_swept(
    server: RedisServer, ledger: RedisLedger, redis: Redis
) -> None:
    runner = script_runner(server.url)
    dead = RedisLedger(runner, lease_s=0)
    claim = make_budget(100, 10)
    orphan = make_receipt("req_1", 12)
    await dead.reserve(make_claim(claim, orphan=orphan))
    await dead.grow("req_1", [Growth(claim, 20, 30)])
    await runner.close()
    assert await ledger.sweep() == 1
    assert await counter(redis) == (12, 0)


@dataclass
class Running:
    held: dict[str, int]


class Growing(RuleBasedStateMachine):
    """A key whose answers are finished in a team whose answers are cut; ``url`` is set by the test."""

    url = ""
    requests: Bundle[str] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis = BlockingRedis.from_url(self.url, decode_responses=True)
        self.redis.flushall()
        self.redis.set("{kh}:born", 0)
        self.runner = script_runner(self.url)
        self.ledger = RedisLedger(self.runner, lease_s=3600)
        self.running: dict[str, Running] = {}
        self.spent = dict.fromkeys(LIMITS, 0)
        self.held_at_last_admission: dict[str, int] = {}
        self.excess = 0
        self.number = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(self.runner.close())
        self.loop.close()
        self.redis.close()

    def claims(self, amount: int) -> list[BudgetClaim]:
        return [
            replace(make_budget(limit, amount, counter=name, start=START), strict=name == "team")
            for name, limit in LIMITS.items()
        ]

    @rule(target=requests, amount=st.integers(0, 40))
    def reserve(self, amount: int) -> str:
        self.number += 1
        request_id = f"req_{self.number}"
        outcome = self.loop.run_until_complete(
            self.ledger.reserve(make_claim(*self.claims(amount), request_id=request_id))
        )
        if isinstance(outcome, Admitted):
            before = {one.claim.counter: one.held_nanousd for one in outcome.budgets}
            others = {name: sum(one.held[name] for one in self.running.values()) for name in LIMITS}
            self.running[request_id] = Running({name: before[name] - others[name] for name in LIMITS})
            self.held_at_last_admission = {name: one.held["key"] for name, one in self.running.items()}
            self.excess = 0
        return request_id

    @rule(request_id=requests, least=st.integers(0, 60), more=st.integers(0, 60))
    def grow(self, request_id: str, least: int, more: int) -> None:
        growths = [Growth(claim, least, least + more) for claim in self.claims(0)]
        outcome = self.loop.run_until_complete(self.ledger.grow(request_id, growths))
        if request_id not in self.running:
            assert outcome is None
            return
        held = self.running[request_id].held
        room = LIMITS["team"] - self.spent["team"] - sum(one.held["team"] for one in self.running.values())
        if held["team"] + room < least:
            assert isinstance(outcome, BudgetStanding)
            assert outcome.claim.counter == "team"
            return
        held["key"] = max(held["key"], least + more)
        held["team"] = max(held["team"], min(least + more, held["team"] + room))
        assert outcome == (held["key"], held["team"])

    @rule(request_id=requests, share=st.floats(0, 1))
    def settle(self, request_id: str, share: float) -> None:
        """No call costs more than its team, which may not be exceeded, holds for it."""
        call = self.running.pop(request_id, None)
        cost = 0 if call is None else int(call.held["team"] * share)
        existed = self.loop.run_until_complete(self.ledger.settle(make_receipt(request_id, cost), 1))
        assert existed == (call is not None)
        for name in LIMITS:
            self.spent[name] += cost
        if request_id in self.held_at_last_admission:
            self.excess += max(0, cost - self.held_at_last_admission[request_id])

    @invariant()
    def the_counters_say_what_the_model_says(self) -> None:
        for name in LIMITS:
            counted: Any = self.redis.hgetall(f"{{kh}}:budget:{name}")
            if counted:
                held = sum(one.held[name] for one in self.running.values())
                assert (counted["spent"], counted["held"]) == (str(self.spent[name]), str(held))

    @invariant()
    def a_strict_budget_is_never_exceeded(self) -> None:
        held = sum(one.held["team"] for one in self.running.values())
        assert self.spent["team"] + held <= LIMITS["team"]

    @invariant()
    def any_other_is_exceeded_only_by_what_was_running_when_the_last_call_was_admitted(self) -> None:
        assert self.spent["key"] <= LIMITS["key"] + self.excess


def test_any_sequence_of_steps_keeps_both_kinds_of_budgets_within_their_bounds(server: RedisServer) -> None:
    Growing.url = server.url
    run_state_machine_as_test(
        Growing,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
