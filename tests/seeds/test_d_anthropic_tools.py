"""Part D, Anthropic for chat clients: functions, forced and parallel, MCP servers, hosted tools, skills."""

import json
from typing import Any

import openai
import pytest

from tests.fakes.script import TOOL_INPUT, Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.asking import USER, WEATHER, WEATHER_SCHEMA, ask, hear, member_of, text_of
from tests.seeds.conftest import sent_body

pytestmark = [pytest.mark.services, pytest.mark.contract]

OPUS = "anthropic/claude-3-opus-20240229"
SONNET = "anthropic/claude-sonnet-4-5-20250929"
MCP_URL = "https://mcp.deepwiki.com/mcp"
EDITS = {
    "edits": [
        {
            "type": "clear_tool_uses_20250919",
            "trigger": {"type": "input_tokens", "value": 30000},
            "keep": {"type": "tool_uses", "value": 3},
            "clear_at_least": {"type": "input_tokens", "value": 5000},
            "exclude_tools": ["web_search"],
        }
    ]
}
CONTAINER = {"id": "container_011CR", "expires_at": "2026-11-21T09:00:00Z"}


def betas_of(upstream: RecordingUpstream) -> list[str]:
    return (upstream.requests[-1].header("anthropic-beta") or "").split(",")


def event(name: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps({"type": name, **fields}).encode())


async def test_d70_a_call_is_made_of_texts_and_its_result_goes_back(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("I look.",), tools=1)
    first = (await ask(openai_client, OPUS, tools=[WEATHER], tool_choice="auto")).choices[0]
    assert sent_body(upstream)["tools"] == [
        {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "input_schema": WEATHER_SCHEMA,
        }
    ]
    (call,) = first.message.tool_calls
    assert (first.finish_reason, call.type, call.function.name) == ("tool_calls", "function", "get_current_weather")
    assert isinstance(call.function.arguments, str)
    assert json.loads(call.function.arguments) == TOOL_INPUT
    result = {"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": '{"temperature": "72"}'}
    await ask(openai_client, OPUS, [*USER, first.message.model_dump(), result], tools=[WEATHER])
    _, assistant, user = sent_body(upstream)["messages"]
    assert assistant["content"][-1] == {
        "type": "tool_use",
        "id": call.id,
        "name": "get_current_weather",
        "input": TOOL_INPUT,
    }
    (returned,) = user["content"]
    assert (user["role"], returned["type"], returned["tool_use_id"]) == ("user", "tool_result", call.id)
    assert returned["content"] == [{"type": "text", "text": '{"temperature": "72"}'}]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ({"type": "tool", "name": "get_current_weather"}, {"type": "tool", "name": "get_current_weather"}),
        (
            {"type": "function", "function": {"name": "get_current_weather"}},
            {"type": "tool", "name": "get_current_weather"},
        ),
        ("none", {"type": "none"}),
    ],
    ids=["in Anthropic's words", "in OpenAI's words", "none"],
)
async def test_d71_a_tool_is_forced_and_tools_are_switched_off(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, choice: Any, sent: dict[str, Any]
) -> None:
    await ask(openai_client, OPUS, tools=[WEATHER], tool_choice=choice)
    assert sent_body(upstream)["tool_choice"] == sent


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "mcp", "server_label": "deepwiki", "server_url": MCP_URL, "require_approval": "never"}]},
        {"tools": [{"type": "url", "url": MCP_URL, "name": "deepwiki"}]},
        {"mcp_servers": [{"type": "url", "url": MCP_URL, "name": "deepwiki"}]},
    ],
    ids=["as OpenAI's tool", "as Anthropic's server among the tools", "as Anthropic's field"],
)
async def test_d72_an_mcp_server_is_named_in_either_vendors_format(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, fields: dict[str, Any]
) -> None:
    await ask(openai_client, "anthropic/claude-sonnet-4-20250514", **fields)
    body = sent_body(upstream)
    assert body["mcp_servers"] == [{"type": "url", "url": MCP_URL, "name": "deepwiki"}]
    assert "tools" not in body
    assert "mcp-client-2025-04-04" in betas_of(upstream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_d73_functions_are_called_in_parallel_and_their_results_go_back_together(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, stream: bool
) -> None:
    upstream.default = Script(text=("I look.",), tools=2)
    if stream:
        asking = openai_client.chat.completions.stream(model=OPUS, messages=USER, tools=[WEATHER])  # type: ignore[arg-type, list-item]
        async with asking as chunks:
            message = (await chunks.get_final_completion()).choices[0].message.model_dump()
    else:
        message = (await ask(openai_client, OPUS, tools=[WEATHER])).choices[0].message.model_dump()
    calls = message["tool_calls"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [TOOL_INPUT] * 2
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "rain"} for call in calls]
    await ask(openai_client, OPUS, [*USER, message, *results], tools=[WEATHER])
    messages = sent_body(upstream)["messages"]
    assert [said["role"] for said in messages] == ["user", "assistant", "user"]
    assert [block["tool_use_id"] for block in messages[2]["content"]] == [call["id"] for call in calls]


async def test_d74_context_management_is_passed_on_with_its_beta(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(openai_client, "anthropic/claude-sonnet-4-20250514", context_management=EDITS)
    assert sent_body(upstream)["context_management"] == EDITS
    assert "context-management-2025-06-27" in betas_of(upstream)


_SCREEN = {"display_height_px": 100, "display_width_px": 100, "display_number": 1}


@pytest.mark.parametrize(
    ("tool", "sent", "beta"),
    [
        (
            {"type": "computer_20241022", "function": {"name": "computer", "parameters": _SCREEN}},
            {"type": "computer_20241022", "name": "computer", **_SCREEN},
            "computer-use-2024-10-22",
        ),
        (
            {"type": "computer_20251124", "name": "computer", **_SCREEN},
            {"type": "computer_20251124", "name": "computer", **_SCREEN},
            "computer-use-2025-11-24",
        ),
        (
            {"type": "text_editor_20250124", "name": "str_replace_editor"},
            {"type": "text_editor_20250124", "name": "str_replace_editor"},
            "",
        ),
        (
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            "",
        ),
        (
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
            {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
            "",
        ),
        (
            {"type": "memory_20250818", "name": "memory"},
            {"type": "memory_20250818", "name": "memory"},
            "context-management-2025-06-27",
        ),
    ],
    ids=["computer", "computer of today", "text editor", "text editor of today", "web search", "memory"],
)
async def test_d75_a_hosted_tool_is_passed_on_flat_with_its_beta(
    openai_client: openai.AsyncOpenAI,
    upstream: RecordingUpstream,
    tool: dict[str, Any],
    sent: dict[str, Any],
    beta: str,
) -> None:
    await ask(openai_client, "anthropic/claude-3-5-sonnet-20241022", tools=[tool])
    assert sent_body(upstream)["tools"] == [sent]
    assert betas_of(upstream) == [beta]


async def test_d75_web_search_is_asked_for_in_openais_words_too(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    place = {"type": "approximate", "approximate": {"city": "San Francisco"}}
    await ask(openai_client, SONNET, web_search_options={"search_context_size": "medium", "user_location": place})
    (tool,) = sent_body(upstream)["tools"]
    assert (tool["type"], tool["name"], tool["max_uses"]) == ("web_search_20250305", "web_search", 5)
    assert tool["user_location"] == {"type": "approximate", "city": "San Francisco"}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_d82_skills_run_in_a_container_that_comes_back_with_its_id(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, stream: bool
) -> None:
    usage = {"input_tokens": 9, "output_tokens": 4}
    message: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    done = {"stop_reason": "end_turn", "container": CONTAINER}
    text = {"type": "text", "text": "Here are your slides."}
    frames = (
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": text["text"]}),
        event("content_block_stop", index=0),
        event("message_delta", delta={**done, "stop_sequence": None}, usage=usage),
        event("message_stop"),
    )
    upstream.default = Script(
        raw=b"".join(frames) if stream else json.dumps(message | done | {"content": [text]}).encode()
    )
    wanted: dict[str, Any] = {
        "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
        "container": {"skills": [{"type": "anthropic", "skill_id": "pptx", "version": "latest"}]},
    }
    if stream:
        chunks = await hear(openai_client, SONNET, **wanted)
        (specific,) = member_of(chunks, "provider_specific_fields")
        assert text_of(chunks) == "Here are your slides."
    else:
        said = (await ask(openai_client, SONNET, **wanted)).choices[0].message
        specific = said.provider_specific_fields
        assert said.content == "Here are your slides."
    assert specific["container"] == CONTAINER
    body = sent_body(upstream)
    assert (body["tools"], body["container"]) == (wanted["tools"], wanted["container"])
    assert {"code-execution-2025-08-25", "skills-2025-10-02"} <= set(betas_of(upstream))
