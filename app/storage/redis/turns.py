"""Turns: what one process of a fleet does now and then, so that the others need not."""

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.base.errors import StorageUnavailable


class Turns:
    """For work that may be done twice, and need not be. Every method raises StorageUnavailable."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def take(self, name: str, for_s: float) -> bool:
        """Whether it is ours to do now; nobody's turn comes before ``for_s`` have passed, whatever happens."""
        return bool(await self._set(name, for_s, only_if_free=True))

    async def keep(self, name: str, for_s: float) -> None:
        """Nobody's turn comes before ``for_s`` have passed from now."""
        await self._set(name, for_s, only_if_free=False)

    async def _set(self, name: str, for_s: float, *, only_if_free: bool) -> object:
        try:
            return await self._redis.set(f"{{kh}}:turn:{name}", "1", nx=only_if_free, px=max(1, int(for_s * 1000)))
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; nothing was done. Try again shortly.") from error
