"""One process of a fleet does what all would."""

import asyncio

import pytest
from redis.asyncio import Redis

from app.base.errors import StorageUnavailable
from app.base.ids import new_id
from app.storage.redis.turns import Turns

pytestmark = pytest.mark.services


async def test_one_of_many_has_the_turn_until_it_ends_and_a_long_one_is_kept(redis_url: str) -> None:
    fleet = [Redis.from_url(redis_url) for _ in range(4)]
    turns, name = [Turns(redis) for redis in fleet], new_id("work")

    assert sum(await asyncio.gather(*(one.take(name, 60) for one in turns))) == 1
    assert not any(await asyncio.gather(*(one.take(name, 60) for one in turns)))
    await turns[0].keep(name, 0.001)
    await asyncio.sleep(0.05)
    assert await turns[3].take(name, 60)
    for redis in fleet:
        await redis.aclose()


async def test_without_redis_it_is_nobodys_turn() -> None:
    redis = Redis.from_url("redis://127.0.0.1:1")
    with pytest.raises(StorageUnavailable):
        await Turns(redis).take("work", 1)
    await redis.aclose()
