"""What holds for every conversation, every answer and every JSON."""

import base64
import contextlib
import json
import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.domain.usage import Usage
from app.protocols.conversation import (
    Base64Source,
    Block,
    Conversation,
    Document,
    FileSource,
    FunctionTool,
    Image,
    JsonFormat,
    McpServer,
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
from app.protocols.events import FinishReason, Generation
from app.protocols.opaque import Seal
from tests.protocols.openai_responses.room import CODEC, DIALECT, READING, asked, folded, parsed, streamed

WORDS = st.text(min_size=1, max_size=12)
# One draw for a whole name; a regular expression draws for each letter, which took half of the time of these laws.
NAMES = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=12)
OBJECTS = st.dictionaries(WORDS, st.integers() | st.booleans() | WORDS, max_size=3).map(json.dumps)
SCHEMAS = OBJECTS.map(lambda members: '{"type":"object","properties":{},"x":' + members + "}")
BASE64 = st.binary(min_size=1, max_size=8).map(lambda data: base64.b64encode(data).decode())
TEXTS = st.builds(Text, WORDS)
IMAGES = st.builds(
    Image,
    st.builds(Base64Source, st.just("image/png"), BASE64)
    | st.builds(UrlSource, st.just("https://a.org/b.png"))
    | st.builds(FileSource, NAMES),
    st.sampled_from([None, "low", "high", "auto"]),
)
DOCUMENTS = st.builds(
    Document, st.builds(Base64Source, st.just("application/pdf"), BASE64), NAMES.map(lambda name: f"{name}.pdf")
) | st.builds(Document, st.builds(UrlSource, st.just("https://a.org/b.pdf")) | st.builds(FileSource, NAMES))
CALLS = st.builds(ToolCall, NAMES, NAMES, OBJECTS)
THOUGHTS = st.builds(
    Thinking, st.text(max_size=12), st.builds(lambda name, data: Seal("openai", f"rs_{name}:{data}"), NAMES, WORDS)
)
RESULTS = st.builds(ToolResult, NAMES, st.lists(TEXTS | IMAGES | DOCUMENTS, max_size=3).map(tuple))
USER_TURNS = st.builds(Turn, st.just("user"), st.lists(TEXTS | IMAGES | DOCUMENTS, min_size=1, max_size=3).map(tuple))
RESULT_TURNS = st.builds(Turn, st.just("user"), st.lists(RESULTS, min_size=1, max_size=3).map(tuple))
ASSISTANT_TURNS = st.builds(
    lambda blocks, last: Turn("assistant", (*blocks, last)),
    st.lists(TEXTS | THOUGHTS | CALLS | st.builds(Refusal, WORDS), max_size=4),
    TEXTS | CALLS,
)
TOOLS = (
    st.builds(FunctionTool, NAMES, st.none() | WORDS, st.none() | SCHEMAS, st.booleans())
    | st.builds(
        WebSearch, st.sampled_from([None, "low", "high"]), allowed_domains=st.lists(NAMES, max_size=2).map(tuple)
    )
    | st.builds(
        McpServer, NAMES, st.just("https://s"), st.none() | NAMES, st.none() | st.lists(NAMES, max_size=2).map(tuple)
    )
)


def _apart(turns: list[Turn]) -> tuple[Turn, ...]:
    """Neighbouring turns of the model, or of results, are one: so no two stand side by side."""
    kept: list[Turn] = []
    for turn in turns:
        alike = kept and _kind(kept[-1]) == _kind(turn) != "user"
        if not alike:
            kept.append(turn)
    return tuple(kept)


def _kind(turn: Turn) -> str:
    return "result" if isinstance(turn.blocks[0], ToolResult) else turn.role


def _unique(tools: list[Any]) -> tuple[Any, ...]:
    return tuple({getattr(tool, "name", number): tool for number, tool in enumerate(tools)}.values())


CONVERSATIONS = st.builds(
    Conversation,
    model=st.just("open-model"),
    turns=st.builds(
        lambda first, rest: _apart([first, *rest]),
        USER_TURNS,
        st.lists(USER_TURNS | RESULT_TURNS | ASSISTANT_TURNS, max_size=5),
    ),
    instructions=st.just(()) | TEXTS.map(lambda text: (text,)),
    tools=st.lists(TOOLS, min_size=1, max_size=3).map(_unique),
    tool_choice=st.sampled_from(
        [None, ToolChoice("auto"), ToolChoice("any"), ToolChoice("none"), ToolChoice("tool", "f")]
    ),
    parallel_tool_calls=st.none() | st.booleans(),
    sampling=st.builds(Sampling, st.none() | st.floats(0, 2), st.none() | st.floats(0, 1)),
    max_output_tokens=st.none() | st.integers(16, 10_000),
    reasoning=st.none()
    | st.builds(Reasoning, st.sampled_from(["low", "high", "max"]), shown=st.sampled_from([None, True])),
    output_format=st.none()
    | st.just(JsonFormat())
    | st.builds(JsonFormat, OBJECTS, NAMES, st.none() | WORDS, st.booleans()),
    stream=st.booleans(),
    end_user=st.none() | NAMES,
    extras=st.sampled_from([{}, {"prompt_cache_key": '"k"'}, {"verbosity": '"low"', "metadata": '{"a":"b"}'}]),
)


@given(CONVERSATIONS)
@settings(max_examples=100, deadline=None)
def test_a_request_reads_back_as_it_was_written(conversation: Conversation) -> None:
    done = CODEC.render_request(conversation, DIALECT)
    assert done.losses == ()
    assert CODEC.parse_request(CODEC.read_envelope(done.body), ()) == conversation


BLOCKS: st.SearchStrategy[Block] = TEXTS | CALLS | st.builds(Thinking, WORDS) | st.builds(Refusal, WORDS)
FINISHES: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length", "content_filter"])


@st.composite
def generations(draw: st.DrawFn) -> Generation:
    blocks = tuple(draw(st.lists(BLOCKS, max_size=5)))
    finish = draw(FINISHES)
    if finish == "stop" and any(isinstance(block, ToolCall) for block in blocks):
        finish = "tool_calls"
    counts = st.integers(0, 1000)
    output = draw(counts)
    usage = Usage(
        input=draw(counts),
        cache_read=draw(counts),
        cache_write_5m=draw(counts),
        output=output,
        reasoning=draw(st.integers(0, output)),
    )
    return Generation("resp_01kav3x", "team/gpt", blocks, finish, usage, extras={"service_tier": '"default"'})


@given(generations(), st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_an_answer_reads_back_as_it_was_written(generation: Generation, step: int) -> None:
    stream = streamed(generation)
    assert CODEC.parse_response(CODEC.render_response(generation, asked()), READING) == generation
    assert folded(stream) == generation
    assert folded(*(stream[at : at + step] for at in range(0, len(stream), step))) == generation


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda nested: st.lists(nested, max_size=3) | st.dictionaries(st.text(max_size=8), nested, max_size=3),
    max_leaves=8,
)
MEMBERS = {
    "type": st.sampled_from(
        [
            "message",
            "function_call",
            "function_call_output",
            "custom_tool_call",
            "reasoning",
            "input_text",
            "input_image",
            "input_file",
            "input_audio",
            "function",
            "custom",
            "namespace",
            "mcp",
            "web_search",
            "mcp_call",
            "json_schema",
            "allowed_tools",
        ]
    ),
    "role": st.sampled_from(["user", "assistant", "system", "developer"]),
    "name": WORDS,
    "call_id": WORDS,
}


def _objects(nested: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = ("content", "output", "arguments", "input", "summary", "text", "image_url", "file_data", "tools", "format")
    return st.fixed_dictionaries({}, optional={**MEMBERS, **dict.fromkeys(names, nested | JSON)})


LIKELY = st.recursive(_objects(JSON), lambda nested: st.lists(nested, max_size=3) | _objects(nested), max_leaves=6)
FIELDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "input",
            "instructions",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "temperature",
            "reasoning",
            "text",
            "user",
            "metadata",
            "include",
            "store",
            "prompt",
        ),
        JSON | LIKELY | st.lists(LIKELY, max_size=3),
    ),
)


@given(FIELDS)
@settings(max_examples=60, deadline=None)
def test_no_json_of_a_client_raises_anything_but_invalid_request(fields: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidRequest):
        CODEC.render_request(parsed(**fields), DIALECT)


@given(FIELDS)
@settings(max_examples=25, deadline=None)
def test_an_answer_can_be_written_whatever_was_asked(fields: dict[str, Any]) -> None:
    generation = Generation("x", "m", (Text("a"), ToolCall("c", "f", "{}")), "tool_calls")
    assert folded(streamed(generation, **fields)).blocks == generation.blocks
