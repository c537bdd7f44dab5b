"""Completions of hosts, and completions for clients: whole and in chunks."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import NotFound, RateLimited, UpstreamUnreadable
from app.domain.spend import Admitted, RateStanding
from app.domain.usage import Usage
from app.protocols.codec import Codec
from app.protocols.conversation import Foreign, Image, Refusal, Text, Thinking, ToolCall, UrlSource
from app.protocols.events import Ended, Event, Failed, FinishReason, Generation, Heartbeat, fold, unfold
from tests.protocols.openai_completions.builders import COMPLETIONS, READING, asked
from tests.protocols.streams import answer, feed_all

TEXT = Generation(
    "cmpl-uqkvlQyYK7bGYrRHQ0eXlWi7",
    "gpt-3.5-turbo-instruct",
    (Text("\n\nThis is indéed a test"),),
    "length",
    Usage(input=5, output=7),
)


def events_of(*chunks: bytes) -> list[Event]:
    parser = COMPLETIONS.stream_parser(READING)
    return [*(event for chunk in chunks for event in parser.feed(chunk)), *parser.end()]


def test_a_whole_answer_is_read() -> None:
    assert COMPLETIONS.parse_response(answer("openai_completions/text.json"), READING) == TEXT


@pytest.mark.parametrize("name", ["text", "without_done"])
def test_a_stream_says_the_same_wherever_it_is_split(name: str) -> None:
    body = answer(f"openai_completions/{name}.sse")
    for cut in range(len(body)):
        assert fold(events_of(body[:cut], body[cut:])) == TEXT


def test_an_error_in_mid_stream_is_a_failure() -> None:
    assert events_of(answer("openai_completions/error_midway.sse"))[-1] == Failed(500, "The server had an error")


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    body = answer("openai_completions/text.sse")
    assert not any(isinstance(event, Ended) for event in events_of(body[: body.index(b'"length"')]))


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"error":{"message":"x"}}', b'{"choices":[]}', b'{"choices":5}']
)
def test_what_is_no_completion_is_told_as_such(body: bytes) -> None:
    with pytest.raises(UpstreamUnreadable):
        COMPLETIONS.parse_response(body, READING)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["text", "index"]), inner, max_size=2),
    max_leaves=6,
)
CHUNKS = st.fixed_dictionaries({}, optional=dict.fromkeys(("choices", "usage", "error", "id", "model"), ODD))


@settings(max_examples=100, deadline=None)
@given(st.lists(CHUNKS, max_size=3), st.binary(max_size=20))
def test_whatever_a_host_sends_raises_only_what_is_declared(chunks: list[object], junk: bytes) -> None:
    body = b"".join([*(b"data: %b\n\n" % json.dumps(chunk).encode() for chunk in chunks), junk])
    events_of(body)
    for whole in (junk, *(json.dumps(chunk).encode() for chunk in chunks)):
        COMPLETIONS.scan_response(whole)
        COMPLETIONS.parse_error(500, whole, "host")
        try:
            COMPLETIONS.parse_response(whole, READING)
        except UpstreamUnreadable as error:
            told = error
            assert told.provider
    scanner = COMPLETIONS.stream_scanner(withhold_usage=False)
    assert scanner.feed(body) + scanner.flush() == body


def test_only_what_is_text_is_told() -> None:
    blocks = (
        Thinking("hm"),
        Text("a"),
        Refusal("b"),
        ToolCall("c", "look", "{}"),
        Foreign("x", "search", "{}", "d"),
        Foreign("x", "search", "{}"),
        Image(UrlSource("https://e")),
    )
    generation = Generation("msg_1", "other", blocks, "tool_calls", Usage(input=1, cache_read=2, output=3, reasoning=1))
    told = json.loads(COMPLETIONS.render_response(generation, asked()))
    assert told == {
        "id": "cmpl-msg_1",
        "object": "text_completion",
        "created": 1_700_000_000,
        "model": "instruct",
        "choices": [{"text": "abdhttps://e", "index": 0, "logprobs": None, "finish_reason": "stop"}],
        "usage": {
            "prompt_tokens": 3,
            "completion_tokens": 3,
            "total_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
    }
    renderer = COMPLETIONS.stream_renderer(asked(stream=True))
    streamed = fold(events_of(b"".join(renderer.feed(event) for event in unfold(generation))))
    assert streamed == Generation("cmpl-msg_1", "instruct", (Text("abdhttps://e"),), "stop")


FINISHES: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "content_filter"])
GENERATIONS = st.builds(
    Generation,
    st.just("cmpl-1"),
    st.just("instruct"),
    st.just(()) | st.text(min_size=1).map(lambda text: (Text(text),)),
    FINISHES,
    st.none() | st.builds(Usage, input=st.integers(0, 9), cache_read=st.integers(0, 9), output=st.integers(0, 9)),
)


@settings(max_examples=100, deadline=None)
@given(GENERATIONS)
def test_what_was_told_is_read_again(generation: Generation) -> None:
    assert COMPLETIONS.parse_response(COMPLETIONS.render_response(generation, asked()), READING) == generation
    renderer = COMPLETIONS.stream_renderer(asked(stream=True, stream_options={"include_usage": True}))
    assert fold(events_of(b"".join(renderer.feed(event) for event in unfold(generation)))) == generation


def test_usage_in_a_stream_is_told_only_where_it_was_asked_for() -> None:
    renderer = COMPLETIONS.stream_renderer(asked(stream=True))
    body = b"".join(renderer.feed(event) for event in unfold(TEXT))
    assert b"usage" not in body
    assert body.endswith(b"data: [DONE]\n\n")


def test_failure_and_silence() -> None:
    renderer = COMPLETIONS.stream_renderer(asked(stream=True))
    assert renderer.feed(Heartbeat()) == b""
    told = json.loads(renderer.feed(Failed(500, "broken")).removeprefix(b"data: "))
    assert told["error"]["message"] == "broken"


@pytest.mark.parametrize("withhold", [True, False])
def test_usage_is_read_as_the_bytes_pass(withhold: bool) -> None:
    body = answer("openai_completions/text.sse")
    usage_frame = body[body.rindex(b"data: {") : body.rindex(b"data: [DONE]")]
    for cut in range(len(body)):
        scanner = COMPLETIONS.stream_scanner(withhold_usage=withhold)
        passed, report = feed_all(scanner, body[:cut], body[cut:])
        assert passed == (body.replace(usage_frame, b"") if withhold else body)
        assert (report.usage, report.final, report.output_bytes) == (TEXT.usage, True, 24)
        assert (report.finish_reason, scanner.complete) == ("length", True)
    whole = COMPLETIONS.scan_response(answer("openai_completions/text.json"))
    assert (whole.usage, whole.output_bytes, whole.finish_reason) == (TEXT.usage, 24, "length")


def test_hosts_without_an_end_mark_and_hosts_that_fail() -> None:
    scanner = COMPLETIONS.stream_scanner(withhold_usage=False)
    feed_all(scanner, answer("openai_completions/without_done.sse"))
    assert (scanner.ended, scanner.complete, scanner.report().final) == (False, True, True)
    scanner = COMPLETIONS.stream_scanner(withhold_usage=False)
    feed_all(scanner, answer("openai_completions/error_midway.sse"))
    assert scanner.failed


def test_errors_are_openais() -> None:
    codec: Codec = COMPLETIONS
    error = codec.parse_error(404, answer("openai_completions/error.json"), "openai")
    assert (error.status, error.message.partition(" and")[0]) == (404, "This is a chat model")
    assert json.loads(codec.render_error(RateLimited("slowly"), "r").body)["error"]["code"] == "rate_limit_exceeded"
    assert codec.render_stream_error(RateLimited("slowly"), "r").startswith(b'data: {"error":')
    with pytest.raises(NotFound):
        codec.render_count(5)


def test_rate_limits_are_openais() -> None:
    admitted = Admitted(RateStanding(10, -1, 5), None, ())
    assert COMPLETIONS.limit_headers(admitted, 0) == [
        (b"x-ratelimit-limit-requests", b"10"),
        (b"x-ratelimit-remaining-requests", b"0"),
        (b"x-ratelimit-reset-requests", b"5s"),
    ]
