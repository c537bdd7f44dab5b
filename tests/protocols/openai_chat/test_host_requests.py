"""Conversations of other clients as requests to hosts of chat completions."""

import base64
import json
from typing import Any

import pytest

from app.base.errors import InvalidRequest
from app.protocols.codec import Dialect, Reading
from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
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
    Refusal,
    Sampling,
    Text,
    TextSource,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    UrlSource,
    WebSearch,
)
from app.protocols.opaque import Seal
from app.protocols.openai_chat.dialect import ChatDialect
from tests.protocols.openai_chat.builders import (
    CALL,
    CODEC,
    DEEPSEEK,
    HELLO,
    OPENAI,
    OPENROUTER,
    PLAIN,
    RESULT,
    body_of,
    conversation,
    lost,
    messages_of,
    rendered,
)

PDF = Document(Base64Source("application/pdf", "JVBERi0="), "a.pdf")
PNG = Image(Base64Source("image/png", "iVBORw0="))
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}}
SCHEMA = '{"type":"object","properties":{"a":{"type":"number","minimum":1.10}}}'
TOOL = FunctionTool("f", "d", SCHEMA, strict=True)
CALL_WORDS = {
    "role": "assistant",
    "content": None,
    "tool_calls": [
        {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Oslo"}'}}
    ],
}


def user(*blocks: Block) -> Turn:
    return Turn("user", blocks)


def assistant(*blocks: Block) -> Turn:
    return Turn("assistant", blocks)


def said(*turns: Turn, dialect: ChatDialect = OPENAI, **fields: Any) -> list[dict[str, Any]]:
    return messages_of(rendered(dialect, turns=turns, **fields))


def refused(dialect: ChatDialect = OPENAI, **fields: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        rendered(dialect, **fields)
    return caught.value.message


def test_a_plain_request_says_what_it_must() -> None:
    given = rendered(instructions=(Text("Be brief."), Text("Be kind.")), max_output_tokens=100, stream=True)
    assert body_of(given) == {
        "model": "gpt-4.1",
        "messages": [
            {"role": "system", "content": "Be brief.\n\nBe kind."},
            {"role": "user", "content": "Hello"},
        ],
        "max_completion_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert (given.losses, given.headers) == ((), ())
    assert given.reading == Reading(OPENAI)


def test_a_host_without_stream_options_is_not_asked_for_usage() -> None:
    given = rendered(ChatDialect(issuer="mistral", stream_usage=False), stream=True)
    assert body_of(given)["stream"] is True
    assert "stream_options" not in body_of(given)


@pytest.mark.parametrize(
    ("dialect", "model", "field"),
    [
        (PLAIN, "llama", "max_tokens"),
        (OPENAI, "gpt-4.1", "max_completion_tokens"),
        (PLAIN, "openai/gpt-5-mini", "max_completion_tokens"),
        (ChatDialect(), "o3", "max_completion_tokens"),
        (ChatDialect(), "gpt-4o", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_host_and_model_know(dialect: ChatDialect, model: str, field: str) -> None:
    body = body_of(rendered(dialect, model, max_output_tokens=9))
    assert body[field] == 9
    assert len({"max_tokens", "max_completion_tokens"} & body.keys()) == 1


def test_results_come_directly_after_their_calls_and_before_all_else() -> None:
    calls = assistant(Text("Looking."), ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}"))
    messages = said(
        HELLO,
        calls,
        Turn("system", (Text("note"),)),
        user(Text("and?"), ToolResult("b", (Text("two"),)), ToolResult("a", (Text("one"),))),
    )
    assert [message["role"] for message in messages] == ["user", "assistant", "tool", "tool", "system", "user"]
    assert [message.get("tool_call_id") for message in messages[2:4]] == ["b", "a"]
    assert messages[1]["content"] == "Looking."


def test_results_in_several_turns_are_gathered() -> None:
    calls = assistant(ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}"))
    messages = said(calls, user(ToolResult("a"), Text("x")), user(ToolResult("b", (PNG,)), Text("y")))
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "user", "user", "user"]
    assert messages[1]["content"] == ""
    assert messages[3]["content"][1] == PNG_PART
    assert [message["content"] for message in messages[4:]] == ["x", "y"]


def test_neighbouring_turns_of_the_assistant_are_one_message() -> None:
    messages = said(HELLO, assistant(Text("a"), Text("b")), assistant(ToolCall("c", "f", "{}")), user(ToolResult("c")))
    assert [message["role"] for message in messages] == ["user", "assistant", "tool"]
    assert messages[1]["content"] == "ab"


def test_an_unanswered_call_and_an_orphaned_result_are_refused_by_name() -> None:
    assert "'call_1' has no result" in refused(turns=(HELLO, CALL, HELLO))
    assert "'call_1' answers no call" in refused(turns=(HELLO, RESULT))
    assert "'call_1' answers no call" in refused(turns=(HELLO, CALL, RESULT, RESULT))


def test_an_image_of_a_result_follows_in_the_name_of_the_user() -> None:
    result = ToolResult("call_1", (Text("shot"), PNG))
    given = rendered(turns=(HELLO, CALL, user(result, Text("what is it?"))))
    assert messages_of(given)[2:] == [
        {"role": "tool", "tool_call_id": "call_1", "content": "shot\n(see the next user message)"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "From the result of the tool call call_1:"},
                PNG_PART,
                {"type": "text", "text": "what is it?"},
            ],
        },
    ]
    assert lost(given) == {"tool_result.content": "approximated"}
    alone = said(HELLO, CALL, user(ToolResult("call_1", (PNG,))), assistant(Text("ok")))
    assert [message["role"] for message in alone] == ["user", "assistant", "tool", "user", "assistant"]


def test_a_failed_result_says_so_in_its_text() -> None:
    given = rendered(turns=(HELLO, CALL, user(ToolResult("call_1", (Text("no"),), is_error=True))))
    assert messages_of(given)[2]["content"] == "Error: no"
    assert lost(given) == {"is_error": "approximated"}


def test_foreign_blocks_are_said_as_text_left_out_or_refused() -> None:
    loaded = Foreign("anthropic_messages", "tool_reference", "{}", text="tool X loaded")
    given = rendered(turns=(HELLO, CALL, user(ToolResult("call_1", (loaded,)))))
    assert messages_of(given)[2]["content"] == "tool X loaded"
    assert lost(given) == {"tool_reference": "approximated"}
    given = rendered(turns=(user(Foreign("a", "compaction", "{}"), Text("x")),))
    assert messages_of(given) == [{"role": "user", "content": "x"}]
    assert lost(given) == {"compaction": "dropped"}
    message = refused(turns=(user(Foreign("a", "container_upload", "{}", essential=True)),))
    assert '"container_upload"' in message


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (PNG, PNG_PART),
        (
            Image(UrlSource("https://a/b.png"), "high"),
            {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "high"}},
        ),
        (
            PDF,
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
        ),
        (Document(FileSource("file-1")), {"type": "file", "file": {"file_id": "file-1"}}),
        (Document(TextSource("t"), "T", "C"), {"type": "text", "text": "T\n\nC\n\nt"}),
        (
            Document(Base64Source("text/plain", base64.b64encode("é".encode()).decode())),
            {"type": "text", "text": "é"},
        ),
        (
            Audio(Base64Source("audio/mpeg", "AAAA")),
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        ),
    ],
)
def test_each_block_of_a_user_has_its_part(block: Block, part: dict[str, Any]) -> None:
    content = said(user(block, Text("x")))[0]["content"]
    assert content == [part, {"type": "text", "text": "x"}]


@pytest.mark.parametrize(
    ("dialect", "block", "named"),
    [
        (DEEPSEEK, PNG, "an image"),
        (PLAIN, PDF, "a document"),
        (OPENAI, Image(FileSource("file_1")), "file id"),
        (OPENAI, Image(UrlSource("gs://a/b")), "file id"),
        (OPENAI, Document(FileSource("file_011C")), "another vendor"),
        (OPENAI, Document(UrlSource("https://a.pdf")), "by its address"),
    ],
)
def test_content_that_cannot_be_said_is_refused(dialect: ChatDialect, block: Block, named: str) -> None:
    assert named in refused(dialect, turns=(user(block),))


def test_hosts_without_images_get_strings() -> None:
    assert said(user(Text("a"), Text("b")), dialect=DEEPSEEK) == [{"role": "user", "content": "a\n\nb"}]


def test_thoughts_go_to_no_host_that_did_not_think_them() -> None:
    thought = Thinking("hm", Seal("anthropic", "EqQB"))
    for dialect in (OPENAI, DEEPSEEK, OPENROUTER):
        given = rendered(dialect, turns=(HELLO, assistant(thought, Text("a")), HELLO))
        assert messages_of(given)[1] == {"role": "assistant", "content": "a"}
        assert lost(given) == {"thinking": "dropped"}
    assert said(HELLO, assistant(thought), HELLO) == [{"role": "user", "content": "Hello"}] * 2


def test_deepseek_gets_its_thoughts_back_within_a_tool_loop_alone() -> None:
    old = assistant(Thinking("old", Seal("deepseek", "")), Text("a"))
    new = assistant(Thinking("new", Seal("deepseek", "")), *CALL.blocks)
    given = rendered(DEEPSEEK, turns=(HELLO, old, HELLO, new, RESULT))
    messages = messages_of(given)
    assert messages[1] == {"role": "assistant", "content": "a"}
    assert messages[3] == CALL_WORDS | {"reasoning_content": "new"}
    assert given.losses == ()


def test_openrouter_gets_its_details_back() -> None:
    details = '[{"type":"reasoning.text","text":"hm","signature":"s","index":0}]'
    thought = Thinking("hm", Seal("openrouter", details))
    messages = said(HELLO, assistant(thought, *CALL.blocks), RESULT, dialect=OPENROUTER)
    assert messages[1] == CALL_WORDS | {"reasoning": "hm", "reasoning_details": json.loads(details)}
    broken = Thinking("hm", Seal("openrouter", "forged"))
    messages = said(HELLO, assistant(broken, *CALL.blocks), RESULT, dialect=OPENROUTER)
    assert messages[1] == CALL_WORDS | {"reasoning": "hm"}


def test_a_refusal_is_a_refusal_to_openai_and_text_to_others() -> None:
    assert said(HELLO, assistant(Refusal("no")))[1] == {"role": "assistant", "content": "", "refusal": "no"}
    assert said(HELLO, assistant(Refusal("no")), dialect=PLAIN)[1] == {"role": "assistant", "content": "no"}


def test_a_prefill_is_allowed() -> None:
    assert said(HELLO, assistant(Text("{")))[-1] == {"role": "assistant", "content": "{"}


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
    ) | {"stop": "approximated"}
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
        (DEEPSEEK, "deepseek-chat", Reasoning("low"), {"thinking": {"type": "enabled"}}, {}),
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
