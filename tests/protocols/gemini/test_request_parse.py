"""Requests of Gemini's clients."""

import base64

import msgspec
import pytest

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Audio,
    Base64Source,
    Conversation,
    Document,
    FileSource,
    Foreign,
    FunctionTool,
    Image,
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
)
from app.protocols.opaque import Seal
from tests.protocols.gemini.requests import (
    ASK,
    GEMINI,
    MODEL,
    asking,
    envelope,
    parsed,
)
from tests.protocols.streams import answer


def test_the_cli_is_understood() -> None:
    conversation = GEMINI.parse_request(envelope(answer("gemini/gemini_cli_request.json")), ())
    assert [turn.role for turn in conversation.turns] == ["user", "assistant", "user", "assistant", "user"]
    thought, first, second = conversation.turns[3].blocks
    assert thought == Thinking("", Seal("gemini", "EtsCCtgCAdHtim9kT0VG"))
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert first.arguments == '{"path": "a.txt", "limit": 10.0}'
    assert conversation.turns[4].blocks == (
        ToolResult(first.call_id, (Text("alpha"),)),
        ToolResult(second.call_id, (Text("no such file"),), is_error=True),
    )
    assert first.call_id != second.call_id
    assert conversation.instructions == (Text("You are an interactive CLI agent."),)
    tool = conversation.tools[1]
    assert isinstance(tool, FunctionTool)
    assert tool.parameters is not None
    assert msgspec.json.decode(tool.parameters)["properties"] == {
        "state": {"type": ["string", "null"], "enum": ["open", "closed", None]},
        "labels": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    }
    assert conversation.reasoning == Reasoning(budget_tokens=8192, shown=True)
    assert conversation.max_output_tokens == 8192
    assert conversation.extras == {"sessionId": '"f2f1"'}


def test_both_spellings_are_read_and_lone_objects_count_as_arrays() -> None:
    conversation = parsed(
        {
            "contents": {"parts": {"text": "hi"}},
            "system_instruction": {"parts": {"text": "be brief"}},
            "generation_config": {"max_output_tokens": "7", "stop_sequences": ["x"], "top_k": 3.0},
            "tools": {"function_declarations": {"name": "f", "parameters_json_schema": {"type": "object"}}},
            "tool_config": {"function_calling_config": {"mode": "any", "allowed_function_names": ["f"]}},
        }
    )
    assert conversation == Conversation(
        MODEL,
        (ASK,),
        (Text("be brief"),),
        (FunctionTool("f", parameters='{"type":"object"}'),),
        ToolChoice("tool", "f"),
        sampling=Sampling(top_k=3, stop=("x",)),
        max_output_tokens=7,
    )


def test_the_envelope_counts_every_candidate() -> None:
    asked = envelope(b'{"contents":[],"generationConfig":{"maxOutputTokens":10,"candidateCount":3}}')
    assert (asked.model, asked.max_output_tokens, asked.stream) == (MODEL, 30, False)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "contents"),
        (asking(generationConfig={"candidateCount": 2}), "generationConfig.candidateCount"),
        (asking(generationConfig={"topK": "many"}), "generationConfig.topK"),
        (asking(generationConfig={}, generation_config={}), "generationConfig"),
        (asking(tools=[{"functionDeclarations": [{}]}]), "tools.0.functionDeclarations.0.name"),
        (asking(toolConfig={"functionCallingConfig": {"mode": "MAYBE"}}), "toolConfig.functionCallingConfig.mode"),
        ({"contents": [{"role": "robot", "parts": []}]}, "contents.0.role"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents.0.parts.0.functionCall.name"),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {}}}]}]},
            "contents.0.parts.0.functionResponse",
        ),
        ({"contents": [{"parts": [{"inlineData": {"data": "AA"}}]}]}, "contents.0.parts.0.inlineData"),
        (asking(generationConfig={"responseMimeType": "text/x.enum"}), "generationConfig.responseMimeType"),
    ],
)
def test_what_makes_no_sense_is_named(fields: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(fields)
    assert caught.value.param == param


def test_media_of_every_kind_is_read() -> None:
    data = base64.b64encode(b"text").decode()
    parts = [
        {"inlineData": {"mimeType": "image/png", "data": "-_8"}},
        {"inline_data": {"mime_type": "application/pdf", "data": "AAAA", "displayName": "a.pdf"}},
        {"inlineData": {"mimeType": "text/plain", "data": data}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        {"fileData": {"fileUri": "https://x.test/a.png", "mimeType": "image/png"}},
        {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc"}},
    ]
    assert parsed({"contents": [{"parts": parts}]}).turns[0].blocks == (
        Image(Base64Source("image/png", "+/8=")),
        Document(Base64Source("application/pdf", "AAAA"), "a.pdf"),
        Document(TextSource("text")),
        Audio(Base64Source("audio/wav", "AAAA")),
        Image(UrlSource("https://x.test/a.png", "image/png")),
        Document(FileSource("https://generativelanguage.googleapis.com/v1beta/files/abc")),
    )


def test_videos_and_new_kinds_are_foreign_and_essential() -> None:
    parts = [{"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}, {"hologram": {"x": 1}}, {}]
    blocks = parsed({"contents": [{"parts": parts}]}).turns[0].blocks
    assert [(one.kind, one.essential) for one in blocks if isinstance(one, Foreign)] == [
        ("inlineData", True),
        ("hologram", True),
    ]


def test_pieces_of_a_kept_stream_are_one_turn() -> None:
    pieces = [{"text": "Let me ", "thought": True}, {"text": "see", "thought": True}, {"text": "Hel"}, {"text": "lo"}]
    contents = [{"role": "model", "parts": [piece]} for piece in pieces]
    assert parsed({"contents": contents}).turns == (Turn("assistant", (Thinking("Let me see"), Text("Hello"))),)


def test_of_several_allowed_functions_the_others_are_taken_out() -> None:
    declared = [{"functionDeclarations": [{"name": name} for name in "abc"]}]
    calling = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["a", "c"]}}
    conversation = parsed(asking(tools=declared, toolConfig=calling))
    assert [tool.name for tool in conversation.tools if isinstance(tool, FunctionTool)] == ["a", "c"]
    assert conversation.tool_choice == ToolChoice("any")
