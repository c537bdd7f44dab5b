"""The ledger's steps, one by one, on a real Valkey and (where the machine has one) a real Redis."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from app.base import clock
from app.base.errors import StorageUnavailable
from app.domain.limits import RateLimits
from app.domain.spend import Admitted, BudgetClaim, Refused
from app.storage.redis.client import script_runner
from app.storage.redis.counters import Counters
from app.storage.redis.ledger import RedisLedger
from tests.fakes.minutes import within_one_minute
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
    until,
)

pytestmark = pytest.mark.services

SERVERS = ["valkey", *(["redis-server"] if shutil.which("redis-server") else [])]


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
    await within_one_minute(1)
    runner = script_runner(server.url)
    opened = RedisLedger(runner, lease_s=30)
    await opened.open()
    yield opened
    await opened.close()
    await runner.close()


async def reserve(ledger: RedisLedger, *budgets: BudgetClaim, request_id: str | None = None) -> Admitted | Refused:
    return await ledger.reserve(make_claim(*budgets, request_id=request_id))


async def test_an_unlimited_claim_is_admitted_and_leaves_a_hold_with_a_lease(ledger: RedisLedger, redis: Redis) -> None:
    outcome = await ledger.reserve(make_claim(request_id="req_1"))
    assert outcome == Admitted(None, None, ())
    assert await redis.exists("{kh}:hold:req_1") == 1
    assert 25 < await lease_s(redis, "req_1") < 31


async def test_requests_per_minute_are_refused_at_the_limit_with_the_time_to_the_next_minute(
    ledger: RedisLedger, redis: Redis
) -> None:
    limits = RateLimits(requests=2)
    first, second, third = [await ledger.reserve(make_claim(limits=limits)) for _ in range(3)]
    assert isinstance(first, Admitted)
    assert first.requests is not None
    assert first.requests.remaining == 1
    assert isinstance(second, Admitted)
    assert second.requests is not None
    assert second.requests.remaining == 0
    assert isinstance(third, Refused)
    assert third.reason == "requests"
    left_s = 60 - (await redis.time())[0] % 60
    assert left_s <= third.retry_after_s <= left_s + 1
    (counted,) = [name async for name in redis.scan_iter("{kh}:minute:*")]
    assert 0 < await redis.pttl(counted) <= 60_000


async def test_tokens_are_corrected_to_what_was_used(ledger: RedisLedger) -> None:
    limits = RateLimits(tokens=100)
    await ledger.reserve(make_claim(limits=limits, tokens=80, request_id="req_1"))
    refused = await ledger.reserve(make_claim(limits=limits, tokens=40))
    assert isinstance(refused, Refused)
    assert refused.reason == "tokens"
    assert refused.tokens is not None
    assert refused.tokens.remaining == 20
    await ledger.settle(make_receipt("req_1"), tokens=30)
    admitted = await ledger.reserve(make_claim(limits=limits, tokens=40))
    assert isinstance(admitted, Admitted)
    assert admitted.tokens is not None
    assert admitted.tokens.remaining == 30


async def test_what_settles_in_another_minute_corrects_the_tokens_of_none(ledger: RedisLedger, redis: Redis) -> None:
    await ledger.reserve(make_claim(limits=RateLimits(tokens=100), tokens=80, request_id="req_1"))
    (counted,) = [name async for name in redis.scan_iter("{kh}:minute:*")]
    minute = counted.rpartition(":")[2]
    hold = str(await redis.get("{kh}:hold:req_1"))
    await redis.set("{kh}:hold:req_1", hold.replace(minute, f"{int(minute) - 1}", 1))
    assert await ledger.settle(make_receipt("req_1"), tokens=30)
    assert [name async for name in redis.scan_iter("{kh}:minute:*")] == [counted]
    assert await redis.hget(counted, "tokens") == "80"


async def test_a_claim_of_more_tokens_than_the_whole_limit_is_let_through_when_alone(ledger: RedisLedger) -> None:
    limits = RateLimits(tokens=100)
    assert isinstance(await ledger.reserve(make_claim(limits=limits, tokens=500)), Admitted)
    assert isinstance(await ledger.reserve(make_claim(limits=limits, tokens=1)), Refused)


async def test_released_tokens_come_back_and_the_request_stays_counted(ledger: RedisLedger) -> None:
    limits = RateLimits(requests=5, tokens=100)
    await ledger.reserve(make_claim(limits=limits, tokens=100, request_id="req_1"))
    await ledger.release("req_1")
    await ledger.release("req_1")
    outcome = await ledger.reserve(make_claim(limits=limits, tokens=60))
    assert isinstance(outcome, Admitted)
    assert outcome.requests is not None
    assert outcome.requests.remaining == 3
    assert outcome.tokens is not None
    assert outcome.tokens.remaining == 40


async def test_a_slot_is_freed_by_settling_and_by_the_end_of_a_lease(server: RedisServer, redis: Redis) -> None:
    runner = script_runner(server.url)
    ledger = RedisLedger(runner, lease_s=0.2)
    limits = RateLimits(max_parallel_requests=1)
    assert isinstance(await ledger.reserve(make_claim(limits=limits, request_id="req_1")), Admitted)
    refused = await ledger.reserve(make_claim(limits=limits, request_id="req_2"))
    assert isinstance(refused, Refused)
    assert (refused.reason, refused.retry_after_s) == ("concurrency", 1)
    assert await ledger.settle(make_receipt("req_1"), 1)
    assert isinstance(await ledger.reserve(make_claim(limits=limits, request_id="req_3")), Admitted)

    async def is_admitted() -> bool:
        return isinstance(await ledger.reserve(make_claim(limits=limits, request_id="req_4")), Admitted)

    await until(is_admitted)
    await runner.close()


async def test_a_renewed_lease_keeps_its_slot_and_its_hold(server: RedisServer, redis: Redis) -> None:
    runner = script_runner(server.url)
    ledger = RedisLedger(runner, lease_s=0.2)
    await ledger.reserve(make_claim(limits=RateLimits(max_parallel_requests=1), request_id="req_1"))
    longer = RedisLedger(runner, lease_s=30)
    assert await longer.renew([("req_1", None), ("req_gone", None)]) == ["req_gone"]
    for name in ("{kh}:leases", f"{{kh}}:running:{KEY_ID}"):
        assert 25 < await lease_s(redis, "req_1", name) < 31
    await runner.close()


async def test_a_budget_admits_to_its_limit_and_then_says_that_it_is_held(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    budget = make_budget(100, 40)
    first = await reserve(ledger, budget, request_id="req_1")
    second = await reserve(ledger, budget, request_id="req_2")
    assert isinstance(first, Admitted)
    assert isinstance(second, Admitted)
    assert (second.budgets[0].spent_nanousd, second.budgets[0].held_nanousd) == (0, 80)
    third = await reserve(ledger, budget)
    assert isinstance(third, Refused)
    assert (third.reason, third.retry_after_s) == ("budget_held", 1)
    assert third.budget is not None
    assert third.budget.held_nanousd == 80
    assert await ledger.settle(make_receipt("req_1", 30), 1)
    assert await counter(redis) == (30, 40)


async def test_people_see_what_is_spent_and_held_on_many_counters_at_once(
    server: RedisServer, ledger: RedisLedger
) -> None:
    claim = make_claim(make_budget(1_000, 70))
    await ledger.reserve(claim)
    await ledger.settle(make_receipt(claim.request_id, 40), 1)
    await ledger.reserve(make_claim(make_budget(1_000, 70)))
    runner = script_runner(server.url)
    names = ["bud_beta:1:1"] * 600
    assert await Counters(runner).look([*names, "bud_alpha:1:1"]) == [*[None] * 600, (40, 70)]
    await runner.close()


async def test_people_see_what_of_rate_limits_is_used_now(server: RedisServer, ledger: RedisLedger) -> None:
    limits = RateLimits(requests=5, tokens=100, max_parallel_requests=3)
    for request_id in ("req_1", "req_2"):
        await ledger.reserve(make_claim(limits=limits, tokens=10, request_id=request_id))
    await ledger.settle(make_receipt("req_1", 0), 30)
    runner = script_runner(server.url)
    own, other = await Counters(runner).rates([(KEY_ID, 60), ("team:other", 60)])
    assert own == (2, 40, 1)
    assert other == (0, 0, 0)
    await runner.close()


async def test_what_fits_a_budget_to_the_last_nano_dollar_is_admitted(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    outcomes = [await reserve(ledger, make_budget(100, hold)) for hold in (50, 50, 1, 0)]
    assert [isinstance(outcome, Admitted) for outcome in outcomes] == [True, True, False, True]
    assert await counter(redis) == (0, 100)


async def test_the_only_request_is_admitted_however_careful_its_estimate(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    outcome = await reserve(ledger, make_budget(100, 10_000), request_id="req_1")
    assert isinstance(outcome, Admitted)
    assert outcome.budgets[0].held_nanousd == 100
    assert isinstance(await reserve(ledger, make_budget(100, 1)), Refused)
    await ledger.settle(make_receipt("req_1", 7_000), 1)
    assert await counter(redis) == (7_000, 0)


async def test_a_spent_budget_says_when_it_ends_or_that_it_never_does(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    start = clock.now() - timedelta(seconds=10)
    ending = make_budget(0, 0, start=start, end=clock.now() + timedelta(seconds=90))
    refused = await reserve(ledger, ending)
    assert isinstance(refused, Refused)
    assert refused.reason == "budget"
    assert 85 <= refused.retry_after_s <= 92
    endless = await reserve(ledger, make_budget(0, 0, counter="bud_endless:1:1"))
    assert isinstance(endless, Refused)
    assert endless.retry_after_s == 365 * 86_400  # only a human can change it


async def test_one_refusal_changes_nothing_anywhere(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    wide, narrow = make_budget(1_000, 10, counter="bud_wide:1:1"), make_budget(10, 10, counter="bud_narrow:1:1")
    limits = RateLimits(requests=9, tokens=900, max_parallel_requests=9)
    await ledger.reserve(make_claim(wide, narrow, limits=limits))
    before = await contents(redis)
    refused = await ledger.reserve(make_claim(wide, narrow, limits=limits))
    assert isinstance(refused, Refused)
    assert refused.budget is not None
    assert refused.budget.claim is narrow
    assert await contents(redis) == before


async def test_settling_twice_moves_the_counters_once_and_appends_both(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    await reserve(ledger, make_budget(100, 40), request_id="req_1")
    receipt = make_receipt("req_1", 30)
    assert await ledger.settle(receipt, 1) is True
    assert await ledger.settle(receipt, 1) is False
    assert await counter(redis) == (30, 0)
    assert [entry.counted for entry in await ledger.read_receipts(10)] == [True, False]


async def test_a_claim_made_twice_holds_once(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    for _ in range(2):
        assert isinstance(await reserve(ledger, make_budget(100, 60), request_id="req_1"), Admitted)
    assert await counter(redis) == (0, 60)


async def test_a_call_that_outgrows_its_hold_holds_more(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    await reserve(ledger, make_budget(100, 40), request_id="req_1")
    await ledger.renew([("req_1", make_receipt("req_1", 70))])
    assert await counter(redis) == (0, 70)
    await ledger.renew([("req_1", make_receipt("req_1", 50))])
    assert await counter(redis) == (0, 70)
    await ledger.settle(make_receipt("req_1", 55), 1)
    assert await counter(redis) == (55, 0)


async def test_the_sweeper_books_what_a_dead_process_left_once(server: RedisServer, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    runner = script_runner(server.url)
    ledger = RedisLedger(runner, lease_s=0.05)
    limits = RateLimits(max_parallel_requests=5)
    claim = make_claim(make_budget(100, 40), limits=limits, orphan=make_receipt("req_1", 25))
    assert isinstance(await ledger.reserve(claim), Admitted)

    async def is_swept() -> bool:
        return await ledger.sweep() == 1

    await until(is_swept)
    assert await ledger.sweep() == 0
    assert await counter(redis) == (25, 0)
    (entry,) = await ledger.read_receipts(10)
    assert b'"req_1"' in entry.payload
    assert not await redis.exists("{kh}:leases", f"{{kh}}:running:{KEY_ID}", "{kh}:hold:req_1")
    assert await ledger.settle(make_receipt("req_1", 24), 1) is False
    assert await counter(redis) == (25, 0)
    await runner.close()


async def test_a_window_that_begins_after_this_data_set_needs_no_rebuilding(ledger: RedisLedger, redis: Redis) -> None:
    budget = make_budget(100, 40, start=clock.now() + timedelta(seconds=6), end=clock.now() + timedelta(seconds=60))
    assert isinstance(await reserve(ledger, budget), Admitted)
    assert 3_600_000 < await redis.pttl("{kh}:budget:bud_alpha:1:1") < 3_700_000


@pytest.mark.parametrize("reason", ["older than the data set", "counted from its middle"])
async def test_a_counter_that_may_be_lost_is_rebuilt_once_however_many_ask(
    ledger: RedisLedger, redis: Redis, reason: str
) -> None:
    if reason == "older than the data set":
        budget = make_budget(100, 10, start=clock.now() - timedelta(days=1))
    else:
        await redis.set("{kh}:born", 0)
        budget = make_budget(100, 10, start=clock.now() - timedelta(days=1), counting_since=clock.now())
    asked = []

    async def rebuild(claim: BudgetClaim) -> None:
        asked.append(claim)
        await ledger.rebuild(claim, 75)

    ledger.on_missing_counter = rebuild
    outcomes = await asyncio.gather(*(reserve(ledger, budget) for _ in range(10)))
    assert asked == [budget]
    assert sum(isinstance(outcome, Admitted) for outcome in outcomes) == 2
    assert await counter(redis) == (75, 20)


async def test_without_a_rebuilder_a_missing_counter_refuses_service(ledger: RedisLedger) -> None:
    with pytest.raises(StorageUnavailable, match="bud_alpha:1:1"):
        await reserve(ledger, make_budget(100, 10, start=clock.now() - timedelta(days=1)))


async def test_rebuilding_counts_the_stream_and_the_holds_that_live(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    start = clock.now() - timedelta(minutes=1)
    old = make_budget(1_000, 40, start=start)
    await reserve(ledger, old, request_id="req_settled")
    await reserve(ledger, old, request_id="req_running")
    await ledger.settle(make_receipt("req_settled", 30), 1)
    await ledger.settle(make_receipt("req_settled", 30), 1)
    await ledger.settle(make_receipt("req_of_another", 500, key_id="key_beta"), 1)
    # The same window under a new definition: what runs since before is held, and then spent, on it too.
    new = make_budget(1_000, 40, counter="bud_alpha:2:1", start=start, counting_since=clock.now())
    await ledger.rebuild(new, booked_nanousd=100)
    assert await counter(redis, "bud_alpha:2:1") == (130, 40)
    await ledger.settle(make_receipt("req_running", 35), 1)
    assert await counter(redis, "bud_alpha:2:1") == (165, 0)
    assert await counter(redis, "bud_alpha:1:1") == (65, 0)


async def test_the_next_window_starts_at_zero_and_a_late_settlement_goes_to_the_old_one(
    ledger: RedisLedger, redis: Redis
) -> None:
    await redis.set("{kh}:born", 0)
    turn = clock.now()
    old = make_budget(100, 90, counter="bud:1:1", start=turn - timedelta(hours=1), end=turn)
    end = turn + timedelta(hours=1)
    new = make_budget(100, 90, counter="bud:1:2", start=turn, end=end, counting_since=old.start)
    assert isinstance(await reserve(ledger, old, request_id="req_1"), Admitted)
    assert isinstance(await reserve(ledger, new), Admitted)
    await ledger.settle(make_receipt("req_1", 95, at=old.start), 1)
    assert await counter(redis, "bud:1:1") == (95, 0)
    assert await counter(redis, "bud:1:2") == (0, 90)


async def test_200_at_once_on_a_budget_for_20_overspend_by_no_request(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    budget = make_budget(20 * 1_000_000, 1_000_000)
    limits = RateLimits(requests=1_000, tokens=10**9, max_parallel_requests=500)
    claims = [make_claim(budget, limits=limits, request_id=f"req_{number}") for number in range(200)]
    outcomes = await asyncio.gather(*(ledger.reserve(claim) for claim in claims))
    admitted = [claim for claim, outcome in zip(claims, outcomes, strict=True) if isinstance(outcome, Admitted)]
    assert len(admitted) == 20
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Refused)} == {"budget_held"}
    await asyncio.gather(*(ledger.settle(make_receipt(claim.request_id, 1_000_000), 10) for claim in admitted))
    assert await counter(redis) == (20_000_000, 0)
    last = await ledger.reserve(make_claim(budget))
    assert isinstance(last, Refused)
    assert last.reason == "budget"


async def test_amounts_near_two_to_the_53_stay_exact(ledger: RedisLedger, redis: Redis) -> None:
    await redis.set("{kh}:born", 0)
    huge = 9_000_000 * 10**9
    await reserve(ledger, make_budget(huge, huge - 3), request_id="req_1")
    assert await counter(redis) == (0, huge - 3)
    await ledger.settle(make_receipt("req_1", huge - 7), 1)
    assert await counter(redis) == (huge - 7, 0)
    await reserve(ledger, make_budget(huge, 8), request_id="req_2")
    assert await counter(redis) == (huge - 7, 7)
    await ledger.release("req_2")
    assert await counter(redis) == (huge - 7, 0)


async def test_a_receipt_with_a_lone_surrogate_is_booked(ledger: RedisLedger) -> None:
    receipt = replace(make_receipt("req_1", 5), model_asked="gpt-\ud800")
    await ledger.settle(receipt, 1)
    (entry,) = await ledger.read_receipts(1)
    assert b"gpt-?" in entry.payload


async def test_acknowledged_receipts_leave_the_stream(ledger: RedisLedger) -> None:
    for number in range(3):
        await ledger.settle(make_receipt(f"req_{number}"), 1)
    first, second, third = await ledger.read_receipts(10)
    await ledger.acknowledge([first.entry_id, third.entry_id])
    assert await ledger.read_receipts(10) == [second]
