"""What a host sends in an answer's place: such an attempt has failed, whoever speaks which protocol."""

from typing import Any

import pytest

from app.base.errors import UpstreamRejected, UpstreamUnreadable
from app.protocols.codec import Header
from app.protocols.openai_chat.codec import OpenAIChat
from tests.fakes.ports import ScriptedReply
from tests.gateway.test_attempts import THREE, Answer, Farm
from tests.gateway.test_lying_upstreams import HTML, PAGE, Home
from tests.gateway.test_pipeline import DELTA, JSON, SSE, START, STOP, TEXT, WHOLE, House, call, read

OVERLOADED = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
STREAM: list[bytes | Exception | None] = [START, TEXT, DELTA, STOP]
COMMENT = b": OPENROUTER PROCESSING\n\n"


@pytest.mark.parametrize("body", [PAGE, PAGE + b"<img src=data:x>", b"", b"null", b'"hello"'])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_is_no_json_object_is_no_answer_in_the_same_protocol_either(body: bytes, stream: bool) -> None:
    house = Home([ScriptedReply(200, HTML, [body] if body else [])])
    with pytest.raises(UpstreamUnreadable, match="is no answer of its API"):
        await house.ask(translated=False, stream=stream)
    [receipt] = house.ledger.settled
    assert receipt.status == "error"


@pytest.mark.parametrize("body", [b'{"content":[]}', b'\n {"content":[]}', b'\xef\xbb\xbf{"content":[]}'])
async def test_an_answer_without_usage_passes_as_it_is(body: bytes) -> None:
    assert (await House([ScriptedReply(200, JSON, [body])]).serve(call())).body == body


async def test_an_error_that_stands_in_a_success_is_told_as_the_error_it_is() -> None:
    house = House([ScriptedReply(200, JSON, [OVERLOADED])])
    with pytest.raises(UpstreamRejected, match="Overloaded") as caught:
        await house.serve(call())
    assert caught.value.status == 529


async def test_embeddings_that_are_a_page_are_no_answer() -> None:
    fields: dict[str, Any] = {"model": "local", "input": "Hello"}
    house = Home([ScriptedReply(200, HTML, [PAGE])])
    with pytest.raises(UpstreamUnreadable, match="is no answer of its API"):
        await house.serve(call(codec=OpenAIChat(), operation="embeddings", **fields))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 600, 999])
async def test_a_redirect_reaches_no_client_as_its_sdk_would_take_the_key_there(status: int) -> None:
    elsewhere: list[Header] = [*HTML, (b"location", b"https://elsewhere.example/login")]
    house = House([ScriptedReply(status, elsewhere, [])])
    with pytest.raises(UpstreamUnreadable, match=f"{status}.*an admin should check its api_base") as caught:
        await house.serve(call())
    assert "elsewhere" not in caught.value.message
    await house.settlement.drain(1)
    assert (house.ledger.settled, house.ledger.released) == ([], ["req_1"])
    assert house.replies == []


@pytest.mark.parametrize(
    "way",
    [
        lambda: ScriptedReply(200, HTML, [PAGE]),
        lambda: ScriptedReply(200, JSON, [OVERLOADED]),
        lambda: ScriptedReply(302, HTML, [PAGE]),
    ],
    ids=["page", "error", "redirect"],
)
async def test_another_host_answers_in_its_place(way: Answer) -> None:
    farm = Farm(THREE, {"a": way, "b": way})
    assert [(await farm.ask()).body for _ in range(20)] == [WHOLE] * 20


async def test_a_stream_that_says_it_lives_and_then_fails_has_not_begun() -> None:
    failing = b'data: {"error":{"message":"slow down","code":429}}\n\n'
    ways: dict[str, Answer] = {
        "a": lambda: ScriptedReply(200, SSE, [COMMENT, COMMENT + COMMENT, failing]),
        "b": lambda: ScriptedReply(200, SSE, [COMMENT, *STREAM]),
        "c": lambda: ScriptedReply(200, SSE, [COMMENT + COMMENT + failing]),
    }
    farm = Farm(THREE, ways)
    for _ in range(10):
        assert await read(await farm.ask(stream=True)) == COMMENT + START + TEXT + DELTA + STOP
    alone = Farm({"m": THREE["m"][::2]}, ways)
    with pytest.raises(UpstreamRejected, match="slow down") as caught:
        await alone.ask(stream=True)
    assert caught.value.status == 429


async def test_a_refusal_does_not_repeat_the_key_it_was_sent() -> None:
    house = House([ScriptedReply(403, JSON, [b'{"error":{"message":"no access for sk-ant-provider"}}'])])
    reply = await house.serve(call())
    assert reply.body == '{"error":{"message":"no access for …"}}'.encode()


async def test_an_error_in_a_stream_that_nobody_asked_for_is_told_in_its_own_words() -> None:
    house = Home([ScriptedReply(200, JSON, [b"event: error\ndata: %b\n\n" % OVERLOADED])])
    with pytest.raises(UpstreamRejected) as caught:
        await house.ask(translated=True, stream=False)
    assert (caught.value.status, caught.value.message) == (529, "Overloaded")
