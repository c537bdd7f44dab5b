"""The laws of a Messages request: what is written is read back the same, and the SDK's own types know it."""

import json
from typing import Any

import msgspec
from anthropic.types.beta import (
    BetaContentBlockParam,
    BetaRequestMCPServerURLDefinitionParam,
    BetaTextBlockParam,
    BetaToolUnionParam,
)
from anthropic.types.beta.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.protocols.conversation import (
    Base64Source,
    Block,
    CacheMark,
    Citation,
    Conversation,
    Document,
    FileSource,
    Foreign,
    FunctionTool,
    HostedTool,
    Image,
    JsonFormat,
    McpServer,
    Reasoning,
    Sampling,
    Text,
    TextSource,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    UrlSource,
    WebSearch,
)
from app.protocols.opaque import Seal
from tests.protocols.anthropic_messages.builders import ANTHROPIC, CODEC

WORDS = st.text(st.characters(exclude_categories=("Cs", "Z", "Cc")), min_size=1, max_size=8)
IDS = st.text("abcXYZ019_-", min_size=1, max_size=8)
OBJECTS = st.dictionaries(WORDS, WORDS | st.integers(), max_size=2).map(json.dumps)
MARKS = st.none() | st.builds(CacheMark, st.sampled_from([None, "5m", "1h"]))
CITATION = (
    '{"type":"char_location","cited_text":"x","document_index":0,"document_title":"T",'
    '"start_char_index":0,"end_char_index":1}'
)
CITATIONS = st.sampled_from([(), (Citation("anthropic_messages", CITATION, title="T", cited_text="x"),)])
TEXTS = st.builds(Text, WORDS, cache=MARKS)
MEDIA = st.sampled_from(["image/png", "image/jpeg"])
URLS = st.builds(UrlSource, st.just("https://a.example/b"))
FILES = st.builds(FileSource, IDS)
IMAGES = st.builds(Image, st.builds(Base64Source, MEDIA, st.just("iVBO")) | URLS | FILES, cache=MARKS)
SOURCES = st.just(Base64Source("application/pdf", "JVBE")) | URLS | FILES | st.builds(TextSource, WORDS)
DOCUMENTS = st.builds(Document, SOURCES, st.none() | WORDS, st.none() | WORDS, st.booleans(), MARKS)
FOREIGN = st.just(
    Foreign(
        "anthropic_messages",
        "search_result",
        '{"type":"search_result","title":"T","source":"S","content":[{"type":"text","text":"x"}]}',
        "T\nS\nx",
    )
)
RESULTS = st.builds(
    ToolResult, IDS, st.lists(TEXTS | IMAGES | DOCUMENTS | FOREIGN, max_size=2).map(tuple), st.booleans(), MARKS
)
SEALS = st.builds(Seal, st.just("anthropic"), IDS)
THINKING = st.builds(Thinking, WORDS, SEALS) | st.builds(lambda seal: Thinking("", seal, redacted=True), SEALS)
CALLS = st.builds(ToolCall, IDS, IDS, OBJECTS, MARKS)
ASSISTANT = st.lists(THINKING | CALLS | st.builds(Text, WORDS, CITATIONS), min_size=1, max_size=3)
PARTS: st.SearchStrategy[Block] = TEXTS | IMAGES | DOCUMENTS | FOREIGN
USER = st.builds(
    lambda results, others: [*results, *others], st.lists(RESULTS, max_size=2), st.lists(PARTS, min_size=1, max_size=2)
)
PAIRS = st.builds(
    lambda blocks, answers: (Turn("user", tuple(blocks)), Turn("assistant", tuple(answers))), USER, ASSISTANT
)
TURNS = st.builds(
    lambda pairs, last: (*(turn for pair in pairs for turn in pair), Turn("user", tuple(last))),
    st.lists(PAIRS, max_size=2),
    USER,
)
SCHEMAS = OBJECTS.map(lambda members: '{"type":"object","properties":{},"x":' + members + "}")
FUNCTIONS = st.builds(FunctionTool, IDS, st.none() | WORDS, SCHEMAS, st.sampled_from([None]), MARKS)
SEARCHES = st.builds(
    WebSearch, max_uses=st.none() | st.integers(1, 9), allowed_domains=st.sampled_from([(), ("a.example",)])
)
HOSTED = st.just(HostedTool("bash_20250124", '{"type":"bash_20250124","name":"bash"}'))
SERVERS = st.builds(McpServer, IDS, st.just("https://m.example"), st.none() | IDS, st.sampled_from([None, ("find",)]))
TOOLS = st.builds(
    lambda functions, servers: (*functions, *servers),
    st.lists(FUNCTIONS | SEARCHES | HOSTED, max_size=2),
    st.lists(SERVERS, max_size=1),
)
CONVERSATIONS = st.builds(
    Conversation,
    model=st.just("claude-sonnet-4-5"),
    turns=TURNS,
    instructions=st.lists(TEXTS, max_size=2).map(tuple),
    tools=TOOLS,
    sampling=st.builds(
        Sampling,
        temperature=st.none() | st.just(0.5),
        top_k=st.none() | st.integers(1, 9),
        stop=st.lists(WORDS, max_size=2, unique=True).map(tuple),
    ),
    max_output_tokens=st.integers(5000, 9000),
    stream=st.booleans(),
    end_user=st.none() | st.just("u-1"),
)


@settings(max_examples=100, deadline=None)
@given(CONVERSATIONS)
def test_what_is_written_is_read_back_the_same(conversation: Conversation) -> None:
    given_request = CODEC.render_request(conversation, ANTHROPIC)
    assert given_request.losses == ()
    assert CODEC.parse_request(CODEC.read_envelope(given_request.body), ()) == conversation


def test_the_knobs_are_read_back_the_same() -> None:
    before = Conversation(
        model="claude-opus-4-6",
        turns=(Turn("user", (Text("Hi"),)),),
        tools=(FunctionTool("f", None, '{"type":"object","properties":{}}'),),
        tool_choice=ToolChoice("auto"),
        parallel_tool_calls=False,
        max_output_tokens=5000,
        reasoning=Reasoning("medium", adaptive=True, shown=True),
        output_format=JsonFormat('{"type":"object","properties":{},"additionalProperties":false}'),
    )
    body = CODEC.render_request(before, ANTHROPIC).body
    assert CODEC.parse_request(CODEC.read_envelope(body), ()) == before


PARAMS: TypeAdapter[Any] = TypeAdapter(MessageCreateParamsNonStreaming)
# An iterable is checked only when it is walked, so what it holds is checked apart.
BLOCK: TypeAdapter[Any] = TypeAdapter(BetaContentBlockParam)
SYSTEM: TypeAdapter[Any] = TypeAdapter(BetaTextBlockParam)
TOOL: TypeAdapter[Any] = TypeAdapter(BetaToolUnionParam)
SERVER: TypeAdapter[Any] = TypeAdapter(BetaRequestMCPServerURLDefinitionParam)


@settings(max_examples=50, deadline=None)
@given(CONVERSATIONS)
def test_the_sdks_types_know_what_is_written(conversation: Conversation) -> None:
    body = json.loads(CODEC.render_request(msgspec.structs.replace(conversation, stream=False), ANTHROPIC).body)
    PARAMS.validate_python(body, strict=True)
    for judge, parts in (
        (BLOCK, [block for message in body["messages"] for block in message["content"]]),
        (SYSTEM, body.get("system", [])),
        (TOOL, body.get("tools", [])),
        (SERVER, body.get("mcp_servers", [])),
    ):
        for part in parts:
            judge.validate_python(part)
