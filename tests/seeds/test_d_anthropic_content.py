"""Part D, Anthropic for chat clients: cache marks, pictures, PDFs, citations, headers, a begun answer."""

import json
from typing import Any

import openai
import pytest

from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.asking import USER, WEATHER, ask, hear, member_of, text_of
from tests.seeds.conftest import sent_body

pytestmark = [pytest.mark.services, pytest.mark.contract]

SONNET = "anthropic/claude-3-5-sonnet-20240620"
MARK = {"type": "ephemeral"}
AGREEMENT = "Here is the full text of a complex legal agreement"
TERMS = "What are the key terms and conditions in this agreement?"
JPEG = "/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////"
PDF = "JVBERi0xLjQKJcOkw7zDtsOfCg=="
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "The grass is green. The sky is blue."},
    "title": "My Document",
    "context": "This is a trustworthy document.",
    "citations": {"enabled": True},
}
CITATION = {
    "type": "char_location", "cited_text": "The grass is green. ", "document_index": 0,
    "document_title": "My Document", "start_char_index": 0, "end_char_index": 20, "file_id": None,
}  # fmt: skip


def event(name: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps({"type": name, **fields}).encode())


def marked(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text, "cache_control": MARK}


async def test_d68_a_large_context_is_marked_on_its_system_block(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    blocks = [{"type": "text", "text": "You analyze legal documents."}, marked(AGREEMENT)]
    await ask(openai_client, SONNET, [{"role": "system", "content": blocks}, {"role": "user", "content": TERMS}])
    assert sent_body(upstream)["system"] == blocks
    assert upstream.requests[-1].header("anthropic-beta") is None, "no beta is needed any more"


@pytest.mark.parametrize("inside", [True, False], ids=["inside the function", "on the tool"])
async def test_d68_the_last_tool_is_marked(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, inside: bool
) -> None:
    function = WEATHER["function"]
    assert isinstance(function, dict)
    tool = (
        {"function": {**function, "cache_control": MARK}} if inside else {"function": function, "cache_control": MARK}
    )
    other = {"type": "function", "function": {"name": "other", "parameters": {"type": "object"}}}
    await ask(openai_client, SONNET, tools=[other, {"type": "function", **tool}])
    first, last = sent_body(upstream)["tools"]
    assert (first.get("cache_control"), last["cache_control"]) == (None, MARK)


async def test_d68_d85_turns_are_marked_and_keep_their_blocks(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    messages = [
        {"role": "system", "content": [marked(AGREEMENT * 400)]},
        {"role": "user", "content": [{"type": "text", "text": "I have a question."}, marked(TERMS)]},
        {"role": "assistant", "content": "Certainly! the contract is 1 year long for $10/mo"},
        {"role": "user", "content": [marked(TERMS)]},
    ]
    await ask(openai_client, SONNET, messages)
    body = sent_body(upstream)
    assert body["system"] == [marked(AGREEMENT * 400)]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][0]["content"] == [{"type": "text", "text": "I have a question."}, marked(TERMS)]
    assert body["messages"][2]["content"] == [marked(TERMS)]


async def test_d76_a_picture_in_base64_is_shown(openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{JPEG}"}}
    content = [{"type": "text", "text": "Whats in this image?"}, picture]
    await ask(openai_client, "anthropic/claude-3-opus-20240229", [{"role": "user", "content": content}])
    (message,) = sent_body(upstream)["messages"]
    assert message["content"] == [
        {"type": "text", "text": "Whats in this image?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": JPEG}},
    ]


async def test_d77_extra_headers_are_sent_along(openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    wanted = {"anthropic-beta": "max-tokens-3-5-sonnet-2024-07-15"}
    await ask(openai_client, SONNET, extra_headers=wanted)
    assert upstream.requests[-1].header("anthropic-beta") == wanted["anthropic-beta"]
    messages: Any = USER
    await openai_client.chat.completions.create(model=SONNET, messages=messages, extra_headers=wanted)
    assert upstream.requests[-1].header("anthropic-beta") == wanted["anthropic-beta"]


async def test_d78_an_answer_goes_on_from_its_beginning_and_does_not_repeat_it(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=(' "Hello": "Hallo" }',))
    begun = {"role": "assistant", "content": "{"}
    completion = await ask(openai_client, "claude-2.1", [{"role": "user", "content": "How do you say Hello?"}, begun])
    last = sent_body(upstream)["messages"][-1]
    assert (last["role"], last["content"]) == ("assistant", [{"type": "text", "text": "{"}])
    assert completion.choices[0].message.content == ' "Hello": "Hallo" }'


async def test_d79_a_pdf_is_given_as_a_file(openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream) -> None:
    content = [
        {"type": "text", "text": "Please summarize the given document."},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}},
    ]
    await ask(
        openai_client, "anthropic/claude-3-5-haiku-20241022", [{"role": "user", "content": content}], max_tokens=300
    )
    (message,) = sent_body(upstream)["messages"]
    assert message["content"][1] == {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
    }


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_d80_citations_are_asked_for_and_given(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, stream: bool
) -> None:
    usage = {"input_tokens": 9, "output_tokens": 4}
    message: dict[str, Any] = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-3-5-sonnet-20241022", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    cited = {"type": "text", "text": "The grass is green.", "citations": [CITATION]}
    frames = (
        event("message_start", message=message),
        event("content_block_start", index=0, content_block={"type": "text", "text": "", "citations": []}),
        event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": CITATION}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": cited["text"]}),
        event("content_block_stop", index=0),
        event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage=usage),
        event("message_stop"),
    )
    whole = json.dumps(message | {"content": [cited], "stop_reason": "end_turn"}).encode()
    upstream.default = Script(raw=b"".join(frames) if stream else whole)
    question = {"type": "text", "text": "What color is the grass and sky?"}
    messages = [{"role": "user", "content": [DOCUMENT, question]}]
    if stream:
        chunks = await hear(openai_client, "claude-3-5-sonnet-20241022", messages)
        (specific,) = member_of(chunks, "provider_specific_fields")
        assert text_of(chunks) == "The grass is green."
    else:
        said = (await ask(openai_client, "claude-3-5-sonnet-20241022", messages)).choices[0].message
        specific = said.provider_specific_fields
        assert said.content == "The grass is green."
    assert specific["citations"] == [[CITATION]]
    assert sent_body(upstream)["messages"][0]["content"] == [DOCUMENT, question]


async def test_d81_the_user_is_anthropics_user_id(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(openai_client, SONNET, user="user_123")
    assert sent_body(upstream)["metadata"] == {"user_id": "user_123"}


@pytest.mark.parametrize("role", ["system", "user"])
async def test_d85_content_in_blocks_keeps_them(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, role: str
) -> None:
    blocks = [marked("First."), {"type": "text", "text": "Second."}]
    await ask(
        openai_client,
        SONNET,
        [{"role": role, "content": blocks}, *USER] if role == "system" else [{"role": role, "content": blocks}],
    )
    body = sent_body(upstream)
    assert (body["system"] if role == "system" else body["messages"][0]["content"]) == blocks
