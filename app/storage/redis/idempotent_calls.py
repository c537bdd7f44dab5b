"""Calls under a key of idempotency in Redis: a mark for each, and beside it the answer, sealed, while there is room."""

import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.domain.idempotency import KeptReply, KnownCall, Ticket
from app.storage.redis.script import ScriptRunner, load_script

_INDEX = b"{kh}:idempotent-answers"
_SIZES = b"{kh}:idempotent-answer-sizes"
_NONCE_BYTES = 12
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(KeptReply)


class RedisIdempotentCalls:
    """Every method raises StorageUnavailable when Redis does not answer."""

    def __init__(self, runner: ScriptRunner, lease_s: float, ttl_s: int, room_bytes: int) -> None:
        """A mark lives ``lease_s`` while its call runs, and ``ttl_s`` when it is done; ``room_bytes`` are of all
        answers together, of every process on this Redis."""
        self._runner = runner
        self._lease_ms = int(lease_s * 1000)
        self._ttl_ms = ttl_s * 1000
        self._room_bytes = room_bytes
        self._begin = load_script("idempotency_begin")
        self._mark = load_script("idempotency_mark")
        self._keep = load_script("cache_keep")

    async def begin(self, ticket: Ticket) -> KnownCall | None:
        keys = [_mark_key(ticket), _answer_key(ticket)]
        known = await self._runner.run(self._begin, keys, [ticket.request_id, ticket.fingerprint, self._lease_ms])
        if known is None:
            return None
        request_id, fingerprint, age_ms, done, sealed = known
        answer = None if sealed is None else _open(ticket, sealed)
        return KnownCall(request_id.decode(), fingerprint, int(age_ms), done is not None, answer)

    async def renew(self, ticket: Ticket) -> None:
        await self._say(ticket, self._lease_ms)

    async def finish(self, ticket: Ticket, answer: KeptReply | None) -> None:
        # The answer first: a mark that is done without one says that there is none any more.
        if answer is not None:
            keys = [_answer_key(ticket), _INDEX, _SIZES]
            sealed = _seal(ticket, answer)
            await self._runner.run(self._keep, keys, [ticket.name.hex(), sealed, self._ttl_ms, self._room_bytes])
        await self._say(ticket, self._ttl_ms, "done")

    async def forget(self, ticket: Ticket) -> None:
        await self._say(ticket, 0)

    async def _say(self, ticket: Ticket, life_ms: int, word: str = "") -> None:
        await self._runner.run(self._mark, [_mark_key(ticket)], [ticket.request_id, life_ms, word])


def _mark_key(ticket: Ticket) -> bytes:
    return b"{kh}:idempotent:" + ticket.name.hex().encode()


def _answer_key(ticket: Ticket) -> bytes:
    return b"{kh}:idempotent-answer:" + ticket.name.hex().encode()


def _seal(ticket: Ticket, answer: KeptReply) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + AESGCM(ticket.sealing_key).encrypt(nonce, _ENCODER.encode(answer), ticket.name)


def _open(ticket: Ticket, sealed: bytes) -> KeptReply | None:
    """None for what was written by a process of another version, or changed by somebody else."""
    try:
        plain = AESGCM(ticket.sealing_key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], ticket.name)
        return _DECODER.decode(plain)
    except (InvalidTag, ValueError, msgspec.MsgspecError):
        return None
