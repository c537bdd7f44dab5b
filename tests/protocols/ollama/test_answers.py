"""What a host that is Ollama answers, and what a client of Ollama is told: whole and in lines."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols.codec import Reading
from app.protocols.conversation import (
    Base64Source,
    Block,
    Foreign,
    FunctionTool,
    Image,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    UrlSource,
)
from app.protocols.events import BlockStarted, Ended, Event, Failed, FinishReason, Generation, Heartbeat, fold, unfold
from app.protocols.ollama.dialect import OllamaDialect
from app.protocols.opaque import Seal
from tests.protocols.ollama.builders import GENERATE, OLLAMA, READING, WITHOUT_TOOLS, asked
from tests.protocols.ollama.test_request_render import conversation
from tests.protocols.streams import answer, names

TOOLS = (FunctionTool("get_weather"), FunctionTool("look"))
PAIRS = ["chat", "thinking_and_tools", "generate", "json_call"]


def json_reading(dialect: OllamaDialect = GENERATE) -> Reading:
    return OLLAMA.render_request(conversation(tools=TOOLS), dialect).reading


def reading_of(name: str) -> Reading:
    return json_reading() if name.startswith("json_call") else READING


def events_of(body: bytes, reading: Reading = READING) -> list[Event]:
    parser = OLLAMA.stream_parser(reading)
    return [*parser.feed(body), *parser.end()]


def without_ids(generation: Generation) -> Generation:
    """Ollama gives calls no ids: those made up here differ each time."""
    blocks: list[Block] = []
    for block in generation.blocks:
        if isinstance(block, ToolCall):
            assert block.call_id
            block = msgspec.structs.replace(block, call_id="")
        blocks.append(block)
    return msgspec.structs.replace(generation, blocks=tuple(blocks))


@pytest.mark.parametrize("name", PAIRS)
def test_an_answer_is_the_same_whole_and_in_lines(name: str) -> None:
    whole = OLLAMA.parse_response(answer(f"ollama/{name}.json"), reading_of(name))
    streamed = fold(events_of(answer(f"ollama/{name}.ndjson"), reading_of(name)))
    assert without_ids(streamed) == without_ids(whole)


@pytest.mark.parametrize("name", names("ollama", "ndjson"))
def test_a_stream_is_read_wherever_it_is_split(name: str) -> None:
    body = answer(name)
    reading = reading_of(name.removeprefix("ollama/"))
    expected = [type(event) for event in events_of(body, reading)]
    for cut in range(len(body)):
        parser = OLLAMA.stream_parser(reading)
        events = [*parser.feed(body[:cut]), *parser.feed(body[cut:]), *parser.end()]
        assert [type(event) for event in events] == expected


def test_a_stream_is_read_byte_by_byte_and_without_its_last_line_feed() -> None:
    body = answer("ollama/thinking_and_tools.ndjson").rstrip()
    parser = OLLAMA.stream_parser(READING)
    events = [event for position in range(len(body)) for event in parser.feed(body[position : position + 1])]
    generation = without_ids(fold([*events, *parser.end()]))
    assert generation.blocks == (
        Thinking("Two cities, two calls.", Seal("ollama", "")),
        Text("Let me look."),
        ToolCall("", "get_weather", '{"format":"celsius","location":"Paris, FR"}'),
        ToolCall("", "get_weather", '{"format":"celsius","location":"Oslo, NO"}'),
    )
    assert (generation.finish, generation.usage) == ("tool_calls", Usage(input=169, output=15))


def test_each_call_has_an_id_of_its_own() -> None:
    generation = OLLAMA.parse_response(answer("ollama/thinking_and_tools.json"), READING)
    ids = {block.call_id for block in generation.blocks if isinstance(block, ToolCall)}
    assert len(ids) == 2
    assert all(len(call_id) <= 40 for call_id in ids)


def test_a_prompt_that_was_cached_counts_nothing() -> None:
    assert OLLAMA.parse_response(answer("ollama/cached_prompt.json"), READING).usage == Usage(output=2)


def test_an_error_in_mid_stream_is_a_failure() -> None:
    events = events_of(answer("ollama/error_midway.ndjson") + b'{"done":true}\n')
    assert events[-1] == Failed(500, "an error was encountered while running the model")
    assert not any(isinstance(event, Ended) for event in events)


def test_a_stream_that_breaks_off_is_not_whole() -> None:
    body = answer("ollama/chat.ndjson")
    assert not any(isinstance(event, Ended) for event in events_of(body[: body.rindex(b'"done":true')]))


def test_nothing_follows_the_end() -> None:
    body = answer("ollama/chat.ndjson")
    assert events_of(body + body) == events_of(body)


@pytest.mark.parametrize(
    ("said", "block"),
    [
        ('{"name": "look", "arguments": {"at": 1}}', ToolCall("", "look", '{"at": 1}')),
        (' {"name": "look"}\n', ToolCall("", "look", "{}")),
        ('{"name": "look", "arguments": "x"}', ToolCall("", "look", '{"raw":"\\"x\\""}')),
        ('{"answer": "It rains."}', Text("It rains.")),
        ('{"answer": {"rain": true}}', Text('{"rain": true}')),
        ('{"name": "Ada", "age": 36}', Text('{"name": "Ada", "age": 36}')),
        ("It rains.", Text("It rains.")),
        ('{"name": "look", "argu', Text('{"name": "look", "argu')),
    ],
)
@pytest.mark.parametrize("dialect", [GENERATE, WITHOUT_TOOLS])
def test_seed_d14_an_answer_in_json_is_a_call(said: str, block: Block, dialect: OllamaDialect) -> None:
    line = {"message": {"content": said}} if not dialect.generate else {"response": said}
    body = json.dumps({"model": "m", **line, "done": True, "done_reason": "stop"}).encode()
    generation = without_ids(OLLAMA.parse_response(body, json_reading(dialect)))
    assert generation.blocks == (block,)
    assert generation.finish == ("tool_calls" if isinstance(block, ToolCall) else "stop")


def test_while_a_call_in_json_is_not_whole_there_are_only_heartbeats() -> None:
    events = events_of(answer("ollama/json_call.ndjson"), json_reading())
    assert [type(event) for event in events[1:3]] == [Heartbeat, Heartbeat]
    assert isinstance(events[3], BlockStarted)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"5", b'{"error":"x"}', b'{"done":true}', b'{"message":5}'])
def test_what_is_no_answer_is_told_as_such(body: bytes) -> None:
    with pytest.raises(UpstreamUnreadable):
        OLLAMA.parse_response(body, READING)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=6,
)
LINES = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("message", "response", "thinking", "done", "done_reason", "eval_count", "error", "model"), ODD
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(LINES, max_size=3), st.binary(max_size=20))
def test_whatever_a_host_sends_raises_only_what_is_declared(lines: list[dict[str, Any]], junk: bytes) -> None:
    body = b"\n".join([*(json.dumps(line).encode() for line in lines), junk])
    for reading in (READING, json_reading()):
        events_of(body, reading)
        try:
            OLLAMA.parse_response(body, reading)
        except UpstreamUnreadable as error:
            told = error
            assert told.provider
    scanner = OLLAMA.stream_scanner(withhold_usage=False)
    assert scanner.feed(body) + scanner.flush() == body
    OLLAMA.scan_response(body)
    OLLAMA.parse_error(500, body, "ollama")


WORDS = st.text(min_size=1, max_size=12)
CALLS = st.builds(ToolCall, st.just(""), WORDS, st.sampled_from(["{}", '{"a":"é"}', '{"b":[1,2]}']))


@st.composite
def generations(draw: st.DrawFn, *, chat: bool) -> Generation:
    """As Ollama could have answered."""
    thoughts = [Thinking(text, Seal("ollama", "")) for text in draw(st.lists(WORDS, max_size=1))]
    texts = [Text(text) for text in draw(st.lists(WORDS, max_size=1))]
    calls = draw(st.lists(CALLS, max_size=2)) if chat else []
    finish: FinishReason = "tool_calls" if calls else "length" if draw(st.booleans()) else "stop"
    usage = draw(st.none() | st.builds(Usage, input=st.integers(0, 9), output=st.integers(0, 9)))
    return Generation("", "llama3.2", (*thoughts, *texts, *calls), finish, usage)


@settings(max_examples=100, deadline=None)
@given(generations(chat=True))
def test_what_a_chat_was_told_is_read_again(generation: Generation) -> None:
    assert without_ids(OLLAMA.parse_response(OLLAMA.render_response(generation, asked()), READING)) == generation
    renderer = OLLAMA.stream_renderer(asked())
    body = b"".join(renderer.feed(event) for event in unfold(generation))
    assert without_ids(fold(events_of(body))) == generation


@settings(max_examples=100, deadline=None)
@given(generations(chat=False))
def test_what_a_completion_was_told_is_read_again(generation: Generation) -> None:
    about = asked(prompt="x")
    assert OLLAMA.parse_response(OLLAMA.render_response(generation, about), READING) == generation
    renderer = OLLAMA.stream_renderer(about)
    assert fold(events_of(b"".join(renderer.feed(event) for event in unfold(generation)))) == generation


def test_a_whole_answer_for_a_client() -> None:
    blocks = (Thinking("hm"), Text("a"), Refusal("b"), Foreign("x", "search", "{}", "c"), Image(UrlSource("https://d")))
    usage = Usage(input=1, cache_read=2, output=3)
    generation = Generation("g", "other", (*blocks, ToolCall("id", "look", "[]")), "tool_calls", usage)
    assert json.loads(OLLAMA.render_response(generation, asked())) == {
        "model": "llama3.2",
        "created_at": "2023-11-14T22:13:20Z",
        "message": {
            "role": "assistant",
            "content": "abchttps://d",
            "thinking": "hm",
            "tool_calls": [{"function": {"name": "look", "arguments": {"raw": "[]"}}}],
        },
        "done": True,
        "done_reason": "stop",
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_duration": 0,
        "eval_duration": 0,
        "prompt_eval_count": 3,
        "eval_count": 3,
    }


def test_pictures_are_told_and_read() -> None:
    picture = Image(Base64Source("image/png", "iVBORw0KGgo="))
    for about in (asked(), asked(prompt="x")):
        generation = Generation("", "llama3.2", (picture,), "stop")
        renderer = OLLAMA.stream_renderer(about)
        body = b"".join(renderer.feed(event) for event in unfold(generation))
        assert fold(events_of(body)) == generation
        assert OLLAMA.parse_response(OLLAMA.render_response(generation, about), READING) == generation


def test_a_failure_and_silence_in_a_clients_stream() -> None:
    renderer = OLLAMA.stream_renderer(asked())
    assert renderer.feed(Heartbeat()) == b""
    assert renderer.feed(Failed(500, 'no "more"')) == b'{"error":"no \\"more\\""}\n'
