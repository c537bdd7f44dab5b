"""Where the processes of a fleet say how they see the deployments, each in a field of its own of one hash."""

from collections.abc import Sequence

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.base.errors import StorageUnavailable
from app.base.ids import new_id

_BOARD = "{kh}:routing"
_KEPT_S = 3600


class RedisRoutingBoard:
    """Implements the gateway's RoutingBoard. Every method raises StorageUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._process = new_id("process")

    async def exchange(self, said: bytes) -> dict[str, bytes]:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hset(_BOARD, self._process, said)
                pipe.expire(_BOARD, _KEPT_S)
                pipe.hgetall(_BOARD)
                *_, found = await pipe.execute()
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; what other processes say is not heard.") from error
        said_by = {name.decode(): payload for name, payload in found.items()}
        said_by.pop(self._process, None)
        return said_by

    async def forget(self, processes: Sequence[str]) -> None:
        try:
            await self._redis.hdel(_BOARD, *processes)
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; nothing was done. Try again shortly.") from error
