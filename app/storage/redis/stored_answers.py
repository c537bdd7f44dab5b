"""The answers of the response cache in Redis: found by their digest, all together within one room."""

import msgspec

from app.domain.caching import StoredAnswer
from app.storage.redis.script import ScriptRunner, load_script

_INDEX = b"{kh}:answers"
_SIZES = b"{kh}:answer-sizes"
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(StoredAnswer)


class RedisAnswers:
    """Every method raises StorageUnavailable when Redis does not answer."""

    def __init__(self, runner: ScriptRunner, room_bytes: int) -> None:
        """``room_bytes`` are of all answers together, of every process on this Redis."""
        self._runner = runner
        self._room_bytes = room_bytes
        self._find = load_script("cache_find")
        self._keep = load_script("cache_keep")

    async def find(self, digest: bytes) -> StoredAnswer | None:
        payload = await self._runner.run(self._find, [_key(digest)], [])
        if payload is None:
            return None
        try:
            return _DECODER.decode(payload)
        except msgspec.MsgspecError:
            return None  # written by a process of another version

    async def keep(self, digest: bytes, answer: StoredAnswer, ttl_s: int) -> None:
        keys = [_key(digest), _INDEX, _SIZES]
        await self._runner.run(
            self._keep, keys, [digest.hex(), _ENCODER.encode(answer), ttl_s * 1000, self._room_bytes]
        )


def _key(digest: bytes) -> bytes:
    return b"{kh}:answer:" + digest.hex().encode()
