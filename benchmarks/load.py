"""The load: raw connections driven in a closed loop, or at a fixed rate measured from the intended start."""

import asyncio
import dataclasses
import json
import time
from typing import Literal, cast

import httptools

Api = Literal["messages", "chat"]
CALL_TIMEOUT_S = 20.0
PROMPT = "Keep to the point and answer in one paragraph, please. " * 24


class CallFailedError(Exception):
    """A call did not come back with a whole 200."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where calls go, and the credential they carry."""

    port: int
    credential: str
    messages_path: str = "/v1/messages"
    chat_path: str = "/v1/chat/completions"


@dataclasses.dataclass(slots=True)
class Samples:
    """What a run saw. Times in seconds, from the intended start of each call."""

    first_byte_s: list[float] = dataclasses.field(default_factory=list)
    whole_s: list[float] = dataclasses.field(default_factory=list)
    elapsed_s: float = 0.0

    @property
    def count(self) -> int:
        return len(self.whole_s)

    @property
    def per_second(self) -> float:
        return self.count / self.elapsed_s


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def render_call(target: Target, api: Api, *, events: int = 0, interval_ms: int = 0) -> bytes:
    """The bytes of one request; with events, of a streamed one."""
    words = f"events={events} interval_ms={interval_ms}"
    body: dict[str, object] = {
        "model": "claude-haiku-4-5" if api == "messages" else "gpt-4o-mini",
        "max_tokens": 256,
        "messages": [{"role": "user", "content": f"{PROMPT} {words}"}],
    }
    if events:
        body["stream"] = True
    content = json.dumps(body, separators=(",", ":")).encode()  # as the SDKs write it
    path = target.messages_path if api == "messages" else target.chat_path
    own = "anthropic-version: 2023-06-01\r\nanthropic-beta: interleaved-thinking-2025-05-14\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{target.port}\r\n"
        f"authorization: Bearer {target.credential}\r\n{own if api == 'messages' else ''}"
        f"user-agent: keyhouse-benchmark\r\naccept: application/json\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one call under way."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._done: asyncio.Future[None] | None = None
        self._body: list[bytes] = []
        self.first_byte_at = 0.0
        self.done_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, _: Exception | None) -> None:
        if self._done and not self._done.done():
            self._done.set_exception(CallFailedError("the connection was closed before the answer's end"))

    def on_body(self, body: bytes) -> None:
        if not self._body:
            self.first_byte_at = time.perf_counter()
        self._body.append(body)

    def on_message_complete(self) -> None:
        self.done_at = time.perf_counter()
        if self._done and not self._done.done():
            self._done.set_result(None)

    async def call(self, request: bytes) -> bytes:
        """Send, and return the whole body. Raises CallFailedError for anything but a whole 200."""
        self._done = asyncio.get_running_loop().create_future()
        self._body = []
        self._transport.write(request)
        await self._done
        body = b"".join(self._body)
        status = self._parser.get_status_code()
        if status != 200:
            raise CallFailedError(f"status {status}: {body[:500]!r}")
        return body

    def close(self) -> None:
        self._transport.close()


async def connect(target: Target) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", target.port)
    return connection


def is_whole(body: bytes, events: int) -> bool:
    """Whether a stream of so many deltas has them all, and an end; any body when there are none."""
    if not events:
        return bool(body)
    deltas = body.count(b"content_block_delta\n") or body.count(b'"content":" about')
    return deltas == events and (b"message_stop\n" in body or body.endswith(b"[DONE]\n\n"))


async def run_closed_loop(
    target: Target, api: Api, *, connections: int, duration_s: float, events: int = 0, interval_ms: int = 0
) -> Samples:
    """Each connection calls again as soon as it has its answer, until the time is over."""
    request = render_call(target, api, events=events, interval_ms=interval_ms)
    samples = Samples()
    started_at = time.perf_counter()

    async def drive() -> None:
        connection = await connect(target)
        while (call_at := time.perf_counter()) < started_at + duration_s:
            body = await connection.call(request)
            if not is_whole(body, events):
                raise CallFailedError(f"a stream came back maimed: {body[-500:]!r}")
            samples.first_byte_s.append(connection.first_byte_at - call_at)
            samples.whole_s.append(connection.done_at - call_at)
        connection.close()

    async with asyncio.timeout(duration_s + CALL_TIMEOUT_S):
        await asyncio.gather(*(drive() for _ in range(connections)))
    samples.elapsed_s = time.perf_counter() - started_at
    return samples


class _FixedRate:
    """The calls of one target in a run at a fixed rate, on as many connections as they need."""

    def __init__(self, target: Target, api: Api, events: int) -> None:
        self._target = target
        self._request = render_call(target, api, events=events)
        self._events = events
        self._idle: list[Connection] = []
        self.samples = Samples()

    async def call(self, intended_at: float) -> None:
        connection = self._idle.pop() if self._idle else await connect(self._target)
        body = await connection.call(self._request)
        if not is_whole(body, self._events):
            raise CallFailedError(f"a stream came back maimed: {body[-500:]!r}")
        self.samples.first_byte_s.append(connection.first_byte_at - intended_at)
        self.samples.whole_s.append(connection.done_at - intended_at)
        self._idle.append(connection)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


async def run_fixed_rate(
    targets: list[Target], api: Api, *, per_second: float, duration_s: float, events: int = 0
) -> list[Samples]:
    """Call every target at the rate, side by side and out of step, so that all see the same machine."""
    runs = [_FixedRate(target, api, events) for target in targets]
    interval_s = 1 / per_second / len(runs)
    started_at = time.perf_counter() + 0.1
    async with asyncio.timeout(duration_s + CALL_TIMEOUT_S), asyncio.TaskGroup() as calls:
        for number in range(int(duration_s * per_second) * len(runs)):
            intended_at = started_at + number * interval_s
            await asyncio.sleep(max(0.0, intended_at - time.perf_counter()))
            calls.create_task(runs[number % len(runs)].call(intended_at))
    for run in runs:
        run.close()
        run.samples.elapsed_s = time.perf_counter() - started_at
    return [run.samples for run in runs]
