"""What Bedrock answers over loopback: streams and refusals become those of the Messages API."""

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import UpstreamBroken
from app.providers.bedrock import BedrockUpstream, EventStreamReply
from app.providers.upstream import HttpUpstream
from tests.providers.loopback import Loopback, Pieces, loopback, read, request_to
from tests.providers.test_bedrock import OPTIONS, url_of
from tests.providers.test_event_stream import framed

EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_bdrk_1", "type": "message", "role": "assistant", "content": [],
                                          "model": "claude", "usage": {"input_tokens": 3, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße 🗝"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 5}},
]  # fmt: skip


@pytest.fixture
async def host() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        running.answer_json({"id": "msg_1"})
        yield running


@pytest.fixture
async def bedrock() -> AsyncIterator[BedrockUpstream]:
    http = HttpUpstream()
    yield BedrockUpstream(http)
    await http.close()


def chunk(event: bytes | dict[str, Any]) -> bytes:
    data = event if isinstance(event, bytes) else json.dumps(event, separators=(",", ":")).encode()
    return framed(json.dumps({"bytes": base64.b64encode(data).decode(), "p": "abcdefgh"}).encode())


def exception(name: str, **payload: str) -> bytes:
    headers = {":exception-type": name, ":content-type": "application/json", ":message-type": "exception"}
    return framed(json.dumps(payload).encode(), headers)


def sse(*events: dict[str, Any]) -> bytes:
    frames = (f"event: {event['type']}\ndata: {json.dumps(event, separators=(',', ':'))}\n\n" for event in events)
    return "".join(frames).encode()


async def test_a_stream_is_that_of_the_messages_api(host: Loopback, bedrock: BedrockUpstream) -> None:
    host.answers.clear()
    host.answer(
        *map(chunk, EVENTS), headers={"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": "r"}
    )
    reply = await bedrock.send(request_to(url_of(host.url, stream=True), options=OPTIONS))
    assert host.requests[0].path.endswith("/invoke-with-response-stream")
    assert (b"content-type", b"text/event-stream; charset=utf-8") in reply.headers
    assert (b"x-amzn-requestid", b"r") in reply.headers
    assert await read(reply) == sse(*EVENTS)


async def test_a_stream_is_read_split_at_every_byte() -> None:
    stream = b"".join(map(chunk, EVENTS[:4])) + exception("throttlingException", message="Too many tokens")
    expected = await read(EventStreamReply(Pieces([stream]), "bedrock"))
    assert expected.startswith(sse(*EVENTS[:4]))
    for split in range(1, len(stream)):
        assert await read(EventStreamReply(Pieces([stream[:split], stream[split:]]), "bedrock")) == expected


async def test_a_stream_that_is_cut_never_looks_finished() -> None:
    stream = b"".join(map(chunk, EVENTS))
    last = len(stream) - len(chunk(EVENTS[-1]))
    for end in range(last, len(stream)):
        reply = EventStreamReply(Pieces([stream[:end]]), "bedrock")
        read_so_far = b""
        with contextlib.suppress(UpstreamBroken):
            while piece := await reply.next_chunk(1):
                read_so_far += piece
            assert end == last  # it ends between two messages, where the end mark is missing
        assert b"message_stop" not in read_so_far


async def test_events_before_a_damaged_message_are_passed_on() -> None:
    damaged = bytearray(chunk(EVENTS[1]))
    damaged[-1] ^= 1
    reply = EventStreamReply(Pieces([chunk(EVENTS[0]) + bytes(damaged) + chunk(EVENTS[-1])]), "bedrock")
    assert await reply.next_chunk(1) == sse(EVENTS[0])
    with pytest.raises(UpstreamBroken, match='"bedrock" broke off its answer: a message\'s checksum is wrong'):
        await reply.next_chunk(1)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("throttlingException", "rate_limit_error"),
        ("modelStreamErrorException", "api_error"),
        ("internalServerException", "api_error"),
        ("validationException", "invalid_request_error"),
        ("serviceUnavailableException", "overloaded_error"),
        ("modelTimeoutException", "timeout_error"),
        ("somethingNewException", "api_error"),
    ],
)
async def test_an_exception_in_a_stream_is_an_error_event(name: str, kind: str) -> None:
    reply = EventStreamReply(Pieces([exception(name, message="What happened")]), "bedrock")
    error = {"type": kind, "message": "What happened"}
    assert await read(reply) == sse({"type": "error", "error": error})


async def test_an_error_that_is_not_modelled_is_an_error_event_too() -> None:
    headers = {":message-type": "error", ":error-code": "InternalFailure", ":error-message": "It broke"}
    assert b'"api_error","message":"It broke"' in await read(
        EventStreamReply(Pieces([framed(b"", headers)]), "bedrock")
    )


async def test_what_is_no_event_of_the_messages_api_is_passed_over() -> None:
    others = [
        framed(b"not json"),
        framed(b'{"bytes":"not base64"}'),
        framed(b"{}", {":message-type": "event", ":event-type": "initial-response"}),
        framed(b"{}", {}),
        chunk(b'{"completion":" old"}'),
        chunk(b'{"type":"a\\nb"}'),
        chunk(b"[1]"),
        chunk(b"\xff"),
    ]
    reply = EventStreamReply(Pieces([*others, chunk(b'{"type":\n\r"ping"}')]), "bedrock")
    assert await read(reply) == b'event: ping\ndata: {"type":  "ping"}\n\n'


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.binary(), st.binary().map(framed), st.binary().map(chunk)), max_size=5))
async def test_no_bytes_raise_anything_but_a_broken_answer(pieces: list[bytes]) -> None:
    with contextlib.suppress(UpstreamBroken):
        await read(EventStreamReply(Pieces(pieces), "bedrock"))


@pytest.mark.parametrize(
    ("status", "name", "status_shown", "kind"),
    [
        (429, "ThrottlingException", 429, "rate_limit_error"),
        (400, "ValidationException", 400, "invalid_request_error"),
        (404, "ResourceNotFoundException", 404, "not_found_error"),
        (408, "ModelTimeoutException", 504, "timeout_error"),
        (424, "ModelErrorException", 502, "api_error"),
        (429, "ModelNotReadyException", 503, "overloaded_error"),
        (500, "InternalServerException", 500, "api_error"),
        (503, "ServiceUnavailableException", 503, "overloaded_error"),
        (418, "SomethingNewException", 418, "invalid_request_error"),
        (500, "", 500, "api_error"),
    ],
)
async def test_a_refusal_has_the_shape_that_clients_of_the_messages_api_know(
    host: Loopback, bedrock: BedrockUpstream, status: int, name: str, status_shown: int, kind: str
) -> None:
    host.answers.clear()
    type_header = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/coral/com.amazon.bedrock/"} if name else {}
    host.answer_json({"message": "The reason"}, status, {**type_header, "retry-after": "3"})
    reply = await bedrock.send(request_to(url_of(host.url), options=OPTIONS))
    assert reply.status == status_shown
    assert (b"retry-after", b"3") in reply.headers
    assert json.loads(await read(reply)) == {"type": "error", "error": {"type": kind, "message": "The reason"}}


@pytest.mark.parametrize("name", ["AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException", ""])
async def test_a_refused_credential_is_ours_and_not_the_callers(
    host: Loopback, bedrock: BedrockUpstream, name: str
) -> None:
    host.answers.clear()
    told = "User: arn:aws:iam::123456789012:user/gateway is not authorized"
    host.answer_json({"Message": told}, 403, {"x-amzn-errortype": name})
    reply = await bedrock.send(request_to(url_of(host.url), options=OPTIONS))
    assert reply.status == 502
    assert (b"x-should-retry", b"false") in reply.headers
    error = json.loads(await read(reply))["error"]
    text = f"cloud refused the gateway's own credential ({name or 403}); tell whoever runs the gateway"
    assert error == {"type": "api_error", "message": text}


async def test_a_refusal_of_chat_completions_has_openais_shape(host: Loopback, bedrock: BedrockUpstream) -> None:
    host.answers.clear()
    host.answer_json({"message": "Slow down"}, 429, {"x-amzn-errortype": "ThrottlingException"})
    reply = await bedrock.send(request_to(host.url + "/openai/v1/chat/completions", options=OPTIONS))
    assert json.loads(await read(reply))["error"] == {
        "message": "Slow down", "type": "rate_limit_error", "param": None, "code": None
    }  # fmt: skip


async def test_a_refusal_in_the_models_own_words_is_left_alone(host: Loopback, bedrock: BedrockUpstream) -> None:
    host.answers.clear()
    body = {"error": {"message": "No such model", "type": "invalid_request_error"}}
    host.answer_json(body, 404)
    assert json.loads(await read(await bedrock.send(request_to(host.url + "/openai/v1/x", options=OPTIONS)))) == body


async def test_a_page_of_html_is_a_refusal_too(host: Loopback, bedrock: BedrockUpstream) -> None:
    host.answers.clear()
    host.answer(b"<html>Bad Gateway</html>", status=502, headers={"content-type": "text/html"})
    reply = await bedrock.send(request_to(url_of(host.url), options=OPTIONS))
    assert json.loads(await read(reply))["error"]["message"] == "cloud refused the call (502) without saying why"
