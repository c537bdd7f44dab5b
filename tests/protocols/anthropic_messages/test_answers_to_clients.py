"""What a Messages client gets from a host of another protocol, judged by Anthropic's own SDK."""

import json
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.usage import Usage
from app.protocols.conversation import (
    Base64Source,
    Block,
    Citation,
    Foreign,
    Image,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    UrlSource,
)
from app.protocols.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Ended,
    Event,
    Failed,
    Generation,
    Heartbeat,
    SealAdded,
    Started,
    fold,
    unfold,
)
from app.protocols.opaque import Seal
from tests.protocols.anthropic_messages.builders import CODEC, READING, asked

CALL = ToolCall("call_1", "get_weather", '{"city":"Oslo"}')
USAGE = Usage(input=10, cache_read=3, cache_write_5m=2, cache_write_1h=1, output=7, reasoning=4, web_searches=1)


def generation(*blocks: Block, **fields: Any) -> Generation:
    return Generation(**({"generation_id": "msg_1", "model": "m", "blocks": blocks, "finish": "stop"} | fields))


def streamed(*events: Event) -> bytes:
    renderer = CODEC.stream_renderer(asked())
    return b"".join(renderer.feed(event) for event in events)


def whole(given_answer: Generation) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(CODEC.render_response(given_answer, asked()))
    return message


def frames(stream: bytes) -> list[dict[str, Any]]:
    read = []
    for frame in stream.split(b"\n\n")[:-1]:
        name, data = frame.split(b"\n")
        read.append(json.loads(data.removeprefix(b"data: ")))
        assert name == f"event: {read[-1]['type']}".encode()
    return read


class FakeHost:
    """Answers every request of the SDK with the same bytes."""

    def __init__(self) -> None:
        self.answer = (b"", "")
        transport = httpx2.MockTransport(self._answer)
        self.client = anthropic.Anthropic(
            api_key="x", max_retries=0, http_client=httpx2.Client(transport=transport, verify=False)
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        body, content_type = self.answer
        return httpx2.Response(200, headers={"content-type": content_type}, content=body, request=request)


HOST = FakeHost()


def accumulated(stream: bytes) -> Message:
    HOST.answer = (stream, CODEC.stream_type.decode())
    with HOST.client.messages.stream(
        model="claude-opus-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
    ) as events:
        return events.get_final_message()


def received(body: bytes) -> Message:
    HOST.answer = (body, "application/json")
    return HOST.client.messages.create(
        model="claude-opus-5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}]
    )


def test_a_whole_answer_has_the_shape_of_the_api() -> None:
    thinking = Thinking("Hm.", Seal("anthropic", "proof"))
    assert whole(generation(thinking, Text("Hi."), CALL, finish="tool_calls", usage=USAGE)) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "asked-model",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "proof"},
            {"type": "text", "text": "Hi."},
            {"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {"city": "Oslo"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 3,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1},
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 4},
            "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 0},
        },
    }


def test_a_stream_begins_at_once_and_ends_with_the_counts() -> None:
    renderer = CODEC.stream_renderer(asked())
    (begun,) = frames(renderer.feed(Started("chatcmpl-9", "m")))
    assert begun["message"]["id"] == "msg_chatcmpl-9"
    assert begun["message"]["model"] == "asked-model"
    assert begun["message"]["usage"]["input_tokens"] == 0
    assert renderer.feed(BlockStarted(Text(""))) == b""
    assert [frame["type"] for frame in frames(renderer.feed(BlockDelta("Hi")))] == [
        "content_block_start",
        "content_block_delta",
    ]
    rest = unfold(generation(usage=USAGE, finish="stop_sequence", stop_sequence="END"))[1:]
    stopped, delta, end = frames(renderer.feed(BlockEnded()) + b"".join(map(renderer.feed, rest)))
    assert stopped == {"type": "content_block_stop", "index": 0}
    assert delta["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}
    assert delta["usage"]["input_tokens"] == 10
    assert end == {"type": "message_stop"}
    assert renderer.feed(BlockDelta("late")) == b""


def test_a_call_streams_its_arguments_as_they_come() -> None:
    stream = streamed(
        Started("msg_1", "m"),
        BlockStarted(ToolCall("functions.f:0", "f", "")),
        BlockDelta(' {"x"'),
        BlockDelta(":1}"),
        BlockEnded(),
        Ended("stop"),
    )
    read = frames(stream)
    assert read[1]["content_block"]["input"] == {}
    assert read[1]["content_block"]["id"].startswith("call_")
    assert [frame["delta"]["partial_json"] for frame in read[2:4]] == [' {"x"', ":1}"]
    assert read[5]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("pieces", "read"),
    [
        ((), {}),
        (("",), {}),
        (("nu", "ll"), {}),
        ((" ", "{", '"x":1}'), {"x": 1}),
        (("just ", "words"), {"raw_arguments": "just words"}),
        (("[1]",), {"raw_arguments": "[1]"}),
        (('{"x":1', ',"y":'), {"x": 1}),
    ],
)
def test_arguments_that_are_no_object_still_make_a_readable_stream(pieces: tuple[str, ...], read: Any) -> None:
    call = BlockStarted(ToolCall("a", "f", ""))
    message = accumulated(streamed(Started("", ""), call, *map(BlockDelta, pieces), BlockEnded(), Ended("length")))
    (block,) = message.content
    assert block.type == "tool_use"
    assert block.input == read


def test_arguments_that_are_broken_in_the_middle_end_the_stream_with_an_error() -> None:
    stream = streamed(
        Started("", ""), BlockStarted(ToolCall("a", "f", "")), BlockDelta('{"x" 1}'), BlockEnded(), Ended("stop")
    )
    assert frames(stream)[-1]["error"]["type"] == "api_error"
    assert whole(generation(ToolCall("a", "f", '{"x" 1}')))["content"][0]["input"] == {"raw_arguments": '{"x" 1}'}


@pytest.mark.parametrize(
    ("block", "written"),
    [
        (Thinking("a"), {"type": "thinking", "thinking": "a", "signature": ""}),
        (Thinking("", Seal("gemini", "p")), {"type": "thinking", "thinking": "", "signature": "kh1.gemini.p"}),
        (Thinking("", Seal("anthropic", "p"), redacted=True), {"type": "redacted_thinking", "data": "p"}),
        (Refusal("No."), {"type": "text", "text": "No."}),
        (Image(UrlSource("https://a.example/b.png")), {"type": "text", "text": "[image: https://a.example/b.png]"}),
        (Image(Base64Source("image/png", "iVBO")), {"type": "text", "text": "[an image of type image/png]"}),
        (Foreign("gemini", "executableCode", "{}", text="print(1)"), {"type": "text", "text": "print(1)"}),
        (
            Foreign(
                "anthropic_messages",
                "server_tool_use",
                '{"type":"server_tool_use","id":"a","name":"web_search","input":{}}',
            ),
            {"type": "server_tool_use", "id": "a", "name": "web_search", "input": {}},
        ),
        (
            Text("x", (Citation("openai_chat", "{}", url="https://a.example", title="T"), Citation("gemini", "{}"))),
            {
                "type": "text",
                "text": "x",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "url": "https://a.example",
                        "title": "T",
                        "cited_text": "",
                        "encrypted_index": "",
                    }
                ],
            },
        ),
    ],
)
def test_each_block_is_the_same_whole_and_streamed(block: Block, written: dict[str, Any]) -> None:
    given_answer = generation(block)
    assert whole(given_answer)["content"] == [written]
    (received_block,) = received(CODEC.render_response(given_answer, asked())).content
    (streamed_block,) = accumulated(streamed(*unfold(given_answer))).content
    assert received_block.to_dict() == written
    assert streamed_block.to_dict(exclude_none=True) == written


@pytest.mark.parametrize("block", [Text(""), Thinking(""), Refusal(""), Foreign("gemini", "x", "{}")])
def test_what_says_nothing_is_no_block(block: Block) -> None:
    assert whole(generation(block))["content"] == []
    assert not any(frame["type"] == "content_block_start" for frame in frames(streamed(*unfold(generation(block)))))


@pytest.mark.parametrize(
    ("finish", "blocks", "reason"),
    [
        ("stop", (Text("a"),), "end_turn"),
        ("stop", (CALL,), "tool_use"),
        ("stop", (Refusal("No."),), "refusal"),
        ("length", (CALL,), "max_tokens"),
        ("content_filter", (), "refusal"),
        ("pause", (), "pause_turn"),
    ],
)
def test_the_finish_finds_its_stop_reason(finish: Any, blocks: tuple[Block, ...], reason: str) -> None:
    given_answer = generation(*blocks, finish=finish)
    assert whole(given_answer)["stop_reason"] == reason
    assert accumulated(streamed(*unfold(given_answer))).stop_reason == reason


@pytest.mark.parametrize(
    ("generation_id", "message_id"),
    [("msg_01A", "msg_01A"), ("chatcmpl-1", "msg_chatcmpl-1"), ("a b/c", "msg_abc"), ("", "msg_req_1")],
)
def test_an_id_has_the_form_of_this_protocol(generation_id: str, message_id: str) -> None:
    assert whole(generation(generation_id=generation_id))["id"] == message_id


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "invalid_request_error"), (401, "api_error"), (429, "rate_limit_error"), (503, "overloaded_error"),
     (529, "overloaded_error"), (502, "api_error")],
)  # fmt: skip
def test_a_failure_midway_is_an_error_event(status: int, kind: str) -> None:
    stream = streamed(
        Started("", ""), BlockStarted(Text("")), BlockDelta("Once"), Failed(status, "gone"), Ended("stop")
    )
    assert frames(stream)[-1] == {"type": "error", "error": {"type": kind, "message": "gone"}}
    with pytest.raises(anthropic.APIStatusError, match="gone"):
        accumulated(stream)


def test_a_heartbeat_is_a_ping() -> None:
    assert frames(streamed(Started("", ""), Heartbeat()))[1] == {"type": "ping"}


def test_a_count_is_one_number() -> None:
    assert json.loads(CODEC.render_count(42)) == {"input_tokens": 42}


WORDS = st.text(min_size=1, max_size=8)
SEALS = st.builds(Seal, st.sampled_from(["anthropic", "gemini"]), st.text("abcXYZ09+/=", min_size=1, max_size=6))
OWN_SEALS = SEALS.map(lambda seal: Seal("anthropic", seal.data))
BLOCKS = st.one_of(
    st.builds(Text, WORDS),
    st.builds(Thinking, WORDS, st.none() | OWN_SEALS),
    st.builds(lambda seal: Thinking("", seal, redacted=True), OWN_SEALS),
    st.builds(
        lambda name, members: ToolCall("toolu_1", name, json.dumps(members)),
        st.sampled_from(["f", "get_weather"]),
        st.dictionaries(WORDS, WORDS, max_size=2),
    ),
    st.just(Foreign("anthropic_messages", "server_tool_use", '{"type":"server_tool_use","id":"a"}')),
)
COUNTS = st.integers(0, 2**39)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS.map(lambda count: count))


@settings(max_examples=100, deadline=None)
@given(st.lists(BLOCKS, max_size=5), USAGES, st.sampled_from(["stop", "length", "content_filter", "pause"]))
def test_what_is_written_is_read_back_the_same_whole_and_streamed(
    blocks: list[Block], usage: Usage, finish: Any
) -> None:
    if finish == "stop" and any(isinstance(block, ToolCall) for block in blocks):
        finish = "tool_calls"
    expected = generation(*blocks, usage=usage, finish=finish, model="asked-model")
    assert CODEC.parse_response(CODEC.render_response(expected, asked()), READING) == expected
    stream = streamed(*unfold(expected))
    parser = CODEC.stream_parser(READING)
    events = [event for byte in stream for event in parser.feed(bytes((byte,)))]
    assert fold([*events, *parser.end()]) == expected


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.builds(Text, WORDS), st.builds(Thinking, WORDS, SEALS), st.just(CALL)), max_size=4))
def test_the_sdk_reads_a_stream_as_it_reads_the_whole(blocks: list[Block]) -> None:
    expected = generation(*blocks, usage=USAGE)
    message = accumulated(streamed(*unfold(expected)))
    same = received(CODEC.render_response(expected, asked()))
    assert [block.to_dict() for block in message.content] == [block.to_dict() for block in same.content]
    assert message.usage.input_tokens == same.usage.input_tokens == 10
    assert message.usage.cache_read_input_tokens == 3
    assert message.usage.output_tokens == 7


def test_a_seal_that_comes_late_is_the_last_word_of_its_thinking() -> None:
    stream = streamed(
        Started("", ""),
        BlockStarted(Thinking("")),
        BlockDelta("Hm."),
        SealAdded(Seal("anthropic", "proof")),
        BlockEnded(),
        Ended("stop"),
    )
    assert [frame.get("delta", {}).get("type") for frame in frames(stream)[2:4]] == [
        "thinking_delta",
        "signature_delta",
    ]
    assert accumulated(stream).content[0].to_dict()["signature"] == "proof"
