"""The head of an answer as our server writes it: what uvicorn writes, byte for byte, or what uvicorn refuses.

And who hears that a client has left.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from app.api.server import HttpProtocol, _Cycle

Header = tuple[bytes, bytes]


class Transport:
    def __init__(self) -> None:
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    @property
    def written(self) -> bytes:
        return b"".join(self.writes)

    def close(self) -> None: ...


class Socket(Transport):
    """As much of asyncio's transport as uvicorn's protocol asks for."""

    def get_extra_info(self, name: str) -> Any: ...

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Flow:
    write_paused = False


def done() -> None: ...


async def answered(
    kind: type[RequestResponseCycle],
    status: int,
    headers: list[Header],
    method: str,
    *,
    keep_alive: bool,
    bodies: Sequence[bytes] = (),
) -> list[bytes]:
    """What is written, write by write."""
    transport: Any = Transport()
    unused: Any = None
    scope: Any = {"method": method}
    flow: Any = Flow()
    date = [(b"date", b"Sat, 21 Nov 2026 12:00:00 GMT")]
    cycle = kind(scope, transport, flow, unused, unused, False, date, asyncio.Event(), False, keep_alive, done)
    await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
    for number, body in enumerate(bodies, 1):
        await cycle.send({"type": "http.response.body", "body": body, "more_body": number < len(bodies)})
    writes: list[bytes] = transport.writes
    return writes


@pytest.mark.parametrize("method", ["POST", "HEAD"])
@pytest.mark.parametrize("keep_alive", [True, False])
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, [(b"content-type", b"application/json"), (b"request-id", b"req_1"), (b"content-length", b"12")]),
        (200, [(b"content-length", b"12"), (b"content-type", b"application/json")]),
        (200, [(b"content-type", b"text/event-stream")]),
        (200, [(b"transfer-encoding", b"chunked"), (b"content-type", b"text/event-stream")]),
        (429, [(b"connection", b"close"), (b"content-length", b"0")]),
        (204, [(b"x-empty", b"")]),
        (200, [(b"x-latin", b"caf\xe9\tau lait"), (b"content-length", b"1")]),
        (200, []),
    ],
)
async def test_a_head_is_the_one_that_uvicorn_writes(
    status: int, headers: list[Header], method: str, keep_alive: bool
) -> None:
    length = int(dict(headers).get(b"content-length", b"0"))
    bodies = [b"x" * length]
    theirs = await answered(RequestResponseCycle, status, headers, method, keep_alive=keep_alive, bodies=bodies)
    ours = await answered(_Cycle, status, headers, method, keep_alive=keep_alive, bodies=bodies)
    assert b"".join(ours) == b"".join(theirs)


async def test_a_head_leaves_with_the_first_of_its_body_and_alone_where_no_length_is_told() -> None:
    sized = [(b"content-length", b"6")]
    head, *rest = await answered(_Cycle, 200, sized, "POST", keep_alive=True, bodies=[b"one", b"two"])
    assert head.endswith(b"content-length: 6\r\n\r\none")
    assert rest == [b"two"]
    (empty,) = await answered(_Cycle, 200, [(b"content-length", b"0")], "POST", keep_alive=True, bodies=[b""])
    assert empty.endswith(b"content-length: 0\r\n\r\n")
    (streamed,) = await answered(_Cycle, 200, [], "POST", keep_alive=True)
    assert streamed.endswith(b"transfer-encoding: chunked\r\n\r\n")


async def test_a_large_body_is_not_copied_behind_its_head() -> None:
    large = b"x" * 1_000_000
    head, body = await answered(_Cycle, 200, [(b"content-length", b"1000000")], "POST", keep_alive=True, bodies=[large])
    assert head.endswith(b"\r\n\r\n")
    assert body is large


@pytest.mark.parametrize("body", [b"short", b"much too long"])
async def test_a_body_of_another_length_than_the_head_told_is_an_error(body: bytes) -> None:
    with pytest.raises(RuntimeError, match="Content-Length"):
        await answered(_Cycle, 200, [(b"content-length", b"8")], "POST", keep_alive=True, bodies=[body])


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: x", b"a\nb", b"a\rb", b"\x00", b"\x7f"])
async def test_a_value_that_would_end_its_header_is_never_sent(value: bytes) -> None:
    for headers in ([(b"x-of-the-provider", value), (b"content-length", b"1")], [(b"x" + value, b"1")]):
        with pytest.raises(RuntimeError, match="Invalid HTTP header"):
            await answered(_Cycle, 200, headers, "POST", keep_alive=True)


@pytest.mark.parametrize("sent_ahead", [0, 2])
async def test_the_request_that_runs_hears_that_its_client_has_left_also_where_others_were_sent_ahead(
    sent_ahead: int,
) -> None:
    heard: list[str] = []
    begun = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        heard.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        heard.append((await receive())["type"])
        await send({"type": "http.response.body", "body": b"to nobody"})

    config = Config(app, http=HttpProtocol, lifespan="off", log_config=None)
    config.load()
    protocol, transport = HttpProtocol(config, ServerState(), {}), Socket()
    protocol.connection_made(transport)  # type: ignore[arg-type]
    protocol.data_received(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\n\r\nx" * (1 + sent_ahead))
    await begun.wait()
    protocol.connection_lost(None)
    async with asyncio.timeout(10):
        await asyncio.gather(*protocol.tasks)
    assert heard == ["http.request", "http.disconnect"]
    assert b"to nobody" not in transport.written
