"""A server on loopback that says just the bytes it is told to, call after call, and remembers what it was asked."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from app.base.secret import Secret
from app.domain.catalog import Timeouts
from app.providers.provider import Header, UpstreamReply, UpstreamRequest
from tests.fakes.recording import RecordedRequest

QUICK = Timeouts(connect_s=2, first_byte_s=5, idle_s=5, total_s=10)


class Loopback:
    """``answers`` are used up in order, the last one again and again."""

    def __init__(self) -> None:
        self.requests: list[RecordedRequest] = []
        self.answers: deque[tuple[bytes, ...]] = deque()
        self.url = ""

    def answer(
        self,
        *parts: bytes,
        status: int = 200,
        headers: Mapping[str, str] = {},
        cut: bool = False,
    ) -> None:
        """One answer, its body written part by part; ``cut``: the connection ends before its last chunk."""
        lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in headers.items())]
        lines += ["transfer-encoding: chunked", "connection: close", "", ""]
        chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part]
        self.answers.append(("\r\n".join(lines).encode(), *chunks, *([] if cut else [b"0\r\n\r\n"])))

    def answer_json(self, body: Any, status: int = 200, headers: Mapping[str, str] = {}) -> None:
        self.answer(json.dumps(body).encode(), status=status, headers={"content-type": "application/json", **headers})

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            method, target, _ = first.split(" ")
            headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
            length = next((int(value) for name, value in headers if name.lower() == "content-length"), 0)
            body = await reader.readexactly(length)
            self.requests.append(RecordedRequest(method, target, headers, body))
            parts = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
        writer.close()


@contextlib.asynccontextmanager
async def loopback() -> AsyncIterator[Loopback]:
    running = Loopback()
    server = await asyncio.start_server(running.handle, "127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield running


def request_to(
    url: str, body: bytes = b"{}", headers: Sequence[Header] = (), options: Mapping[str, str] = {}
) -> UpstreamRequest:
    return UpstreamRequest(
        provider="cloud",
        method="POST",
        url=url,
        headers=[(b"content-type", b"application/json"), *headers],
        body=body,
        timeouts=QUICK,
        options={name: Secret(value) for name, value in options.items()},
    )


async def read(reply: UpstreamReply) -> bytes:
    received = b""
    try:
        while chunk := await reply.next_chunk(5):
            received += chunk
    finally:
        reply.close()
    return received


class Pieces:
    """An UpstreamReply that was never on a wire: its body comes in the pieces given."""

    def __init__(self, pieces: list[bytes], *headers: Header) -> None:
        self.status = 200
        self.headers: Sequence[Header] = headers
        self._pieces = deque(piece for piece in pieces if piece)

    async def next_chunk(self, wait_s: float) -> bytes:
        return self._pieces.popleft() if self._pieces else b""

    def close(self) -> None:
        self._pieces.clear()
