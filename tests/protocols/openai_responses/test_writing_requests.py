"""A Conversation of any client becomes a request that OpenAI's hosts take, and what they cannot take is told."""

import json
from collections.abc import Mapping
from typing import Any, cast

import pytest
from openai.types.responses import response_create_params
from pydantic import TypeAdapter

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
    CacheMark,
    Conversation,
    Document,
    Effort,
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
from app.protocols.openai_responses.traits import traits_of
from tests.protocols.openai_responses.room import CODEC, DIALECT, losses, rendered

ASKS = Turn("user", (Text("Hello"),))
TOOL = FunctionTool("f", "Does f.", '{"type":"object","properties":{}}')
OPEN_MODEL = "some-open-model"


def talk(*turns: Turn, model: str = OPEN_MODEL, **fields: Any) -> Conversation:
    return Conversation(model=model, turns=turns or (ASKS,), **fields)


def said(*blocks: Block, role: str = "user") -> list[dict[str, Any]]:
    """The items that one turn after a greeting becomes."""
    turn = Turn("assistant" if role == "assistant" else "user", blocks)
    return cast(list[dict[str, Any]], rendered(talk(ASKS, turn))["input"][1:])


def test_the_sdk_would_have_written_the_same_kind_of_request() -> None:
    conversation = talk(
        Turn("user", (Text("Look"), Image(Base64Source("image/png", "iVBO"), "low"), Document(FileSource("file-1")))),
        Turn(
            "assistant",
            (Thinking("Hm", Seal("openai", "rs_1:E")), Text("I call."), ToolCall("call_1", "f", '{"a":1}')),
        ),
        Turn("user", (ToolResult("call_1", (Text("a"), Image(UrlSource("https://a.org/b.png")))), Text("And?"))),
        Turn("system", (Text("Be brief."),)),
        model="gpt-5",
        instructions=(Text("You help."),),
        tools=(TOOL, FunctionTool("g"), WebSearch("low", allowed_domains=("a.org",)), McpServer("s", "https://s")),
        tool_choice=ToolChoice("tool", "f"),
        parallel_tool_calls=False,
        max_output_tokens=500,
        reasoning=Reasoning("low", shown=True),
        output_format=JsonFormat('{"type":"object"}', "answer", strict=True),
        stream=True,
        end_user="u-1",
    )
    body = rendered(conversation)
    # The API takes a message of the model's without an id; the SDK's types do not say so.
    named = {"id": "msg_1", "status": "completed"}
    items = [named | item if item.get("role") == "assistant" else item for item in body["input"]]
    TypeAdapter(response_create_params.ResponseCreateParamsStreaming).validate_python(body | {"input": items})
    assert (body["store"], body["stream"], body["include"]) == (False, True, ["reasoning.encrypted_content"])
    assert body["instructions"] == "You help."
    assert [item["type"] for item in body["input"]] == [
        "message",
        "reasoning",
        "message",
        "function_call",
        "function_call_output",
        "message",
        "message",
    ]
    assert body["input"][1] == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Hm"}],
        "encrypted_content": "E",
    }
    assert body["tools"][1] == {"type": "function", "name": "g", "parameters": None, "strict": False}
    assert body["tool_choice"] == {"type": "function", "name": "f"}
    assert body["reasoning"] == {"effort": "low", "summary": "auto"}
    assert body["text"]["format"]["strict"] is True
    assert losses(conversation) == {}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (Text("a"), {"type": "input_text", "text": "a"}),
        (
            Image(Base64Source("image/png", "iVBO"), "low"),
            {"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,iVBO"},
        ),
        (Image(FileSource("file-1")), {"type": "input_image", "file_id": "file-1"}),
        (
            Document(Base64Source("application/pdf", "JVBE")),
            {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        ),
        (Document(UrlSource("https://a.org/a")), {"type": "input_file", "file_url": "https://a.org/a"}),
        (Document(TextSource("body"), title="T", context="C"), {"type": "input_text", "text": "T\n\nC\n\nbody"}),
        (Foreign("gemini", "executableCode", "{}", text="1+1"), {"type": "input_text", "text": "1+1"}),
    ],
)
def test_every_block_of_a_user_becomes_a_part(block: Block, part: dict[str, Any]) -> None:
    assert said(block) == [{"type": "message", "role": "user", "content": [part]}]


@pytest.mark.parametrize(
    "block",
    [
        Audio(Base64Source("audio/wav", "UklG")),
        Image(UrlSource("gs://bucket/a.png")),
        Document(UrlSource("gs://bucket/a.pdf")),
        Image(TextSource("x")),
        Foreign("anthropic_messages", "container_upload", "{}", essential=True),
    ],
)
def test_what_cannot_be_said_is_refused(block: Block) -> None:
    with pytest.raises(InvalidRequest, match="cannot be said"):
        said(block)


@pytest.mark.parametrize("block", [Image(FileSource("f")), Document(FileSource("f"))])
def test_the_model_itself_shows_no_pictures(block: Block) -> None:
    with pytest.raises(InvalidRequest, match="of the model's own"):
        said(block, role="assistant")


def test_reasoning_stands_right_before_what_follows_and_never_alone() -> None:
    thought = Thinking("", Seal("openai", ":E"))
    assert [item["type"] for item in said(Text("a"), thought, ToolCall("c", "f", "{}"), role="assistant")] == [
        "message",
        "reasoning",
        "function_call",
    ]
    alone = talk(ASKS, Turn("assistant", (Text("a"), thought)), ASKS)
    assert [item["type"] for item in rendered(alone)["input"]] == ["message"] * 3
    assert losses(alone) == {"thinking": "dropped"}


@pytest.mark.parametrize("seal", [None, Seal("anthropic", "S")])
def test_thoughts_that_openai_did_not_seal_are_left_out(seal: Seal | None) -> None:
    conversation = talk(ASKS, Turn("assistant", (Thinking("Hm", seal), Text("a"))), ASKS)
    assert [item["type"] for item in rendered(conversation)["input"]] == ["message"] * 3
    assert losses(conversation) == {"thinking": "dropped"}


@pytest.mark.parametrize(
    ("result", "output"),
    [
        (ToolResult("c"), ""),
        (ToolResult("c", (Text("42"),)), "42"),
        (ToolResult("c", (Text("no"),), is_error=True), "Error: no"),
        (ToolResult("c", (Text("Error: no"),), is_error=True), "Error: no"),
        (ToolResult("c", is_error=True), "Error:"),
        (
            ToolResult("c", (Text("a"), Foreign("anthropic_messages", "tool_reference", "{}", text="tool f loaded"))),
            [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "tool f loaded"}],
        ),
        (
            ToolResult("c", (Document(Base64Source("application/pdf", "J")),), is_error=True),
            [
                {"type": "input_text", "text": "Error:"},
                {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,J"},
            ],
        ),
    ],
)
def test_results_of_tools(result: ToolResult, output: object) -> None:
    assert said(result) == [{"type": "function_call_output", "call_id": "c", "output": output}]


def test_ids_and_names_that_openai_refuses_are_rewritten_alike() -> None:
    name, call_id = "mcp__a.b__" + "x" * 80, "toolu:1/" + "y" * 80
    conversation = talk(
        ASKS,
        Turn("assistant", (ToolCall(call_id, name, "{}"),)),
        Turn("user", (ToolResult(call_id),)),
        tools=(FunctionTool(name),),
        tool_choice=ToolChoice("tool", name),
    )
    body = rendered(conversation)
    call, result = body["input"][1:]
    assert call["call_id"] == result["call_id"] != call_id
    assert call["name"] == body["tools"][0]["name"] == body["tool_choice"]["name"]
    assert len(call["name"]) <= 64
    assert CODEC.render_request(conversation, DIALECT).reading.names == {call["name"]: name}


@pytest.mark.parametrize(
    ("model", "asked", "sent"),
    [
        ("gpt-4o", "high", None),
        ("gpt-5-chat-latest", "high", None),
        ("gpt-5", "none", "minimal"),
        ("openai/gpt-5-mini", "xhigh", "high"),
        ("gpt-5-pro", "low", "high"),
        ("o3", "minimal", "low"),
        ("gpt-5.1", "none", "none"),
        ("gpt-5.1", "max", "high"),
        ("gpt-5.4", "max", "xhigh"),
        ("gpt-6", "max", "max"),
        (OPEN_MODEL, "max", "max"),
    ],
)
def test_the_effort_is_one_that_the_model_has(model: str, asked: Effort, sent: str | None) -> None:
    conversation = talk(model=model, reasoning=Reasoning(asked))
    assert rendered(conversation).get("reasoning", {}).get("effort") == sent
    told = losses(conversation)
    assert told == (
        {"reasoning": "dropped"} if sent is None else {} if sent == asked else {"reasoning.effort": "approximated"}
    )


@pytest.mark.parametrize(("budget", "effort"), [(1024, "low"), (2048, "medium"), (4096, "high"), (31999, "high")])
def test_a_budget_of_thoughts_is_an_effort(budget: int, effort: str) -> None:
    conversation = talk(model="gpt-5", reasoning=Reasoning(budget_tokens=budget, shown=False))
    assert rendered(conversation)["reasoning"] == {"effort": effort}
    assert losses(conversation) == {"reasoning.budget_tokens": "approximated"}


def test_proofs_are_asked_for_only_where_the_model_may_reason() -> None:
    assert "include" in rendered(talk(model="o3"))
    assert "include" not in rendered(talk(model="gpt-4.1"))
    assert "include" not in rendered(talk())
    assert "include" in rendered(talk(reasoning=Reasoning("low")))


def test_sampling_goes_only_to_models_that_take_it() -> None:
    sampling = Sampling(0.5, 0.9, 40, 7, 0.1, 0.2, ("END",))
    unknown = dict.fromkeys(("top_k", "seed", "frequency_penalty", "presence_penalty", "stop"), "dropped")
    plain = talk(model="gpt-4.1", sampling=sampling)
    assert (rendered(plain)["temperature"], rendered(plain)["top_p"], losses(plain)) == (0.5, 0.9, unknown)
    thinking = talk(model="gpt-5.2", sampling=sampling)
    assert "temperature" not in rendered(thinking)
    assert losses(thinking) == {"temperature": "dropped", "top_p": "dropped", **unknown}


def test_at_least_sixteen_tokens_are_asked_for() -> None:
    conversation = talk(max_output_tokens=1)
    assert rendered(conversation)["max_output_tokens"] == 16
    assert losses(conversation) == {"max_output_tokens": "approximated"}
    assert rendered(talk(max_output_tokens=17))["max_output_tokens"] == 17


@pytest.mark.parametrize(
    ("end_user", "kept"), [("customer-7", True), ("x" * 64, True), ("x" * 65, False), ("ann@example.org", False)]
)
def test_a_user_is_named_shortly_and_never_by_an_address(end_user: str, kept: bool) -> None:
    sent = rendered(talk(end_user=end_user))["user"]
    assert (sent == end_user, len(sent) <= 64) == (kept, True)


def test_marks_of_caching_are_one_loss() -> None:
    mark = CacheMark("5m")
    conversation = talk(
        Turn("user", (Text("a", cache=mark), ToolResult("c", (Text("b", cache=mark),), cache=mark))),
        instructions=(Text("i", cache=mark), Text("j")),
        tools=(FunctionTool("f", cache=mark),),
    )
    assert losses(conversation) == {"cache_control": "dropped"}
    assert rendered(conversation)["instructions"] == "i\n\nj"


@pytest.mark.parametrize(
    ("tool", "sent"),
    [
        (HostedTool("code_interpreter", '{"type":"code_interpreter"}'), {"type": "code_interpreter"}),
        (
            WebSearch(user_location='{"city":"Oslo"}'),
            {"type": "web_search", "user_location": {"type": "approximate", "city": "Oslo"}},
        ),
        (
            McpServer("s", "https://s", "t", ("a",)),
            {
                "type": "mcp",
                "server_label": "s",
                "server_url": "https://s",
                "require_approval": "never",
                "authorization": "t",
                "allowed_tools": ["a"],
            },
        ),
    ],
)
def test_every_tool_is_written(tool: Tool, sent: dict[str, Any]) -> None:
    assert rendered(talk(tools=(tool,)))["tools"] == [sent]


def test_a_tool_of_another_vendors_host_is_refused() -> None:
    with pytest.raises(InvalidRequest, match='a tool of type "memory_20250818"'):
        rendered(talk(tools=(HostedTool("memory_20250818", "{}"),)))


def test_limits_of_a_search_that_openai_has_not_are_losses() -> None:
    search = WebSearch(max_uses=5, blocked_domains=("b.org",), user_location="[broken")
    dropped = dict.fromkeys(("max_uses", "blocked_domains", "user_location"), "dropped")
    assert losses(talk(tools=(search,))) == dropped


@pytest.mark.parametrize(
    ("choice", "tools", "sent"),
    [
        (ToolChoice("auto"), (TOOL,), "auto"),
        (ToolChoice("any"), (TOOL,), "required"),
        (ToolChoice("none"), (TOOL,), "none"),
        (ToolChoice("tool", "web_search"), (WebSearch(),), "required"),
        (ToolChoice("tool", "web_search"), (TOOL, WebSearch()), {"type": "web_search_preview"}),
        (ToolChoice("any"), (), None),
    ],
)
def test_a_choice_goes_with_tools_alone(choice: ToolChoice, tools: tuple[Tool, ...], sent: object) -> None:
    body = rendered(talk(tools=tools, tool_choice=choice, parallel_tool_calls=True))
    assert body.get("tool_choice") == sent
    assert ("parallel_tool_calls" in body) == bool(tools)


@pytest.mark.parametrize(
    ("extras", "sent", "lost"),
    [
        ({"prompt_cache_key": '"k"'}, {"prompt_cache_key": "k"}, []),
        ({"service_tier": '"flex"'}, {"service_tier": "flex"}, []),
        ({"service_tier": '"standard_only"'}, {}, ["service_tier"]),
        ({"metadata": '{"run":"7"}'}, {"metadata": {"run": "7"}}, []),
        ({"metadata": '{"run":7}'}, {}, ["metadata"]),
        ({"verbosity": '"low"'}, {"text": {"verbosity": "low"}}, []),
        ({"verbosity": "5"}, {}, ["verbosity"]),
        (
            {"logit_bias": "{}", "store": "true", "context_management": "[]"},
            {},
            ["logit_bias", "store", "context_management"],
        ),
    ],
)
def test_other_fields_are_claimed_or_lost(extras: Mapping[str, str], sent: dict[str, Any], lost: list[str]) -> None:
    conversation = talk(extras=extras)
    body = rendered(conversation)
    assert {name: body[name] for name in sent} == sent
    assert body["store"] is False
    assert losses(conversation) == dict.fromkeys(lost, "dropped")


def test_headers_that_the_client_asked_for_go_along() -> None:
    conversation = talk(headers=(("openai-project", "p"), ("x-run", "7"), ("anthropic-beta", "b")))
    assert CODEC.render_request(conversation, DIALECT).headers == ((b"openai-project", b"p"), (b"x-run", b"7"))
    assert losses(conversation) == {"anthropic-beta": "dropped"}


def test_any_json_is_a_format_too() -> None:
    assert rendered(talk(output_format=JsonFormat()))["text"] == {"format": {"type": "json_object"}}
    named = rendered(talk(output_format=JsonFormat("{}", "my answer", "What")))["text"]["format"]
    assert named["name"].startswith("my_answer_")
    assert named["description"] == "What"


def test_what_an_answer_refused_is_said_again() -> None:
    (item,) = said(Refusal("No."), role="assistant")
    assert item["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_conversation_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="without any content"):
        rendered(talk(Turn("assistant", (Thinking("Hm"),))))


def test_json_of_the_client_goes_out_as_it_came() -> None:
    schema = '{"type": "object", "properties": {}, "x": 1.10}'
    body = CODEC.render_request(talk(tools=(FunctionTool("f", None, schema),)), DIALECT).body
    assert schema.encode() in body


def test_an_unknown_model_is_asked_as_the_client_wishes() -> None:
    assert traits_of("llama-4") == traits_of("gpt-oss-120b")
    assert json.loads(CODEC.render_request(talk(sampling=Sampling(1.0)), DIALECT).body)["temperature"] == 1.0
