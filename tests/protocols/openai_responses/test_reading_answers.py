"""A host's answers, whole and streamed, are read alike, wherever the stream is cut."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols.codec import Reading
from app.protocols.conversation import Foreign, Image, Refusal, Text, Thinking, ToolCall
from app.protocols.events import BlockDelta, Ended, Failed, Heartbeat, Incomplete, Started, fold
from app.protocols.opaque import Seal
from tests.protocols.openai_responses.room import CODEC, DIALECT, READING, events_of, folded
from tests.protocols.streams import answer, feed_all, names

ROOM = "openai_responses/"
TOLD_TWICE = ("text", "reasoning_and_calls", "web_search", "custom_call", "refusal", "incomplete", "open_thoughts")


@pytest.mark.parametrize("name", TOLD_TWICE)
def test_a_stream_tells_what_the_whole_answer_says(name: str) -> None:
    body = json.dumps(json.loads(answer(f"{ROOM}{name}.json")), ensure_ascii=False, separators=(",", ":")).encode()
    assert folded(answer(f"{ROOM}{name}.sse")) == CODEC.parse_response(body, READING)


@pytest.mark.parametrize("name", [*TOLD_TWICE, "crlf"])
def test_a_stream_may_be_cut_at_any_byte(name: str) -> None:
    stream = answer(f"{ROOM}{name}.sse")
    whole = folded(stream)
    for cut in range(1, len(stream)):
        assert folded(stream[:cut], stream[cut:]) == whole
    assert folded(*(stream[at : at + 1] for at in range(len(stream)))) == whole


@pytest.mark.parametrize("name", names("openai_responses", "sse"))
def test_a_scanner_passes_the_very_bytes(name: str) -> None:
    stream = answer(name)
    for step in (1, 7, len(stream)):
        chunks = [stream[at : at + step] for at in range(0, len(stream), step)]
        passed, _ = feed_all(CODEC.stream_scanner(withhold_usage=False), *chunks)
        assert passed == stream


def test_a_text_comes_with_its_usage() -> None:
    generation = folded(answer(f"{ROOM}text.sse"))
    assert generation.generation_id.startswith("resp_67c9")
    assert generation.model == "gpt-4.1-2025-04-14"
    assert generation.blocks == (Text("Hi there! Grüße — how can I help you today? 🌍"),)
    assert (generation.finish, generation.usage) == ("stop", Usage(input=21, cache_read=16, output=11))
    assert generation.extras == {"service_tier": '"default"'}


def test_overlapping_calls_are_told_one_after_the_other() -> None:
    generation = folded(answer(f"{ROOM}reasoning_and_calls.sse"))
    item_id = "rs_6820f383d7c08191846711c5df8233bc0ac5ba57aafcbac7"
    assert generation.blocks == (
        Thinking(
            "**Looking for the weather**\n\nBoth cities.\n\n**Calling twice**",
            Seal("openai", f"{item_id}:gAAAAABoIPODyyPq+/wF0L6="),
        ),
        ToolCall("call_fmSNiJ3Ww3e5KvXoE9ZgAvmB", "get_weather", '{"city":"Paris"}'),
        ToolCall("call_yG1B4hJk0Pv2", "get_weather", '{"city":"Bogotá"}'),
    )
    assert generation.finish == "tool_calls"
    assert generation.usage == Usage(input=99, cache_read=128, cache_write_5m=64, output=87, reasoning=40)


def test_the_first_of_two_overlapping_calls_streams() -> None:
    deltas = [event.text for event in events_of(answer(f"{ROOM}reasoning_and_calls.sse")) if type(event) is BlockDelta]
    assert deltas[-4:] == ['{"city"', ':"Paris"}', '{"city":"Bog', 'otá"}']


def test_the_first_delta_is_told_before_the_rest_has_come() -> None:
    stream = answer(f"{ROOM}text.sse")
    parser = CODEC.stream_parser(READING)
    told = list(parser.feed(stream[: stream.index(b'" there"')]))
    assert isinstance(told[0], Started)
    assert told[-1] == BlockDelta("Hi")


def test_what_a_host_searched_is_kept_and_its_citations_are_read() -> None:
    search, text = folded(answer(f"{ROOM}web_search.sse")).blocks
    assert isinstance(search, Foreign)
    assert (search.protocol, search.kind) == ("openai_responses", "web_search_call")
    assert isinstance(text, Text)
    (citation,) = text.citations
    assert (citation.title, citation.start, citation.end) == ("Good news", 8, 29)
    usage = folded(answer(f"{ROOM}web_search.sse")).usage
    assert usage is not None
    assert usage.web_searches == 1


def test_a_custom_tools_input_becomes_arguments() -> None:
    call, unknown = folded(answer(f"{ROOM}custom_call.sse")).blocks
    assert isinstance(call, ToolCall)
    assert json.loads(call.arguments) == {"input": '*** Begin Patch\n+"é"\\\n*** End Patch'}
    assert isinstance(unknown, Foreign)
    assert unknown.kind == "brand_new_call"


def test_a_refusal_is_one() -> None:
    assert folded(answer(f"{ROOM}refusal.sse")).blocks == (Refusal("I'm sorry, I cannot help with that."),)


@pytest.mark.parametrize(("name", "finish"), [("incomplete", "length"), ("filtered", "content_filter")])
def test_an_incomplete_answer_says_why(name: str, finish: str) -> None:
    assert CODEC.parse_response(answer(f"{ROOM}{name}.json"), READING).finish == finish


def test_thoughts_without_a_summary_are_thinking_without_a_seal() -> None:
    assert folded(answer(f"{ROOM}open_thoughts.sse")).blocks[0] == Thinking("We need to greet.")


@pytest.mark.parametrize(
    ("name", "failed"),
    [
        ("failed", Failed(500, "The model failed to generate a response.")),
        ("error_midway", Failed(429, "Rate limit reached. Please try again in 1.5s.")),
    ],
)
def test_a_failure_within_a_stream_is_its_last_event(name: str, failed: Failed) -> None:
    assert events_of(answer(f"{ROOM}{name}.sse"))[-1] == failed


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("rate_limit_exceeded", 429),
        ("server_error", 500),
        ("invalid_prompt", 400),
        ("context_length_exceeded", 400),
        ("invalid_image_url", 400),
        ("server_is_overloaded", 503),
        ("never_heard_of", 500),
        (None, 500),
        ([], 500),
    ],
)
def test_a_failures_code_gives_its_status(code: object, status: int) -> None:
    response = {"type": "response.failed", "response": {"error": {"code": code, "message": "no"}}}
    assert events_of(b"data: %b\n\n" % json.dumps(response).encode()) == [Failed(status, "no")]


def test_an_error_may_stand_in_an_object_of_its_own() -> None:
    body = {
        "type": "error",
        "error": {"type": "invalid_request_error", "code": "context_length_exceeded", "message": "x"},
    }
    assert events_of(b"data: %b\n\n" % json.dumps(body).encode()) == [Failed(400, "x")]


def test_a_stream_without_its_last_event_is_not_whole() -> None:
    stream = answer(f"{ROOM}text.sse")
    with pytest.raises(Incomplete):
        folded(stream[: stream.index(b"event: response.completed")])


def test_nothing_is_told_after_the_end() -> None:
    stream = answer(f"{ROOM}text.sse")
    events = events_of(stream + stream)
    assert [type(event) for event in events].count(Ended) == 1
    assert isinstance(events[-1], Ended)


def test_a_comment_is_a_heartbeat() -> None:
    assert events_of(b": keep-alive\n\n") == [Heartbeat()]


def test_a_host_that_sends_items_whole_is_understood() -> None:
    response = json.loads(answer(f"{ROOM}reasoning_and_calls.json"))
    added = [
        {"type": "response.output_item.done", "output_index": index, "item": item}
        for index, item in enumerate(response["output"])
    ]
    created = {"type": "response.created", "response": response | {"output": []}}
    for told in ([created, *added], [created]):
        stream = b"".join(
            b"data: %b\n\n" % json.dumps(event).encode()
            for event in [*told, {"type": "response.completed", "response": response}]
        )
        assert folded(stream) == CODEC.parse_response(answer(f"{ROOM}reasoning_and_calls.json"), READING)


def test_deltas_without_their_beginnings_are_understood() -> None:
    events = [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"},
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "lo"},
        {"type": "response.completed", "response": {"status": "completed"}},
    ]
    stream = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    assert folded(stream).blocks == (Text("Hello"),)


def test_a_part_that_ends_twice_is_told_once() -> None:
    part = {"type": "response.content_part.done", "output_index": 0, "part": {"type": "output_text", "text": "Hi"}}
    stream = b"".join(
        b"data: %b\n\n" % json.dumps(event).encode() for event in [part, part, {"type": "response.completed"}]
    )
    assert folded(stream).blocks == (Text("Hi"),)


def test_a_renamed_tool_gets_its_name_back() -> None:
    reading = Reading(DIALECT, {"get_weather": "the weather, please"})
    whole = CODEC.parse_response(answer(f"{ROOM}reasoning_and_calls.json"), reading)
    parser = CODEC.stream_parser(reading)
    assert fold([*parser.feed(answer(f"{ROOM}reasoning_and_calls.sse")), *parser.end()]) == whole
    assert [block.name for block in whole.blocks if isinstance(block, ToolCall)] == ["the weather, please"] * 2


def test_a_made_image_is_an_image() -> None:
    item = {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "iVBORw0K"}
    body = {"id": "resp_1", "object": "response", "model": "m", "status": "completed", "output": [item]}
    (image,) = CODEC.parse_response(json.dumps(body).encode(), READING).blocks
    assert isinstance(image, Image)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"output":5}',
        b'{"output":[],"status":"in_progress"}',
        b"\xff",
    ],
)
def test_what_is_no_answer_is_unreadable(body: bytes) -> None:
    with pytest.raises(UpstreamUnreadable):
        CODEC.parse_response(body, READING)


def test_a_failed_answer_says_why() -> None:
    with pytest.raises(UpstreamUnreadable, match="The model failed to generate a response"):
        CODEC.parse_response(answer(f"{ROOM}failed.json"), READING)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda nested: st.lists(nested, max_size=3) | st.dictionaries(st.text(max_size=8), nested, max_size=3),
    max_leaves=6,
)
KINDS = st.sampled_from(
    [
        "response.created",
        "response.output_item.added",
        "response.output_item.done",
        "response.content_part.added",
        "response.content_part.done",
        "response.output_text.delta",
        "response.output_text.annotation.added",
        "response.refusal.delta",
        "response.function_call_arguments.delta",
        "response.custom_tool_call_input.delta",
        "response.reasoning_summary_text.delta",
        "response.reasoning_text.delta",
        "response.completed",
        "response.failed",
        "error",
    ]
)
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "other", ""])},
    optional={
        "id": st.text(max_size=4) | JSON,
        "name": st.just("f"),
        "arguments": st.just("{}") | JSON,
        "input": st.just("x"),
        "content": st.just([{"type": "output_text", "text": "t"}]) | JSON,
        "summary": st.just([{"type": "summary_text", "text": "s"}]) | JSON,
        "encrypted_content": st.just("E"),
    },
)
EVENTS = st.fixed_dictionaries(
    {"type": KINDS},
    optional={
        "output_index": st.integers(0, 2) | JSON,
        "content_index": st.integers(0, 1),
        "summary_index": st.integers(0, 1),
        "delta": st.text(max_size=4) | JSON,
        "item": ITEMS | JSON,
        "part": st.just({"type": "output_text", "text": "p"}) | JSON,
        "annotation": JSON,
        "response": st.fixed_dictionaries({}, optional={"output": st.lists(ITEMS, max_size=2), "usage": JSON}) | JSON,
    },
)


@given(st.lists(EVENTS, max_size=12))
@settings(max_examples=80, deadline=None)
def test_no_order_of_events_raises_or_opens_two_blocks(events: list[dict[str, object]]) -> None:
    stream = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
    feed_all(CODEC.stream_scanner(withhold_usage=False), stream)
    opened = 0
    for event in events_of(stream):
        opened += {"BlockStarted": 1, "BlockEnded": -1}.get(type(event).__name__, 0)
        assert opened in {0, 1}


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=60, deadline=None)
def test_no_bytes_of_a_host_raise_anything_else(body: bytes) -> None:
    events_of(b"data: " + body + b"\n\n")
    CODEC.scan_response(body)
    CODEC.parse_error(400, body, "openai")
    with contextlib.suppress(UpstreamUnreadable):
        CODEC.parse_response(body, READING)


@pytest.mark.parametrize("name", [*TOLD_TWICE, "filtered"])
def test_a_whole_answer_is_scanned_as_it_is_read(name: str) -> None:
    report = CODEC.scan_response(answer(f"{ROOM}{name}.json"))
    assert report.usage == CODEC.parse_response(answer(f"{ROOM}{name}.json"), READING).usage
    assert report.final
    assert report.output_bytes > 0


@pytest.mark.parametrize("name", TOLD_TWICE)
def test_a_stream_is_scanned_as_it_is_read(name: str) -> None:
    scanner = CODEC.stream_scanner(withhold_usage=False)
    _, report = feed_all(scanner, answer(f"{ROOM}{name}.sse"))
    assert report.usage == folded(answer(f"{ROOM}{name}.sse")).usage
    assert report.final
    assert (scanner.ended, scanner.failed, scanner.complete) == (True, False, True)


def test_the_bytes_of_deltas_are_counted() -> None:
    _, report = feed_all(CODEC.stream_scanner(withhold_usage=False), answer(f"{ROOM}text.sse"))
    assert report.output_bytes == len("Hi there! Grüße — how can I help you today? 🌍".encode())
    assert report.finish_reason == "completed"


@pytest.mark.parametrize(("name", "ended"), [("failed", True), ("error_midway", False)])
def test_a_scanner_sees_failures(name: str, ended: bool) -> None:
    scanner = CODEC.stream_scanner(withhold_usage=False)
    feed_all(scanner, answer(f"{ROOM}{name}.sse"))
    assert (scanner.ended, scanner.failed, scanner.complete) == (ended, True, True)


def test_a_cut_stream_reports_no_final_usage() -> None:
    stream = answer(f"{ROOM}text.sse")
    scanner = CODEC.stream_scanner(withhold_usage=False)
    _, report = feed_all(scanner, stream[: len(stream) // 2])
    assert (report.usage, report.final, scanner.complete) == (None, False, False)
