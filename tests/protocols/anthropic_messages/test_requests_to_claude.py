"""What a Claude is sent when the client speaks another protocol: messages, content, headers, extras."""

import json
from typing import Any

import pytest

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.dialect import MessagesDialect
from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
    CacheMark,
    Citation,
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
from tests.protocols.anthropic_messages.builders import (
    CALL,
    CODEC,
    HELLO,
    RESULT,
    betas_of,
    body_of,
    conversation,
    lost,
    rendered,
)

HEAD = "You are Claude Code, Anthropic's official CLI for Claude."
BEDROCK = MessagesDialect(
    version_in_body="bedrock-2023-05-31", betas_in_body=True, stream_in_body=False, betas=("b-1",)
)


def user(*blocks: Block) -> tuple[Turn, ...]:
    return (Turn("user", blocks),)


def test_the_least_that_is_sent() -> None:
    given = rendered()
    assert body_of(given) == {
        "model": "claude-sonnet-4-5-20250929",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }
    assert given.headers == ((b"anthropic-version", b"2023-06-01"),)
    assert given.losses == ()


def test_instructions_lead_and_keep_their_cache_marks() -> None:
    body = body_of(rendered(instructions=(Text("A"), Text(" "), Text("B", cache=CacheMark("1h"))), stream=True))
    assert body["system"] == [
        {"type": "text", "text": "A"},
        {"type": "text", "text": "B", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    assert body["stream"] is True


def test_results_of_tools_share_one_message_and_come_first() -> None:
    turns = (
        HELLO,
        Turn("assistant", (Text("I look."),)),
        Turn("assistant", (ToolCall("a", "f", "{}"), ToolCall("b", "g", ""))),
        Turn("user", (ToolResult("a", (Text("1"),)),)),
        Turn("user", (Text("Thanks"), ToolResult("b", (), is_error=True, cache=CacheMark()))),
        Turn("user", (Text("Go on"),)),
    )
    messages = body_of(rendered(turns=turns))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"] == [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {}},
    ]
    assert messages[2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
        {"type": "tool_result", "tool_use_id": "b", "is_error": True, "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "Thanks"},
        {"type": "text", "text": "Go on"},
    ]


def test_arguments_go_out_as_they_came_and_broken_ones_are_kept_as_text() -> None:
    call = Turn("assistant", (ToolCall("a", "f", '{ "x": 1.10 }'), ToolCall("b", "f", '{"x":')))
    given = rendered(turns=(HELLO, call))
    assert b'"input":{ "x": 1.10 }' in given.body
    assert body_of(given)["messages"][1]["content"][1]["input"] == {"raw_arguments": '{"x":'}
    assert lost(given) == {"messages.1.content.1.arguments": "approximated"}


def test_ids_that_claude_refuses_are_made_fitting_in_call_and_result_alike() -> None:
    turns = (
        HELLO,
        Turn("assistant", (ToolCall("functions.f:0", "a.b", "{}"),)),
        Turn("user", (ToolResult("functions.f:0"),)),
    )
    _, call, result = body_of(rendered(turns=turns))["messages"]
    assert call["content"][0]["id"] == result["content"][0]["tool_use_id"]
    assert call["content"][0]["id"].isidentifier()
    assert call["content"][0]["name"].startswith("a_b_")


@pytest.mark.parametrize(
    ("block", "written"),
    [
        (
            Image(Base64Source("image/jpeg", "/9j/"), cache=CacheMark()),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"},
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (
            Image(UrlSource("https://a.example/b.png"), detail="high"),
            {"type": "image", "source": {"type": "url", "url": "https://a.example/b.png"}},
        ),
        (
            Document(Base64Source("application/pdf", "JVBE"), title="T", context="C", cite=True),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
                "title": "T",
                "context": "C",
                "citations": {"enabled": True},
            },
        ),
        (
            Document(Base64Source("text/csv", "YSxi")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a,b"}},
        ),
        (
            Document(Base64Source("image/png", "iVBO")),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
        ),
        (
            Document(TextSource("words")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
        ),
        (
            Document(UrlSource("https://a.example/b.pdf")),
            {"type": "document", "source": {"type": "url", "url": "https://a.example/b.pdf"}},
        ),
        (Refusal("No."), {"type": "text", "text": "No."}),
        (Foreign("anthropic_messages", "x", '{"type":"x","y":1}'), {"type": "x", "y": 1}),
    ],
)
def test_content_finds_its_block(block: Block, written: dict[str, Any]) -> None:
    given = rendered(turns=user(block))
    assert body_of(given)["messages"][0]["content"] == [written]
    assert lost(given) == {}


def test_an_image_to_be_looked_at_in_passing_is_looked_at_closely_and_that_is_said() -> None:
    given = rendered(turns=user(Image(UrlSource("https://a.example/b.png"), detail="low")))
    assert lost(given) == {"messages.0.content.0.detail": "dropped"}


def test_a_file_that_was_uploaded_asks_for_its_beta() -> None:
    given = rendered(turns=user(Document(FileSource("file_1"))))
    assert body_of(given)["messages"][0]["content"][0]["source"] == {"type": "file", "file_id": "file_1"}
    assert betas_of(given) == ["files-api-2025-04-14"]


@pytest.mark.parametrize(
    "block",
    [
        Audio(Base64Source("audio/wav", "UklG")),
        Image(UrlSource("gs://bucket/a.png")),
        Image(TextSource("x")),
        Document(Base64Source("application/zip", "UEsD")),
        Document(Base64Source("text/plain", "no base64!")),
        Foreign("openai_responses", "image_generation_call", "{}", essential=True),
    ],
)
def test_content_that_cannot_be_said_is_refused_by_its_place(block: Block) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rendered(turns=user(block))
    assert caught.value.param == "messages.0.content.0"


def test_what_only_another_host_understands_is_said_as_text_or_noted() -> None:
    search = Foreign("openai_responses", "web_search_call", "{}", text="searched")
    given = rendered(turns=(HELLO, Turn("assistant", (search, Foreign("gemini", "executableCode", "{}"))), RESULT))
    assert body_of(given)["messages"][1]["content"] == [{"type": "text", "text": "searched"}]
    assert lost(given) == {"messages.1.content.0": "approximated", "messages.1.content.1": "dropped"}


def test_own_citations_stay_and_others_are_noted() -> None:
    own = Citation("anthropic_messages", '{"type":"char_location"}')
    other = Citation("openai_chat", "{}", url="https://a.example")
    given = rendered(turns=(HELLO, Turn("assistant", (Text("x", (own, other)),)), HELLO))
    assert body_of(given)["messages"][1]["content"][0]["citations"] == [{"type": "char_location"}]
    assert lost(given) == {"messages.1.content.0.citations": "dropped"}


def test_thinking_returns_to_its_issuer_alone() -> None:
    thoughts = (
        Thinking("mine", Seal("anthropic", "proof")),
        Thinking("", Seal("anthropic", "secret"), redacted=True),
        Thinking("theirs", Seal("gemini", "proof")),
        Thinking("unsealed"),
    )
    given = rendered(turns=(HELLO, Turn("assistant", (*thoughts, Text("So."))), HELLO))
    assert body_of(given)["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "mine", "signature": "proof"},
        {"type": "redacted_thinking", "data": "secret"},
        {"type": "text", "text": "So."},
    ]
    assert lost(given) == {"messages.1.content.2": "dropped", "messages.1.content.3": "dropped"}


def test_a_prefill_loses_the_white_space_that_claude_refuses() -> None:
    body = body_of(rendered(turns=(HELLO, Turn("assistant", (Text("{ \n"),)))))
    assert body["messages"][-1] == {"role": "assistant", "content": [{"type": "text", "text": "{"}]}


@pytest.mark.parametrize("turns", [(), (Turn("assistant", ()),), user(Text(" \n"))])
def test_a_request_without_a_message_is_refused(turns: tuple[Turn, ...]) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rendered(turns=turns, instructions=(Text("alone"),))
    assert caught.value.param == "messages"


NOTE = Turn("system", (Text("The date changed."),))


def test_system_text_in_the_middle_follows_the_user_where_the_model_takes_it() -> None:
    given = rendered("claude-opus-4-8", turns=(HELLO, NOTE, CALL, RESULT))
    assert [message["role"] for message in body_of(given)["messages"]] == ["user", "system", "assistant", "user"]
    assert lost(given) == {}


def test_system_text_never_comes_between_a_call_and_its_result() -> None:
    messages = body_of(rendered("claude-opus-4-8", turns=(HELLO, CALL, NOTE, RESULT)))["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "system"]


@pytest.mark.parametrize(
    ("model", "dialect", "turns"),
    [
        ("claude-sonnet-4-5", MessagesDialect(), (HELLO, NOTE, CALL, RESULT)),
        ("claude-opus-4-8", MessagesDialect(takes_system_turns=False), (HELLO, NOTE, CALL, RESULT)),
        ("claude-opus-4-8", MessagesDialect(), (NOTE, CALL, RESULT)),
    ],
)
def test_elsewhere_it_joins_the_leading_system_text(model: str, dialect: MessagesDialect, turns: Any) -> None:
    given = rendered(model, dialect, turns=turns, instructions=(Text("Be brief."),))
    assert [block["text"] for block in body_of(given)["system"]] == ["Be brief.", "The date changed."]
    assert "system" not in [message["role"] for message in body_of(given)["messages"]]
    assert "approximated" in lost(given).values()


@pytest.mark.parametrize("instructions", [(), (Text("Mine."),), (Text(HEAD), Text("Mine."))])
def test_a_host_that_insists_on_a_first_system_block_gets_it_once(instructions: tuple[Text, ...]) -> None:
    system = body_of(rendered(dialect=MessagesDialect(system_head=HEAD), instructions=instructions))["system"]
    assert [block["text"] for block in system] == [HEAD, *(["Mine."] if instructions else [])]


def test_a_cloud_has_version_and_betas_in_the_body_and_the_model_in_the_path() -> None:
    given = rendered(dialect=BEDROCK, stream=True, headers=(("anthropic-beta", "b-2, b-1"),))
    body = body_of(given)
    assert (body["anthropic_version"], body["anthropic_beta"]) == ("bedrock-2023-05-31", ["b-1", "b-2"])
    assert "model" not in body
    assert "stream" not in body
    assert given.headers == ()


def test_headers_of_the_caller_are_merged_and_the_required_ones_stay() -> None:
    given = rendered(
        dialect=MessagesDialect(betas=("oauth-2025-04-20",)),
        headers=(
            ("anthropic-beta", "max-tokens-3-5-sonnet-2024-07-15, oauth-2025-04-20"),
            ("anthropic-version", "1999-01-01"),
            ("authorization", "Bearer theirs"),
            ("x-team", "blue"),
            ("x-broken", "a\r\nb: c"),
        ),
    )
    assert dict(given.headers) == {
        b"anthropic-version": b"2023-06-01",
        b"anthropic-beta": b"oauth-2025-04-20,max-tokens-3-5-sonnet-2024-07-15",
        b"x-team": b"blue",
    }
    assert set(lost(given)) == {
        "extra_headers.anthropic-version",
        "extra_headers.authorization",
        "extra_headers.x-broken",
    }


@pytest.mark.parametrize(
    ("name", "value", "betas"),
    [
        ("context_management", {"edits": [{"type": "clear_tool_uses_20250919"}]}, ["context-management-2025-06-27"]),
        (
            "container",
            {"skills": [{"type": "anthropic", "skill_id": "pptx", "version": "latest"}]},
            ["code-execution-2025-08-25", "skills-2025-10-02"],
        ),
        ("container", "container_01", ["code-execution-2025-08-25"]),
        (
            "mcp_servers",
            [{"type": "url", "url": "https://m.example", "name": "m"}],
            ["mcp-client-2025-04-04"],
        ),
        ("output_format", {"type": "json_schema", "schema": {}}, ["structured-outputs-2025-11-13"]),
        ("output_config", {"effort": "low"}, [""]),
        ("cache_control", {"type": "ephemeral"}, [""]),
        ("top_k", 5, [""]),
        ("stop_sequences", ["END"], [""]),
        ("service_tier", "standard_only", [""]),
    ],
)
def test_claudes_own_fields_pass_from_any_client(name: str, value: Any, betas: list[str]) -> None:
    given = rendered(extras={name: json.dumps(value)})
    assert body_of(given)[name] == value
    assert betas_of(given) == betas
    assert lost(given) == {}


def test_fields_of_other_vendors_are_dropped_by_name() -> None:
    extras = {
        "metadata": '{"user_id":"x"}',
        "store": "true",
        "service_tier": '"flex"',
        "context_management": '[{"type":"compaction"}]',
    }
    given = rendered(extras=extras)
    assert set(body_of(given)) == {"model", "max_tokens", "messages"}
    assert lost(given) == dict.fromkeys(extras, "dropped")


@pytest.mark.parametrize("user_id", ["u-1", "550e8400-e29b-41d4-a716-446655440000", "team:7|x"])
def test_an_opaque_user_goes_along(user_id: str) -> None:
    assert body_of(rendered(end_user=user_id))["metadata"] == {"user_id": user_id}


@pytest.mark.parametrize("user_id", ["ann@example.org", "Ann Example", "+47 555 01 234", "0155 1234567", "x" * 257])
def test_a_user_by_name_mail_or_telephone_stays_here(user_id: str) -> None:
    given = rendered(end_user=user_id)
    assert "metadata" not in body_of(given)
    assert lost(given) == {"user": "dropped"}


@pytest.mark.parametrize("name", ["thinking", "output_config", "mcp_servers", "stop_sequences"])
def test_an_own_field_of_the_wrong_type_is_named(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        rendered(extras={name: "5"})
    assert caught.value.param == name


def test_a_conversation_of_claude_code_returns_as_it_was() -> None:
    turns = (
        Turn("user", (Text("Look.", cache=CacheMark()),)),
        Turn("assistant", (Thinking("Hm.", Seal("anthropic", "proof")), ToolCall("a", "f", '{"x": 1}'))),
        Turn("user", (ToolResult("a", (Text("1"), Image(UrlSource("https://a.example"))), is_error=True), Text("So?"))),
    )
    before = conversation(turns=turns, instructions=(Text("Brief."),), max_output_tokens=9, end_user="u", stream=True)
    body = CODEC.render_request(before, MessagesDialect()).body
    assert CODEC.parse_request(CODEC.read_envelope(body), ()) == before


def test_vertex_has_the_version_in_the_body_and_the_betas_in_the_header_and_says_stream_twice() -> None:
    given = rendered(
        dialect=MessagesDialect(version_in_body="vertex-2023-10-16"),
        stream=True,
        headers=(("anthropic-beta", "b-2, b-1"),),
    )
    body = body_of(given)
    assert (body["anthropic_version"], body["stream"]) == ("vertex-2023-10-16", True)
    assert not {"model", "anthropic_beta"} & body.keys()
    assert dict(given.headers)[b"anthropic-beta"] == b"b-2,b-1"
