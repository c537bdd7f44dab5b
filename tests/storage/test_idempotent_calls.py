"""Calls under a key of idempotency in Redis: one is under way at a time, and what is kept opens by its key alone."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from app.base.ids import new_id
from app.domain.idempotency import KeptReply, Ticket, ticket_of
from app.storage.redis.client import script_runner
from app.storage.redis.idempotent_calls import RedisIdempotentCalls
from app.storage.redis.script import ScriptRunner

pytestmark = pytest.mark.services
ANSWER = KeptReply(200, ((b"content-type", b"application/json"),), b'{"secret": "of the answer"}')


@pytest.fixture
async def runner(redis_url: str) -> AsyncIterator[ScriptRunner]:
    runner = script_runner(redis_url)
    yield runner
    await runner.close()


def ticket(key: bytes, body: bytes = b"{}") -> Ticket:
    return ticket_of(b"pepper", "key_1", key, new_id("req"), (b"/v1/messages", b"", body))


async def test_one_call_begins_and_its_answer_is_for_all_that_follow(runner: ScriptRunner, redis_url: str) -> None:
    calls, key = RedisIdempotentCalls(runner, 60, 60, 100_000), new_id("i").encode()
    asked = [ticket(key) for _ in range(20)]
    known = await asyncio.gather(*map(calls.begin, asked))
    [winner] = [one for one, found in zip(asked, known, strict=True) if found is None]
    assert {found.request_id for found in known if found} == {winner.request_id}
    assert not any(found.done for found in known if found)

    loser = next(one for one in asked if one is not winner)
    await calls.finish(loser, None)  # not its to end
    await calls.finish(winner, ANSWER)
    found = await calls.begin(ticket(key, b"other"))
    assert found is not None
    assert (found.done, found.answer, found.fingerprint) == (True, ANSWER, winner.fingerprint)
    assert 0 <= found.age_ms < 5_000
    async with Redis.from_url(redis_url) as redis:
        names = await redis.keys("{kh}:idempotent*")
        assert not [name for name in names if key in name]
        sealed = [str(await redis.get(name)) for name in names if b"-answer:" in name]
        assert sealed
        assert not [value for value in sealed if "of the answer" in value]


async def test_a_mark_ends_with_its_lease_unless_it_is_renewed_and_what_came_to_nothing_begins_anew(
    runner: ScriptRunner, redis_url: str
) -> None:
    brief, calls = (RedisIdempotentCalls(runner, lease_s, 60, 100_000) for lease_s in (0.05, 60))
    dead, alive = new_id("i").encode(), new_id("i").encode()
    renewed = ticket(alive)
    assert await brief.begin(ticket(dead)) is None
    await asyncio.sleep(0.1)
    async with Redis.from_url(redis_url) as redis:
        before = set(await redis.keys("{kh}:idempotent*"))
        assert await calls.begin(renewed) is None
        [mark] = set(await redis.keys("{kh}:idempotent*")) - before
        await redis.pexpire(mark, 10_000)
        await calls.renew(renewed)
        assert await redis.pttl(mark) > 30_000
    assert await calls.begin(ticket(dead)) is None
    assert await calls.begin(ticket(alive)) is not None
    await calls.forget(renewed)
    assert await calls.begin(ticket(alive)) is None


async def test_an_answer_without_room_leaves_word_that_it_was_given(runner: ScriptRunner) -> None:
    calls, key = RedisIdempotentCalls(runner, 60, 60, 10), new_id("i").encode()
    first = ticket(key)
    await calls.begin(first)
    await calls.finish(first, ANSWER)
    found = await calls.begin(ticket(key))
    assert found is not None
    assert (found.done, found.answer) == (True, None)
