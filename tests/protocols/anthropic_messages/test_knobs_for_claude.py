"""Thinking, sampling, tools and structured outputs, as each generation of Claude takes them."""

import json
from typing import Any

import pytest

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.anthropic_messages.models import traits_of
from app.protocols.conversation import (
    CacheMark,
    FunctionTool,
    HostedTool,
    JsonFormat,
    McpServer,
    Reasoning,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    Turn,
    WebSearch,
)
from app.protocols.opaque import Seal
from tests.protocols.anthropic_messages.builders import CALL, HELLO, RESULT, betas_of, body_of, lost, rendered

TOOL = FunctionTool("get_weather", "Tells the weather.", '{"type":"object","properties":{"city":{"type":"string"}}}')
PERSON = '{"type":"object","properties":{"name":{"type":"string","minLength":1}},"required":["name"]}'


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("sonnet-4.5", "claude-sonnet-4-5"),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("anthropic/claude-opus-4.1", "claude-opus-4-1-20250805"),
        ("claude-sonnet-4-20250514", "claude-opus-4"),
        ("claude-3-5-sonnet-v2@20241022", "claude-3-opus-20240229"),
        ("claude-instant-1.2", "claude-2.1"),
        ("claude-opus-5-5", "claude-mythos-preview"),
        ("claude-3-7-sonnet-20250219", "claude-opus-4-20250514"),
    ],
)
def test_a_model_is_known_by_every_form_of_its_name(name: str, like: str) -> None:
    assert traits_of(name) == traits_of(like)


def test_generations_differ() -> None:
    assert traits_of("claude-3-opus-20240229").thinking == "none"
    assert traits_of("claude-sonnet-4-20250514").structured is False
    assert traits_of("claude-haiku-4-5").structured is True
    assert traits_of("claude-opus-4-5-20251101").thinking == "effort"
    assert traits_of("claude-sonnet-4-6").budgets is True
    assert traits_of("claude-opus-4-7").sampling is False
    assert traits_of("kimi-k3").thinking == "budget"


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "config"),
    [
        ("claude-sonnet-4-5", "minimal", {"type": "enabled", "budget_tokens": 1024}, None),
        ("claude-sonnet-4-5", "low", {"type": "enabled", "budget_tokens": 1024}, None),
        ("claude-sonnet-4-5", "medium", {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-3-7-sonnet-20250219", "high", {"type": "enabled", "budget_tokens": 4096}, None),
        ("claude-haiku-4-5", "none", None, None),
        ("claude-opus-4-5", "low", None, {"effort": "low"}),
        ("claude-opus-4-5", "max", None, {"effort": "high"}),
        ("claude-opus-4-6", "medium", {"type": "adaptive"}, {"effort": "medium"}),
        ("claude-opus-4-6", "minimal", {"type": "adaptive"}, {"effort": "low"}),
        ("claude-opus-5", "xhigh", {"type": "adaptive"}, {"effort": "xhigh"}),
        ("claude-opus-5", "none", {"type": "disabled"}, None),
        ("claude-3-opus-20240229", "high", None, None),
    ],
)
def test_effort_is_said_as_the_model_takes_it(model: str, effort: Any, thinking: Any, config: Any) -> None:
    body = body_of(rendered(model, reasoning=Reasoning(effort)))
    assert (body.get("thinking"), body.get("output_config")) == (thinking, config)


def test_who_cannot_think_is_not_asked_to() -> None:
    assert lost(rendered("claude-3-opus-20240229", reasoning=Reasoning("low"))) == {"reasoning_effort": "dropped"}


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort"),
    [
        ("claude-sonnet-4-5", Reasoning(budget_tokens=3000), {"type": "enabled", "budget_tokens": 3000}, None),
        ("claude-opus-4-7", Reasoning(budget_tokens=3000), {"type": "adaptive"}, "medium"),
        ("claude-opus-4-7", Reasoning(budget_tokens=31999), {"type": "adaptive"}, "high"),
        ("claude-opus-4-7", Reasoning(budget_tokens=1024), {"type": "adaptive"}, "low"),
        ("claude-sonnet-4-5", Reasoning(adaptive=True), {"type": "enabled", "budget_tokens": 4096}, None),
        ("claude-opus-4-6", Reasoning("low", adaptive=True), {"type": "adaptive"}, "low"),
        (
            "claude-opus-4-6",
            Reasoning(adaptive=True, shown=True),
            {"type": "adaptive", "display": "summarized"},
            None,
        ),
        (
            "claude-sonnet-4-5",
            Reasoning("low", shown=False),
            {"type": "enabled", "budget_tokens": 1024, "display": "omitted"},
            None,
        ),
    ],
)
def test_a_budget_and_an_effort_stand_in_for_one_another(
    model: str, reasoning: Reasoning, thinking: Any, effort: str | None
) -> None:
    body = body_of(rendered(model, reasoning=reasoning))
    assert body["thinking"] == thinking
    assert body.get("output_config", {}).get("effort") == effort


@pytest.mark.parametrize(
    ("given", "max_tokens", "budget"),
    [(None, 8192, 4096), (10_000, 10_000, 4096), (3000, 3000, 2999), (1024, 1024, None), (16, 16, None)],
)
def test_there_is_always_room_to_answer_after_thinking(given: int | None, max_tokens: int, budget: int | None) -> None:
    body = body_of(rendered(reasoning=Reasoning("high"), max_output_tokens=given))
    assert body["max_tokens"] == max_tokens
    assert body.get("thinking", {}).get("budget_tokens") == budget


def test_thinking_in_claudes_own_words_passes_as_it_is() -> None:
    written = {"type": "enabled", "budget_tokens": 1024}
    given = rendered(extras={"thinking": json.dumps(written)}, reasoning=Reasoning("high"))
    assert body_of(given)["thinking"] == written
    assert lost(given) == {}


THOUGHT = Turn("assistant", (Thinking("Hm.", Seal("anthropic", "proof")), ToolCall("call_1", "get_weather", "{}")))


@pytest.mark.parametrize(
    ("turns", "thinks"),
    [
        ((HELLO, CALL, RESULT), False),
        ((HELLO, THOUGHT, RESULT), True),
        ((HELLO, Turn("assistant", (Thinking("a", Seal("gemini", "p")), *THOUGHT.blocks)), RESULT), True),
        ((HELLO, Turn("assistant", (Text("Hi"),)), HELLO), True),
        ((HELLO, Turn("assistant", (Text("{"),))), False),
        ((HELLO, CALL, RESULT, Turn("assistant", (Text("Cold."),)), HELLO), True),
    ],
)
def test_a_tool_loop_that_began_without_thinking_goes_on_without(turns: tuple[Turn, ...], thinks: bool) -> None:
    given = rendered(turns=turns, tools=(TOOL,), reasoning=Reasoning("low"))
    assert ("thinking" in body_of(given)) is thinks
    assert ("reasoning_effort" in lost(given)) is not thinks


def test_adaptive_thinking_takes_a_loop_that_began_without() -> None:
    given = rendered("claude-opus-4-6", turns=(HELLO, CALL, RESULT), tools=(TOOL,), reasoning=Reasoning("low"))
    assert body_of(given)["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize(
    ("model", "fields", "sent", "losses"),
    [
        ("claude-sonnet-4-5", {"temperature": 1.7}, {"temperature": 1}, {"temperature": "approximated"}),
        ("claude-sonnet-4-5", {"temperature": 0.2, "top_p": 0.9}, {"temperature": 0.2}, {"top_p": "dropped"}),
        ("claude-sonnet-4-5", {"top_p": 0.9, "top_k": 4}, {"top_p": 0.9, "top_k": 4}, {}),
        ("claude-opus-5", {"temperature": 0.2, "top_k": 4}, {}, {"temperature": "dropped", "top_k": "dropped"}),
        ("claude-opus-5", {"temperature": 1.0, "top_p": 1.0}, {}, {}),
        (
            "claude-sonnet-4-5",
            {"seed": 1, "frequency_penalty": 0.1, "presence_penalty": 0.1},
            {},
            {"seed": "dropped", "frequency_penalty": "dropped", "presence_penalty": "dropped"},
        ),
        ("claude-sonnet-4-5", {"stop": ("END", " \n")}, {"stop_sequences": ["END"]}, {"stop": "dropped"}),
    ],
)
def test_sampling_keeps_to_what_the_model_takes(
    model: str, fields: dict[str, Any], sent: dict[str, Any], losses: dict[str, str]
) -> None:
    given = rendered(model, sampling=Sampling(**fields))
    names = ("temperature", "top_p", "top_k", "stop_sequences")
    assert {name: value for name, value in body_of(given).items() if name in names} == sent
    assert lost(given) == losses


def test_who_thinks_neither_samples_nor_is_forced() -> None:
    given = rendered(
        reasoning=Reasoning("low"),
        sampling=Sampling(temperature=0.3, top_k=4),
        tools=(TOOL,),
        tool_choice=ToolChoice("tool", "get_weather"),
    )
    body = body_of(given)
    assert "temperature" not in body
    assert "top_k" not in body
    assert body["tool_choice"] == {"type": "auto"}
    assert lost(given) == {"temperature": "dropped", "top_k": "dropped", "tool_choice": "approximated"}


def test_functions_keep_their_schema_to_the_byte() -> None:
    schema = '{"type":"object","properties":{"n":{"type":"number","maximum":1.10}}}'
    given = rendered(tools=(FunctionTool("f", None, schema, cache=CacheMark()), FunctionTool("g", "d")))
    assert b'"input_schema":' + schema.encode() in given.body
    assert body_of(given)["tools"] == [
        {"name": "f", "input_schema": json.loads(schema), "cache_control": {"type": "ephemeral"}},
        {"name": "g", "description": "d", "input_schema": {"type": "object", "properties": {}}},
    ]


def test_long_names_are_shortened_and_can_be_restored() -> None:
    name = "mcp__" + "x" * 200
    given = rendered(tools=(FunctionTool(name),), tool_choice=ToolChoice("tool", name))
    short = body_of(given)["tools"][0]["name"]
    assert len(short) <= 128
    assert body_of(given)["tool_choice"] == {"type": "tool", "name": short}
    assert given.reading.names == {short: name}


def test_a_strict_tool_is_strict_where_the_model_can_be() -> None:
    tool = FunctionTool("f", None, PERSON, strict=True)
    given = rendered(tools=(tool,))
    (sent,) = body_of(given)["tools"]
    assert sent["strict"] is True
    assert sent["input_schema"]["additionalProperties"] is False
    assert betas_of(given) == ["structured-outputs-2025-11-13"]
    older = rendered("claude-sonnet-4-20250514", tools=(tool,))
    assert "strict" not in body_of(older)["tools"][0]
    assert lost(older) == {"tools.0.strict": "dropped"}


@pytest.mark.parametrize(
    ("tool", "sent"),
    [
        (WebSearch(), {}),
        (WebSearch(context_size="low"), {"max_uses": 1}),
        (WebSearch(context_size="medium"), {"max_uses": 5}),
        (WebSearch(context_size="high"), {"max_uses": 10}),
        (WebSearch(context_size="high", max_uses=2), {"max_uses": 2}),
        (WebSearch(allowed_domains=("a.example",)), {"allowed_domains": ["a.example"]}),
        (
            WebSearch(user_location='{"type":"approximate","approximate":{"city":"Oslo"}}'),
            {"user_location": {"type": "approximate", "city": "Oslo"}},
        ),
        (WebSearch(user_location='{"city":"Oslo"}'), {"user_location": {"type": "approximate", "city": "Oslo"}}),
    ],
)
def test_a_search_of_the_host_is_claudes_own(tool: WebSearch, sent: dict[str, Any]) -> None:
    given = body_of(rendered(tools=(tool,)))["tools"]
    assert given == [{"type": "web_search_20250305", "name": "web_search"} | sent]


def test_a_server_of_tools_is_named_apart() -> None:
    given = rendered(
        tools=(McpServer("m", "https://m.example", "secret", ("find",)), McpServer("n", "https://n.example"))
    )
    assert body_of(given)["mcp_servers"] == [
        {
            "type": "url",
            "url": "https://m.example",
            "name": "m",
            "authorization_token": "secret",
            "tool_configuration": {"enabled": True, "allowed_tools": ["find"]},
        },
        {"type": "url", "url": "https://n.example", "name": "n"},
    ]
    assert "tools" not in body_of(given)
    assert betas_of(given) == ["mcp-client-2025-04-04"]


@pytest.mark.parametrize(
    ("raw", "sent", "betas"),
    [
        (
            {
                "type": "computer_20241022",
                "function": {
                    "name": "computer",
                    "parameters": {"display_height_px": 100, "display_width_px": 100, "display_number": 1},
                },
            },
            {
                "type": "computer_20241022",
                "name": "computer",
                "display_height_px": 100,
                "display_width_px": 100,
                "display_number": 1,
            },
            ["computer-use-2024-10-22"],
        ),
        (
            {"type": "computer_20250124", "name": "computer", "display_width_px": 5},
            {"type": "computer_20250124", "name": "computer", "display_width_px": 5},
            ["computer-use-2025-01-24"],
        ),
        ({"type": "text_editor_20250124"}, {"type": "text_editor_20250124", "name": "str_replace_editor"}, [""]),
        (
            {"type": "text_editor_20250728"},
            {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
            [""],
        ),
        ({"type": "bash_20250124"}, {"type": "bash_20250124", "name": "bash"}, [""]),
        (
            {"type": "memory_20250818", "name": "memory"},
            {"type": "memory_20250818", "name": "memory"},
            ["context-management-2025-06-27"],
        ),
        (
            {"type": "code_execution_20250825", "name": "code_execution"},
            {"type": "code_execution_20250825", "name": "code_execution"},
            ["code-execution-2025-08-25"],
        ),
        (
            {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 5},
            {"type": "web_fetch_20250910", "name": "web_fetch", "max_uses": 5},
            ["web-fetch-2025-09-10"],
        ),
        ({"type": "orrery_20290101", "name": "o"}, {"type": "orrery_20290101", "name": "o"}, [""]),
    ],
)
def test_hosted_tools_are_flat_and_bring_their_betas(raw: Any, sent: dict[str, Any], betas: list[str]) -> None:
    given = rendered(tools=(HostedTool(raw["type"], json.dumps(raw)),))
    assert body_of(given)["tools"] == [sent]
    assert betas_of(given) == betas


@pytest.mark.parametrize("kind", ["image_generation", "file_search", "web_search_preview_2025_03_11", "custom"])
def test_hosted_tools_of_other_vendors_are_dropped_by_place(kind: str) -> None:
    given = rendered(tools=(TOOL, HostedTool(kind, json.dumps({"type": kind}))))
    assert len(body_of(given)["tools"]) == 1
    assert lost(given) == {"tools.1": "dropped"}


@pytest.mark.parametrize(
    ("choice", "parallel", "sent"),
    [
        (None, None, None),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("any"), True, {"type": "any"}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("any"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("tool", "get_weather"), None, {"type": "tool", "name": "get_weather"}),
    ],
)
def test_the_choice_among_tools(choice: Any, parallel: bool | None, sent: Any) -> None:
    body = body_of(rendered(tools=(TOOL,), tool_choice=choice, parallel_tool_calls=parallel))
    assert body.get("tool_choice") == sent
    assert "tool_choice" not in body_of(rendered(tool_choice=choice, parallel_tool_calls=parallel))


def test_a_schema_is_kept_by_models_that_can() -> None:
    given = rendered(output_format=JsonFormat(PERSON, "person", strict=True))
    body = body_of(given)
    assert body["output_format"] == {
        "type": "json_schema",
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string", "description": '{"minLength":1}'}},
            "required": ["name"],
            "additionalProperties": False,
        },
    }
    assert betas_of(given) == ["structured-outputs-2025-11-13"]
    assert "tools" not in body
    assert given.reading.json_tool is None


def test_a_newer_model_has_the_schema_beside_the_effort() -> None:
    body = body_of(rendered("claude-opus-4-8", output_format=JsonFormat(PERSON), reasoning=Reasoning("low")))
    assert body["output_config"]["effort"] == "low"
    assert body["output_config"]["format"]["type"] == "json_schema"
    assert "output_format" not in body


def test_a_schema_is_made_acceptable_to_its_depth() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "description": "All",
        "minProperties": 1,
        "properties": {
            "a": {"oneOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]},
            "b": {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {}}},
            "c": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "email"}},
            "d": {"type": "object", "additionalProperties": {"type": "string"}},
            "minimum": {"$ref": "#/$defs/e"},
        },
        "$defs": {"e": {"type": "string", "format": "iban"}},
    }
    fitted = body_of(rendered(output_format=JsonFormat(json.dumps(schema))))["output_format"]["schema"]
    assert fitted == {
        "type": "object",
        "description": 'All\n\n{"minProperties":1}',
        "additionalProperties": False,
        "properties": {
            "a": {"anyOf": [{"type": "integer", "description": '{"minimum":1,"maximum":9}'}, {"type": "null"}]},
            "b": {
                "type": "array",
                "description": '{"minItems":2}',
                "items": {"type": "object", "properties": {}, "additionalProperties": False},
            },
            "c": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "email"}},
            "d": {
                "type": "object",
                "description": '{"additionalProperties":{"type":"string"}}',
                "additionalProperties": False,
            },
            "minimum": {"$ref": "#/$defs/e"},
        },
        "$defs": {"e": {"type": "string", "description": '{"format":"iban"}'}},
    }


def test_older_models_are_made_to_call_a_tool_instead() -> None:
    given = rendered("claude-3-7-sonnet-20250219", output_format=JsonFormat(PERSON))
    body = body_of(given)
    assert body["tools"][0]["name"] == "json_tool_call"
    assert body["tools"][0]["input_schema"] == json.loads(PERSON)
    assert body["tool_choice"] == {"type": "tool", "name": "json_tool_call"}
    assert given.reading.json_tool == "json_tool_call"
    assert b"anthropic-beta" not in dict(given.headers)


def test_json_of_any_shape_is_a_tool_with_an_open_schema() -> None:
    body = body_of(rendered(output_format=JsonFormat()))
    assert body["tools"][0]["input_schema"] == {"type": "object", "additionalProperties": True, "properties": {}}
    assert body["tool_choice"]["name"] == "json_tool_call"


def test_the_tool_for_json_is_not_forced_on_who_thinks_nor_beside_other_tools() -> None:
    thinking = rendered(output_format=JsonFormat(), reasoning=Reasoning("low"))
    assert "tool_choice" not in body_of(thinking)
    assert thinking.reading.json_tool == "json_tool_call"
    beside = body_of(rendered(output_format=JsonFormat(), tools=(TOOL,)))
    assert [tool["name"] for tool in beside["tools"]] == ["get_weather", "json_tool_call"]
    assert beside["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize("schema", ["5", "[", '"x"', '{"items":' * 5000 + "1" + "}" * 5000])
def test_a_schema_that_is_none_is_named(schema: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rendered(output_format=JsonFormat(schema))
    assert caught.value.param == "response_format.json_schema.schema"
    with pytest.raises(InvalidRequest) as caught:
        rendered(tools=(FunctionTool("f", None, schema[:2]),))
    assert caught.value.param == "tools.0.parameters"


def test_a_search_is_left_out_where_the_host_has_none_and_alone_it_is_refused() -> None:
    bedrock = MessagesDialect(version_in_body="bedrock-2023-05-31")
    given = rendered(dialect=bedrock, tools=(TOOL, WebSearch()))
    assert [tool["name"] for tool in body_of(given)["tools"]] == ["get_weather"]
    assert lost(given) == {"tools.web_search": "dropped"}
    with pytest.raises(InvalidRequest, match="web search"):
        rendered(dialect=bedrock, tools=(WebSearch(),))


def test_a_deferred_tool_stays_so_only_beside_a_search_of_tools() -> None:
    deferred = FunctionTool("f", parameters='{"type":"object","properties":{}}', deferred=True)
    given = rendered(tools=(deferred,))
    assert "defer_loading" not in body_of(given)["tools"][0]
    assert lost(given) == {"tools.0.defer_loading": "dropped"}
    kind = "tool_search_tool_regex_20251119"
    search = HostedTool(kind, f'{{"type":"{kind}","name":"tool_search_tool_regex"}}')
    assert body_of(rendered(tools=(deferred, search)))["tools"][0]["defer_loading"] is True
