"""Requests that are rendered for Gemini."""

import msgspec
import pytest

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Base64Source,
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
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    UrlSource,
    WebSearch,
)
from app.protocols.gemini.seals import DUMMY
from app.protocols.opaque import Seal
from tests.protocols.gemini.requests import (
    ASK,
    GEMINI,
    MODEL,
    STUDIO,
    VERTEX,
    body_of,
    config_of,
    contents_of,
    lost,
    rendered,
)


def test_system_text_in_the_middle_is_said_by_the_user() -> None:
    assert contents_of(ASK, Turn("system", (Text("be brief"),)), Turn("assistant", (Text(""),)), ASK) == [
        {"role": "user", "parts": [{"text": "hi"}, {"text": "be brief"}]},
        {"role": "user", "parts": [{"text": "hi"}]},
    ]


def test_results_stand_first_and_carry_the_name_of_their_call() -> None:
    calls = Turn("assistant", (ToolCall("c1", "see", "{}"), ToolCall("c2", "count", '{"n":1}')))
    picture = Image(Base64Source("image/png", "AAAA"))
    results = Turn(
        "user", (Text("well?"), ToolResult("c2", (Text("[1]"),)), ToolResult("c1", (picture,), is_error=True))
    )
    told = contents_of(ASK, calls, results, model="gemini-2.5-pro")
    assert isinstance(told, list)
    assert told[2]["parts"] == [
        {"functionResponse": {"name": "count", "response": {"result": "[1]"}, "id": "c2"}},
        {"functionResponse": {"name": "see", "response": {"error": ""}, "id": "c1"}},
        {"text": "well?"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
    ]
    told = contents_of(ASK, calls, results)
    assert isinstance(told, list)
    assert told[2]["parts"][1]["functionResponse"]["parts"] == [
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    ]


def test_signatures_go_on_what_follows_and_calls_without_one_get_a_dummy() -> None:
    signed = Turn("assistant", (Thinking("hm", Seal("gemini", "c2ln")), ToolCall("c1", "f", "{}")))
    foreign = Turn(
        "assistant", (Thinking("hm", Seal("anthropic", "x")), ToolCall("c2", "f", "{}"), ToolCall("c3", "f", "{}"))
    )
    turns = (
        ASK,
        signed,
        Turn("user", (ToolResult("c1"),)),
        foreign,
        Turn("user", (ToolResult("c2"), ToolResult("c3"))),
    )
    told = contents_of(*turns)
    assert isinstance(told, list)
    assert told[1]["parts"][0]["thoughtSignature"] == "c2ln"
    assert [part.get("thoughtSignature") for part in told[3]["parts"]] == [DUMMY, None]
    assert lost(Conversation(MODEL, turns)) == ["thinking"]
    old = contents_of(*turns, model="gemini-2.5-flash")
    assert isinstance(old, list)
    assert "thoughtSignature" not in old[3]["parts"][0]


def test_earlier_turns_need_no_dummy() -> None:
    later = contents_of(
        ASK,
        Turn("assistant", (ToolCall("c1", "f", "{}"),)),
        Turn("user", (ToolResult("c1"),)),
        Turn("assistant", (Text("done"),)),
        ASK,
    )
    assert isinstance(later, list)
    assert "thoughtSignature" not in later[1]["parts"][0]


def test_a_signature_after_the_text_stands_alone() -> None:
    told = contents_of(ASK, Turn("assistant", (Text("yes"), Thinking("", Seal("gemini", "c2ln")))), ASK)
    assert isinstance(told, list)
    assert told[1]["parts"] == [{"text": "yes"}, {"text": "", "thoughtSignature": "c2ln"}]


def test_names_that_gemini_refuses_come_back_in_the_reading() -> None:
    long = "mcp__" + "x" * 80
    tools = (FunctionTool(long), FunctionTool("1st"), FunctionTool("a.b:c"))
    request = rendered(Conversation(MODEL, (ASK,), tools=tools, tool_choice=ToolChoice("tool", long)))
    body = msgspec.json.decode(request.body)
    sent = [one["name"] for one in body["tools"][0]["functionDeclarations"]]
    assert sent[1:] == ["_1st", "a.b:c"]
    assert request.reading.names == {sent[0]: long, "_1st": "1st"}
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY", "allowedFunctionNames": [sent[0]]}


_HARD = """{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false,
 "properties": {"kind": {"const": "a"}, "level": {"enum": [1, 2]}, "name": {"type": ["string", "null"]},
  "n": {"type": "integer", "exclusiveMinimum": 0}, "tree": {"$ref": "#/$defs/Tree"},
  "one": {"oneOf": [{"type": "string"}, {"type": "null"}]},
  "mixed": {"type": ["string", "array"], "items": {"type": "string"}},
  "all": {"allOf": [{"type": "object", "properties": {"x": {"type": "string"}}}, {"required": ["x"]}]}},
 "required": ["kind"], "$defs": {"Tree": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Tree"}}}}}"""


def test_old_models_get_the_openapi_subset() -> None:
    tools = (FunctionTool("f", parameters=_HARD),)
    body = body_of(Conversation("gemini-2.0-flash", (ASK,), tools=tools))
    assert isinstance(body["tools"], list)
    assert body["tools"][0]["functionDeclarations"][0]["parameters"] == {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {"type": "string", "enum": ["a"]},
            "level": {"description": "One of: 1, 2"},
            "name": {"type": "string", "nullable": True},
            "n": {"type": "integer", "minimum": 1},
            "tree": {"type": "object", "properties": {"next": {"type": "object"}}},
            "one": {"type": "string", "nullable": True},
            "mixed": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "all": {"type": "object", "properties": {"x": {"type": "string"}}, "required": ["x"]},
        },
    }


def test_a_schema_that_grows_without_bound_is_refused() -> None:
    definitions = {
        f"d{level}": {"properties": {name: {"$ref": f"#/$defs/d{level + 1}"} for name in "abcdefghij"}}
        for level in range(6)
    }
    schema = msgspec.json.encode({"$ref": "#/$defs/d0", "$defs": {**definitions, "d6": {}}}).decode()
    with pytest.raises(InvalidRequest):
        rendered(Conversation("gemini-2.0-flash", (ASK,), tools=(FunctionTool("f", parameters=schema),)))


def test_current_models_get_the_schema_as_it_came() -> None:
    conversation = Conversation(MODEL, (ASK,), tools=(FunctionTool("f", "d", _HARD), FunctionTool("g")))
    assert _HARD.encode() in rendered(conversation).body
    assert b'{"name":"g"}' in rendered(conversation).body


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking"),
    [
        ("gemini-2.5-flash", Reasoning("none"), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", Reasoning("none"), {"thinkingBudget": 128}),
        ("gemini-2.5-pro", Reasoning("minimal"), {"thinkingBudget": 128, "includeThoughts": True}),
        ("gemini-2.5-flash-lite", Reasoning("minimal"), {"thinkingBudget": 512, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning("high", shown=False), {"thinkingBudget": 4096, "includeThoughts": False}),
        ("gemini-2.5-flash", Reasoning(budget_tokens=5000), {"thinkingBudget": 5000, "includeThoughts": True}),
        ("gemini-2.5-flash", Reasoning(adaptive=True), {"thinkingBudget": -1, "includeThoughts": True}),
        ("gemini-3-pro-preview", Reasoning("none"), {"thinkingLevel": "low"}),
        ("gemini-3-pro-preview", Reasoning("medium"), {"thinkingLevel": "high", "includeThoughts": True}),
        ("models/gemini-3-flash-preview", Reasoning("minimal"), {"thinkingLevel": "minimal", "includeThoughts": True}),
        ("gemini-3.1-pro", Reasoning("medium"), {"thinkingLevel": "medium", "includeThoughts": True}),
        ("gemini-3.1-pro", Reasoning(budget_tokens=1024), {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-4-ultra", Reasoning("max"), {"thinkingLevel": "high", "includeThoughts": True}),
    ],
)
def test_how_much_to_think(model: str, reasoning: Reasoning, thinking: object) -> None:
    assert config_of(Conversation(model, (ASK,), reasoning=reasoning)) == {"thinkingConfig": thinking}


def test_models_that_do_not_think_are_not_asked_to() -> None:
    assert lost(Conversation("gemini-2.0-flash", (ASK,), reasoning=Reasoning("high"))) == ["reasoning"]


def test_every_knob_has_its_place() -> None:
    sampling = Sampling(0.5, 0.9, 40, 7, 0.1, 0.2, ("END",))
    conversation = Conversation(
        MODEL, (ASK,), sampling=sampling, max_output_tokens=99, output_format=JsonFormat('{"type":"object"}')
    )
    assert config_of(conversation) == {
        "maxOutputTokens": 99,
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "seed": 7,
        "frequencyPenalty": 0.1,
        "presencePenalty": 0.2,
        "stopSequences": ["END"],
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }


@pytest.mark.parametrize(
    "conversation",
    [
        Conversation(MODEL, (ASK,), sampling=Sampling(stop=tuple("abcdef"))),
        Conversation(MODEL, (ASK,), tools=(McpServer("m", "https://m.test"),)),
        Conversation(MODEL, (ASK,), tools=(HostedTool("computer_20250124", "{}"),)),
        Conversation(MODEL, ()),
        Conversation(MODEL, (Turn("user", (ToolResult("nowhere"),)),)),
        Conversation(MODEL, (Turn("user", (Document(FileSource("file-abc")),)),)),
        Conversation(MODEL, (Turn("user", (Image(UrlSource("gs://b/o")),)),)),
        Conversation(MODEL, (Turn("user", (Foreign("anthropic", "container_upload", "{}", essential=True),)),)),
    ],
)
def test_what_cannot_be_said_is_refused(conversation: Conversation) -> None:
    with pytest.raises(InvalidRequest):
        GEMINI.render_request(conversation, STUDIO)


def test_what_is_left_out_is_told() -> None:
    conversation = Conversation(
        MODEL,
        (ASK,),
        tools=(FunctionTool("f", strict=True, deferred=True), WebSearch()),
        parallel_tool_calls=False,
        end_user="u",
        extras={"service_tier": '"auto"', "safety_settings": "[]", "labels": "{}"},
    )
    assert lost(conversation) == [
        "tools.strict",
        "tools.defer_loading",
        "tools.web_search",
        "parallel_tool_calls",
        "service_tier",
        "labels",
        "user",
    ]
    assert "labels" in body_of(conversation, VERTEX)
    assert "safetySettings" in body_of(conversation)


def test_its_own_tools_are_claimed_from_any_client() -> None:
    tools = (
        WebSearch(blocked_domains=("x.test",)),
        HostedTool("", '{"url_context":{}}'),
        HostedTool("codeExecution", "{}"),
    )
    conversation = Conversation(MODEL, (ASK,), tools=tools)
    assert body_of(conversation, VERTEX)["tools"] == [
        {"googleSearch": {"excludeDomains": ["x.test"]}},
        {"url_context": {}},
        {"codeExecution": {}},
    ]
    assert lost(conversation) == ["web_search.blocked_domains"]
