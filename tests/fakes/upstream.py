"""A real HTTP server on loopback that plays the providers, records what it saw and keeps a bill.

In a test: `async with RecordingUpstream() as upstream: ... upstream.base_url`. As its own process, so that
it outlives a killed gateway: `python -m tests.fakes.upstream --port 0 --bill FILE` prints its port.
"""

import argparse
import asyncio
import os
import socket
import struct
import sys
import uuid
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import httptools

from tests.fakes.answers import Answer, Frame
from tests.fakes.anthropic_objects import AnthropicObjects
from tests.fakes.bill import Bill, BillEntry
from tests.fakes.recording import RecordedRequest, RecordedResponse
from tests.fakes.routes import answer_of, choose_script, error_event, parse_body
from tests.fakes.script import Script, total_output_tokens

REASONS = {status.value: status.phrase for status in HTTPStatus}


class RecordingUpstream:
    """The server. `requests`, `responses` and `bill.entries` grow in order of arrival."""

    def __init__(self, *, port: int = 0, bill_path: Path | None = None, keep_traffic: bool = True) -> None:
        self.requests: list[RecordedRequest] = []
        self.responses: list[RecordedResponse] = []
        self.bill = Bill(bill_path)
        self.objects = AnthropicObjects(self.bill)
        self.default = Script()
        self.released = asyncio.Event()
        self.port = port
        self.connections_made = 0
        self._keep_traffic = keep_traffic
        self._scripts: deque[Script] = deque()
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def script(self, *scripts: Script) -> None:
        """Queue scripts for the next requests, whatever their path; they win over words in prompts."""
        self._scripts.extend(scripts)

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float = 60.0) -> None:
        """Wait for a condition on the records, checked at each change of them. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(condition)

    async def wait_until_settled(self, calls: int, timeout_s: float = 60.0) -> list[BillEntry]:
        """The bill, as soon as it has so many calls and none of them runs. Raises TimeoutError."""
        entries = self.bill.entries
        await self.wait_until(
            lambda: len(entries) >= calls and all(entry.state != "started" for entry in entries), timeout_s
        )
        return entries

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*(connection.abort() for connection in list(self._connections)))
        await self._server.wait_closed()
        self.bill.close()

    def _opened(self, connection: "_Connection") -> None:
        self._connections.add(connection)
        self.connections_made += 1

    async def _announce(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _answer(self, request: RecordedRequest, connection: "_Connection") -> bool:
        """Answer one request; true when the connection may carry another."""
        response = RecordedResponse("req_" + uuid.uuid4().hex)
        if self._keep_traffic:
            self.requests.append(request)
            self.responses.append(response)
        script = self._scripts.popleft() if self._scripts else choose_script(request, self.default)
        kept = self.objects.answer(request, script, response.request_id)
        answer = kept or answer_of(request, script, response.request_id)
        entry = self._open_call(request, script, answer, response.request_id)
        exchange = _Exchange(connection, request, script, response, entry, self.released)
        try:
            await self._announce()
            finished = await exchange.run(answer)
        except (asyncio.CancelledError, ConnectionError):
            if entry:
                self.bill.close_call(entry, "cut_by_client")
            await self._announce()
            raise
        response.complete = finished
        if entry:
            self.bill.close_call(entry, "finished" if finished else "cut_by_upstream")
        await self._announce()
        return finished

    def _open_call(self, request: RecordedRequest, script: Script, answer: Answer, request_id: str) -> BillEntry | None:
        if not answer.billable:
            return None
        generates = not request.path.endswith("/embeddings")
        return self.bill.open_call(
            BillEntry(
                request_id=request_id,
                path=request.path,
                model=str(parse_body(request).get("model")),
                streamed=answer.streamed,
                input=script.input_tokens,
                cache_read=script.cache_read,
                cache_write_5m=script.cache_write_5m,
                cache_write_1h=script.cache_write_1h,
                output=total_output_tokens(script) if generates else 0,
                reasoning=script.reasoning_tokens,
            )
        )


class _Exchange:
    """The sending of one answer, with all the mischief of its script."""

    def __init__(
        self,
        connection: "_Connection",
        request: RecordedRequest,
        script: Script,
        response: RecordedResponse,
        entry: BillEntry | None,
        released: asyncio.Event,
    ) -> None:
        self._released = released
        self._connection = connection
        self._request = request
        self._script = script
        self._response = response
        self._entry = entry

    async def run(self, answer: Answer) -> bool:
        """True when the answer went out whole, false when the script cut it."""
        if self._script.hang_before:
            await asyncio.Event().wait()
        if not answer.streamed:
            if self._script.hold_after is not None:
                await self._released.wait()
            await asyncio.sleep(self._script.delay_ms / 1000 + self._script.silence_s)
        await self._send(_render_head(answer, self._request.method))
        if self._request.method == "HEAD":
            return True
        return await (self._stream(answer.frames) if answer.streamed else self._whole(answer.frames[0]))

    async def _whole(self, frame: Frame) -> bool:
        script = self._script
        stops = [at for at in (script.cut_after, script.hang_after) if at is not None]
        payload = frame.payload[: min(stops)] if stops else frame.payload
        await self._pay_out(payload, chunked=False)
        if stops:
            await self._stop(hang=script.hang_after is not None)
            return False
        self._account(frame)
        return True

    async def _stream(self, frames: tuple[Frame, ...]) -> bool:
        script = self._script
        for number, frame in enumerate(frames):
            if number in (script.cut_after, script.hang_after):
                await self._stop(hang=number == script.hang_after)
                return False
            if number == script.error_after:
                await self._pay_out(error_event(self._request, script), chunked=True)
                await self._send(b"0\r\n\r\n")
                return False
            if number == script.hold_after:
                await self._released.wait()
            silence_s = script.silence_s if number == script.silence_after else 0.0
            if (number and script.delay_ms) or silence_s:
                await asyncio.sleep(script.delay_ms / 1000 + silence_s)
            await self._pay_out(frame.payload, chunked=True)
            self._account(frame)
        await self._send(b"0\r\n\r\n")
        return True

    async def _pay_out(self, payload: bytes, *, chunked: bool) -> None:
        step = self._script.split or len(payload) or 1
        for start in range(0, len(payload), step):
            part = payload[start : start + step]
            await self._send(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            self._response.body += part
            if self._script.split:
                await asyncio.sleep(0)

    async def _send(self, data: bytes) -> None:
        await self._connection.send(data)
        self._response.raw += data

    def _account(self, frame: Frame) -> None:
        if self._entry:
            self._entry.output_tokens_sent = frame.output_tokens
            self._entry.usage_sent = frame.usage_sent

    async def _stop(self, *, hang: bool) -> None:
        if hang:
            await asyncio.Event().wait()
        self._connection.close(reset=self._script.reset)


class _Connection(asyncio.Protocol):
    """One TCP connection; its requests are answered one after another."""

    def __init__(self, upstream: RecordingUpstream) -> None:
        self._upstream = upstream
        self._parser = httptools.HttpRequestParser(self)
        self._pending: asyncio.Queue[tuple[RecordedRequest, bool]] = asyncio.Queue()
        self._writable = asyncio.Event()
        self._lost = asyncio.Event()
        self._target = b""
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._transport.set_write_buffer_limits(high=0)
        self._writable.set()
        self._upstream._opened(self)
        self._task = asyncio.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            self._transport.close()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, _: Exception | None) -> None:
        self._task.cancel()
        self._lost.set()

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = b"", [], bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        request = RecordedRequest(
            method=self._parser.get_method().decode("ascii"),
            target=self._target.decode("latin-1"),
            headers=tuple(self._headers),
            body=bytes(self._body),
        )
        self._pending.put_nowait((request, self._parser.should_keep_alive()))

    async def send(self, data: bytes) -> None:
        """Hand bytes to the kernel, waiting for a slow reader. Raises ConnectionError when it is gone."""
        if self._transport.is_closing():
            raise ConnectionError("the client closed the connection")
        self._transport.write(data)
        await self._writable.wait()

    def close(self, *, reset: bool) -> None:
        if reset:
            descriptor = os.dup(self._transport.get_extra_info("socket").fileno())
            with socket.socket(fileno=descriptor) as duplicate:
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
        else:
            self._transport.close()

    async def abort(self) -> None:
        """End at once, and return when the transport is gone."""
        self._transport.abort()
        await self._lost.wait()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _serve(self) -> None:
        keep_alive = True
        try:
            while keep_alive:
                request, wants_more = await self._pending.get()
                keep_alive = await self._upstream._answer(request, self) and wants_more
        except ConnectionError:
            self._transport.abort()
        finally:
            self._transport.close()
            self._upstream._connections.discard(self)


def _render_head(answer: Answer, method: str) -> bytes:
    reason = REASONS.get(answer.status, "Overloaded")
    lines = [f"HTTP/1.1 {answer.status} {reason}", *(f"{name}: {value}" for name, value in answer.headers)]
    if answer.streamed and method != "HEAD":
        lines.append("transfer-encoding: chunked")
    else:
        lines.append(f"content-length: {sum(len(frame.payload) for frame in answer.frames)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _run(port: int, bill_path: Path | None) -> None:
    async with RecordingUpstream(port=port, bill_path=bill_path, keep_traffic=False) as upstream:
        sys.stdout.write(f"{upstream.port}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description="A fake provider of models with a bill.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--bill", type=Path, default=None)
    arguments = parser.parse_args()
    asyncio.run(_run(arguments.port, arguments.bill))


if __name__ == "__main__":
    main()
