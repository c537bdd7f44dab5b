"""Tools, knobs and other fields of a client of chat completions; and what of a request cannot be read."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    CacheMark,
    FunctionTool,
    HostedTool,
    JsonFormat,
    McpServer,
    Reasoning,
    Sampling,
    ToolChoice,
    WebSearch,
)
from tests.protocols.openai_chat.builders import CODEC, parsed

EPHEMERAL = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
SCHEMA_TEXT = '{"type": "object", "properties": {"a": {"type": "integer"}}}'


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}},
            FunctionTool("f", "d", SCHEMA_TEXT, strict=True),
        ),
        (
            {"type": "function", "function": {"name": "f", "cache_control": EPHEMERAL}},
            FunctionTool("f", cache=CacheMark()),
        ),
        (
            {"type": "function", "function": {"name": "f"}, "cache_control": EPHEMERAL, "defer_loading": True},
            FunctionTool("f", cache=CacheMark(), deferred=True),
        ),
        (
            {"type": "custom", "custom": {"name": "f", "description": "d"}},
            FunctionTool("f", "d", '{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}'),
        ),
        ({"name": "f", "input_schema": SCHEMA}, FunctionTool("f", parameters=SCHEMA_TEXT)),
        (
            {
                "type": "mcp",
                "server_label": "deepwiki",
                "server_url": "https://mcp.deepwiki.com/mcp",
                "require_approval": "never",
                "authorization": "t",
                "allowed_tools": {"tool_names": ["ask"]},
            },
            McpServer("deepwiki", "https://mcp.deepwiki.com/mcp", "t", ("ask",)),
        ),
        (
            {
                "type": "url",
                "name": "deepwiki",
                "url": "https://mcp.deepwiki.com/mcp",
                "authorization_token": "t",
                "tool_configuration": {"allowed_tools": ["ask"]},
            },
            McpServer("deepwiki", "https://mcp.deepwiki.com/mcp", "t", ("ask",)),
        ),
        (
            {"type": "url", "name": "a", "url": "https://a", "tool_configuration": {"enabled": False}},
            McpServer("a", "https://a", allowed_tools=()),
        ),
        (
            {"type": "computer_20241022", "function": {"name": "computer", "parameters": {"display_height_px": 1}}},
            HostedTool(
                "computer_20241022",
                '{"type": "computer_20241022", "function": {"name": "computer", "parameters": '
                '{"display_height_px": 1}}}',
            ),
        ),
        (
            {"type": "memory_20250818", "name": "memory"},
            HostedTool("memory_20250818", '{"type": "memory_20250818", "name": "memory"}'),
        ),
        ({"googleSearch": {}}, HostedTool("googleSearch", '{"googleSearch": {}}')),
    ],
)
def test_each_kind_of_tool_is_read(tool: dict[str, Any], expected: object) -> None:
    assert parsed(tools=[tool]).tools == (expected,)


def test_search_options_are_a_tool() -> None:
    options = {
        "search_context_size": "medium",
        "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
    }
    assert parsed(web_search_options=options).tools == (WebSearch("medium", user_location='{"city": "Oslo"}'),)
    assert parsed(web_search_options={}).tools == (WebSearch(),)


@pytest.mark.parametrize(
    ("written", "choice"),
    [
        ("auto", ToolChoice("auto")),
        ("required", ToolChoice("any")),
        ("none", ToolChoice("none")),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("tool", "f")),
        ({"type": "tool", "name": "f"}, ToolChoice("tool", "f")),
        ({"type": "custom", "custom": {"name": "f"}}, ToolChoice("tool", "f")),
        ({"type": "any"}, ToolChoice("any")),
    ],
)
def test_each_form_of_a_choice_is_read(written: object, choice: ToolChoice) -> None:
    assert parsed(tool_choice=written).tool_choice == choice


def test_allowed_tools_leave_out_the_others() -> None:
    tools = [{"type": "function", "function": {"name": name}} for name in "fgh"]
    allowed = {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]}
    read = parsed(tools=tools, tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert (read.tool_choice, read.tools) == (ToolChoice("any"), (FunctionTool("g"),))


def test_the_knobs_are_read() -> None:
    read = parsed(
        max_tokens=5,
        max_completion_tokens=7,
        temperature=1,
        top_p=0.5,
        top_k=4,
        seed=-3,
        frequency_penalty=0.1,
        presence_penalty=-0.1,
        stop="END",
        parallel_tool_calls=False,
        user="u-1",
        safety_identifier="s",
        stream=True,
        n=1,
    )
    assert read.sampling == Sampling(1.0, 0.5, 4, -3, 0.1, -0.1, ("END",))
    assert (read.max_output_tokens, read.parallel_tool_calls, read.end_user, read.stream) == (7, False, "u-1", True)
    assert parsed(max_tokens=5, stop=["a", "b"], safety_identifier="s").end_user == "s"
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    assert parsed(tool_choice=choice).parallel_tool_calls is False


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, None),
        ({"reasoning_effort": "low"}, Reasoning("low")),
        ({"reasoning_effort": {"effort": "high", "summary": "auto"}}, Reasoning("high", shown=True)),
        ({"reasoning": {"effort": "xhigh", "exclude": True}}, Reasoning("xhigh", shown=False)),
        ({"reasoning": {"max_tokens": 2000}}, Reasoning(budget_tokens=2000)),
        ({"reasoning": {"enabled": True}}, Reasoning(adaptive=True)),
        ({"reasoning": {"enabled": False}}, Reasoning("none")),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Reasoning(budget_tokens=1024)),
        ({"thinking": {"type": "enabled"}}, Reasoning(adaptive=True)),
        ({"thinking": {"type": "disabled"}}, Reasoning("none")),
        (
            {"thinking": {"type": "adaptive", "display": "summarized"}, "reasoning_effort": "max"},
            Reasoning("max", adaptive=True, shown=True),
        ),
    ],
)
def test_each_way_of_asking_for_thought_is_read(fields: dict[str, Any], reasoning: Reasoning | None) -> None:
    read = parsed(**fields)
    assert read.reasoning == reasoning
    assert read.extras == {}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"type": "text"}, None),
        ({"type": "json_object"}, JsonFormat()),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
            JsonFormat(SCHEMA_TEXT, "n", strict=True),
        ),
    ],
)
def test_each_response_format_is_read(written: dict[str, Any], expected: JsonFormat | None) -> None:
    assert parsed(response_format=written).output_format == expected


def test_other_fields_are_carried_by_name_as_they_came() -> None:
    read = parsed(
        metadata={"run": "r", "tags": ["t"]},
        container={"skills": [1.0]},
        context_management={"edits": []},
        logit_bias={"5": 1},
        min_p=0.1,
        keep_alive=None,
    )
    assert read.extras == {
        "metadata": '{"run":"r"}',
        "container": '{"skills": [1.0]}',
        "context_management": '{"edits": []}',
        "logit_bias": '{"5": 1}',
        "min_p": "0.1",
    }
    assert parsed(metadata={"tags": ["t"]}).extras == {}


def test_extra_headers_are_carried_without_credentials_and_betas_are_joined() -> None:
    read = parsed(
        headers=((b"anthropic-beta", b"a, b"), (b"x-other", b"1"), (b"authorization", b"secret")),
        extra_headers={
            "Anthropic-Beta": "b,c",
            "X-Trace": "t",
            "Authorization": "secret",
            "Host": "evil",
            "Content-Length": "0",
            "X-Forwarded-For": "1",
            "bad name": "x",
            "x-split": "a\r\nb: c",
        },
    )
    assert read.headers == (("anthropic-beta", "a,b,c"), ("x-trace", "t"))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": "x"}, "messages"),
        ({"messages": [{"role": "alien", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"content": "x"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages.0.content.0.image_url"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file://a"}}]}]},
            "messages.0.content.0.image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:a,b"}}]}]},
            "messages.0.content.0.image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "x"}}]}]},
            "messages.0.content.0.source.type",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.tool_call_id"),
        (
            {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": "https://a"}]}]},
            "messages.0.content",
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}]}, "messages.0.tool_calls.0.function"),
        ({"n": 2}, "n"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"temperature": "hot"}, "temperature"),
        ({"seed": 2**70}, "seed"),
        ({"tools": [{}]}, "tools.0.type"),
        ({"tools": [{"type": "function"}]}, "tools.0"),
        ({"tools": [{"type": "function", "function": {"name": 5}}]}, "tools.0.function.name"),
        ({"tools": [{"type": "mcp", "server_label": "a"}]}, "tools.0"),
        ({"tools": [{"type": "url", "name": "a"}]}, "tools.0"),
        (
            {"tools": [{"type": "mcp", "server_label": "a", "server_url": "b", "require_approval": "always"}]},
            "tools.0.require_approval",
        ),
        (
            {"tools": [{"type": "mcp", "server_label": "a", "server_url": "b", "headers": {"X-A": "b"}}]},
            "tools.0.headers",
        ),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"reasoning": {"effort": "extreme"}}, "reasoning.effort"),
        ({"thinking": {"type": "on"}}, "thinking.type"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
    ],
)
def test_what_cannot_be_read_is_named(fields: dict[str, Any], param: str) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}]} | fields
    envelope = CODEC.read_envelope(json.dumps(body).encode())
    with pytest.raises(InvalidRequest) as caught:
        CODEC.parse_request(envelope, ())
    assert caught.value.param == param


KEY_WORDS = """role content type text image_url url file file_data input_audio data format source media_type refusal
    tool_calls id function name arguments tool_call_id function_call thinking_blocks signature reasoning_content
    cache_control ttl custom input parameters allowed_tools mode tools server_label server_url headers enabled effort
    schema budget_tokens json_schema approximate"""
VALUE_WORDS = """user assistant system tool function developer text image_url file input_audio document image refusal
    mcp custom auto allowed_tools json_schema json_object thinking redacted_thinking enabled base64 low https://a
    data:image/png;base64,AAAA"""
FIELD_WORDS = """tools tool_choice stop temperature seed reasoning_effort reasoning thinking response_format user n
    metadata web_search_options extra_headers max_tokens stream top_k functions"""
KEYS = st.sampled_from(KEY_WORDS.split())
WORDS = st.sampled_from(VALUE_WORDS.split())
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=25,
)
OBJECTS = st.lists(st.dictionaries(KEYS, JSON | WORDS, max_size=4), max_size=2)
MEMBERS = dict.fromkeys(("tool_calls", "tool_call_id", "thinking_blocks", "name", "function_call", "audio"), JSON)
MESSAGES = st.lists(
    st.fixed_dictionaries({"role": WORDS | JSON}, optional={"content": JSON | OBJECTS} | MEMBERS), max_size=3
)
FIELDS = st.fixed_dictionaries(
    {"messages": MESSAGES | JSON}, optional=dict.fromkeys(FIELD_WORDS.split(), JSON | OBJECTS)
)


@settings(max_examples=150, deadline=None)
@given(FIELDS)
def test_arbitrary_json_raises_nothing_but_invalid_request(fields: dict[str, Any]) -> None:
    body = json.dumps({"model": "m"} | fields).encode()
    with contextlib.suppress(InvalidRequest):
        CODEC.parse_request(CODEC.read_envelope(body), ())
