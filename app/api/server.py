"""uvicorn's HTTP/1.1 with a cheaper head of an answer: it is in every call, and has some twenty headers."""

from operator import itemgetter
from typing import Any, cast

from uvicorn._types import ASGI3Application, ASGISendEvent, HTTPResponseStartEvent
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
# What ends a header or a head before its time, and what else may stand in neither (RFC 9110 5.5).
_FORBIDDEN = bytes({*range(0x20), 0x7F} - {0x09})
_NO_BODY = (204, 304)
_NAME = itemgetter(0)
_JOINED_MOST_BYTES = 2**16


class _Cycle(RequestResponseCycle):
    """uvicorn looks at each header with two regular expressions; here one look is for all. uvicorn writes each head at
    once; here one that tells a length waits for its body, so that both are one packet."""

    _head = b""
    """What waits for its body."""

    async def send(self, message: ASGISendEvent) -> None:
        if self._head:
            message = self._with_head(message)
        plain = not (self.response_started or self.disconnected or self.flow.write_paused or self.access_log)
        if not plain or message["type"] != "http.response.start" or not self._send_head(message):
            await super().send(message)

    def _send_head(self, start: HTTPResponseStartEvent) -> bool:
        """False, and nothing is sent, for a head with more to it than a length: that is left to uvicorn."""
        status = start["status"]
        headers = [*self.default_headers, *start.get("headers", ())]
        name, length = headers[-1]
        sized = name == b"content-length" and length.isdigit()
        if not self.keep_alive or self.scope["method"] == "HEAD" or status in _NO_BODY:
            return False
        if not _FRAMING.isdisjoint(map(_NAME, headers[:-1] if sized else headers)):
            return False
        lines = list(map(b": ".join, headers))
        head = b"\r\n".join(lines)
        if len(head.translate(None, _FORBIDDEN)) != len(head) - 2 * (len(lines) - 1):
            return False
        self.response_started = True
        self.waiting_for_100_continue = False
        self.chunked_encoding = not sized
        if sized:
            self.expected_content_length = int(length)
            self._head = STATUS_LINE[status] + head + b"\r\n\r\n"
        else:
            self.transport.write(STATUS_LINE[status] + head + b"\r\ntransfer-encoding: chunked\r\n\r\n")
        return True

    def _with_head(self, message: ASGISendEvent) -> ASGISendEvent:
        """The first message after the head, which goes before its body; a large one is not copied for that."""
        head, self._head = self._head, b""
        if message["type"] != "http.response.body" or len(message.get("body", b"")) > _JOINED_MOST_BYTES:
            self.transport.write(head)
            return message
        self.expected_content_length += len(head)
        return {**message, "body": head + message.get("body", b"")}


class HttpProtocol(HttpToolsProtocol):
    """For uvicorn's setting ``http``."""

    _running: RequestResponseCycle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        # uvicorn tells the newest request alone, and where requests are sent ahead that is not the one that runs.
        running = self._running
        if running is not None and running is not self.cycle and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"expect":
            super().on_header(name, value)
        else:
            self.headers.append((name, value))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        # uvicorn names the class of its cycles in the middle of a long method.
        cast(Any, cycle).__class__ = _Cycle
        self._running = cycle
        super()._start_asgi_task(cycle, app)
