"""Calls to a provider over real sockets: what comes back whole, what breaks, and which connections are kept."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from app.base.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from app.domain.catalog import Timeouts
from app.providers.provider import Header, UpstreamReply, UpstreamRequest
from app.providers.upstream import HttpUpstream
from tests.fakes.gateway_process import free_port
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

QUICK = Timeouts(connect_s=1, first_byte_s=1, idle_s=1, total_s=5)
BODY = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}).encode()
STREAM = json.dumps(
    {"model": "m", "max_tokens": 9, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
).encode()

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def http() -> AsyncIterator[HttpUpstream]:
    upstream = HttpUpstream()
    yield upstream
    await upstream.close()


@pytest.fixture
async def provider() -> AsyncIterator[RecordingUpstream]:
    async with RecordingUpstream() as running:
        yield running


def to(url: str, body: bytes = BODY, method: str = "POST", headers: tuple[Header, ...] = ()) -> UpstreamRequest:
    return UpstreamRequest("anthropic", method, url, [(b"content-type", b"application/json"), *headers], body, QUICK)


async def read(reply: UpstreamReply) -> bytes:
    received = b""
    while chunk := await reply.next_chunk(5):
        received += chunk
    reply.close()
    return received


@contextlib.asynccontextmanager
async def raw_server(handler: Handler) -> AsyncIterator[str]:
    """A server that says just the bytes it is told to."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/messages"


async def read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
    await reader.readexactly(length)


def says(*parts: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.001)

    return handle


async def test_the_request_arrives_as_it_was_given(http: HttpUpstream, provider: RecordingUpstream) -> None:
    headers = ((b"anthropic-beta", b"a"), (b"anthropic-beta", b"b"), (b"x-api-key", b"k"))
    await read(await http.send(to(f"{provider.base_url}/v1/messages?beta=true", headers=headers)))
    [received] = provider.requests
    assert (received.method, received.target, received.body) == ("POST", "/v1/messages?beta=true", BODY)
    assert received.header_values("anthropic-beta") == ["a", "b"]
    assert received.header("host") == f"127.0.0.1:{provider.port}"


@pytest.mark.parametrize("split", [0, 1, 3, 1000])
async def test_a_stream_arrives_whole_however_its_bytes_were_split(
    http: HttpUpstream, provider: RecordingUpstream, split: int
) -> None:
    provider.script(Script(events=30, unicode=True, split=split))
    received = await read(await http.send(to(f"{provider.base_url}/v1/messages", STREAM)))
    assert received == bytes(provider.responses[0].body)


async def test_one_connection_serves_call_after_call(http: HttpUpstream, provider: RecordingUpstream) -> None:
    for body in (BODY, STREAM, BODY):
        await read(await http.send(to(f"{provider.base_url}/v1/messages", body)))
    assert provider.connections_made == 1


async def test_calls_at_once_have_connections_of_their_own(http: HttpUpstream, provider: RecordingUpstream) -> None:
    provider.default = Script(delay_ms=20)

    async def one_call() -> bytes:
        return await read(await http.send(to(f"{provider.base_url}/v1/messages", STREAM)))

    received = await asyncio.gather(*(one_call() for _ in range(20)))
    assert all(b"message_stop" in body for body in received)


async def test_an_answer_that_was_not_read_to_its_end_costs_its_connection(
    http: HttpUpstream, provider: RecordingUpstream
) -> None:
    provider.script(Script(events=50, delay_ms=5))
    reply = await http.send(to(f"{provider.base_url}/v1/messages", STREAM))
    await reply.next_chunk(5)
    reply.close()
    await provider.wait_until(lambda: provider.bill.entries[0].state == "cut_by_client")
    await read(await http.send(to(f"{provider.base_url}/v1/messages")))
    assert provider.connections_made == 2


async def test_a_kept_connection_that_the_host_has_closed_is_replaced_unseen(http: HttpUpstream) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    async with raw_server(says(answer)) as url:  # closes after each answer without saying so
        for _ in range(3):
            assert await read(await http.send(to(url))) == b"ok"


async def test_a_request_is_not_repeated_once_a_fresh_connection_took_it(http: HttpUpstream) -> None:
    connections = 0

    async def handle(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)

    async with raw_server(handle) as url:
        with pytest.raises(UpstreamUnreachable, match="closed the connection"):
            await http.send(to(url))
    assert connections == 1


async def test_a_stream_that_is_cut_is_broken_and_never_an_end(http: HttpUpstream, provider: RecordingUpstream) -> None:
    for reset in (False, True):
        provider.script(Script(events=20, cut_after=4, reset=reset))
        reply = await http.send(to(f"{provider.base_url}/v1/messages", STREAM))
        with pytest.raises(UpstreamBroken):
            await read(reply)
        reply.close()


async def test_a_body_shorter_than_its_length_is_broken(http: HttpUpstream) -> None:
    async with raw_server(says(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nonly")) as url:
        reply = await http.send(to(url))
        with pytest.raises(UpstreamBroken):
            await read(reply)


async def test_a_body_that_ends_with_its_connection_is_whole(http: HttpUpstream) -> None:
    async with raw_server(says(b"HTTP/1.0 200 OK\r\n\r\nall", b" of it")) as url:
        assert await read(await http.send(to(url))) == b"all of it"


async def test_interim_answers_are_passed_over(http: HttpUpstream) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    async with raw_server(says(interim, b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as url:
        reply = await http.send(to(url))
        assert (reply.status, list(reply.headers)) == (200, [(b"content-length", b"2")])
        assert await read(reply) == b"ok"


async def test_an_answer_to_head_has_no_body_whatever_it_says(http: HttpUpstream) -> None:
    async with raw_server(says(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n")) as url:
        assert await read(await http.send(to(url, b"", "HEAD"))) == b""


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000 + b"\r\n\r\n"])
async def test_what_is_no_answer_is_said_to_be_none(http: HttpUpstream, answer: bytes) -> None:
    async with raw_server(says(answer)) as url:
        with pytest.raises(UpstreamUnreachable):
            await http.send(to(url))


async def test_a_host_that_never_answers_is_given_up(http: HttpUpstream, provider: RecordingUpstream) -> None:
    provider.script(Script(hang_before=True))
    with pytest.raises(UpstreamTimeout, match="no answer in 1 s"):
        await http.send(to(f"{provider.base_url}/v1/messages"))


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "ftp://x/", "http:///nowhere", "http://x:99999/"])
async def test_a_host_that_is_not_there_is_unreachable(http: HttpUpstream, url: str) -> None:
    with pytest.raises(UpstreamUnreachable):
        await http.send(to(url.format(port=free_port())))


async def test_a_header_cannot_smuggle_another(http: HttpUpstream, provider: RecordingUpstream) -> None:
    with pytest.raises(UpstreamUnreachable, match="line break"):
        await http.send(to(f"{provider.base_url}/v1/messages", headers=((b"x", b"1\r\nx-evil: 2"),)))


async def test_a_slow_reader_slows_the_provider_down_instead_of_filling_memory(http: HttpUpstream) -> None:
    sent_bytes = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent_bytes
        await read_request(reader)
        writer.transport.set_write_buffer_limits(high=2**16)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (16 * 2**20))
        for _ in range(16 * 16):
            writer.write(b"x" * 2**16)
            sent_bytes += 2**16
            await writer.drain()

    async with raw_server(flood) as url:
        reply = await http.send(to(url))
        await asyncio.sleep(0.3)
        assert sent_bytes < 8 * 2**20
        assert len(await read(reply)) == 16 * 2**20


async def test_giving_up_waiting_for_a_chunk_loses_no_byte(http: HttpUpstream, provider: RecordingUpstream) -> None:
    provider.script(Script(events=5, delay_ms=30))
    reply = await http.send(to(f"{provider.base_url}/v1/messages", STREAM))
    received, gave_up = b"", 0
    while True:
        try:
            chunk = await reply.next_chunk(0.004)
        except TimeoutError:
            gave_up += 1
            continue
        if not chunk:
            break
        received += chunk
    assert gave_up > 3
    assert received == bytes(provider.responses[0].body)
