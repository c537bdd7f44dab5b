"""What each key was refused for last: one short-lived entry a key."""

from collections.abc import Mapping

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.base.errors import StorageUnavailable

_ENTRY = "{kh}:refused:"
_KEPT_S = 3600


class RedisRefusalBoard:
    """Implements the gateway's RefusalBoard. Every method raises StorageUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def write(self, said: Mapping[str, bytes]) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for key_id, refusal in said.items():
                    pipe.set(_ENTRY + key_id, refusal, ex=_KEPT_S)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; the last refusals were not noted.") from error

    async def read(self, key_id: str) -> bytes | None:
        try:
            found = await self._redis.get(_ENTRY + key_id)
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; try again shortly.") from error
        return found if isinstance(found, bytes) else None
