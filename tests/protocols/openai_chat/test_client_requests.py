"""The messages of a client of chat completions, as turns."""

from typing import Any

import pytest

from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
    CacheMark,
    Document,
    FileSource,
    Foreign,
    Image,
    Refusal,
    Text,
    TextSource,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    UrlSource,
)
from app.protocols.opaque import Seal
from tests.protocols.openai_chat.builders import parsed

EPHEMERAL = {"type": "ephemeral"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
PNG = "iVBORw0KGgoAAAANSUhEUg"


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def block_of(part: dict[str, Any]) -> Block:
    return parsed(user(part)).turns[0].blocks[0]


def test_leading_system_text_is_instructions_and_later_text_a_system_turn() -> None:
    read = parsed(
        {"role": "system", "content": "one"},
        {"role": "developer", "content": [{"type": "text", "text": "two", "cache_control": EPHEMERAL}]},
        {"role": "user", "content": "Hello"},
        {"role": "system", "content": "three"},
    )
    assert read.instructions == (Text("one"), Text("two", cache=CacheMark()))
    assert read.turns == (Turn("user", (Text("Hello"),)), Turn("system", (Text("three"),)))


@pytest.mark.parametrize(
    ("part", "block"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text("a", cache=CacheMark("1h")),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,/9j/", "detail": "low"}},
            Image(Base64Source("image/jpeg", "/9j/"), "low"),
        ),
        ({"type": "image_url", "image_url": {"url": "https://a/b.png"}}, Image(UrlSource("https://a/b.png"))),
        ({"type": "image_url", "image_url": "https://a/b.png"}, Image(UrlSource("https://a/b.png"))),
        ({"type": "image_url", "image_url": {"url": PNG}}, Image(Base64Source("image/png", PNG))),
        (
            {"type": "image_url", "image_url": {"url": "/9j/4AAQSkZJRgABAQ"}},
            Image(Base64Source("image/jpeg", "/9j/4AAQSkZJRgABAQ")),
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
            Document(Base64Source("application/pdf", "JVBERi0="), "a.pdf"),
        ),
        (
            {"type": "file", "file": {"file_data": "data:image/png;base64,AAAA"}},
            Image(Base64Source("image/png", "AAAA")),
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, Document(FileSource("file-1"))),
        (
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
            Audio(Base64Source("audio/wav", "UklGRg==")),
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "The grass is green."},
                "title": "My Document",
                "context": "trustworthy",
                "citations": {"enabled": True},
                "cache_control": EPHEMERAL,
            },
            Document(TextSource("The grass is green."), "My Document", "trustworthy", cite=True, cache=CacheMark()),
        ),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "R0lG"}},
            Image(Base64Source("image/gif", "R0lG")),
        ),
        (
            {"type": "search_result", "source": {"type": "url"}, "n": 1.10},
            Foreign(
                "anthropic_messages",
                "search_result",
                '{"type": "search_result", "source": {"type": "url"}, "n": 1.1}',
                essential=True,
            ),
        ),
        (
            {"type": "hologram", "text": "x"},
            Foreign("openai_chat", "hologram", '{"type": "hologram", "text": "x"}', text="x", essential=True),
        ),
    ],
)
def test_each_kind_of_part_has_its_block(part: dict[str, Any], block: Block) -> None:
    assert block_of(part) == block


def test_what_an_assistant_said_is_read_back() -> None:
    read = parsed(
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
            "tool_calls": [CALL, {"id": "call_2", "type": "custom", "custom": {"name": "g", "input": 'x"y'}}],
            "cache_control": EPHEMERAL,
        },
        {"role": "tool", "tool_call_id": "call_1", "name": "f", "content": "4"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "b"}]},
        {"role": "user", "content": "more", "cache_control": EPHEMERAL},
    )
    assert read.turns[1:] == (
        Turn(
            "assistant",
            (
                Text("a"),
                Refusal("no"),
                ToolCall("call_1", "f", '{"a":1}'),
                ToolCall("call_2", "g", '{"input":"x\\"y"}', CacheMark()),
            ),
        ),
        Turn("user", (ToolResult("call_1", (Text("4"),)), ToolResult("call_2", (Text("b"),)))),
        Turn("user", (Text("more", cache=CacheMark()),)),
    )


def test_empty_arguments_are_an_empty_object_and_empty_content_is_nothing() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
    read = parsed({"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "user", "content": ""})
    assert read.turns == (Turn("assistant", (ToolCall("c", "f", "{}"),)),)


def test_a_legacy_function_call_finds_its_result() -> None:
    read = parsed(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "4"},
    )
    call = read.turns[0].blocks[0]
    assert isinstance(call, ToolCall)
    assert read.turns[1].blocks == (ToolResult(call.call_id, (Text("4"),)),)


def test_thoughts_come_back_with_the_seal_of_whoever_issued_it() -> None:
    blocks = [
        {"type": "thinking", "thinking": "a", "signature": "EqQB"},
        {"type": "thinking", "thinking": "b", "signature": "kh1.gemini.CikB"},
        {"type": "redacted_thinking", "data": "EmwK"},
        {"type": "thinking", "thinking": "c"},
    ]
    read = parsed({"role": "assistant", "content": "d", "reasoning_content": "abc", "thinking_blocks": blocks})
    assert read.turns[0].blocks == (
        Thinking("a", Seal("anthropic", "EqQB")),
        Thinking("b", Seal("gemini", "CikB")),
        Thinking("", Seal("anthropic", "EmwK"), redacted=True),
        Thinking("c"),
        Text("d"),
    )
    alone = parsed({"role": "assistant", "content": "d", "reasoning_content": "abc"})
    assert alone.turns[0].blocks == (Thinking("abc"), Text("d"))
