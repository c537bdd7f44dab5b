"""Answers for clients of chat completions, whole and streamed; OpenAI's own SDK reads them."""

import json
from typing import Any

import pytest

from app.domain.usage import Usage
from app.protocols.conversation import Base64Source, Block, Citation, Foreign, Image, Refusal, Text, Thinking, ToolCall
from app.protocols.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Ended,
    Event,
    Failed,
    Generation,
    Heartbeat,
    Started,
    unfold,
)
from app.protocols.opaque import Seal
from tests.protocols.openai_chat.builders import CODEC, asked, parsed

USAGE = Usage(input=30, cache_read=8, cache_write_5m=3, cache_write_1h=1, output=20, reasoning=5)
WEB = Citation("anthropic_messages", '{"type":"web"}', url="https://a", title="A", start=0, end=4)
PAGE = Citation("anthropic_messages", '{"type":"page_location"}', cited_text="x")


def generation(*blocks: Block, **fields: Any) -> Generation:
    return Generation(**({"generation_id": "msg_1", "model": "claude", "blocks": blocks, "finish": "stop"} | fields))


def whole(*blocks: Block, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(CODEC.render_response(generation(*blocks, **fields), asked()))
    return answer


def message(*blocks: Block, **fields: Any) -> dict[str, Any]:
    said: dict[str, Any] = whole(*blocks, **fields)["choices"][0]["message"]
    return said


def frames_of(events: list[Event], **request: Any) -> list[Any]:
    """What each frame holds; texts for those that are no JSON."""
    renderer = CODEC.stream_renderer(asked(**request))
    frames = b"".join(renderer.feed(event) for event in events).split(b"\n\n")
    assert frames.pop() == b""
    data = [frame.removeprefix(b"data: ") for frame in frames]
    return [json.loads(each) if each.startswith(b"{") else each.decode() for each in data]


def deltas(*blocks: Block, **fields: Any) -> list[dict[str, Any]]:
    frames = frames_of(unfold(generation(*blocks, **fields)))
    assert frames.pop() == "[DONE]"
    return [frame["choices"][0]["delta"] for frame in frames]


def test_a_whole_answer_has_the_shape_of_openais() -> None:
    answer = whole(Text("Hello"), usage=USAGE)
    assert answer == {
        "id": "chatcmpl-msg_1",
        "object": "chat.completion",
        "created": 1_795_219_200,
        "model": "asked-model",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hello", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 42,
            "completion_tokens": 20,
            "total_tokens": 62,
            "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 0},
            "cache_creation_input_tokens": 4,
            "cache_read_input_tokens": 8,
        },
    }
    assert whole(generation_id="chatcmpl-x")["id"] == "chatcmpl-x"
    assert whole(generation_id="")["id"] == "chatcmpl-req_1"


def test_calls_alone_leave_the_content_null() -> None:
    said = message(ToolCall("a", "f", ""), ToolCall("b", "g", '{"x":1}'), finish="tool_calls")
    assert said["content"] is None
    assert said["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": '{"x":1}'}},
    ]
    assert message(Text("t"), ToolCall("a", "f", "{}"))["content"] == "t"
    assert message()["content"] == ""


def test_thoughts_come_with_their_proof_and_can_be_sent_back() -> None:
    blocks = (
        Thinking("a", Seal("anthropic", "EqQB")),
        Thinking("b", Seal("gemini", "CikB")),
        Thinking("", Seal("anthropic", "EmwK"), redacted=True),
        Text("c"),
    )
    said = message(*blocks)
    assert said["reasoning_content"] == "ab"
    assert said["thinking_blocks"] == [
        {"type": "thinking", "thinking": "a", "signature": "EqQB"},
        {"type": "thinking", "thinking": "b", "signature": "kh1.gemini.CikB"},
        {"type": "redacted_thinking", "data": "EmwK"},
    ]
    assert said["provider_specific_fields"] == {"citations": None, "thinking_blocks": said["thinking_blocks"]}
    assert parsed(said).turns[0].blocks == blocks
    streamed = deltas(*blocks)
    assert [delta["thinking_blocks"][0] for delta in streamed if "thinking_blocks" in delta] == [
        {"index": index, **block} for index, block in enumerate(said["thinking_blocks"])
    ]
    assert "".join(delta.get("reasoning_content", "") for delta in streamed) == "ab"


def test_citations_are_annotations_where_they_have_an_address() -> None:
    said = message(Text("one "), Text("two", (WEB, PAGE)))
    assert said["content"] == "one two"
    annotation = {
        "type": "url_citation",
        "url_citation": {"url": "https://a", "title": "A", "start_index": 4, "end_index": 8},
    }
    assert said["annotations"] == [annotation]
    assert said["provider_specific_fields"] == {"citations": [[{"type": "web"}, {"type": "page_location"}]]}
    last = deltas(Text("one "), Text("two", (WEB, PAGE)))[-2]
    assert last == {
        "annotations": [{"index": 0, **annotation}],
        "provider_specific_fields": said["provider_specific_fields"],
    }


def test_facts_without_a_place_are_provider_specific() -> None:
    container = {"container": '{"id":"container_1"}'}
    blocks = (Text("a"), Foreign("x", "server_tool_use", '{"type":"server_tool_use"}'))
    fields = {"container": {"id": "container_1"}, "blocks": [{"type": "server_tool_use"}]}
    assert message(*blocks, extras=container)["provider_specific_fields"] == fields
    assert deltas(*blocks, extras=container)[-2] == {"provider_specific_fields": fields}
    assert message(Foreign("x", "y", "{}", text="words"))["content"] == "words"


def test_refusals_and_images_have_their_fields() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    blocks = (Refusal("no"), Image(Base64Source("image/png", "AAAA")))
    said = message(*blocks)
    assert (said["content"], said["refusal"], said["images"]) == (None, "no", [image])
    assert deltas(*blocks)[1:-1] == [{"refusal": "no"}, {"images": [{"index": 0, **image}]}]


@pytest.mark.parametrize(
    ("finish", "word"),
    [
        ("stop", "stop"),
        ("stop_sequence", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"),
        ("pause", "stop"),
    ],
)
def test_each_finish_has_its_word(finish: str, word: str) -> None:
    assert whole(Text("a"), finish=finish)["choices"][0]["finish_reason"] == word
    assert frames_of(unfold(generation(Text("a"), finish=finish)))[-2]["choices"][0]["finish_reason"] == word


def test_a_stream_has_the_shape_of_openais() -> None:
    frames = frames_of(unfold(generation(Text("Hello"), usage=USAGE)), stream_options={"include_usage": True})
    assert frames.pop() == "[DONE]"
    assert len({(frame["id"], frame["created"], frame["model"], frame["object"]) for frame in frames}) == 1
    assert frames[0] == {
        "id": "chatcmpl-msg_1",
        "object": "chat.completion.chunk",
        "created": 1_795_219_200,
        "model": "asked-model",
        "system_fingerprint": None,
        "choices": [
            {"index": 0, "delta": {"role": "assistant", "content": ""}, "logprobs": None, "finish_reason": None}
        ],
        "usage": None,
    }
    assert [frame["choices"][0]["delta"] for frame in frames[1:3]] == [{"content": "Hello"}, {}]
    assert frames[2]["choices"][0]["finish_reason"] == "stop"
    assert frames[3]["choices"] == []
    assert frames[3]["usage"]["total_tokens"] == 62


def test_usage_goes_to_those_who_asked() -> None:
    frames = frames_of(unfold(generation(Text("Hello"), usage=USAGE)))
    assert not any("usage" in frame for frame in frames if isinstance(frame, dict))


def test_calls_are_numbered_on_their_own_and_never_without_arguments() -> None:
    streamed = deltas(Text("t"), ToolCall("a", "f", ""), Text("u"), ToolCall("b", "g", '{"x":1}'))
    assert [delta["tool_calls"][0] for delta in streamed if "tool_calls" in delta] == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
        {"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": ""}},
        {"index": 1, "function": {"arguments": '{"x":1}'}},
    ]


def test_a_failure_is_an_error_and_no_end() -> None:
    frames = frames_of([Started("a", "m"), BlockStarted(Text("")), BlockDelta("x"), Failed(529, "overloaded")])
    assert frames[-1]["error"]["message"] == "overloaded"
    assert frames[-1]["error"]["type"] == "overloaded_error"
    assert "[DONE]" not in frames


def test_a_heartbeat_is_a_comment() -> None:
    assert CODEC.stream_renderer(asked()).feed(Heartbeat()) == CODEC.ping


def test_blocks_may_begin_with_text() -> None:
    events: list[Event] = [
        Started("a", "m"),
        BlockStarted(Text("he")),
        BlockDelta("y"),
        BlockDelta(""),
        BlockEnded(),
        BlockStarted(ToolCall("c", "f", "{}")),
        BlockEnded(),
        Ended("tool_calls"),
    ]
    said = [frame["choices"][0]["delta"] for frame in frames_of(events)[:-1]]
    assert [delta["content"] for delta in said if "content" in delta] == ["", "he", "y"]
    assert said[-2] == {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}


def test_a_custom_tool_is_called_with_its_free_text() -> None:
    call = ToolCall("a", "sql", '{"input":"SELECT \\"x\\""}')
    request = {"tools": [{"type": "custom", "custom": {"name": "sql"}}]}
    answer = json.loads(CODEC.render_response(generation(call, finish="tool_calls"), asked(**request)))
    said = answer["choices"][0]["message"]
    assert said["tool_calls"] == [{"id": "a", "type": "custom", "custom": {"name": "sql", "input": 'SELECT "x"'}}]
    assert parsed(said).turns[0].blocks == (call,)
    frames = frames_of(unfold(generation(call, finish="tool_calls")), **request)
    assert [frame["choices"][0]["delta"] for frame in frames[1:3]] == [
        {"tool_calls": [{"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": 'SELECT "x"'}}]},
    ]
    odd = generation(ToolCall("a", "sql", "free"))
    assert json.loads(CODEC.render_response(odd, asked(**request)))["choices"][0]["message"]["tool_calls"][0][
        "custom"
    ] == {"name": "sql", "input": "free"}
    assert message(call)["tool_calls"][0]["type"] == "function"
