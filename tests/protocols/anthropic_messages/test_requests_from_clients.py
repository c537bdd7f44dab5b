"""What is read from the request of a Messages client, for a host that speaks another protocol."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Base64Source,
    CacheMark,
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
from tests.protocols.anthropic_messages.builders import CODEC, parsed
from tests.protocols.streams import answer


def content(*blocks: Any, role: str = "user") -> tuple[Any, ...]:
    turns = parsed(messages=[{"role": role, "content": list(blocks)}]).turns
    return turns[0].blocks


def test_a_request_of_claude_code_is_read_whole() -> None:
    envelope = CODEC.read_envelope(answer("anthropic_messages/claude_code_request.json"))
    conversation = CODEC.parse_request(envelope, ((b"anthropic-beta", b"claude-code-20250219"),))
    assert conversation.instructions == (
        Text("You are Claude Code, Anthropic's official CLI for Claude.", cache=CacheMark()),
        Text("Be brief.", cache=CacheMark("1h")),
    )
    assert [turn.role for turn in conversation.turns] == ["user", "system", "assistant", "user"]
    assert conversation.turns[2].blocks == (
        Thinking("", Seal("anthropic", "EqQBCgIYAhIk")),
        Text("I look."),
        ToolCall("toolu_01A", "Read", '{"file_path": "a.txt"}'),
        ToolCall("toolu_01B", "ToolSearch", '{"query": "issue"}'),
    )
    first, second, text = conversation.turns[3].blocks
    assert first == ToolResult("toolu_01A", (Text("größer"), Image(Base64Source("image/png", "iVBORw0KGgo="))))
    assert isinstance(second, ToolResult)
    assert second.is_error
    assert isinstance(second.blocks[0], Foreign)
    assert second.blocks[0].text == "The tool mcp__tracker__find is loaded."
    assert text == Text("And now?", cache=CacheMark())
    assert [tool.name for tool in conversation.tools if isinstance(tool, FunctionTool)] == [
        "Read",
        "mcp__tracker__find",
    ]
    assert conversation.tools[1] == FunctionTool(
        "mcp__tracker__find",
        "Finds an issue.",
        '{"type": "object", "properties": {}}',
        cache=CacheMark(),
        deferred=True,
    )
    assert conversation.reasoning == Reasoning("medium", adaptive=True, shown=False)
    assert (conversation.max_output_tokens, conversation.stream, conversation.end_user) == (128000, True, "acc-1")
    assert set(conversation.extras) == {
        "context_management",
        "safeguards",
        "metadata.user_id",
        "messages.1.output_config",
    }
    assert conversation.headers == ()


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ({"type": "base64", "media_type": "application/pdf", "data": "JVBE"}, Base64Source("application/pdf", "JVBE")),
        ({"type": "url", "url": "https://example.org/a.pdf"}, UrlSource("https://example.org/a.pdf")),
        ({"type": "file", "file_id": "file_1"}, FileSource("file_1")),
        ({"type": "text", "media_type": "text/plain", "data": "words"}, TextSource("words")),
        ({"type": "content", "content": "words"}, TextSource("words")),
    ],
)
def test_documents_keep_their_source_and_their_titles(source: dict[str, Any], read: Any) -> None:
    block = {"type": "document", "source": source, "title": "T", "context": "C", "citations": {"enabled": True}}
    assert content(block) == (Document(read, title="T", context="C", cite=True),)


def test_a_document_of_blocks_can_be_read_as_text_elsewhere() -> None:
    inner = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    (block,) = content({"type": "document", "source": {"type": "content", "content": inner}})
    assert isinstance(block, Foreign)
    assert (block.kind, block.text, block.essential) == ("document", "one\ntwo", True)


@pytest.mark.parametrize(
    ("role", "block", "text", "essential"),
    [
        (
            "user",
            {
                "type": "search_result",
                "source": "https://a.example",
                "title": "Tides",
                "content": [{"type": "text", "text": "High at six"}],
            },
            "Tides\nhttps://a.example\nHigh at six",
            False,
        ),
        ("user", {"type": "container_upload", "file_id": "file_1"}, None, True),
        ("assistant", {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}, None, False),
        (
            "assistant",
            {
                "type": "web_search_tool_result",
                "tool_use_id": "srvtoolu_1",
                "content": [
                    {"type": "web_search_result", "title": "T", "url": "https://b.example", "encrypted_content": "E"}
                ],
            },
            "T\nhttps://b.example",
            False,
        ),
        (
            "assistant",
            {
                "type": "code_execution_tool_result",
                "tool_use_id": "srvtoolu_2",
                "content": {"type": "code_execution_result", "stdout": "42\n", "stderr": "", "return_code": 0},
            },
            "42",
            False,
        ),
        ("assistant", {"type": "compaction", "content": "All so far."}, "All so far.", False),
        ("user", {"type": "hologram", "frames": [1]}, None, True),
    ],
)
def test_blocks_that_others_lack_are_carried_with_their_text(
    role: str, block: dict[str, Any], text: str | None, essential: bool
) -> None:
    (read,) = content(block, role=role)
    assert isinstance(read, Foreign)
    assert (read.protocol, read.kind, json.loads(read.raw)) == ("anthropic_messages", block["type"], block)
    assert (read.text, read.essential) == (text, essential)


def test_seals_are_opened_by_their_issuer() -> None:
    blocks = content(
        {"type": "thinking", "thinking": "a", "signature": "native"},
        {"type": "thinking", "thinking": "b", "signature": "kh1.gemini.proof"},
        {"type": "thinking", "thinking": "c", "signature": ""},
        {"type": "redacted_thinking", "data": "secret"},
        role="assistant",
    )
    assert blocks == (
        Thinking("a", Seal("anthropic", "native")),
        Thinking("b", Seal("gemini", "proof")),
        Thinking("c"),
        Thinking("", Seal("anthropic", "secret"), redacted=True),
    )


def test_tools_of_every_kind_are_told_apart() -> None:
    conversation = parsed(
        tools=[
            {"type": "custom", "name": "f", "input_schema": {"type": "object"}, "strict": True, "input_examples": [{}]},
            {
                "type": "web_search_20250305",
                "name": "web_search",
                "max_uses": 3,
                "allowed_domains": ["a.example"],
                "user_location": {"type": "approximate", "city": "Oslo"},
            },
            {"type": "bash_20250124", "name": "bash", "cache_control": {"type": "ephemeral"}},
            {
                "type": "mcp_toolset",
                "mcp_server_name": "tracker",
                "default_config": {"enabled": False},
                "configs": {"find": {"enabled": True}, "drop": {"enabled": False}},
            },
        ],
        mcp_servers=[
            {"type": "url", "name": "tracker", "url": "https://m.example", "authorization_token": "secret"},
            {
                "type": "url",
                "name": "wiki",
                "url": "https://w.example",
                "tool_configuration": {"enabled": True, "allowed_tools": ["read"]},
            },
        ],
    )
    assert conversation.tools == (
        FunctionTool("f", parameters='{"type": "object"}', strict=True),
        WebSearch(max_uses=3, allowed_domains=("a.example",), user_location='{"city":"Oslo"}'),
        HostedTool(
            "bash_20250124",
            '{"type": "bash_20250124", "name": "bash", "cache_control": {"type": "ephemeral"}}',
            CacheMark(),
        ),
        McpServer("tracker", "https://m.example", "secret", ("find",)),
        McpServer("wiki", "https://w.example", None, ("read",)),
    )
    assert conversation.extras == {"tools.0.input_examples": "[{}]"}


@pytest.mark.parametrize(
    ("choice", "read", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("any"), False),
        ({"type": "tool", "name": "f"}, ToolChoice("tool", "f"), None),
        ({"type": "none"}, ToolChoice("none"), None),
        (None, None, None),
    ],
)
def test_the_choice_of_tools_says_also_how_many_at_once(choice: Any, read: Any, parallel: bool | None) -> None:
    conversation = parsed(tool_choice=choice)
    assert (conversation.tool_choice, conversation.parallel_tool_calls) == (read, parallel)


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(budget_tokens=2048)),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, Reasoning(adaptive=True, shown=True)),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, Reasoning("none")),
        ({"output_config": {"effort": "xhigh"}}, Reasoning("xhigh")),
        ({"thinking": None}, None),
        ({}, None),
    ],
)
def test_thinking_and_effort_are_one_wish(fields: dict[str, Any], reasoning: Reasoning | None) -> None:
    assert parsed(**fields).reasoning == reasoning


@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_a_structured_output_is_read_from_either_place(place: str) -> None:
    wanted = {"type": "json_schema", "schema": {"type": "object"}}
    fields = {place: {"format": wanted, "task_budget": 5} if place == "output_config" else wanted}
    conversation = parsed(**fields)
    assert conversation.output_format == JsonFormat('{"type": "object"}')
    assert conversation.extras.get("output_config") == ('{"task_budget":5}' if place == "output_config" else None)


def test_sampling_and_the_user_are_read() -> None:
    conversation = parsed(temperature=0.5, top_p=1, top_k=5, stop_sequences=["END"], metadata={"user_id": "u-1"})
    assert conversation.sampling == Sampling(temperature=0.5, top_p=1.0, top_k=5, stop=("END",))
    assert (conversation.end_user, conversation.extras) == ("u-1", {})


def test_a_billing_block_is_left_out_only_where_it_is_a_block() -> None:
    head = "x-anthropic-billing-header: cc_version=2;"
    assert parsed(system=[{"type": "text", "text": head}]).instructions == ()
    assert parsed(system=head).instructions == (Text(head),)


def test_texts_of_nothing_are_no_blocks() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": ""}, {"type": "text", "text": "a"}]}]
    assert parsed(messages=[*messages, {"role": "assistant", "content": ""}]).turns == (Turn("user", (Text("a"),)),)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [5]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, "messages.0.content.0.text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]},
            "messages.0.content.0.source.media_type",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "tape"}}]}]},
            "messages.0.content.0.source.type",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": 5}]}
                ]
            },
            "messages.0.content.0.input",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "thinking", "thinking": "a"}]}]},
            "messages.0.content.0",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "a"}]}]},
            "messages.0.content.0",
        ),
        ({"system": [{"type": "image", "source": {"type": "url", "url": "https://a"}}]}, "system.0"),
        ({"system": 5}, "system"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"input_schema": {}}]}, "tools.0"),
        ({"tools": [{"name": "f", "input_schema": []}]}, "tools.0.input_schema"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"temperature": "hot"}, "temperature"),
        ({"thinking": []}, "thinking"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        ({"output_format": {"type": "json_schema"}}, "output_format.schema"),
        ({"mcp_servers": [{"name": "a"}]}, "mcp_servers.0"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    assert caught.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "text",
                    "content",
                    "source",
                    "role",
                    "name",
                    "id",
                    "input",
                    "tool_use_id",
                    "data",
                    "cache_control",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
KINDS = st.sampled_from(["text", "image", "document", "thinking", "tool_use", "tool_result", "search_result", "x"])
MEMBERS = st.dictionaries(st.sampled_from(["text", "content", "source", "input"]), JSON)
BLOCKS = st.builds(
    lambda kind, members: {"type": kind, "id": "a", "tool_use_id": "a", "name": "n"} | members, KINDS, MEMBERS
)
ROLES = st.sampled_from(["user", "assistant", "system"])
MESSAGE = st.fixed_dictionaries({"role": ROLES, "content": JSON | st.lists(BLOCKS, max_size=3)})
OPTIONAL = (
    "system",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "output_format",
    "mcp_servers",
    "metadata",
    "temperature",
    "stop_sequences",
    "top_k",
    "other",
)
FIELDS = st.dictionaries(st.sampled_from(OPTIONAL), JSON, max_size=3)


@settings(max_examples=100, deadline=None)
@given(FIELDS, JSON | st.lists(MESSAGE, max_size=3))
def test_whatever_the_json_is_only_invalid_request_is_raised(fields: dict[str, Any], messages: Any) -> None:
    body = json.dumps({"model": "m", "messages": messages} | fields).encode()
    try:
        conversation = CODEC.parse_request(CODEC.read_envelope(body), ())
    except InvalidRequest:
        return
    assert conversation.turns
