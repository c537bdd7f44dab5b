"""Limits in windows of an hour and a day, and which of several limits is told when more than one refuses."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from redis.asyncio import Redis

from app.base import clock
from app.domain.limits import RateLimits
from app.domain.spend import Admitted, RateClaim, Refused
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.fakes.minutes import within_one_minute
from tests.storage.ledger_support import RedisServer, make_budget, make_claim, make_receipt, redis_server

pytestmark = pytest.mark.services

HOUR_S, DAY_S = 3_600, 86_400


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
async def redis(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url, decode_responses=True) as redis:
        await redis.flushall()
        await redis.set("{kh}:born", 0)
        yield redis


@pytest.fixture
async def ledger(server: RedisServer, redis: Redis) -> AsyncIterator[RedisLedger]:
    await within_one_minute(1)
    runner = script_runner(server.url)
    yield RedisLedger(runner)
    await runner.close()


def rate(scope: str = "team:red", **limits: Any) -> RateClaim:
    window_s = limits.get("window_s", 60)
    return RateClaim(scope if window_s == 60 else f"{scope}@{window_s}", RateLimits(**limits))


async def test_an_hour_counts_beside_the_minute_and_ends_with_the_hour(ledger: RedisLedger, redis: Redis) -> None:
    rates = (rate(requests=9), rate(requests=2, window_s=HOUR_S))
    outcomes = [await ledger.reserve(make_claim(rates=rates)) for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [Admitted, Admitted, Refused]
    refused = outcomes[2]
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.rate) == ("requests", rates[1])
    left_s = HOUR_S - (await redis.time())[0] % HOUR_S
    assert left_s <= refused.retry_after_s <= left_s + 2
    names = [name async for name in redis.scan_iter("{kh}:minute:*")]
    assert sorted(name.rpartition(":")[0] for name in names) == ["{kh}:minute:team:red", "{kh}:minute:team:red@3600"]
    assert all([0 < await redis.pttl(name) <= HOUR_S * 1000 for name in names])


async def test_tokens_of_an_hour_are_corrected_after_their_minute_is_over(ledger: RedisLedger, redis: Redis) -> None:
    rates = (rate(tokens=100), rate(tokens=100, window_s=HOUR_S))
    await ledger.reserve(make_claim(rates=rates, tokens=80, request_id="req_1"))
    hold = str(await redis.get("{kh}:hold:req_1"))
    minute, _, rest = hold.partition(" ")
    earlier = int(minute) // 60 * 60 - (1 if int(minute) % 60 == 0 else 0)
    await redis.set("{kh}:hold:req_1", f"{earlier} {rest}")
    await ledger.settle(make_receipt("req_1"), tokens=30)
    now = int(minute)
    assert await redis.hget(f"{{kh}}:minute:team:red:{now}", "tokens") == "80"
    same_hour = earlier // 60 == now // 60
    assert await redis.hget(f"{{kh}}:minute:team:red@3600:{now // 60}", "tokens") == ("30" if same_hour else "80")


async def test_the_limit_that_refuses_the_longest_is_told(ledger: RedisLedger) -> None:
    rates = (
        rate(requests=1),
        rate("key_alpha", requests=1, window_s=DAY_S),
        rate("user:a", requests=1, window_s=HOUR_S),
    )
    await ledger.reserve(make_claim(rates=rates))
    refused = await ledger.reserve(make_claim(rates=rates))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.rate) == ("requests", rates[1])


async def test_a_budget_that_stays_spent_for_longer_than_a_minute_is_told_before_the_minute(
    ledger: RedisLedger, redis: Redis
) -> None:
    start = clock.now() - timedelta(hours=1)
    budget = make_budget(10, 5, start=start, end=start + timedelta(days=30))
    await ledger.reserve(make_claim(budget, rates=(rate(requests=1),), request_id="req_1"))
    await ledger.settle(make_receipt("req_1", 10), 1)
    refused = await ledger.reserve(make_claim(budget, rates=(rate(requests=1),)))
    assert isinstance(refused, Refused)
    assert refused.reason == "budget"
    assert refused.retry_after_s > DAY_S
    waiting = make_budget(10**6, 5, counter="bud_other:1:1", start=start, end=start + timedelta(days=30))
    limited = await ledger.reserve(make_claim(waiting, rates=(rate(requests=1),)))
    assert isinstance(limited, Refused)
    assert limited.reason == "requests"


async def test_nothing_is_moved_by_a_refusal(ledger: RedisLedger, redis: Redis) -> None:
    rates = (rate(requests=5), rate(requests=1, window_s=DAY_S))
    await ledger.reserve(make_claim(rates=rates))
    names = {name: await redis.hgetall(name) async for name in redis.scan_iter("{kh}:minute:*")}
    await ledger.reserve(make_claim(rates=rates))
    assert {name: await redis.hgetall(name) async for name in redis.scan_iter("{kh}:minute:*")} == names


async def test_a_further_attempt_of_a_request_counts_no_second_request_and_takes_the_place_of_the_first(
    ledger: RedisLedger, redis: Redis
) -> None:
    one = rate(requests=1, tokens=1000, max_parallel_requests=1)
    claim = make_claim(make_budget(100, 7), rates=(one,))
    assert isinstance(await ledger.reserve(claim), Admitted)
    again = structs.replace(claim, rates=(structs.replace(one, counted=True),))
    outcome = await ledger.reserve(again)
    assert isinstance(outcome, Admitted)
    assert outcome.requests is not None
    assert (outcome.requests.remaining, outcome.budgets[0].held_nanousd) == (0, 7)
    assert isinstance(await ledger.reserve(make_claim(rates=(one,))), Refused)
    assert all([await redis.pttl(name) > 0 async for name in redis.scan_iter("{kh}:minute:*")])
