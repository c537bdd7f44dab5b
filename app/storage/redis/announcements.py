"""Words to every process at once: said on a channel of Redis, heard by whoever watches it."""

import asyncio
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.base.logs import get_logger

PAUSE_AFTER_FAILURE_S = 1.0


class Announcements:
    """One channel. What is said while Redis is away is not heard: who watches asks the book now and then, too."""

    def __init__(self, redis: Redis, channel: str) -> None:
        self._redis = redis
        self._channel = channel
        self._logger = get_logger()

    async def say(self) -> None:
        """That something changed; after the commit. Does not fail."""
        try:
            await self._redis.publish(self._channel, "changed")
        except (RedisError, OSError) as error:
            self._logger.warning("change_not_announced", channel=self._channel, error=str(error))

    async def watch(self, heard: Callable[[], Awaitable[object]]) -> None:
        """Run for the life of the process: ``heard`` is awaited for each word, and whenever the line was down."""
        while True:
            try:
                async with self._redis.pubsub() as line:
                    await line.subscribe(self._channel)
                    async for _ in line.listen():
                        await heard()
            except (RedisError, OSError) as error:
                self._logger.warning("changes_not_heard", channel=self._channel, error=str(error))
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
