"""What is read from the answers of a host of the Messages API, whole, streamed and refused."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.codec import Reading
from app.protocols.conversation import Foreign, Text, Thinking, ToolCall
from app.protocols.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Ended,
    Event,
    Failed,
    Generation,
    Heartbeat,
    Started,
    UsageReported,
    fold,
)
from app.protocols.opaque import Seal
from tests.protocols.anthropic_messages.builders import CODEC, READING
from tests.protocols.streams import answer, names

STREAMS = names("anthropic_messages", "sse")
JSON_READING = Reading(MessagesDialect(), json_tool="json_tool_call")


def events(stream: bytes, *cuts: int, reading: Reading = READING) -> list[Event]:
    parser = CODEC.stream_parser(reading)
    read: list[Event] = []
    for start, end in zip((0, *cuts), (*cuts, len(stream)), strict=True):
        read += parser.feed(stream[start:end])
    return [*read, *parser.end()]


def frame(kind: str, **members: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind} | members, separators=(',', ':'))}\n\n".encode()


def streamed(*frames: bytes) -> bytes:
    start = frame("message_start", message={"id": "msg_1", "model": "m", "usage": {"input_tokens": 1}})
    return start + b"".join(frames) + frame("message_stop")


def start(index: int, **block: Any) -> bytes:
    return frame("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **members: Any) -> bytes:
    return frame("content_block_delta", index=index, delta={"type": kind} | members)


def stop(index: int) -> bytes:
    return frame("content_block_stop", index=index)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_may_be_cut_at_any_byte(name: str) -> None:
    stream = answer(name)
    whole = events(stream, reading=JSON_READING)
    for cut in range(len(stream)):
        assert events(stream, cut, reading=JSON_READING) == whole


def test_thinking_text_and_calls_are_read_in_order() -> None:
    generation = fold(events(answer("anthropic_messages/thinking_and_tools.sse")))
    assert generation.blocks == (
        Thinking(
            "Two cities, two calls.\n\ndata: is only text here.",
            Seal("anthropic", "EqQBCgIYAhIkMDE5YWY3ZjAtNzQ1Zi00YzE2LTk2ZmEtYjQ1ZGQ2ZTVjZTZkGgxQaXhlbCB0cmFjZXM="),
        ),
        Text("I look up both."),
        ToolCall("toolu_01LisbonK2", "get_weather", '{"city": "Lisboa"}'),
        ToolCall("toolu_01OsakaQ9", "get_weather", '{"city": "大阪"}'),
    )
    assert generation.finish == "tool_calls"
    assert generation.usage == Usage(
        input=9, cache_read=48211, cache_write_5m=300, cache_write_1h=2000, output=187, reasoning=61
    )
    assert set(generation.extras) == {"service_tier", "safeguard_results"}


def test_a_whole_answer_says_the_same() -> None:
    generation = CODEC.parse_response(answer("anthropic_messages/thinking_and_tool.json"), READING)
    assert (generation.generation_id, generation.model) == ("msg_01Xq", "claude-opus-5-5")
    assert generation.blocks[2] == ToolCall("toolu_01A", "get_weather", '{"city": "Köln"}')
    assert generation.finish == "tool_calls"
    assert generation.usage == Usage(
        input=9, cache_read=48211, cache_write_5m=300, cache_write_1h=2000, output=187, reasoning=61
    )
    assert set(generation.extras) == {"service_tier", "safeguard_results"}


@pytest.mark.parametrize("kind", ["json", "sse"])
def test_the_tool_for_json_is_read_as_the_answers_text(kind: str) -> None:
    body = answer(f"anthropic_messages/json_tool.{kind}")
    generation = (
        CODEC.parse_response(body, JSON_READING) if kind == "json" else fold(events(body, reading=JSON_READING))
    )
    assert generation.blocks == (Text('{"country":"France","capital":"Paris"}'),)
    assert generation.finish == "stop"


def test_the_servers_own_tools_are_foreign_and_citations_keep_their_address() -> None:
    generation = fold(events(answer("anthropic_messages/web_search.sse")))
    kinds = [block.kind for block in generation.blocks if isinstance(block, Foreign)]
    assert kinds == ["server_tool_use", "web_search_tool_result"]
    first = generation.blocks[1]
    assert isinstance(first, Foreign)
    assert json.loads(first.raw)["input"] == {"query": "tide"}
    last = generation.blocks[-1]
    assert isinstance(last, Text)
    assert (last.citations[0].url, last.citations[0].cited_text) == ("https://example.org/tides", "06:02 high")
    assert generation.finish == "stop"


def test_a_refusal_with_hidden_thinking_and_a_broken_frame_is_read() -> None:
    generation = fold(events(answer("anthropic_messages/redacted.sse")))
    assert generation.blocks == (
        Thinking("", Seal("anthropic", "EmwKAhgBEgy3va3pzix"), redacted=True),
        Text("I can't help"),
    )
    assert generation.finish == "content_filter"
    assert set(generation.extras) == {"stop_details", "container"}


def test_names_that_were_shortened_are_restored() -> None:
    reading = Reading(MessagesDialect(), {"short": "the long name"})
    call = {"type": "tool_use", "id": "a", "name": "short", "input": {}}
    whole = json.dumps({"content": [call]}).encode()
    stream = streamed(start(0, **call), stop(0))
    for generation in (CODEC.parse_response(whole, reading), fold(events(stream, reading=reading))):
        assert generation.blocks == (ToolCall("a", "the long name", "{}"),)


def test_the_seal_is_that_of_the_host() -> None:
    body = b'{"content":[{"type":"thinking","thinking":"a","signature":"s"},{"type":"thinking","thinking":"b"}]}'
    generation = CODEC.parse_response(body, Reading(MessagesDialect("deepseek")))
    assert generation.blocks == (Thinking("a", Seal("deepseek", "s")), Thinking("b"))


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause"),
        ("tool_use", "stop"),
        ("something_new", "stop"),
        (None, "stop"),
        (5, "stop"),
    ],
)
def test_stop_reasons_find_their_finish(reason: object, finish: str) -> None:
    body = json.dumps({"content": [], "stop_reason": reason, "stop_sequence": "END"}).encode()
    generation = CODEC.parse_response(body, READING)
    assert (generation.finish, generation.stop_sequence) == (finish, "END")
    ended = events(streamed(frame("message_delta", delta={"stop_reason": reason, "stop_sequence": "END"})))[-1]
    assert ended == Ended(generation.finish, "END")


def test_a_call_is_a_call_whatever_the_host_says_of_its_end() -> None:
    call = {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}
    body = json.dumps({"content": [call], "stop_reason": "end_turn"}, separators=(",", ":")).encode()
    assert CODEC.parse_response(body, READING).finish == "tool_calls"
    # Some hosts give the whole input with the start.
    generation = fold(events(streamed(start(0, **call), stop(0), frame("message_delta", delta={}))))
    assert generation.blocks == (ToolCall("a", "f", '{"x":1}'),)
    assert generation.finish == "tool_calls"


def test_events_come_as_they_are_fed() -> None:
    parser = CODEC.stream_parser(READING)
    message = {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}
    assert parser.feed(frame("message_start", message=message)) == [
        Started("msg_1", "m"),
        UsageReported(Usage(input=3, output=1)),
    ]
    assert parser.feed(start(0, type="text", text="")) == [BlockStarted(Text(""))]
    assert list(parser.feed(delta(0, "text_delta", text="Hi"))) == [BlockDelta("Hi")]
    assert list(parser.feed(frame("ping"))) == [Heartbeat()]
    assert list(parser.feed(stop(0))) == [BlockEnded()]
    assert list(parser.feed(stop(0))) == []
    assert list(parser.feed(frame("message_stop"))) == [Ended("stop")]
    assert list(parser.feed(start(1, type="text", text="late"))) == []


def test_blocks_that_overlap_are_put_in_order() -> None:
    stream = streamed(
        start(0, type="tool_use", id="a", name="f", input={}),
        start(1, type="tool_use", id="b", name="g", input={}),
        delta(1, "input_json_delta", partial_json='{"y":'),
        delta(0, "input_json_delta", partial_json='{"x":1}'),
        stop(1),
        start(1, type="text", text="again"),
        delta(7, "text_delta", text="nowhere"),
        stop(0),
        delta(1, "text_delta", text=" and on"),
    )
    assert fold(events(stream)).blocks == (
        ToolCall("a", "f", '{"x":1}'),
        ToolCall("b", "g", '{"y":'),
        Text("again and on"),
    )


def test_an_error_midway_has_the_status_of_its_kind() -> None:
    assert events(answer("anthropic_messages/error_midway.sse"))[-1] == Failed(529, "Overloaded")
    assert events(b'data: {"error":"gone"}\n\n') == [Failed(500, "gone")]
    assert events(frame("error", error={"type": "rate_limit_error", "message": "slow"})) == [Failed(429, "slow")]


def test_without_the_end_mark_an_answer_is_not_whole() -> None:
    stream = answer("anthropic_messages/text.sse").partition(b"event: message_stop")[0]
    assert not any(isinstance(event, Ended) for event in events(stream))
    # The last frame may lack its blank line.
    assert isinstance(events(answer("anthropic_messages/text.sse").rstrip())[-1], Ended)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b"{}", b'{"content":5}', b'{"content":[{"type":"text","text":"\xff"}]}']
)
def test_what_is_no_message_is_unreadable(body: bytes) -> None:
    with pytest.raises(UpstreamUnreadable):
        CODEC.parse_response(body, READING)


def test_an_error_inside_a_success_keeps_its_text() -> None:
    with pytest.raises(UpstreamUnreadable, match="Overloaded"):
        CODEC.parse_response(answer("anthropic_messages/error.json"), READING)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n\n", b'{"type":"message_delta","delta":', b"{}}"])
    )
)
def test_whatever_a_host_sends_nothing_is_raised(chunks: list[bytes]) -> None:
    parser = CODEC.stream_parser(READING)
    for chunk in chunks:
        parser.feed(chunk)
    parser.end()
    with contextlib.suppress(UpstreamUnreadable):
        CODEC.parse_response(b"".join(chunks), READING)


ODD: st.SearchStrategy[Any] = (
    st.none() | st.integers(-2, 3) | st.text(max_size=4) | st.lists(st.none(), max_size=1) | st.just({})
)
ODD_FRAMES = st.builds(
    lambda kind, members: frame(kind, **members),
    st.sampled_from(
        ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "error"]
    ),
    st.dictionaries(
        st.sampled_from(["index", "delta", "content_block", "usage", "message", "error"]),
        ODD | st.dictionaries(st.sampled_from(["type", "text", "usage", "input", "stop_reason", "message"]), ODD),
    ),
)
GOOD_FRAMES = st.sampled_from(
    [
        start(0, type="text", text=""),
        start(1, type="tool_use", id="a", name="f", input={}),
        start(0, type="redacted_thinking", data="x"),
        start(2, type="hologram"),
        delta(0, "text_delta", text="a"),
        delta(1, "input_json_delta", partial_json="{}"),
        delta(2, "input_json_delta", partial_json="{"),
        delta(0, "signature_delta", signature="s"),
        stop(0),
        stop(1),
        frame("message_stop"),
    ]
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ODD_FRAMES | GOOD_FRAMES, max_size=12))
def test_whatever_order_frames_come_in_one_block_is_open_at_a_time(frames: list[bytes]) -> None:
    open_blocks = 0
    for event in events(b"".join(frames)):
        open_blocks += isinstance(event, BlockStarted) - isinstance(event, BlockEnded)
        assert open_blocks in {0, 1}
        if isinstance(event, BlockDelta):
            assert open_blocks == 1


WORDS = st.text(min_size=1, max_size=8)
ARGUMENTS = st.dictionaries(WORDS, st.integers() | WORDS, max_size=2)
ANSWER_BLOCKS = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, WORDS),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, WORDS),
    st.just({"type": "redacted_thinking", "data": "x"}),
    st.builds(lambda arguments: {"type": "tool_use", "id": "a", "name": "f", "input": arguments}, ARGUMENTS),
    st.builds(lambda arguments: {"type": "server_tool_use", "id": "a", "name": "f", "input": arguments}, ARGUMENTS),
)
_DELTAS = {
    "text": ("text", "text_delta", "text"),
    "thinking": ("thinking", "thinking_delta", "thinking"),
}


def frames_of(index: int, block: dict[str, Any]) -> bytes:
    kind = block["type"]
    if kind in _DELTAS:
        member, name, field = _DELTAS[kind]
        text = block[member]
        signature = delta(index, "signature_delta", signature="s") if kind == "thinking" else b""
        opened = start(index, **(block | {member: ""} | ({"signature": ""} if kind == "thinking" else {})))
        return opened + delta(index, name, **{field: text[:1]}) + delta(index, name, **{field: text[1:]}) + signature
    if "input" in block:
        written = json.dumps(block["input"], separators=(",", ":"))
        pieces = delta(index, "input_json_delta", partial_json=written[:3])
        pieces += delta(index, "input_json_delta", partial_json=written[3:])
        return start(index, **(block | {"input": {}})) + pieces
    return start(index, **block)


@settings(max_examples=100, deadline=None)
@given(st.lists(ANSWER_BLOCKS, max_size=4), st.integers(0, 99))
def test_a_stream_folds_into_the_whole_answer(blocks: list[dict[str, Any]], output: int) -> None:
    usage = {"input_tokens": 1, "output_tokens": output, "cache_read_input_tokens": 2}
    whole = {"id": "msg_1", "model": "m", "content": blocks, "stop_reason": "end_turn", "usage": usage}
    frames = [frames_of(index, block) + stop(index) for index, block in enumerate(blocks)]
    stream = streamed(*frames, frame("message_delta", delta={"stop_reason": "end_turn"}, usage=usage))
    expected: Generation = CODEC.parse_response(json.dumps(whole, separators=(",", ":")).encode(), READING)
    assert fold(events(stream)) == expected


@pytest.mark.parametrize(
    ("status", "body", "seen", "code", "text"),
    [
        (400, answer("anthropic_messages/error.json"), 400, "overloaded_error", "Overloaded"),
        (529, answer("anthropic_messages/error.json"), 529, "overloaded_error", "Overloaded"),
        (
            401,
            b'{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}',
            502,
            "authentication_error",
            "invalid x-api-key",
        ),
        (403, b'{"message":"no access to the model"}', 502, None, "no access to the model"),
        (
            429,
            b'[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"quota"}}]',
            429,
            "RESOURCE_EXHAUSTED",
            "quota",
        ),
        (502, b"<html><style>a{}</style><h1>Bad&nbsp;gateway</h1>\n</html>", 502, None, "Bad&nbsp;gateway"),
        (500, b"", 500, None, ""),
        (404, b'{"error":"no such model"}', 404, None, "no such model"),
        (400, b'{"error":{"message":5}}', 400, None, ""),
        (302, b"5", 502, None, ""),
        (400, b"\xff\x00", 400, None, ""),
    ],
)
def test_a_refusal_keeps_the_hosts_words(status: int, body: bytes, seen: int, code: str | None, text: str) -> None:
    error = CODEC.parse_error(status, body, "anthropic")
    assert (error.status, error.provider) == (seen, "anthropic")
    assert error.code == (code or "upstream_rejected")
    assert text in error.message
    assert "anthropic" in error.message
