"""Upstreams that lie: a clear error or a correct answer, and a receipt in every case."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from app.base.errors import UpstreamBroken, UpstreamRejected, UpstreamUnreadable
from app.base.ids import DeploymentId
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.keys import VirtualKey
from app.gateway.call import Reply, StreamCut
from app.gateway.last_refusals import message_of
from app.protocols.codec import Header
from app.protocols.openai_chat.codec import OpenAIChat
from tests.fakes.ports import ScriptedReply
from tests.gateway.examples import DEPLOYMENT, KEY
from tests.gateway.test_pipeline import DELTA, JSON, SSE, START, STOP, TEXT, House, call, event

HTML: list[Header] = [(b"content-type", b"text/html")]
PAGE = b"<html><head><title>502</title></head><body><h1>Bad Gateway</h1></body></html>"
CHAT: Deployment = replace(
    DEPLOYMENT,
    deployment_id=DeploymentId("dep_2"),
    provider="openai_compatible",
    upstream_model="local-model",
    api_base="https://compatible.example/v1",
)
CATALOG = Catalog(
    (
        Model("claude-sonnet-4-5", (DEPLOYMENT,), "Claude Sonnet 4.5", ""),
        Model("local", (CHAT,), "Local", ""),
    )
)


class Home(House):
    """With a host of each protocol; a Messages client asks the chat host, and a chat client Claude."""

    catalog = CATALOG

    async def ask(self, *, translated: bool, stream: bool, key: VirtualKey = KEY) -> Reply:
        fields: dict[str, Any] = {"stream": stream, "messages": [{"role": "user", "content": "Hello"}]}
        if translated:
            return await self.serve(call(codec=OpenAIChat(), **fields), key)
        return await self.serve(call(**fields), key)

    async def ask_chat_host(self, *, stream: bool) -> Reply:
        return await self.serve(call(model="local", stream=stream, messages=[{"role": "user", "content": "Hello"}]))


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: %b\n\n" % msgspec.json.encode({"id": "c", "model": "m", "choices": [choice], **more})


async def told(reply: Reply) -> tuple[bytes, bool]:
    """What the client got, and whether its connection was cut."""
    if isinstance(reply.body, bytes):
        return reply.body, False
    received = b""
    try:
        async for part in reply.body.chunks():
            received += part
    except StreamCut:
        return received, True
    finally:
        await reply.body.close()
    return received, False


@pytest.mark.parametrize("translated", [False, True], ids=["same protocol", "translated"])
async def test_a_stream_without_usage_is_counted_from_its_bytes(translated: bool) -> None:
    start, delta = event("message_start", message={}), event("message_delta", delta={"stop_reason": "end_turn"})
    block = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    house = Home([ScriptedReply(200, SSE, [start, block, TEXT, event("content_block_stop", index=0), delta, STOP])])
    received, cut = await told(await house.ask(translated=translated, stream=True))
    assert b"x" * 40 in received
    assert not cut
    [receipt] = house.ledger.settled
    assert (receipt.status, receipt.usage_source, receipt.usage.output) == ("ok", "estimated", 10)
    assert receipt.usage.input > 0


async def test_an_answer_without_usage_is_booked_at_what_its_text_comes_to() -> None:
    body = msgspec.json.encode(
        {"type": "message", "content": [{"type": "text", "text": "y" * 80}], "stop_reason": "end_turn"}
    )
    for translated in (False, True):
        house = Home([ScriptedReply(200, JSON, [body])])
        received, _ = await told(await house.ask(translated=translated, stream=False))
        assert b"y" * 80 in received
        [receipt] = house.ledger.settled
        assert (receipt.usage_source, receipt.usage.output) == ("estimated", 20)


async def test_a_stream_under_the_content_type_of_a_whole_answer_is_an_answer_all_the_same() -> None:
    frames = [START, event("content_block_start", index=0, content_block={"type": "text", "text": ""}), TEXT]
    frames += [event("content_block_stop", index=0), DELTA, STOP]
    for translated in (False, True):
        house = Home([ScriptedReply(200, JSON, list(frames))])
        received, _ = await told(await house.ask(translated=translated, stream=True))
        assert b"x" * 40 in received
        assert received.endswith(b"data: [DONE]\n\n" if translated else STOP)
        [receipt] = house.ledger.settled
        assert (receipt.usage_source, receipt.usage.output) == ("provider", 50)


@pytest.mark.parametrize("status", [400, 500])
async def test_an_error_that_is_nested_beyond_all_reading_passes_as_it_came(status: int) -> None:
    deep = b'{"error":{"message":"no"},"x":' + b"[" * 5_000 + b"]" * 5_000 + b"}"
    house = Home([ScriptedReply(status, JSON, [deep])])
    reply = await house.ask(translated=False, stream=False)
    assert (reply.status, reply.body) == (status, deep)
    assert message_of(deep) == ""


async def test_a_whole_answer_that_does_not_end_is_given_up_and_booked() -> None:
    house = Home([ScriptedReply(200, JSON, [b" " * 2**24] * 20)])
    with pytest.raises(UpstreamBroken, match="larger than 256 MiB"):
        await house.ask(translated=False, stream=False)
    [receipt] = house.ledger.settled
    assert (receipt.status, receipt.usage_source) == ("error", "estimated")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_page_of_html_under_200_is_a_clear_error_for_a_translated_call(stream: bool) -> None:
    house = Home([ScriptedReply(200, HTML, [PAGE])])
    with pytest.raises(UpstreamUnreadable, match="Bad Gateway"):
        await house.ask(translated=True, stream=stream)
    [receipt] = house.ledger.settled
    assert receipt.status == "error"


@pytest.mark.parametrize("translated", [False, True], ids=["same protocol", "translated"])
async def test_a_page_of_html_as_an_error_becomes_an_error_of_the_protocol(translated: bool) -> None:
    house = Home([ScriptedReply(503, HTML, [PAGE])])
    with pytest.raises(UpstreamRejected) as caught:
        await house.ask(translated=translated, stream=False)
    assert caught.value.status == 503
    assert b"<html>" not in caught.value.message.encode()
    await house.settlement.drain(timeout_s=1)
    assert (house.ledger.settled, house.ledger.released) == ([], ["req_1"])


@pytest.mark.parametrize("translated", [False, True], ids=["same protocol", "translated"])
async def test_half_an_event_at_the_end_is_no_whole_answer(translated: bool) -> None:
    block = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    house = Home([ScriptedReply(200, SSE, [START, block, TEXT, DELTA[:20]])])
    received, cut = await told(await house.ask(translated=translated, stream=True))
    assert cut
    assert b"[DONE]" not in received
    assert b"error" in received
    [receipt] = house.ledger.settled
    assert (receipt.status, receipt.usage.input) == ("error", 100)


@pytest.mark.parametrize("translated", [False, True], ids=["same protocol", "translated"])
async def test_a_line_of_ten_megabytes_passes(translated: bool) -> None:
    block = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    large = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "z" * 10_000_000})
    pieces = [large[at : at + 65536] for at in range(0, len(large), 65536)]
    frames: list[bytes | Exception | None] = [START, block, *pieces, event("content_block_stop", index=0), DELTA, STOP]
    house = Home([ScriptedReply(200, SSE, frames)])
    received, cut = await told(await house.ask(translated=translated, stream=True))
    assert received.count(b"z") >= 10_000_000
    assert not cut
    assert house.ledger.settled[0].usage.output == 50


async def test_a_block_that_ends_twice_ends_once() -> None:
    block = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    end = event("content_block_stop", index=0)
    house = Home([ScriptedReply(200, SSE, [START, block, TEXT, end, end, DELTA, STOP])])
    received, cut = await told(await house.ask(translated=True, stream=True))
    assert received.endswith(b"data: [DONE]\n\n")
    assert not cut


async def test_a_chat_stream_without_its_end_mark_is_whole_when_it_told_its_finish() -> None:
    frames: list[bytes | Exception | None] = [chunk({"role": "assistant", "content": "Hi"}), chunk({}, "stop")]
    house = Home([ScriptedReply(200, SSE, list(frames))])
    received, cut = await told(await house.ask_chat_host(stream=True))
    assert b"message_stop" in received
    assert not cut
    house = Home([ScriptedReply(200, SSE, frames[:1])])
    received, cut = await told(await house.ask_chat_host(stream=True))
    assert b"message_stop" not in received
    assert cut
    assert house.ledger.settled[0].status == "error"


async def test_usage_that_comes_after_the_finish_is_in_the_clients_answer() -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
    last = b"data: %b\n\n" % msgspec.json.encode({"id": "c", "model": "m", "choices": [], "usage": usage})
    frames = [chunk({"role": "assistant", "content": "Hi"}), chunk({}, "stop"), last, b"data: [DONE]\n\n"]
    house = Home([ScriptedReply(200, SSE, list(frames))])
    received, _ = await told(await house.ask_chat_host(stream=True))
    delta = next(line for line in received.splitlines() if b'"message_delta"' in line and line.startswith(b"data:"))
    assert msgspec.json.decode(delta[5:])["usage"]["input_tokens"] == 20
    assert house.ledger.settled[0].usage.output == 3


async def test_a_failure_that_the_host_tells_in_its_stream_is_told_and_the_connection_cut() -> None:
    failure = b'data: {"error":{"message":"the engine fell over","code":500}}\n\n'
    house = Home([ScriptedReply(200, SSE, [chunk({"role": "assistant", "content": "Hi"}), failure])])
    received, cut = await told(await house.ask_chat_host(stream=True))
    assert b"event: error" in received
    assert b"the engine fell over" in received
    assert cut
    assert house.ledger.settled[0].status == "error"


async def test_a_whole_answer_to_a_client_that_asked_for_a_stream_is_streamed() -> None:
    message = {"role": "assistant", "content": "Hello"}
    body = {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    usage = {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
    house = Home([ScriptedReply(200, JSON, [msgspec.json.encode({**body, "usage": usage})])])
    reply = await house.ask_chat_host(stream=True)
    received, _ = await told(reply)
    assert received.startswith(b"event: message_start")
    assert received.rstrip().endswith(b'data: {"type":"message_stop"}')
    assert (b"content-type", b"text/event-stream; charset=utf-8") in reply.headers
    assert house.ledger.settled[0].usage.output == 3
