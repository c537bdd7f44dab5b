"""Agents work on every host: knobs are dropped aloud, and nothing is refused that its user did not ask for."""

import json

import pytest

from app.base.errors import InvalidRequest
from app.domain.usage import Usage
from app.protocols.conversation import ToolCall
from app.protocols.events import Generation
from app.protocols.naming import fitting_name
from tests.translation.agents import AGENTS, TARGETS, body_sent, front_of, sent, told
from tests.translation.request_types import faults_of

SEARCH_ALONE = "claude_code_web_search"
WORKING = [
    (agent, target)
    for agent in AGENTS
    for target in TARGETS
    if front_of(agent) != TARGETS[target][0] and agent != SEARCH_ALONE
]
OF_THE_VENDOR = (
    *(b"safeguards", b"billing-header", b"device_id", b"context_management", b"DeferredToolPlaceholder"),
    b"client_metadata",
)
# What a host takes that the SDK of its protocol's inventor does not declare.
OWN_WORDS = ("thinking", "reasoning_content", "anthropic_version", "model: missing")


@pytest.mark.parametrize(("agent", "target"), WORKING)
def test_what_an_agent_sends_is_a_request_as_the_hosts_own_sdk_declares_it(agent: str, target: str) -> None:
    faults = faults_of(TARGETS[target][0], body_sent(agent, target))
    assert [fault for fault in faults if not any(word in fault for word in OWN_WORDS)] == []


@pytest.mark.parametrize(("agent", "target"), WORKING)
def test_no_word_of_the_agents_vendor_reaches_another(agent: str, target: str) -> None:
    body = sent(agent, target).body
    for word in (
        b"safeguards",
        b"billing-header",
        b"client_metadata",
        b"device_id",
        b"context_management",
        b"Placeholder",
    ):
        assert word not in body
    if TARGETS[target][0] != "anthropic_messages":
        assert b"cache_control" not in body
        assert b"defer_loading" not in body


@pytest.mark.parametrize("target", ["openai", "gemini_2", "gemini_3"])
def test_a_search_of_the_web_alone_is_one_of_the_hosts_own(target: str) -> None:
    (tool,) = body_sent(SEARCH_ALONE, target)["tools"]
    assert tool in ({"type": "web_search"}, {"googleSearch": {}})


@pytest.mark.parametrize("target", ["openai_chat", "compatible", "deepseek", "ollama"])
def test_a_search_of_the_web_alone_is_refused_where_there_is_none(target: str) -> None:
    with pytest.raises(InvalidRequest, match="web search"):
        sent(SEARCH_ALONE, target)


@pytest.mark.parametrize("target", ["openai_chat", "compatible", "deepseek", "gemini_3", "ollama", "claude_bedrock"])
def test_codex_goes_without_a_search_where_the_host_has_none(target: str) -> None:
    given = sent("codex_first_turn", target)
    assert "tools.web_search" in {loss.field for loss in given.losses}
    assert b"web_search" not in given.body


def test_codex_searches_with_claudes_own_search() -> None:
    assert {"type": "web_search_20250305", "name": "web_search"} in body_sent("codex_first_turn", "claude")["tools"]


def test_claude_is_given_room_for_what_an_agent_writes_though_it_names_no_maximum() -> None:
    given = sent("codex_first_turn", "claude")
    assert json.loads(given.body)["max_tokens"] == given.max_output_tokens == 32_000


def test_a_model_that_was_not_asked_to_think_is_not_told_to() -> None:
    """Codex wants to see thoughts with every request, which is no wish for any."""
    for target in ("deepseek", "ollama", "claude"):
        assert body_sent("codex_first_turn", target).keys().isdisjoint({"thinking", "think"})


def test_parallel_results_stand_first_and_before_all_else() -> None:
    messages = body_sent("claude_code_tool_loop", "compatible")["messages"]
    roles = [message["role"] for message in messages]
    assert roles == [
        *("system", "user", "system", "assistant", "tool", "tool", "tool", "user"),
        *("assistant", "tool", "system"),
    ]
    assert messages[4]["content"] == "(see the next user message)"
    assert messages[5]["content"] == "Error: ls: cannot open directory"
    assert messages[6]["content"] == "The tool mcp__tracker__find_issue is loaded."
    assert [part["type"] for part in messages[7]["content"]] == ["text", "image_url", "text"]


def test_deepseek_has_a_place_for_thoughts_before_every_call_and_is_told_of_an_image() -> None:
    messages = body_sent("claude_code_tool_loop", "deepseek")["messages"]
    assert [message["reasoning_content"] for message in messages if "tool_calls" in message] == ["", ""]
    assert "(an image, which this model cannot see)" in [message["content"] for message in messages]


def test_gemini_3_has_a_signature_on_the_first_call_of_each_step() -> None:
    contents = body_sent("claude_code_tool_loop", "gemini_3")["contents"]
    calls = [[part for part in content["parts"] if "functionCall" in part] for content in contents]
    signed = [["thoughtSignature" in part for part in parts] for parts in calls if parts]
    assert signed == [[True, False, False], [True]]


def test_no_root_of_a_tool_chooses_between_schemas() -> None:
    for target in ("openai", "openai_chat", "gemini_3"):
        body = json.dumps(body_sent("claude_code_first_turn", target)["tools"])
        assert '"anyOf": [' not in body
        assert "anyOf" in body  # in words, for the model


def answer(name: str, arguments: str) -> Generation:
    return Generation("gen_1", "the-model", (ToolCall("call_9", name, arguments),), "tool_calls", Usage(1, output=1))


@pytest.mark.parametrize("target", ["compatible", "gemini_3", "ollama", "claude"])
def test_codex_is_called_by_its_own_names_and_in_its_own_forms(target: str) -> None:
    whole, streamed = told("codex_tool_loop", target, answer("apply_patch", '{"input":"*** Begin Patch"}'))
    assert (whole["output"][0]["type"], whole["output"][0]["input"]) == ("custom_tool_call", "*** Begin Patch")
    assert b"response.custom_tool_call_input.done" in streamed
    whole, streamed = told("codex_tool_loop", target, answer("agents_v1__spawn_agent", '{"message":"help"}'))
    assert (whole["output"][0]["namespace"], whole["output"][0]["name"]) == ("agents_v1", "spawn_agent")
    assert b'"namespace":"agents_v1"' in streamed


@pytest.mark.parametrize("target", ["openai", "openai_chat", "compatible", "deepseek", "gemini_2", "ollama"])
def test_claude_code_is_called_by_the_long_names_of_its_tools(target: str) -> None:
    name = "mcp__plugin_observability_and_alerting__query_the_long_term_metrics_store"
    said = name if target == "ollama" else fitting_name(name)
    whole, streamed = told("claude_code_tool_loop", target, answer(said, '{"query":"up"}'))
    assert (whole["content"][0]["name"], whole["stop_reason"]) == (name, "tool_use")
    assert name.encode() in streamed
