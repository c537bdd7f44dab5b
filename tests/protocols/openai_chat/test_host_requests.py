"""Conversations of other clients as messages to hosts of chat completions."""

import base64
import json
from typing import Any

import pytest

from app.base.errors import InvalidRequest
from app.protocols.codec import Reading
from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
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
from app.protocols.openai_chat.dialect import ChatDialect
from tests.protocols.openai_chat.builders import (
    CALL,
    DEEPSEEK,
    HELLO,
    OPENAI,
    OPENROUTER,
    PLAIN,
    RESULT,
    body_of,
    lost,
    messages_of,
    rendered,
)

PDF = Document(Base64Source("application/pdf", "JVBERi0="), "a.pdf")
PNG = Image(Base64Source("image/png", "iVBORw0="))
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0="}}
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
