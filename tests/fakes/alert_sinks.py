"""Where alerts arrive in tests: a web server and a mail server on loopback, each on a port of its own."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Posted:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebSink:
    """Answers with ``statuses`` in turn, then 204; a status of 0 is no answer at all."""

    statuses: list[int] = field(default_factory=list)
    answer_headers: str = ""
    received: list[Posted] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError, asyncio.IncompleteReadError, ConnectionError):
            while line := await reader.readline():
                if not await self._answer(line, reader, writer):
                    break
        writer.close()

    async def _answer(self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        headers = {}
        while (header := (await reader.readline()).decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.received.append(Posted(line.decode().split()[1], headers, body))
        status = self.statuses.pop(0) if self.statuses else 204
        if status == 0:
            await reader.read()
            return False
        text = "" if status == 204 else "it is broken here"
        head = f"HTTP/1.1 {status} X\r\n{self.answer_headers}content-length: {len(text)}\r\n\r\n{text}"
        writer.write(head.encode())
        await writer.drain()
        return True


@dataclass
class MailSink:
    """Speaks as much SMTP as a client needs; ``refuse`` answers every recipient with that status."""

    refuse: int = 0
    received: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(f"{text}\r\n".encode())

        say("220 sink")
        while line := (await reader.readline()).decode().strip():
            verb = line.upper()
            if verb.startswith("RCPT"):
                self.recipients.append(line)
                say(f"{self.refuse} no" if self.refuse else "250 fine")
            elif verb.startswith("DATA"):
                say("354 go on")
                mail = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.received.append(mail.removesuffix(".\r\n"))
                say("250 taken")
            elif verb.startswith("QUIT"):
                say("221 bye")
                break
            else:
                say("250 fine")
        writer.close()


@asynccontextmanager
async def web_sink(*statuses: int) -> AsyncIterator[WebSink]:
    sink = WebSink(list(statuses))
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield sink
    finally:
        server.close()


@asynccontextmanager
async def mail_sink(refuse: int = 0) -> AsyncIterator[MailSink]:
    sink = MailSink(refuse)
    server = await asyncio.start_server(sink.serve, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()


async def wait_until(holds: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to be so"
        await asyncio.sleep(0.01)
