"""Answers of hosts, whole and streamed, as events."""

import json
from typing import Any

import pytest

from app.base.errors import UpstreamRejected, UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols.conversation import Base64Source, Block, Citation, Image, Refusal, Text, Thinking, ToolCall
from app.protocols.events import (
    BlockDelta,
    BlockStarted,
    Ended,
    Event,
    Failed,
    Generation,
    Heartbeat,
    UsageReported,
    fold,
)
from app.protocols.opaque import Seal
from app.protocols.openai_chat.dialect import ChatDialect
from tests.protocols.openai_chat.builders import CODEC, DEEPSEEK, OPENAI, OPENROUTER, reading
from tests.protocols.streams import answer, names

DETAILS = (
    '[{"type":"reasoning.text","text":"Let me think.","format":"anthropic-claude-v1","index":0,'
    '"signature":"EqQBsig=="}]'
)
ANNOTATION = (
    '{"type":"url_citation","url_citation":{"end_index":30,"start_index":13,"title":"Oslo – Wikipedia",'
    '"url":"https://en.wikipedia.org/wiki/Oslo"}}'
)
WEATHER = ToolCall("call_a", "get_weather", '{"city":"Oslo"}')
CITED = Text(
    "Oslo is in Norway (en.wikipedia.org).",
    (
        Citation(
            "openai_chat",
            ANNOTATION,
            url="https://en.wikipedia.org/wiki/Oslo",
            title="Oslo – Wikipedia",
            start=13,
            end=30,
        ),
    ),
)

WHOLE: dict[str, tuple[ChatDialect, tuple[Block, ...], str]] = {
    "audio": (OPENAI, (), "stop"),
    "cache_write": (OPENROUTER, (Text("ok"),), "stop"),
    "reasoning_and_cache": (OPENAI, (Text("Größe"),), "stop"),
    "tools": (OPENAI, (ToolCall("call_a1", "get_weather", '{"city":"Oslo"}'),), "tool_calls"),
    "xai": (ChatDialect(issuer="xai"), (Thinking("…", Seal("xai", "")), Text("ok")), "stop"),
    "openrouter_reasoning": (
        OPENROUTER,
        (Thinking("Let me think.", Seal("openrouter", DETAILS)), Text("Paris")),
        "stop",
    ),
    "refusal": (OPENAI, (Refusal("I'm sorry, I can't."),), "stop"),
    "annotations": (OPENAI, (CITED,), "stop"),
    "mistral_thinking": (
        ChatDialect(issuer="mistral"),
        (Thinking("Hm.", Seal("mistral", "")), Text("42")),
        "stop",
    ),
    "openrouter_image": (OPENROUTER, (Text("Here."), Image(Base64Source("image/png", "iVBORw0KGgo="))), "stop"),
    "deepseek_tool": (
        DEEPSEEK,
        (
            Thinking("I need the weather.", Seal("deepseek", "")),
            ToolCall("call_00_x", "get_weather", '{"city": "Oslo"}'),
        ),
        "tool_calls",
    ),
}
STREAMS: dict[str, tuple[ChatDialect, tuple[Block, ...], str]] = {
    "azure_filter": (OPENAI, (Text("ok"),), "content_filter"),
    "counting_along": (OPENAI, (Text("abc"),), "length"),
    "crlf": (OPENAI, (Text("ok"),), "stop"),
    "deepseek": (DEEPSEEK, (Thinking("想一想", Seal("deepseek", "")), Text("42")), "stop"),
    "no_usage": (OPENAI, (Text("hi"),), "stop"),
    "text_with_usage": (OPENAI, (Text("Grüße aus Köln 👋"),), "stop"),
    "tools": (
        OPENAI,
        (ToolCall("call_a1", "get_weather", '{"city":"Oslo"}'), ToolCall("call_a2", "get_weather", "{}")),
        "tool_calls",
    ),
    "usage_before_finish": (OPENAI, (Text("yes"),), "stop"),
    "without_done": (OPENAI, (Text("ok"),), "stop"),
    "interleaved_tools": (
        OPENAI,
        (Text("Looking."), WEATHER, ToolCall("call_b", "get_time", '{"zone":"CET"}')),
        "tool_calls",
    ),
    "same_index_tools": (
        OPENAI,
        (WEATHER, ToolCall("call_b", "get_weather", '{"city":"Rome"}'), Text("done")),
        "tool_calls",
    ),
    "openrouter_reasoning": WHOLE["openrouter_reasoning"],
    "refusal": WHOLE["refusal"],
    "annotations": WHOLE["annotations"],
    "function_call": (
        OPENAI,
        (ToolCall("call_7a2c", "get_weather", '{"city":"Oslo"}'),),
        "tool_calls",
    ),
    "text_between_tools": (
        OPENAI,
        (Text("First"), ToolCall("call_a", "one", "{}"), Text(" then"), ToolCall("call_b", "two", "{}")),
        "tool_calls",
    ),
}
FAILING = {"error_midway", "openrouter_error"}


def events_of(stream: bytes, dialect: ChatDialect = OPENAI, *, at: int | None = None, **more: Any) -> list[Event]:
    parser = CODEC.stream_parser(reading(dialect, **more))
    chunks = [stream] if at is None else [stream[:at], stream[at:]]
    return [event for chunk in chunks for event in parser.feed(chunk)] + list(parser.end())


def chunk(delta: dict[str, Any], finish: str | None = None, **fields: Any) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return b"data: " + json.dumps({"id": "c1", "model": "m", "choices": choices} | fields).encode() + b"\n\n"


def generation(*chunks: bytes, dialect: ChatDialect = OPENAI, **more: Any) -> Generation:
    return fold(events_of(b"".join(chunks) + b"data: [DONE]\n\n", dialect, **more))


def without_made_up_ids(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    return tuple(
        ToolCall("call_7a2c", block.name, block.arguments)
        if isinstance(block, ToolCall) and len(block.call_id) == 29
        else block
        for block in blocks
    )


def test_every_recorded_answer_is_expected() -> None:
    streams = {f"openai_chat/{name}.sse" for name in STREAMS.keys() | FAILING}
    assert set(names("openai_chat", "sse")) == streams
    wholes = {f"openai_chat/{name}.json" for name in WHOLE.keys() | {"error", "embedding"}}
    assert set(names("openai_chat", "json")) == wholes


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_answer_is_read(name: str) -> None:
    dialect, blocks, finish = WHOLE[name]
    body = answer(f"openai_chat/{name}.json")
    read = CODEC.parse_response(body, reading(dialect))
    assert (read.blocks, read.finish) == (blocks, finish)
    report = CODEC.scan_response(body)
    assert (read.usage, read.cost) == (report.usage, report.cost)


@pytest.mark.parametrize("name", STREAMS)
def test_a_streamed_answer_is_read(name: str) -> None:
    dialect, blocks, finish = STREAMS[name]
    stream = answer(f"openai_chat/{name}.sse")
    read = fold(events_of(stream, dialect))
    assert (without_made_up_ids(read.blocks), read.finish) == (blocks, finish)
    scanner = CODEC.stream_scanner(withhold_usage=False)
    scanner.feed(stream)
    assert (read.usage, read.cost) == (scanner.report().usage, scanner.report().cost)


@pytest.mark.parametrize("name", [*STREAMS, *sorted(FAILING)])
def test_a_stream_split_at_any_byte_tells_the_same(name: str) -> None:
    dialect = STREAMS[name][0] if name in STREAMS else OPENAI
    stream = answer(f"openai_chat/{name}.sse")
    whole = events_of(stream, dialect)
    for at in range(len(stream) + 1):
        assert events_of(stream, dialect, at=at) == whole


@pytest.mark.parametrize("name", ["openrouter_reasoning", "refusal", "annotations"])
def test_a_stream_folds_into_what_the_whole_answer_says(name: str) -> None:
    dialect = STREAMS[name][0]
    streamed = fold(events_of(answer(f"openai_chat/{name}.sse"), dialect))
    whole = CODEC.parse_response(answer(f"openai_chat/{name}.json"), reading(dialect))
    assert (streamed.blocks, streamed.finish, streamed.cost) == (whole.blocks, whole.finish, whole.cost)


def test_the_price_of_openrouter_is_exact_to_the_nano_dollar() -> None:
    assert fold(events_of(answer("openai_chat/openrouter_reasoning.sse"), OPENROUTER)).cost == 434_999
    assert CODEC.parse_response(answer("openai_chat/openrouter_image.json"), reading()).cost == 38_700_000


@pytest.mark.parametrize(
    ("cost", "nano"),
    [("0", 0), ("0.1", 100_000_000), ("1e-9", 1), ("-1", None), ('"1"', None), ("true", None), ("1e300", None)],
)
def test_only_a_sensible_price_is_believed(cost: str, nano: int | None) -> None:
    body = b'{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":1,"cost":%b}}' % cost.encode()
    assert CODEC.parse_response(body, reading()).cost == nano
    assert CODEC.scan_response(body).cost == nano


def test_the_first_text_is_told_before_the_last_has_come() -> None:
    parser = CODEC.stream_parser(reading())
    assert BlockDelta("a") in parser.feed(chunk({"content": "a"}))
    assert list(parser.feed(chunk({"content": "b"}))) == [BlockDelta("b")]


def test_the_end_waits_for_the_usage_that_follows_the_reason() -> None:
    parser = CODEC.stream_parser(reading())
    parser.feed(chunk({"content": "a"}))
    assert not any(isinstance(event, Ended) for event in parser.feed(chunk({}, "stop")))
    events = parser.feed(b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n')
    assert [type(event).__name__ for event in events] == ["UsageReported", "BlockEnded", "Ended"]
    assert list(parser.feed(b"data: [DONE]\n\n")) == []
    assert list(parser.end()) == []


@pytest.mark.parametrize(
    ("stream", "whole"),
    [
        (chunk({"content": "a"}), False),
        (chunk({"content": "a"}, "stop"), True),
        (chunk({"content": "a"}) + b"data: [DONE]\n\n", True),
        (chunk({"content": "a"}, "stop")[:-2], True),
        (b"", False),
    ],
)
def test_a_stream_is_whole_with_a_reason_to_end_or_done(stream: bytes, whole: bool) -> None:
    assert any(isinstance(event, Ended) for event in events_of(stream)) is whole


def test_comments_are_heartbeats() -> None:
    events = events_of(answer("openai_chat/openrouter_reasoning.sse"), OPENROUTER)
    assert events[:2] == [Heartbeat(), Heartbeat()]


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("error_midway", Failed(500, "The server had an error while processing your request.")),
        ("openrouter_error", Failed(429, "Provider returned error: Rate limit reached for gpt-5.6")),
    ],
)
def test_an_error_in_a_stream_fails_it_and_nothing_follows(name: str, failed: Failed) -> None:
    events = events_of(answer(f"openai_chat/{name}.sse") + chunk({"content": "more"}) + b"data: [DONE]\n\n")
    assert events[-1] == failed
    assert not any(isinstance(event, Ended) for event in events)


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        ('"out of memory"', Failed(502, "out of memory")),
        ('{"message":"no credit","code":402}', Failed(502, "no credit")),
        ('{"message":"bad key","code":"401"}', Failed(502, "bad key")),
        ('{"message":"slow down","type":"rate_limit_error"}', Failed(429, "slow down")),
        ("{}", Failed(502, "the host broke off its answer with an error")),
        ("7", Failed(502, "the host broke off its answer with an error")),
    ],
)
def test_errors_of_any_shape_are_told(error: str, failed: Failed) -> None:
    assert events_of(b'data: {"error":%b}\n\n' % error.encode())[-1] == failed
    with pytest.raises(UpstreamRejected) as caught:
        CODEC.parse_response(b'{"error":%b}' % error.encode(), reading())
    assert (caught.value.status, caught.value.message) == (failed.status, failed.message)


def test_a_new_id_on_the_same_index_is_a_new_call() -> None:
    first = {"index": 0, "id": "a", "function": {"name": "one", "arguments": "{}"}}
    second = {"index": 0, "id": "b", "function": {"name": "one", "arguments": '{"x":1}'}}
    assert generation(chunk({"tool_calls": [first]}), chunk({"tool_calls": [second]})).blocks == (
        ToolCall("a", "one", "{}"),
        ToolCall("b", "one", '{"x":1}'),
    )


def test_an_id_and_a_name_that_are_said_again_are_the_same_call() -> None:
    pieces = [{"index": 0, "id": "a", "function": {"name": "one", "arguments": part}} for part in ('{"x"', ":1}")]
    assert generation(*(chunk({"tool_calls": [piece]}) for piece in pieces)).blocks == (
        ToolCall("a", "one", '{"x":1}'),
    )


def test_calls_without_an_index_are_told_apart_by_id_and_name() -> None:
    calls = [
        {"id": "a", "function": {"name": "one", "arguments": '{"x"'}},
        {"function": {"arguments": ":1}"}},
        {"id": "b", "function": {"name": "two"}},
        {"id": "b", "function": {"arguments": {"y": 1.50}}},
    ]
    blocks = generation(*(chunk({"tool_calls": [call]}) for call in calls)).blocks
    assert blocks == (ToolCall("a", "one", '{"x":1}'), ToolCall("b", "two", '{"y":1.5}'))


def test_calls_without_an_id_get_distinct_ones_that_depend_on_the_answer() -> None:
    calls = [{"index": at, "function": {"name": "one", "arguments": ""}} for at in range(2)]
    ids = [block.call_id for block in generation(chunk({"tool_calls": calls})).blocks if isinstance(block, ToolCall)]
    others = generation(chunk({"tool_calls": calls}, id="c2")).blocks
    assert len({*ids, *(block.call_id for block in others if isinstance(block, ToolCall))}) == 4
    twice = {"message": {"tool_calls": [{"id": "a", "function": {"name": "f"}}] * 2}}
    whole = CODEC.parse_response(json.dumps({"choices": [twice]}).encode(), reading())
    assert len({block.call_id for block in whole.blocks if isinstance(block, ToolCall)}) == 2


def test_a_name_that_comes_late_is_waited_for() -> None:
    said = [{"index": 0, "id": "a", "function": {"arguments": "{}"}}, {"index": 0, "function": {"name": "one"}}]
    assert generation(*(chunk({"tool_calls": [call]}) for call in said)).blocks == (ToolCall("a", "one", "{}"),)


def test_the_client_gets_its_own_name_of_a_tool() -> None:
    call = {"index": 0, "id": "a", "function": {"name": "short_1", "arguments": "{}"}}
    read = generation(chunk({"tool_calls": [call]}), names={"short_1": "mcp__long"})
    assert read.blocks == (ToolCall("a", "mcp__long", "{}"),)


def test_the_presence_of_calls_decides_between_stop_and_tool_calls() -> None:
    call = {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "one", "arguments": "{}"}}]}
    assert generation(chunk(call, "stop")).finish == "tool_calls"
    assert generation(chunk(call, "length")).finish == "length"
    assert generation(chunk({"content": "a"}, "tool_calls")).finish == "stop"
    assert generation(chunk({"content": "a"}, "eos")).finish == "stop"


def test_text_and_thoughts_may_alternate() -> None:
    said = [{"reasoning": "a"}, {"content": "b"}, {"reasoning": "c"}, {"content": "d"}]
    seal = Seal("openrouter", "")
    assert generation(*(chunk(delta) for delta in said), dialect=OPENROUTER).blocks == (
        Thinking("a", seal),
        Text("b"),
        Thinking("c", seal),
        Text("d"),
    )


def test_thoughts_written_into_two_fields_are_read_once() -> None:
    said = {"reasoning": "a", "reasoning_content": "a"}
    assert generation(chunk(said)).blocks == (Thinking("a", Seal("openai", "")),)


def test_an_encrypted_proof_without_text_is_kept() -> None:
    details = [{"type": "reasoning.encrypted", "data": "gAAA", "id": "rs_1", "index": 0}]
    read = generation(chunk({"content": "", "reasoning_details": details}), chunk({"content": "a"}), dialect=OPENROUTER)
    thought = read.blocks[0]
    assert isinstance(thought, Thinking)
    assert thought.seal is not None
    assert json.loads(thought.seal.data) == details


def test_a_host_that_answers_whole_where_a_stream_was_asked_for_is_understood() -> None:
    events = events_of(answer("openai_chat/tools.json"))
    assert fold(events).blocks == WHOLE["tools"][1]
    assert events_of(answer("openai_chat/error.json"))[-1] == Failed(429, "Rate limit reached")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"<html>", b"{}", b'{"choices":[]}', b'{"choices":5}', b"\xff", b'{"a":' * 5000]
)
def test_what_is_no_answer_is_unreadable(body: bytes) -> None:
    with pytest.raises(UpstreamUnreadable):
        CODEC.parse_response(body, reading())


@pytest.mark.parametrize(
    "odd",
    [
        b"data: nonsense\n\n",
        b'data: {"choices":5}\n\n',
        b'data: {"choices":[{"delta":{"content":5,"tool_calls":[5,{"function":7}],"annotations":[{}]}}]}\n\n',
        b'data: {"choices":[{"delta":{"images":[1],"refusal":[],"reasoning_details":[2],"function_call":3}}]}\n\n',
        b'data: {"choices":[{"index":1,"delta":{"content":"other choice"}}]}\n\n',
        b"event: ping\n\n",
        b"data: \xff\n\n",
        b"data: " + b'{"a":' * 5000 + b"\n\n",
    ],
)
def test_odd_frames_are_skipped(odd: bytes) -> None:
    read = generation(chunk({"content": "a"}), odd, chunk({"content": "b"}))
    assert "".join(block.text for block in read.blocks if isinstance(block, Text)) == "ab"


def test_usage_beside_odd_choices_is_counted() -> None:
    usage = b'data: {"choices":[5],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\n'
    assert UsageReported(Usage(input=1, output=2)) in events_of(chunk({"content": "a"}) + usage)


def test_a_call_is_streamed_while_it_is_written() -> None:
    parser = CODEC.stream_parser(reading())
    call = {"index": 0, "id": "a", "function": {"name": "one", "arguments": ""}}
    assert BlockStarted(ToolCall("a", "one", "")) in parser.feed(chunk({"tool_calls": [call]}))
    piece = {"index": 0, "function": {"arguments": '{"x"'}}
    assert list(parser.feed(chunk({"tool_calls": [piece]}))) == [BlockDelta('{"x"')]
