"""Limits and budgets of several levels in one step of the ledger, on a real Valkey and (where there is one) Redis."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis

from app.domain.limits import RateLimits
from app.domain.spend import Admitted, BudgetClaim, RateClaim, Refused
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.storage.ledger_support import (
    KEY_ID,
    RedisServer,
    contents,
    counter,
    lease_s,
    make_budget,
    make_claim,
    make_receipt,
    redis_server,
)
from tests.storage.test_ledger import SERVERS

pytestmark = pytest.mark.services


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with redis_server(request.param) as running:
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


async def reserve(ledger: RedisLedger, *budgets: BudgetClaim, request_id: str | None = None) -> Admitted | Refused:
    return await ledger.reserve(make_claim(*budgets, request_id=request_id))


def rates(**limits: RateLimits) -> tuple[RateClaim, ...]:
    return tuple(
        RateClaim(scope if scope.startswith("key_") else scope.replace("_", ":"), limit)
        for scope, limit in limits.items()
    )


@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        (RateLimits(requests=2), "requests"),
        (RateLimits(tokens=25), "tokens"),
        (RateLimits(max_parallel_requests=2), "concurrency"),
    ],
)
async def test_a_limit_above_holds_for_all_keys_below_and_is_the_one_that_refuses(
    ledger: RedisLedger, redis: Redis, limit: RateLimits, reason: str
) -> None:
    wide = RateLimits(requests=9, tokens=900, max_parallel_requests=9)
    claims = [
        make_claim(scope=f"key_{number}", limits=wide, rates=rates(team_red=wide, organization_acme=limit))
        for number in range(3)
    ]
    first, second = [await ledger.reserve(claim) for claim in claims[:2]]
    assert isinstance(first, Admitted)
    assert isinstance(second, Admitted)
    before = await contents(redis)
    third = await ledger.reserve(claims[2])
    assert isinstance(third, Refused)
    assert (third.reason, third.rate) == (reason, RateClaim("organization:acme", limit))
    assert await contents(redis) == before
    await ledger.release(claims[0].request_id)
    assert isinstance(await ledger.reserve(claims[2]), Refused if reason == "requests" else Admitted)


async def test_the_standing_with_the_least_left_is_told(ledger: RedisLedger) -> None:
    limits = rates(
        key_a=RateLimits(requests=9, tokens=20),
        team_red=RateLimits(requests=3),
        organization_acme=RateLimits(requests=5, tokens=100),
    )
    outcome = await ledger.reserve(make_claim(rates=limits, tokens=10))
    assert isinstance(outcome, Admitted)
    assert outcome.requests is not None
    assert outcome.tokens is not None
    assert (outcome.requests.limit, outcome.requests.remaining) == (3, 2)
    assert (outcome.tokens.limit, outcome.tokens.remaining) == (20, 10)


async def test_tokens_and_slots_of_every_level_come_back(ledger: RedisLedger, redis: Redis) -> None:
    limits = RateLimits(tokens=100, max_parallel_requests=1)
    levels = rates(team_red=limits, user_ada=limits)
    await ledger.reserve(make_claim(limits=limits, rates=levels, tokens=80, request_id="req_1"))
    assert await ledger.renew([("req_1", make_receipt("req_1", 5))]) == []
    for scope in (KEY_ID, "team:red", "user:ada"):
        assert 25 < await lease_s(redis, "req_1", f"{{kh}}:running:{scope}") < 31
    await ledger.settle(make_receipt("req_1", 5), tokens=30)
    assert [name async for name in redis.scan_iter("{kh}:running:*")] == []
    counted = {
        str(name).rpartition(":")[0]: await redis.hget(name, "tokens") async for name in redis.scan_iter("*min*")
    }
    assert counted == {f"{{kh}}:minute:{scope}": "30" for scope in (KEY_ID, "team:red", "user:ada")}


async def test_one_settlement_moves_the_counters_of_every_level(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    scopes = (KEY_ID, "member:red:ada", "team:red", "user:ada", "organization:acme")
    budgets = [make_budget(100, 40, counter=f"{scope}:bud:1:1", scope=scope) for scope in scopes]
    await reserve(ledger, *budgets, request_id="req_1")
    for budget in budgets:
        assert await counter(redis, budget.counter) == (0, 40)
        assert await redis.zrange(f"{{kh}}:counters:{budget.scope}", 0, -1) == [budget.counter]
    await ledger.settle(make_receipt("req_1", 25), 1)
    assert [await counter(redis, budget.counter) for budget in budgets] == [(25, 0)] * 5


async def test_a_spent_budget_is_told_before_one_that_is_only_held(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    key, team = make_budget(100, 60, counter="bud_key:1:1"), make_budget(50, 10, counter="t", scope="team:red")
    await reserve(ledger, key, team, request_id="req_1")
    await reserve(ledger, team, request_id="req_2")
    held = await reserve(ledger, key, team)
    assert isinstance(held, Refused)
    assert held.budget is not None
    assert (held.reason, held.budget.claim.counter) == ("budget_held", "bud_key:1:1")
    await ledger.settle(make_receipt("req_2", 50), 1)
    spent = await reserve(ledger, key, team)
    assert isinstance(spent, Refused)
    assert spent.budget is not None
    assert (spent.reason, spent.budget.claim.scope) == ("budget", "team:red")


async def test_a_hold_of_before_there_were_levels_ends_as_it_began(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    limits = RateLimits(tokens=100, max_parallel_requests=1)
    await ledger.reserve(make_claim(make_budget(100, 40), limits=limits, tokens=80, request_id="req_1"))
    (counted,) = [name async for name in redis.scan_iter("{kh}:minute:*")]
    words, rest = str(await redis.get("{kh}:hold:req_1")).split("\n", 1)
    assert words.split()[1:] == [f"#{KEY_ID}", "80", f"%{KEY_ID}", "1", "bud_alpha:1:1", "40"]
    old = f"{KEY_ID} {counted.rpartition(':')[2]} 80 1 bud_alpha:1:1 40"
    await redis.set("{kh}:hold:req_1", f"{old}\n{rest}")
    await ledger.renew([("req_1", make_receipt("req_1", 70))])
    assert await counter(redis) == (0, 70)
    await ledger.settle(make_receipt("req_1", 25), tokens=30)
    assert await counter(redis) == (25, 0)
    assert await redis.hget(counted, "tokens") == "30"
    assert not await redis.exists("{kh}:leases", f"{{kh}}:running:{KEY_ID}")
