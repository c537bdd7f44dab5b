"""A client's request, as Codex and OpenAI's SDK write them, becomes a Conversation."""

import base64
import json
from typing import Any

import pytest

from app.protocols.conversation import (
    Audio,
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
    Refusal,
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
from tests.protocols.openai_responses.room import HELLO, parsed

FUNCTION = {
    "type": "function",
    "name": "f",
    "description": "Does f.",
    "parameters": {"type": "object"},
    "strict": False,
}


def blocks_of(*items: dict[str, Any]) -> list[Any]:
    """All blocks of the turns that these items make after a greeting."""
    return [block for turn in parsed(input=[*HELLO, *items]).turns[1:] for block in turn.blocks]


def part_of(**part: Any) -> Any:
    """A user's part as a block."""
    (block,) = blocks_of({"role": "user", "content": [part]})
    return block


CODEX = {
    "instructions": "You are a coding agent.",
    "input": [
        {"type": "message", "id": "msg_1", "role": "developer", "content": [{"type": "input_text", "text": "Rules"}]},
        {"type": "message", "id": "msg_2", "role": "user", "content": [{"type": "input_text", "text": "<env/>"}]},
        {"type": "message", "id": "msg_3", "role": "user", "content": [{"type": "input_text", "text": "run it"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": None, "encrypted_content": "gAAA"},
        {
            "type": "message",
            "status": "completed",
            "id": "msg_4",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Running.", "annotations": [], "logprobs": []}],
        },
        {"type": "function_call", "id": "fc_1", "name": "exec", "arguments": '{"cmd": "ls"}', "call_id": "call_1"},
        {"type": "function_call", "id": "fc_2", "name": "exec", "arguments": "", "call_id": "call_2"},
        {"type": "function_call_output", "id": "fco_1", "call_id": "call_1", "output": "a.txt\n"},
        {"type": "function_call_output", "id": "fco_2", "call_id": "call_2", "output": ""},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0198",
    "client_metadata": {"session_id": "0198"},
    "tools": [
        FUNCTION,
        {"type": "namespace", "name": "agents", "description": "Sub-agents.", "tools": [{**FUNCTION, "name": "close"}]},
        {"type": "web_search", "external_web_access": True},
    ],
}


def test_codexs_second_request_is_read() -> None:
    conversation = parsed(**CODEX)
    assert conversation.instructions == (Text("You are a coding agent."), Text("Rules"))
    assert conversation.turns == (
        Turn("user", (Text("<env/>"),)),
        Turn("user", (Text("run it"),)),
        Turn(
            "assistant",
            (
                Thinking("", Seal("openai", "rs_1:gAAA")),
                Text("Running."),
                ToolCall("call_1", "exec", '{"cmd": "ls"}'),
                ToolCall("call_2", "exec", "{}"),
            ),
        ),
        Turn("user", (ToolResult("call_1", (Text("a.txt\n"),)), ToolResult("call_2"))),
    )
    assert conversation.tools == (
        FunctionTool("f", "Does f.", '{"type": "object"}', strict=False),
        FunctionTool("agents__close", "Does f.", '{"type": "object"}', strict=False),
        WebSearch(),
    )
    assert (conversation.tool_choice, conversation.parallel_tool_calls) == (ToolChoice("auto"), True)
    assert conversation.reasoning == Reasoning(shown=True)
    assert conversation.stream
    assert conversation.extras == {"prompt_cache_key": '"0198"', "client_metadata": '{"session_id": "0198"}'}


def test_a_text_alone_is_what_the_user_says() -> None:
    assert parsed(input="Hello").turns == (Turn("user", (Text("Hello"),)),)


def test_system_text_in_the_middle_stays_there() -> None:
    turns = parsed(input=[*HELLO, {"role": "system", "content": "Be brief."}]).turns
    assert turns[1] == Turn("system", (Text("Be brief."),))


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "input_text", "text": "a"}, Text("a")),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}},
            Text("a", cache=CacheMark("1h")),
        ),
        (
            {"type": "input_image", "image_url": "data:image/png;base64,iVBO", "detail": "low"},
            Image(Base64Source("image/png", "iVBO"), "low"),
        ),
        (
            {"type": "input_image", "image_url": "https://example.org/a.png"},
            Image(UrlSource("https://example.org/a.png")),
        ),
        ({"type": "input_image", "file_id": "file-1", "detail": "auto"}, Image(FileSource("file-1"), "auto")),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
            Document(Base64Source("application/pdf", "JVBE"), "a.pdf"),
        ),
        ({"type": "input_file", "file_data": "JVBE"}, Document(Base64Source("application/pdf", "JVBE"))),
        (
            {"type": "input_file", "filename": "a.TXT", "file_data": base64.b64encode("é".encode()).decode()},
            Document(TextSource("é"), "a.TXT"),
        ),
        (
            {"type": "input_file", "file_data": "data:text/plain;charset=utf-8;base64,YQ=="},
            Document(TextSource("a")),
        ),
        (
            {"type": "input_file", "file_data": "data:text/plain;base64,/w=="},
            Document(Base64Source("text/plain", "/w==")),
        ),
        ({"type": "input_file", "file_data": "data:image/png;base64,iVBO"}, Image(Base64Source("image/png", "iVBO"))),
        (
            {"type": "input_file", "file_url": "https://example.org/a.pdf"},
            Document(UrlSource("https://example.org/a.pdf")),
        ),
        ({"type": "input_file", "file_id": "file-1"}, Document(FileSource("file-1"))),
        (
            {"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}},
            Audio(Base64Source("audio/wav", "UklG")),
        ),
    ],
)
def test_every_part_becomes_a_block(part: dict[str, Any], block: object) -> None:
    assert part_of(**part) == block


def test_a_part_that_is_not_known_is_carried() -> None:
    assert part_of(type="input_smell", of=[1.10]) == Foreign(
        "openai_responses", "input_smell", '{"type": "input_smell", "of": [1.1]}'
    )


def test_a_refusal_and_the_citations_of_an_answer_are_read() -> None:
    annotation = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 4}
    content = [
        {"type": "output_text", "text": "Text", "annotations": [annotation, {"type": "file_path", "file_id": "f"}, 5]},
        {"type": "refusal", "refusal": "No."},
    ]
    text, refusal = blocks_of({"type": "message", "role": "assistant", "content": content})
    assert refusal == Refusal("No.")
    assert [(one.url, one.start, one.end) for one in text.citations] == [("https://a", 0, 4), (None, None, None)]


def test_the_result_of_a_tool_may_hold_images_and_files() -> None:
    output = [
        {"type": "input_text", "text": "seen"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBO"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,JVBE"},
        {"type": "refusal", "refusal": "No."},
    ]
    (result,) = blocks_of({"type": "function_call_output", "call_id": "c", "output": output})
    assert [type(block).__name__ for block in result.blocks] == ["Text", "Image", "Document", "Text"]


def test_a_custom_tools_call_is_a_call_with_one_argument() -> None:
    call, result = blocks_of(
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": '*** "é"\n'},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "Done."},
    )
    assert (call.name, json.loads(call.arguments)) == ("apply_patch", {"input": '*** "é"\n'})
    assert result == ToolResult("c", (Text("Done."),))


def test_a_call_in_a_namespace_has_the_name_of_its_tool() -> None:
    item = {"type": "function_call", "call_id": "c", "namespace": "agents", "name": "close", "arguments": "{}"}
    assert blocks_of(item) == [ToolCall("c", "agents__close", "{}")]
    (long,) = blocks_of(item | {"namespace": "mcp__" + "x" * 80})
    assert len(long.name) == 64


@pytest.mark.parametrize("arguments", ["{broken", "[1]", '"text"', "5"])
def test_broken_arguments_of_a_model_are_kept_in_an_object(arguments: str) -> None:
    (call,) = blocks_of({"type": "function_call", "call_id": "c", "name": "f", "arguments": arguments})
    assert json.loads(call.arguments) == {"arguments": arguments}


@pytest.mark.parametrize(
    ("item", "thinking"),
    [
        (
            {"summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]},
            Thinking("a\n\nb"),
        ),
        ({"summary": [], "content": [{"type": "reasoning_text", "text": "a"}]}, Thinking("a")),
        ({"id": "rs_1", "summary": [], "encrypted_content": "E"}, Thinking("", Seal("openai", "rs_1:E"))),
        ({"summary": [], "encrypted_content": "E"}, Thinking("", Seal("openai", ":E"))),
        ({"id": "rs_1", "summary": [], "encrypted_content": "kh1.anthropic.S"}, Thinking("", Seal("anthropic", "S"))),
    ],
)
def test_reasoning_comes_back_with_its_seal(item: dict[str, Any], thinking: Thinking) -> None:
    assert blocks_of({"type": "reasoning", **item}) == [thinking]


@pytest.mark.parametrize(
    ("item", "text", "essential", "role"),
    [
        ({"type": "web_search_call", "id": "ws", "status": "completed"}, None, False, "assistant"),
        (
            {"type": "local_shell_call", "call_id": "c", "action": {"command": ["ls"]}},
            '[local_shell_call: {"command":["ls"]}]',
            False,
            "assistant",
        ),
        ({"type": "local_shell_call_output", "id": "c", "output": "a"}, "[local_shell_call_output: a]", False, "user"),
        (
            {"type": "mcp_call", "server_label": "s", "name": "f", "arguments": "{}", "output": "42"},
            "[mcp_call: s · f · {} · 42]",
            False,
            "assistant",
        ),
        ({"type": "computer_call", "call_id": "c", "action": {}}, None, True, "assistant"),
        ({"type": "computer_call_output", "call_id": "c", "output": {}}, None, True, "user"),
        ({"type": "compaction", "encrypted_content": "E"}, None, True, "assistant"),
        ({"type": "mcp_approval_response", "approve": True}, None, False, "user"),
        ({"type": "never_heard_of"}, None, False, "assistant"),
    ],
)
def test_items_of_openais_own_are_carried(item: dict[str, Any], text: str | None, essential: bool, role: str) -> None:
    turn = parsed(input=[*HELLO, item]).turns[1]
    foreign = Foreign("openai_responses", item["type"], json.dumps(item), text, essential)
    assert turn == Turn("user" if role == "user" else "assistant", (foreign,))


@pytest.mark.parametrize(
    ("tool", "read"),
    [
        ({"type": "function", "name": "f"}, FunctionTool("f")),
        ({"type": "function", "name": "f", "parameters": None, "strict": True}, FunctionTool("f", strict=True)),
        ({"type": "function", "name": "f", "defer_loading": True}, FunctionTool("f", deferred=True)),
        (
            {
                "type": "web_search_preview",
                "search_context_size": "low",
                "user_location": {"type": "approximate", "city": "Oslo", "country": None},
            },
            WebSearch("low", user_location='{"city":"Oslo"}'),
        ),
        (
            {"type": "web_search", "filters": {"allowed_domains": ["a.org"]}},
            WebSearch(allowed_domains=("a.org",)),
        ),
        (
            {
                "type": "mcp",
                "server_label": "docs",
                "server_url": "https://mcp.example.org",
                "require_approval": "never",
                "headers": {"Authorization": "Bearer t0ken"},
                "allowed_tools": {"tool_names": ["a"]},
            },
            McpServer("docs", "https://mcp.example.org", "t0ken", ("a",)),
        ),
        ({"type": "code_interpreter"}, HostedTool("code_interpreter", '{"type": "code_interpreter"}')),
    ],
)
def test_every_tool_is_read(tool: dict[str, Any], read: object) -> None:
    assert parsed(tools=[tool]).tools == (read,)


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    grammar = {"type": "grammar", "syntax": "lark", "definition": "start: /x/"}
    (tool,) = parsed(tools=[{"type": "custom", "name": "patch", "description": "Edits.", "format": grammar}]).tools
    assert isinstance(tool, FunctionTool)
    assert tool.description is not None
    assert "lark grammar:\nstart: /x/" in tool.description
    assert json.loads(tool.parameters or "")["required"] == ["input"]


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        ("auto", ToolChoice("auto")),
        ("required", ToolChoice("any")),
        ("none", ToolChoice("none")),
        ({"type": "function", "name": "f"}, ToolChoice("tool", "f")),
        ({"type": "custom", "name": "f"}, ToolChoice("tool", "f")),
        ({"type": "web_search_preview"}, ToolChoice("tool", "web_search")),
        (None, None),
    ],
)
def test_every_choice_of_a_tool_is_read(choice: object, read: object) -> None:
    assert parsed(tools=[FUNCTION], tool_choice=choice).tool_choice == read


def test_allowed_tools_are_those_that_the_model_gets() -> None:
    tools = [FUNCTION, {**FUNCTION, "name": "g"}, {"type": "web_search"}]
    allowed = [{"type": "function", "name": "g"}, {"type": "web_search"}]
    conversation = parsed(tools=tools, tool_choice={"type": "allowed_tools", "mode": "required", "tools": allowed})
    assert [getattr(tool, "name", "search") for tool in conversation.tools] == ["g", "search"]
    assert conversation.tool_choice == ToolChoice("any")


def test_settings_are_read() -> None:
    conversation = parsed(
        temperature=0.5,
        top_p=1,
        max_output_tokens=99,
        reasoning={"effort": "xhigh", "summary": "detailed"},
        text={
            "format": {"type": "json_schema", "name": "a", "schema": {"type": "object"}, "strict": True},
            "verbosity": "low",
        },
        user="u",
        safety_identifier="s",
        service_tier="flex",
        metadata={"tags": ["a"], "run": "7"},
    )
    assert conversation.sampling == Sampling(temperature=0.5, top_p=1.0)
    assert conversation.max_output_tokens == 99
    assert conversation.reasoning == Reasoning(effort="xhigh", shown=True)
    assert conversation.output_format == JsonFormat('{"type": "object"}', "a", strict=True)
    assert conversation.end_user == "s"
    assert conversation.extras == {"service_tier": '"flex"', "metadata": '{"run":"7"}', "verbosity": '"low"'}


def test_what_says_nothing_is_no_extra() -> None:
    idle = {"store": False, "background": False, "truncation": "disabled", "top_logprobs": None, "prompt": None}
    assert parsed(**idle, metadata={"tags": ["a"]}, include=["reasoning.encrypted_content"]).extras == {}


def test_what_is_asked_for_and_cannot_be_given_is_an_extra() -> None:
    asked = {"store": True, "truncation": "auto", "include": ["reasoning.encrypted_content", "other"]}
    assert parsed(**asked).extras == {"store": "true", "truncation": '"auto"', "include": '["other"]'}
