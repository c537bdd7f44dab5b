"""Tools, knobs and other fields of requests to hosts of chat completions."""

import json
from typing import Any

import pytest

from app.base.errors import InvalidRequest
from app.protocols.codec import Dialect
from app.protocols.conversation import (
    Block,
    CacheMark,
    FunctionTool,
    HostedTool,
    JsonFormat,
    McpServer,
    Reasoning,
    Sampling,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    WebSearch,
)
from app.protocols.openai_chat.dialect import ChatDialect
from tests.protocols.openai_chat.builders import (
    CALL,
    CODEC,
    DEEPSEEK,
    HELLO,
    OPENAI,
    OPENROUTER,
    PLAIN,
    body_of,
    conversation,
    lost,
    messages_of,
    rendered,
)

SCHEMA = '{"type":"object","properties":{"a":{"type":"number","minimum":1.10}}}'
TOOL = FunctionTool("f", "d", SCHEMA, strict=True)


def user(*blocks: Block) -> Turn:
    return Turn("user", blocks)


def assistant(*blocks: Block) -> Turn:
    return Turn("assistant", blocks)


def refused(dialect: ChatDialect = OPENAI, **fields: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        rendered(dialect, **fields)
    return caught.value.message


def test_tools_are_said_with_their_schema_untouched() -> None:
    given = rendered(tools=(TOOL, FunctionTool("g")), tool_choice=ToolChoice("any"), parallel_tool_calls=False)
    assert SCHEMA.encode() in given.body
    body = body_of(given)
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "d", "parameters": json.loads(SCHEMA), "strict": True},
        },
        {"type": "function", "function": {"name": "g"}},
    ]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)


def test_a_choice_without_tools_is_not_said() -> None:
    assert body_of(rendered(tool_choice=ToolChoice("auto"), parallel_tool_calls=True)).keys() == {"model", "messages"}


def test_what_a_host_lacks_for_tools_is_dropped_and_told() -> None:
    tool = FunctionTool("f", strict=True, cache=CacheMark(), deferred=True)
    given = rendered(DEEPSEEK, tools=(tool,), tool_choice=ToolChoice("tool", "f"), parallel_tool_calls=False)
    assert body_of(given)["tools"] == [{"type": "function", "function": {"name": "f"}}]
    assert body_of(given)["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert lost(given) == dict.fromkeys(
        ("tools.strict", "tools.defer_loading", "cache_control", "parallel_tool_calls"), "dropped"
    )


def test_long_names_and_ids_are_fitted_alike_and_can_be_restored() -> None:
    name = "mcp__" + "x" * 80
    call = ToolCall("toolu.bad/id", name, "{}")
    given = rendered(
        turns=(HELLO, assistant(call), user(ToolResult(call.call_id))),
        tools=(FunctionTool(name),),
        tool_choice=ToolChoice("tool", name),
    )
    body = body_of(given)
    fitted = body["tools"][0]["function"]["name"]
    assert len(fitted) == 64
    assert given.reading.names == {fitted: name}
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == fitted
    assert body["tool_choice"]["function"]["name"] == fitted
    call_id = body["messages"][1]["tool_calls"][0]["id"]
    assert body["messages"][2]["tool_call_id"] == call_id
    assert len(call_id) <= 40


@pytest.mark.parametrize(
    ("tool", "named"),
    [
        (WebSearch(), "the hosted web search"),
        (McpServer("wiki", "https://a"), "'wiki'"),
        (HostedTool("memory_20250818", "{}"), "'memory_20250818'"),
    ],
)
def test_tools_that_hosts_run_are_refused_by_name(tool: Tool, named: str) -> None:
    assert named in refused(tools=(tool,))


def test_a_search_that_the_host_lacks_is_dropped_beside_other_tools() -> None:
    given = rendered(tools=(FunctionTool("f"), WebSearch()), tool_choice=ToolChoice("tool", "web_search"))
    assert [tool["function"]["name"] for tool in body_of(given)["tools"]] == ["f"]
    assert "tool_choice" not in body_of(given)
    assert lost(given) == {"tools.web_search": "dropped", "tool_choice": "dropped"}


def test_a_search_is_an_option_where_the_host_or_the_model_can() -> None:
    search = WebSearch("low", max_uses=3, allowed_domains=("a.com",), user_location='{"city":"Oslo"}')
    expected = {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Oslo"}},
    }
    for given in (rendered(OPENROUTER, tools=(search,)), rendered(model="gpt-5-search-api", tools=(search,))):
        assert body_of(given)["web_search_options"] == expected
        assert lost(given) == {"web_search.max_uses": "dropped", "web_search.allowed_domains": "dropped"}


def test_knobs_that_the_model_or_the_host_refuses_are_dropped_and_told() -> None:
    sampling = Sampling(0.5, 0.9, 40, 7, 0.1, 0.2, ("a", "b", "c", "d", "e"))
    given = rendered(model="gpt-5", sampling=sampling)
    assert body_of(given).keys() == {"model", "messages", "seed"}
    assert lost(given) == dict.fromkeys(
        ("temperature", "top_p", "top_k", "frequency_penalty", "presence_penalty"), "dropped"
    ) | {"stop": "dropped"}
    given = rendered(OPENROUTER, "meta/llama", sampling=sampling)
    assert body_of(given) | {"messages": 0, "model": 0} == {
        "model": 0,
        "messages": 0,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "seed": 7,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "stop": ["a", "b", "c", "d"],
    }
    assert lost(given) == {"stop": "approximated"}
    assert lost(rendered(DEEPSEEK, sampling=Sampling(seed=1))) == {"seed": "dropped"}


@pytest.mark.parametrize(
    ("dialect", "model", "reasoning", "fields", "losses"),
    [
        (OPENAI, "gpt-5.2", Reasoning("high"), {"reasoning_effort": "high"}, {}),
        (OPENAI, "gpt-5.2", Reasoning("max"), {"reasoning_effort": "xhigh"}, {"reasoning": "approximated"}),
        (OPENAI, "gpt-5", Reasoning("none"), {"reasoning_effort": "minimal"}, {"reasoning": "approximated"}),
        (OPENAI, "gpt-5.1", Reasoning("none"), {"reasoning_effort": "none"}, {}),
        (OPENAI, "o3", Reasoning("minimal"), {"reasoning_effort": "low"}, {"reasoning": "approximated"}),
        (OPENAI, "o3", Reasoning("none"), {}, {"reasoning": "dropped"}),
        (OPENAI, "gpt-4o", Reasoning("high"), {}, {"reasoning": "dropped"}),
        (OPENAI, "gpt-4o", Reasoning("none"), {}, {}),
        (OPENAI, "gpt-4o", Reasoning(adaptive=True), {}, {"reasoning": "dropped"}),
        (OPENAI, "gpt-5", Reasoning(adaptive=True), {}, {}),
        (OPENAI, "gpt-5", Reasoning(budget_tokens=1024), {"reasoning_effort": "low"}, {"reasoning": "approximated"}),
        (OPENAI, "gpt-5", Reasoning(budget_tokens=3000), {"reasoning_effort": "medium"}, {"reasoning": "approximated"}),
        (OPENAI, "gpt-5", Reasoning(budget_tokens=9000), {"reasoning_effort": "high"}, {"reasoning": "approximated"}),
        (
            DEEPSEEK,
            "deepseek-chat",
            Reasoning("low"),
            {"thinking": {"type": "enabled"}},
            {"reasoning.effort": "approximated"},
        ),
        (DEEPSEEK, "deepseek-chat", Reasoning(shown=True), {}, {}),
        (DEEPSEEK, "deepseek-chat", Reasoning("none"), {"thinking": {"type": "disabled"}}, {}),
        (
            DEEPSEEK,
            "deepseek-chat",
            Reasoning(budget_tokens=1024),
            {"thinking": {"type": "enabled"}},
            {"reasoning.budget_tokens": "dropped"},
        ),
        (OPENROUTER, "x", Reasoning("high", shown=False), {"reasoning": {"effort": "high", "exclude": True}}, {}),
        (OPENROUTER, "x", Reasoning(budget_tokens=2000), {"reasoning": {"max_tokens": 2000}}, {}),
        (OPENROUTER, "x", Reasoning("none"), {"reasoning": {"enabled": False}}, {}),
        (OPENROUTER, "x", Reasoning(shown=True), {}, {}),
        (OPENROUTER, "x", Reasoning(adaptive=True), {"reasoning": {"enabled": True}}, {}),
        (PLAIN, "x", Reasoning("high"), {}, {"reasoning": "dropped"}),
    ],
)
def test_thinking_is_asked_for_as_host_and_model_know_it(
    dialect: ChatDialect, model: str, reasoning: Reasoning, fields: dict[str, Any], losses: dict[str, str]
) -> None:
    given = rendered(dialect, model, reasoning=reasoning)
    body = body_of(given)
    assert {name: value for name, value in body.items() if name not in {"model", "messages"}} == fields
    assert lost(given) == losses


def test_a_schema_is_said_or_described() -> None:
    wanted = JsonFormat(SCHEMA, "my schema", strict=True)
    body = body_of(rendered(output_format=wanted))["response_format"]
    assert body["type"] == "json_schema"
    assert body["json_schema"]["schema"] == json.loads(SCHEMA)
    assert body["json_schema"]["strict"] is True
    assert " " not in body["json_schema"]["name"]
    given = rendered(DEEPSEEK, output_format=wanted)
    assert body_of(given)["response_format"] == {"type": "json_object"}
    assert SCHEMA in messages_of(given)[0]["content"]
    assert lost(given) == {"response_format": "approximated"}


def test_any_json_is_asked_for_with_the_word_that_openai_wants_to_see() -> None:
    assert messages_of(rendered(output_format=JsonFormat()))[0]["role"] == "system"
    asked = rendered(output_format=JsonFormat(), turns=(user(Text("Give me JSON")),))
    assert messages_of(asked)[0]["role"] == "user"


def test_cache_marks_are_kept_where_they_are_known_and_one_loss_elsewhere() -> None:
    mark = CacheMark("1h")
    fields: dict[str, Any] = {
        "instructions": (Text("a", cache=mark),),
        "turns": (
            user(Text("b", cache=mark)),
            CALL,
            user(ToolResult("call_1", (Text("c"),), cache=mark)),
            assistant(Text("d", cache=mark)),
        ),
        "tools": (FunctionTool("f", cache=CacheMark()),),
    }
    given = rendered(OPENROUTER, **fields)
    control = {"type": "ephemeral", "ttl": "1h"}
    marked = [message["content"][0] for message in messages_of(given) if message["content"]]
    assert marked == [{"type": "text", "text": text, "cache_control": control} for text in "abcd"]
    assert body_of(given)["tools"][0]["cache_control"] == {"type": "ephemeral"}
    assert given.losses == ()
    plain = rendered(**fields)
    assert b"cache_control" not in plain.body
    assert lost(plain) == {"cache_control": "dropped"}


def test_the_person_behind_a_request_is_named_where_that_fits() -> None:
    assert body_of(rendered(end_user="u" * 64))["user"] == "u" * 64
    assert lost(rendered(end_user="u" * 65)) == {"user": "dropped"}
    assert lost(rendered(ChatDialect(issuer="mistral", user=False), end_user="u")) == {"user": "dropped"}


def test_only_fields_that_the_host_knows_are_claimed() -> None:
    extras = {
        "metadata": '{"user_id":"u"}',
        "safeguards": "{}",
        "context_management": '{"edits":[]}',
        "service_tier": '"auto"',
        "logit_bias": '{"5":1}',
        "transforms": "[]",
        "store": "false",
    }
    given = rendered(extras=extras)
    assert body_of(given).keys() == {"model", "messages", "service_tier", "logit_bias"}
    assert lost(given) == dict.fromkeys(("metadata", "safeguards", "context_management", "transforms"), "dropped")
    assert "transforms" in body_of(rendered(OPENROUTER, extras=extras))
    assert "service_tier" in lost(rendered(extras={"service_tier": '"standard_only"'}))


def test_headers_of_other_vendors_and_credentials_stay_behind() -> None:
    headers = (("anthropic-beta", "a"), ("x-trace", "t"), ("authorization", "secret"))
    given = rendered(headers=headers)
    assert given.headers == ((b"x-trace", b"t"),)
    assert lost(given) == {"headers.anthropic-beta": "dropped"}


def test_a_host_known_by_name_alone_is_spoken_to_plainly() -> None:
    given = CODEC.render_request(conversation(max_output_tokens=3), Dialect("somewhere"))
    assert body_of(given)["max_tokens"] == 3
    assert given.reading.dialect == ChatDialect(issuer="somewhere")
