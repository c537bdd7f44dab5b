"""Stored answers in Redis: found until their end, and never more than their room."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from app.base.ids import new_id
from app.domain.caching import StoredAnswer
from app.storage.redis.client import script_runner
from app.storage.redis.script import ScriptRunner
from app.storage.redis.stored_answers import RedisAnswers

pytestmark = pytest.mark.services
ROOM_BYTES = 10_000


@pytest.fixture
async def runner(redis_url: str) -> AsyncIterator[ScriptRunner]:
    async with Redis.from_url(redis_url) as redis:
        if stale := await redis.keys("{kh}:answer*"):
            await redis.delete(*stale)
    runner = script_runner(redis_url)
    yield runner
    await runner.close()


def answer(size_bytes: int) -> StoredAnswer:
    return StoredAnswer(b"x" * size_bytes, b"application/json", 1_795_262_400, 1_050_000, None)


async def test_an_answer_is_found_as_it_was_until_its_end(runner: ScriptRunner) -> None:
    answers, digest = RedisAnswers(runner, ROOM_BYTES), new_id("d").encode()
    assert await answers.find(digest) is None
    await answers.keep(digest, answer(10), 60)
    assert await answers.find(digest) == answer(10)
    await answers.keep(digest, answer(10), 1)
    await asyncio.sleep(1.05)
    assert await answers.find(digest) is None


async def test_what_ends_soonest_makes_room_and_what_is_too_large_is_not_kept(
    runner: ScriptRunner, redis_url: str
) -> None:
    answers = RedisAnswers(runner, ROOM_BYTES)
    names = [new_id("d").encode() for _ in range(6)]
    for place, name in enumerate(names):
        await answers.keep(name, answer(3_000), 60 + place)
        await answers.keep(name, answer(3_000), 60 + place)  # again: counted once
    found = [await answers.find(name) is not None for name in names]
    assert found == [False, False, False, True, True, True]
    await answers.keep(names[0], answer(11_000), 60)
    assert await answers.find(names[0]) is None
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        sizes = {name: int(size) for name, size in (await redis.hgetall("{kh}:answer-sizes")).items()}
        assert sizes.pop("total") == sum(sizes.values()) <= ROOM_BYTES
        assert len(sizes) == await redis.zcard("{kh}:answers")
