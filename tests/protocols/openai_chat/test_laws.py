"""Laws that hold for whatever is said: requests come back as they were, streams add up to whole answers."""

import itertools
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.usage import Usage
from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
    CacheMark,
    Conversation,
    Document,
    FileSource,
    FunctionTool,
    Image,
    JsonFormat,
    Reasoning,
    Refusal,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    UrlSource,
    WebSearch,
)
from app.protocols.events import Event, Generation, fold
from app.protocols.opaque import Seal
from app.protocols.openai_chat.dialect import ChatDialect
from app.protocols.translation import as_stream
from tests.protocols.openai_chat.builders import CODEC, asked, reading

RICH = ChatDialect(top_k=True, cache_marks=True, documents=True, web_search=True)
WORDS = st.text(min_size=1, max_size=8)
SPOKEN = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
IDS = st.from_regex(r"[a-zA-Z0-9_-]{1,40}", fullmatch=True)
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)
MARKS = st.none() | st.builds(CacheMark, st.sampled_from([None, "5m", "1h"]))
OBJECTS = st.dictionaries(SPOKEN, st.integers() | SPOKEN, max_size=2).map(
    lambda value: json.dumps(value, ensure_ascii=False)
)
SCHEMAS = OBJECTS.map(lambda members: '{"type":"object","properties":{},"x":' + members + "}")
TEXTS = st.builds(Text, SPOKEN, cache=MARKS)
IMAGES = st.builds(
    Image,
    st.just(Base64Source("image/png", "iVBORw0=")) | st.just(UrlSource("https://a/b.png")),
    st.sampled_from([None, "low"]),
    MARKS,
)
DOCUMENTS = st.builds(
    Document,
    st.just(Base64Source("application/pdf", "JVBERi0=")),
    st.just("a.pdf"),
    cache=MARKS,
) | st.just(Document(FileSource("file-1")))
AUDIO = st.just(Audio(Base64Source("audio/wav", "UklGRg==")))


def user_turns() -> st.SearchStrategy[Turn]:
    parts = st.lists(TEXTS | IMAGES | DOCUMENTS | AUDIO, min_size=1, max_size=3)
    return parts.map(lambda blocks: Turn("user", tuple(blocks)))


@st.composite
def rounds(draw: st.DrawFn) -> list[Turn]:
    """What a user says, what is answered, and the results of its calls."""
    call_ids = draw(st.lists(IDS, unique=True, max_size=3))
    spoken = draw(st.none() | TEXTS)
    calls = [ToolCall(call_id, draw(NAMES), draw(OBJECTS)) for call_id in call_ids]
    blocks: list[Block] = [*([spoken] if spoken is not None else []), *calls]
    results = [
        ToolResult(call_id, tuple(draw(st.lists(st.builds(Text, SPOKEN), max_size=1))))
        for call_id in draw(st.permutations(call_ids))
    ]
    turns = [draw(user_turns())]
    if blocks:
        turns.append(Turn("assistant", tuple(blocks)))
    if results:
        turns.append(Turn("user", tuple(results)))
    if draw(st.booleans()):
        turns.append(Turn("system", (draw(TEXTS),)))
    return turns


FUNCTIONS = st.builds(FunctionTool, NAMES, st.none() | SPOKEN, st.none() | SCHEMAS, st.none() | st.booleans(), MARKS)
NUMBERS = st.none() | st.floats(0, 2)
SAMPLINGS = st.builds(
    Sampling,
    NUMBERS,
    NUMBERS,
    st.none() | st.integers(0, 100),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    NUMBERS,
    NUMBERS,
    st.lists(SPOKEN, max_size=4).map(tuple),
)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    functions = draw(st.lists(FUNCTIONS, max_size=2))
    search = draw(st.none() | st.builds(WebSearch, st.sampled_from([None, "low"])))
    choices = st.sampled_from([ToolChoice("auto"), ToolChoice("any"), ToolChoice("none"), ToolChoice("tool", "f")])
    return Conversation(
        model=draw(st.sampled_from(["llama", "mixtral"])),
        turns=tuple(turn for each in draw(st.lists(rounds(), min_size=1, max_size=3)) for turn in each),
        instructions=tuple(draw(st.lists(TEXTS, max_size=1))),
        tools=(*functions, *([search] if search else [])),
        tool_choice=draw(st.none() | choices) if functions else None,
        parallel_tool_calls=draw(st.none() | st.booleans()) if functions else None,
        sampling=draw(SAMPLINGS),
        max_output_tokens=draw(st.none() | st.integers(0, 2**31 - 1)),
        reasoning=draw(st.none() | st.sampled_from([Reasoning("low"), Reasoning("high")])),
        output_format=draw(
            st.none() | st.builds(JsonFormat, OBJECTS, NAMES, st.none() | SPOKEN, st.none() | st.booleans())
        ),
        stream=draw(st.booleans()),
        end_user=draw(st.none() | NAMES),
        extras=draw(st.dictionaries(st.just("logit_bias"), OBJECTS)),
        headers=tuple(draw(st.lists(st.just(("x-trace", "1")), max_size=1))),
    )


@settings(max_examples=100, deadline=None)
@given(conversations())
def test_a_request_comes_back_as_the_conversation_it_says(conversation: Conversation) -> None:
    given_request = CODEC.render_request(conversation, RICH)
    assert given_request.losses == ()
    read = CODEC.parse_request(CODEC.read_envelope(given_request.body), ())
    extra = {name.decode(): value.decode() for name, value in given_request.headers}
    assert read == Conversation(
        **{name: getattr(conversation, name) for name in Conversation.__struct_fields__ if name != "headers"}
    )
    assert tuple(extra.items()) == conversation.headers


@st.composite
def generations(draw: st.DrawFn) -> Generation:
    """In the one order that a whole message has."""
    seal = Seal("openai", "")
    calls = [ToolCall(call_id, draw(NAMES), draw(OBJECTS)) for call_id in draw(st.lists(IDS, unique=True, max_size=3))]
    finish: Any = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    return Generation(
        draw(IDS).join(["chatcmpl-", ""]),
        "asked-model",
        (
            *draw(st.lists(st.builds(Thinking, SPOKEN, st.just(seal)), max_size=1)),
            *draw(st.lists(st.builds(Text, SPOKEN), max_size=1)),
            *draw(st.lists(st.builds(Refusal, SPOKEN), max_size=1)),
            *draw(st.lists(st.just(Image(Base64Source("image/png", "iVBORw0="))), max_size=2)),
            *calls,
        ),
        finish,
        Usage(
            input=draw(st.integers(0, 99)),
            cache_read=draw(st.integers(0, 99)),
            cache_write_5m=draw(st.integers(0, 99)),
            output=draw(st.integers(60, 99)),
            web_searches=draw(st.integers(0, 3)),
        ),
    )


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(places)]


def read_stream(chunks: list[bytes]) -> Generation:
    parser = CODEC.stream_parser(reading())
    events: list[Event] = [event for chunk in chunks for event in parser.feed(chunk)]
    return fold([*events, *parser.end()])


@settings(max_examples=100, deadline=None)
@given(generations(), st.lists(st.integers(0, 5000), max_size=6))
def test_an_answer_comes_back_whole_and_streamed(generation: Generation, cuts: list[int]) -> None:
    request = asked(stream_options={"include_usage": True})
    assert CODEC.parse_response(CODEC.render_response(generation, request), reading()) == generation
    stream = as_stream(generation, CODEC.stream_renderer(request))
    assert read_stream(pieces(stream, cuts)) == generation


@st.composite
def interleavings(draw: st.DrawFn) -> tuple[tuple[ToolCall, ...], list[dict[str, Any]]]:
    """Calls, and their pieces in any order that keeps each call's own."""
    calls = [
        ToolCall(call_id, draw(NAMES), draw(OBJECTS))
        for call_id in draw(st.lists(IDS, min_size=1, max_size=4, unique=True))
    ]
    waiting: list[list[dict[str, Any]]] = []
    for index, call in enumerate(calls):
        cut = draw(st.integers(0, len(call.arguments)))
        waiting.append(
            [{"index": index, "function": {"arguments": part}} for part in (call.arguments[:cut], call.arguments[cut:])]
        )
    said = [
        {"index": index, "id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        for index, call in enumerate(calls)
    ]
    while any(waiting):
        said.append(draw(st.sampled_from([each for each in waiting if each])).pop(0))
    return tuple(calls), said


@settings(max_examples=100, deadline=None)
@given(interleavings(), st.integers(1, 3))
def test_calls_interleaved_in_any_way_are_the_same_calls(
    given_calls: tuple[tuple[ToolCall, ...], list[dict[str, Any]]], in_one: int
) -> None:
    calls, said = given_calls
    chunks = [
        b"data: " + json.dumps({"choices": [{"delta": {"tool_calls": said[at : at + in_one]}}]}).encode() + b"\n\n"
        for at in range(0, len(said), in_one)
    ]
    assert read_stream([*chunks, b"data: [DONE]\n\n"]).blocks == calls


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=40) | st.binary(max_size=40).map(lambda data: b"data: " + data + b"\n\n")))
def test_no_bytes_make_the_parser_raise(chunks: list[bytes]) -> None:
    parser = CODEC.stream_parser(reading())
    for chunk in chunks:
        parser.feed(chunk)
    parser.end()


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "index",
                    "id",
                    "function",
                    "name",
                    "arguments",
                    "text",
                    "type",
                    "data",
                    "url_citation",
                    "url",
                    "image_url",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
SPEECH = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "content",
            "refusal",
            "reasoning",
            "reasoning_content",
            "reasoning_details",
            "tool_calls",
            "function_call",
            "images",
            "annotations",
        ),
        ODD,
    ),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(SPEECH, max_size=4), ODD, ODD)
def test_no_json_makes_the_parser_raise(said: list[dict[str, Any]], usage: Any, error: Any) -> None:
    chunks = [{"choices": [{"delta": delta}]} for delta in said]
    bodies = [json.dumps(chunk).encode() for chunk in [*chunks, {"usage": usage}, {"error": error}]]
    parser = CODEC.stream_parser(reading())
    for body in bodies:
        parser.feed(b"data: " + body + b"\n\n")
    parser.end()
