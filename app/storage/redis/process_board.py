"""Which processes run: each says so in an entry of its own, which ends by itself when it is not said again."""

from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.base.errors import StorageUnavailable

_INDEX = "{kh}:processes"
_ENTRY = "{kh}:process:"
FORGOTTEN_AFTER_S = 20


class Told(NamedTuple):
    """``age_s`` is how long ago by the clock of Redis, whatever those of the processes say."""

    process_id: str
    record: bytes
    age_s: float


class RedisProcessBoard:
    """What was said is forgotten ``kept_s`` later. Every method raises StorageUnavailable."""

    def __init__(self, redis: Redis, kept_s: int = FORGOTTEN_AFTER_S) -> None:
        self._redis = redis
        self._kept_ms = kept_s * 1_000

    async def write(self, process_id: str, record: bytes) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.set(_ENTRY + process_id, record, px=self._kept_ms)
                pipe.sadd(_INDEX, process_id)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; that this process runs was not noted.") from error

    async def list(self) -> list[Told]:
        """Those that live, and forgets the names of the others."""
        try:
            names = sorted(name.decode() for name in await self._redis.smembers(_INDEX) if isinstance(name, bytes))
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.get(_ENTRY + name)
                    pipe.pttl(_ENTRY + name)
                found = await pipe.execute()
            pairs = list(zip(names, found[::2], found[1::2], strict=True))
            if gone := [name for name, record, _ in pairs if record is None]:
                await self._redis.srem(_INDEX, *gone)
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; which processes run is not known.") from error
        return [
            Told(name, record, max(0, self._kept_ms - left_ms) / 1_000)
            for name, record, left_ms in pairs
            if record is not None
        ]

    async def forget(self, process_id: str) -> None:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.delete(_ENTRY + process_id)
                pipe.srem(_INDEX, process_id)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise StorageUnavailable("Redis does not answer; that this process ends was not noted.") from error
