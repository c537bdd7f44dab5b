"""One exchange over plain ASGI: bodies that stall or are too large, clients that leave, streams that are cut."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.api.llm.connection import ClientGone, Guard, send_reply
from app.base.errors import InvalidRequest, RequestTimeout, TooLarge
from app.gateway.call import Reply, StreamCut


class Client:
    """Says its events in turn, then nothing more until it leaves."""

    def __init__(self, *events: dict[str, Any]) -> None:
        self._events = list(events)
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._events:
            return self._events.pop(0)
        await self.left.wait()
        return {"type": "http.disconnect"}


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


class Body:
    receipt = None

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = chunks
        self.closed = False

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    async def close(self) -> None:
        self.closed = True


async def test_a_body_in_parts_is_read_whole() -> None:
    client = Client(part(b"one ", more=True), part(b"two", more=True), part(b""))
    assert await Guard(client.receive).read_body([(b"content-length", b"7")], 7, 1) == b"one two"


async def test_a_body_that_stalls_is_given_up_and_the_task_lives_on() -> None:
    with pytest.raises(RequestTimeout):
        await Guard(Client(part(b"one", more=True)).receive).read_body([], 100, 0.02)
    await asyncio.sleep(0)  # a cancellation that was left over would strike here


async def test_a_body_larger_than_allowed_is_refused_by_its_length_or_by_its_bytes() -> None:
    with pytest.raises(TooLarge):
        await Guard(Client().receive).read_body([(b"content-length", b"8")], 7, 1)
    with pytest.raises(TooLarge):
        await Guard(Client(part(b"12345678", more=True)).receive).read_body([], 7, 1)


async def test_a_length_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        await Guard(Client().receive).read_body([(b"content-length", b"-1")], 7, 1)


async def test_a_client_that_leaves_with_its_body_half_sent_is_gone() -> None:
    client = Client(part(b"one", more=True))
    client.left.set()
    with pytest.raises(ClientGone):
        await Guard(client.receive).read_body([], 100, 1)


async def test_work_is_cancelled_when_the_client_leaves_and_may_clean_up() -> None:
    client, cleaned = Client(), False

    async def work() -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned = True

    asyncio.get_running_loop().call_later(0.01, client.left.set)
    with pytest.raises(ClientGone):
        await Guard(client.receive).while_connected(work())
    assert cleaned
    await asyncio.sleep(0)  # the task itself is not cancelled any more


async def test_a_cancellation_from_elsewhere_is_not_taken_for_the_client() -> None:
    async def exchange() -> None:
        await Guard(Client().receive).while_connected(asyncio.sleep(10))

    running = asyncio.create_task(exchange())
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def sent_by(reply: Reply) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await send_reply(reply, send)
    return sent


async def test_a_whole_reply_has_its_length() -> None:
    [start, body] = await sent_by(Reply(200, [(b"x", b"y")], b"whole"))
    assert start["headers"] == [(b"x", b"y"), (b"content-length", b"5")]
    assert (body["body"], body["more_body"]) == (b"whole", False)


async def test_a_stream_ends_cleanly_only_when_it_is_whole_and_is_closed_in_any_case() -> None:
    whole = Body(b"one", b"two")
    events = await sent_by(Reply(200, [], whole))
    assert [event.get("body") for event in events] == [None, b"one", b"two", b""]
    assert events[-1]["more_body"] is False
    cut = Body(b"one", StreamCut())
    events = await sent_by(Reply(200, [], cut))
    assert [event.get("more_body") for event in events] == [None, True], "no last event: the server cuts the line"
    assert whole.closed
    assert cut.closed


async def test_a_stream_is_closed_when_sending_fails() -> None:
    body = Body(b"one")

    async def send(_: dict[str, Any]) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await send_reply(Reply(200, [], body), send)
    assert body.closed
