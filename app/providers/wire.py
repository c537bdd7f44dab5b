"""One HTTP/1.1 connection to a provider: a request out, the answer in as it comes, the connection kept for the next.

Parsing is httptools' (llhttp, as in Node); what is here is when to read, when to stop reading, and when a
connection may be used again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Any, cast

import httptools

from app.providers.provider import Header

_BUFFER_MOST_BYTES = 2**18
_BUFFER_LOW_BYTES = 2**16
_HEAD_MOST_BYTES = 2**18
_JOINED_MOST_BYTES = 2**16
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_NAME = itemgetter(0)


class BrokenOff(Exception):
    """The connection ended, or what came is no HTTP. ``answered``: some byte of an answer had come."""

    def __init__(self, reason: str, *, answered: bool) -> None:
        super().__init__(reason)
        self.answered = answered


class Connection(asyncio.Protocol):
    """Used by one call at a time. ``on_free`` is told when it may be used again; a lost one is never said to be."""

    def __init__(self, on_free: "Callable[[Connection], None]") -> None:
        self._on_free = on_free
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: Any = None
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._paused = False
        self._head: asyncio.Future[None] | None = None
        self._reader: asyncio.Future[None] | None = None
        self._failure: BrokenOff | None = None
        self._complete = False
        self._busy = False
        self._answered = False
        self._without_body = False
        self._delimited = False
        self._keep_alive = False
        self._head_bytes = 0
        self.calls = 0
        self.idle_since_s = 0.0
        self.status = 0
        self.headers: list[Header] = []

    @property
    def usable(self) -> bool:
        return self._failure is None and self._transport is not None and not self._transport.is_closing()

    async def request(self, head: bytes, body: bytes, wait_s: float, *, without_body: bool) -> None:
        """Send a request and wait for the head of its answer. Cancelling drops the connection.

        ``without_body``: the answer has none whatever its headers say (HEAD). Raises BrokenOff, TimeoutError.
        """
        assert self._transport is not None
        assert not self._busy
        self._busy = True
        self.calls += 1
        self._parser = httptools.HttpResponseParser(self)
        self._complete = self._answered = self._delimited = False
        self._without_body = without_body
        self._head_bytes = 0
        self.headers = []
        self._head = self._loop.create_future()
        self._transport.write(head + body if len(body) < _JOINED_MOST_BYTES else head)
        if len(body) >= _JOINED_MOST_BYTES:
            self._transport.write(body)
        timer = self._loop.call_later(wait_s, _give_up, self._head)
        try:
            await self._head
        except BaseException:
            self.drop()
            raise
        finally:
            timer.cancel()

    async def next_chunk(self, wait_s: float) -> bytes:
        """Whatever has come since the last call, joined; b"" at the end. Raises BrokenOff, TimeoutError."""
        while not self._chunks:
            if self._complete:
                return b""
            if self._failure is not None:
                raise self._failure
            # A bare timer: asyncio.timeout costs several times as much, and this runs for every event of a stream.
            loop = self._loop
            self._reader = reader = loop.create_future()
            timer = loop.call_later(wait_s, _give_up, reader)
            try:
                await reader
            finally:
                timer.cancel()
                self._reader = None
        chunk = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered_bytes = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return chunk

    def release(self) -> None:
        """The call is over: kept for another if its answer was read to the end, else dropped. Safe to call twice."""
        if not self._busy:
            return
        self._busy = False
        if not self._complete or self._chunks or not self._may_stay():
            self.drop()
            return
        self.idle_since_s = time.monotonic()
        self._on_free(self)

    def drop(self) -> None:
        self._busy = False
        self._chunks.clear()
        if self._failure is None:
            self._failure = BrokenOff("dropped", answered=self._answered)
        if self._transport is not None:
            self._transport.abort()

    def _may_stay(self) -> bool:
        transport = self._transport
        return (
            self.usable
            and transport is not None
            and self._delimited
            and not self._without_body
            and self._keep_alive
            and transport.get_write_buffer_size() == 0  # an answer to a request that was not sent whole
        )

    # What asyncio tells.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if not self._busy or self._complete:
            self.drop()  # bytes that nobody asked for: the next answer could not be told from them
            return
        self._answered = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("it wants another protocol")
        except httptools.HttpParserError as error:
            self._fail(f"what it sent is no HTTP ({type(error).__name__})")
        self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        head_came = self._head is not None and self._head.done()
        if exc is None and self._busy and head_came and not self._complete and not self._delimited:
            self._complete = True  # a body that ends with its connection
        if self._failure is None and not self._complete:
            self._fail("it closed the connection" if exc is None else type(exc).__name__)
        self._transport = None
        self._wake()

    # What the parser tells.

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > _HEAD_MOST_BYTES:
            self._fail("its headers are too large")
        else:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._keep_alive = self._parser.should_keep_alive()
        if self.status < 200:
            self.headers = []  # an interim answer: the real one follows
            return
        self._delimited = self.status in {204, 304} or not _FRAMING.isdisjoint(map(_NAME, self.headers))
        if self._without_body:
            self._complete = True
        if self._head is not None and not self._head.done():
            self._head.set_result(None)

    def on_body(self, body: bytes) -> None:
        if self._complete:
            return
        self._chunks.append(body)
        self._buffered_bytes += len(body)
        if self._buffered_bytes > _BUFFER_MOST_BYTES and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.status >= 200:
            self._complete = True

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = BrokenOff(reason, answered=self._answered)
        if self._head is not None and not self._head.done():
            self._head.set_exception(self._failure)
        if self._transport is not None:
            self._transport.abort()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


def _give_up(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_exception(TimeoutError())
