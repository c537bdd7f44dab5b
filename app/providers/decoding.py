"""Answers that come compressed although none was asked for, as plain bytes: gzip and deflate, in bounded pieces."""

import zlib
from collections.abc import Sequence

from app.base.errors import UpstreamBroken
from app.providers.provider import Header, UpstreamReply

_PIECE_MOST_BYTES = 2**18
"""However little was sent: an answer that swells is read, and measured, piece by piece."""
_GZIP = 16 + zlib.MAX_WBITS
_CODINGS = frozenset({b"gzip", b"x-gzip", b"deflate"})
_GZIP_FIRST_BYTE = 0x1F
_CHANGED = frozenset({b"content-encoding", b"content-length"})


def decoded(reply: UpstreamReply, provider: str) -> UpstreamReply:
    """``reply`` itself when it is plain, or coded in a way that is not known here. Header names are in lower case."""
    for name, value in reply.headers:
        if name == b"content-encoding":
            coding = value.strip().lower()
            return DecodedReply(reply, coding, provider) if coding in _CODINGS else reply
    return reply


class DecodedReply:
    """An UpstreamReply whose bytes are inflated as they come."""

    def __init__(self, reply: UpstreamReply, coding: bytes, provider: str) -> None:
        self._reply = reply
        self._provider = provider
        self._gzip = coding != b"deflate"
        self._inflater: zlib._Decompress | None = None
        self._deflated = b""
        self._more = False
        self._started = False
        self._whole = True
        self.status = reply.status
        self.headers: Sequence[Header] = [header for header in reply.headers if header[0] not in _CHANGED]

    async def next_chunk(self, wait_s: float) -> bytes:
        while True:
            while self._deflated or self._more:
                piece = self._inflate()
                if piece:
                    return piece
            self._deflated = await self._reply.next_chunk(wait_s)
            if not self._deflated:
                if not self._whole:
                    raise self._broken("its compressed body ends too early")
                return b""

    def close(self) -> None:
        self._reply.close()

    def _inflate(self) -> bytes:
        if self._inflater is None:
            if not self._begin():
                return b""
            assert self._inflater is not None
        try:
            piece = self._inflater.decompress(self._deflated, _PIECE_MOST_BYTES)
        except zlib.error as error:
            raise self._broken("its body is not compressed as its header says") from error
        self._deflated = self._inflater.unconsumed_tail
        self._more = len(piece) == _PIECE_MOST_BYTES
        if self._inflater.eof:
            self._deflated, self._more = self._inflater.unused_data, False
            self._inflater, self._whole = None, True
        return piece

    def _begin(self) -> bool:
        """Whether what stands next is to be inflated: behind the first whole body, only one more of gzip is."""
        first = self._deflated[0]
        if self._whole and self._started and not (self._gzip and first == _GZIP_FIRST_BYTE):
            self._deflated = b""
            return False
        # Some hosts send deflate with zlib's header, as the standard has it, and some without.
        plain = -zlib.MAX_WBITS if first & 0x0F != zlib.DEFLATED else zlib.MAX_WBITS
        self._inflater = zlib.decompressobj(_GZIP if self._gzip else plain)
        self._started, self._whole = True, False
        return True

    def _broken(self, reason: str) -> UpstreamBroken:
        return UpstreamBroken(f'provider "{self._provider}" broke off its answer: {reason}', provider=self._provider)
