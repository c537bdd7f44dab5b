"""Gemini's answers as a host gives them: whole and streamed, cut anywhere."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols.codec import Reading
from app.protocols.conversation import Base64Source, Foreign, Image, Text, Thinking, ToolCall
from app.protocols.events import Ended, Event, Failed, Generation, fold
from app.protocols.gemini.codec import Gemini
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.opaque import Seal
from tests.protocols.streams import answer, names

GEMINI = Gemini()
READING = Reading(GeminiDialect())
STREAMS = sorted([*names("gemini", "sse"), *names("gemini", "stream")])


def parsed(*chunks: bytes, reading: Reading = READING) -> list[Event]:
    parser = GEMINI.stream_parser(reading)
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return [*events, *parser.end()]


def folded(name: str) -> Generation:
    return fold(parsed(answer(f"gemini/{name}")))


def whole(name: str) -> Generation:
    return GEMINI.parse_response(answer(f"gemini/{name}"), READING)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_means_the_same_wherever_it_is_split(name: str) -> None:
    body = answer(name)
    expected = _joined(parsed(body))
    assert _joined(parsed(*(bytes([byte]) for byte in body))) == expected
    for place in range(len(body)):
        assert _joined(parsed(body[:place], body[place:])) == expected


def _joined(events: list[Event]) -> object:
    if isinstance(events[-1], Failed):
        return events
    return fold(events)


def test_text_thoughts_and_counts_are_read() -> None:
    generation = folded("text.sse")
    assert generation == Generation(
        "AdVRaMmDCYekqtsPrb_-iAw",
        "gemini-2.5-flash",
        (Text("Grüße aus Köln: 日本 🍣."),),
        "stop",
        Usage(input=5, output=28, reasoning=18),
    )


def test_each_call_is_its_own_and_the_signature_stands_before_the_first() -> None:
    generation = folded("thinking_and_calls.sse")
    thought, first, second = generation.blocks
    assert thought == Thinking(
        "**Checking the weather**\n\nTwo cities, two calls.", Seal("gemini", "EtsCCtgCAdHtim9kT0VG")
    )
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert first.call_id != second.call_id
    assert first.arguments == '{"city":"Paris","days":1.50}'
    assert second.arguments == '{"city":"København"}'
    assert generation.finish == "tool_calls"
    assert generation.usage == Usage(input=20, cache_read=100, output=97, reasoning=61)


def test_made_up_ids_are_the_same_each_time_and_other_in_other_answers() -> None:
    body = answer("gemini/thinking_and_calls.sse")
    again = fold(parsed(body))
    other = fold(parsed(body.replace(b"kq8eaZ6fCMq7vdIPxO6W0Ag", b"another")))
    assert again.blocks == folded("thinking_and_calls.sse").blocks
    assert _ids(again).isdisjoint(_ids(other))


def _ids(generation: Generation) -> set[str]:
    return {block.call_id for block in generation.blocks if isinstance(block, ToolCall)}


def test_the_clients_names_of_tools_come_back() -> None:
    reading = Reading(GeminiDialect(), {"get_weather": "get weather"})
    generation = fold(parsed(answer("gemini/thinking_and_calls.sse"), reading=reading))
    assert [block.name for block in generation.blocks if isinstance(block, ToolCall)] == ["get weather"] * 2


def test_a_signature_after_the_text_is_a_thought_after_it() -> None:
    assert folded("late_signature.sse").blocks == (
        Text("It is sunny."),
        Thinking("", Seal("gemini", "EqoHCqcHAdHtim8")),
    )


def test_the_end_waits_for_usage_that_comes_after_the_finish_reason() -> None:
    first, second, _ = answer("gemini/usage_after_finish.sse").split(b"\r\n\r\n")
    parser = GEMINI.stream_parser(READING)
    assert not any(isinstance(event, Ended) for event in parser.feed(first + b"\r\n\r\n"))
    assert isinstance(list(parser.feed(second + b"\r\n\r\n"))[-1], Ended)
    assert folded("usage_after_finish.sse").usage == Usage(input=4, output=1)


def test_without_usage_the_end_comes_with_the_end_of_the_stream() -> None:
    first = answer("gemini/usage_after_finish.sse").split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert isinstance(parsed(first)[-1], Ended)


def test_a_stream_without_a_finish_reason_has_no_end() -> None:
    first = answer("gemini/text.sse").split(b"\r\n\r\n")[0] + b"\r\n\r\n"
    assert not any(isinstance(event, Ended) for event in parsed(first))


def test_grounding_becomes_citations_at_characters() -> None:
    (text,) = folded("grounding.sse").blocks
    assert isinstance(text, Text)
    assert [(one.url, one.title, text.text[one.start : one.end]) for one in text.citations] == [
        ("https://vertexaisearch.cloud.google.com/a", "aljazeera.com", "España won Euro 2024 — in Berlin."),
        ("https://vertexaisearch.cloud.google.com/b", "uefa.com", "España won Euro 2024 — in Berlin."),
        ("https://vertexaisearch.cloud.google.com/b", "uefa.com", "England lost it by one."),
    ]


def test_searches_and_what_tools_put_into_the_prompt_are_counted() -> None:
    assert folded("grounding.sse").usage == Usage(input=87, output=36, reasoning=20, web_searches=1)


def test_an_array_is_read_as_it_comes() -> None:
    body = answer("gemini/array.stream")
    assert folded("array.stream").blocks == (Text('brace } and \\" quote [ ende'),)
    first = body.index(b"\n,\r\n")
    assert len(GEMINI.stream_parser(READING).feed(body[:first])) > 1


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("error_midway.sse", 503, "The model is overloaded. Please try again later."),
        ("array_error.stream", 400, "API key not valid. Please pass a valid API key."),
    ],
)
def test_an_error_in_a_stream_is_a_failure(name: str, status: int, message: str) -> None:
    assert parsed(answer(f"gemini/{name}"))[-1] == Failed(status, message)


def test_an_error_in_an_event_is_a_failure_too() -> None:
    events = parsed(b'data: {"error":{"message":"no","status":"RESOURCE_EXHAUSTED"}}\n\n')
    assert events == [Failed(429, "no")]


def test_what_is_unknown_is_skipped() -> None:
    generation = folded("unknown.sse")
    assert generation.blocks == (Text("ok!"),)
    assert generation.finish == "stop"


def test_a_malformed_call_ends_as_a_stop() -> None:
    generation = folded("malformed_call.sse")
    assert (generation.blocks, generation.finish) == ((), "stop")
    assert "finishMessage" in generation.extras


def test_a_blocked_prompt_is_filtered_content() -> None:
    generation = whole("blocked.json")
    assert generation.finish == "content_filter"
    assert generation.usage == Usage(input=17)


def test_code_that_ran_is_foreign_and_can_be_read() -> None:
    blocks = whole("code.json").blocks
    assert [block.kind for block in blocks if isinstance(block, Foreign)] == ["executableCode", "codeExecutionResult"]
    assert blocks[1] == Foreign(
        "gemini",
        "executableCode",
        '{"executableCode":{"language":"PYTHON","code":"print(6*7)"}}',
        "```\nprint(6*7)\n```",
    )


def test_images_are_images_and_counted() -> None:
    generation = whole("image.json")
    assert generation.blocks[1] == Image(Base64Source("image/png", "iVBORw0KGgo="))
    assert generation.usage == Usage(input=9, output=1290, images=1)


def test_audio_is_counted_apart() -> None:
    assert whole("audio.json").usage == Usage(input=18, cache_read=20, audio_input=12, audio_output=30)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("SPII", "content_filter"),
        ("CONTINUATION", "pause"),
        ("UNEXPECTED_TOOL_CALL", "stop"),
        ("OTHER", "stop"),
    ],
)
def test_finish_reasons(reason: str, finish: str) -> None:
    body = answer("gemini/text.json").replace(b'"STOP"', f'"{reason}"'.encode())
    assert GEMINI.parse_response(body, READING).finish == finish


def test_a_stream_of_one_event_means_the_same_as_the_whole_answer() -> None:
    for name in names("gemini", "json"):
        body = answer(name)
        if b'"candidates": [' in body or b'"candidates":[' in body:
            line = msgspec.json.encode(msgspec.json.decode(body))
            assert fold(parsed(b"data: " + line + b"\r\n\r\n")) == GEMINI.parse_response(line, READING)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"candidates":[]}', b'{"error":{"code":500}}', b"\xff"]
)
def test_what_is_no_answer_is_said_to_be_unreadable(body: bytes) -> None:
    with pytest.raises(UpstreamUnreadable):
        GEMINI.parse_response(body, READING)


_NAMES = [
    "candidates", "content", "parts", "text", "thought", "thoughtSignature", "functionCall", "name", "args",
    "inlineData", "mimeType", "data", "finishReason", "groundingMetadata", "groundingChunks", "web",
    "groundingSupports", "segment", "endIndex", "usageMetadata", "promptTokenCount", "error", "code",
]  # fmt: skip
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(_JSON, max_size=3), st.binary(max_size=20))
def test_whatever_a_host_sends_raises_nothing(frames: list[object], junk: bytes) -> None:
    encoded = [msgspec.json.encode(frame) for frame in frames]
    parsed(*(b"data: " + one + b"\n\n" for one in encoded), junk)
    parsed(b"[" + b",".join(encoded) + b"]")
    parsed(junk)
    for one in encoded:
        scanner = GEMINI.stream_scanner(withhold_usage=False)
        scanner.feed(b"data: " + one + b"\n\n")
        scanner.report()
        GEMINI.scan_response(one)
        GEMINI.parse_error(500, one, "gemini")
        try:
            GEMINI.parse_response(one, READING)
        except UpstreamUnreadable:
            continue


_ANSWERS = st.lists(
    st.one_of(
        st.builds(lambda text: {"text": text}, st.text(min_size=1, max_size=12)),
        st.builds(lambda text: {"text": text, "thought": True}, st.text(min_size=1, max_size=12)),
        st.builds(
            lambda name, args: {"functionCall": {"name": name, "args": args}, "thoughtSignature": "c2ln"},
            st.text(min_size=1, max_size=5),
            st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
        ),
    ),
    max_size=6,
)


def _answer(
    parts: list[object], more: dict[str, object] | None = None, rest: dict[str, object] | None = None
) -> object:
    candidate = {"content": {"parts": parts, "role": "model"}, **(more or {})}
    return {"candidates": [candidate], "responseId": "r", "modelVersion": "m", **(rest or {})}


@settings(max_examples=100, deadline=None)
@given(_ANSWERS, st.integers(1, 40))
def test_parts_mean_the_same_each_in_its_event_or_all_in_one(parts: list[object], step: int) -> None:
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2}
    whole = _answer(parts, {"finishReason": "STOP"}, {"usageMetadata": usage})
    frames = [_answer([part]) for part in parts]
    frames.append(_answer([{"text": ""}], {"finishReason": "STOP"}, {"usageMetadata": usage}))
    stream = b"".join(b"data: " + msgspec.json.encode(frame) + b"\r\n\r\n" for frame in frames)
    chunks = (stream[start : start + step] for start in range(0, len(stream), step))
    assert fold(parsed(*chunks)) == GEMINI.parse_response(msgspec.json.encode(whole), READING)
