"""What the last round of health checks found: one entry for the whole fleet."""

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.base.errors import StorageUnavailable

_BOARD = "{kh}:health-checks"


class RedisHealthBoard:
    """Implements the gateway's HealthBoard; what was found is forgotten when nobody has looked for ``kept_s``. Every
    method raises StorageUnavailable."""

    def __init__(self, redis: Redis, kept_s: int) -> None:
        self._redis = redis
        self._kept_s = kept_s

    async def write(self, found: bytes) -> None:
        try:
            await self._redis.set(_BOARD, found, ex=self._kept_s)
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; the health checks were not noted.") from error

    async def read(self) -> bytes | None:
        try:
            found = await self._redis.get(_BOARD)
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; try again shortly.") from error
        return found if isinstance(found, bytes) else None
