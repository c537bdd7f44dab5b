"""Answers to a client: the whole object, the events in their order, and OpenAI's own SDK as the judge of both."""

import json
from typing import Any

import httpx2
import pytest
from openai import APIError, AsyncOpenAI, OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from app.base.errors import UpstreamBroken
from app.domain.usage import Usage
from app.protocols.conversation import Base64Source, Citation, Foreign, Image, Refusal, Text, Thinking, ToolCall
from app.protocols.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    CitationAdded,
    Ended,
    Event,
    Failed,
    FinishReason,
    Generation,
    Heartbeat,
    Started,
)
from app.protocols.opaque import Seal
from tests.protocols.openai_responses.room import CODEC, READING, asked, folded, frames, streamed, written

USAGE = Usage(input=20, cache_read=5, cache_write_5m=3, cache_write_1h=2, output=40, reasoning=10)
PATCH = {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}
AGENTS = {
    "type": "namespace",
    "name": "agents",
    "description": "Sub-agents.",
    "tools": [{"type": "function", "name": "close", "parameters": {"type": "object"}, "strict": False}],
}
CITED = Citation("anthropic_messages", "{}", url="https://example.org", title="An example")
RICH = Generation(
    generation_id="msg_host",
    model="host-model",
    blocks=(
        Thinking("Let me look.", Seal("anthropic", "c2lnbmF0dXJl")),
        Text("It is warm, ", (CITED,)),
        Text("I read. 🌍"),
        ToolCall("toolu_1", "get_weather", '{"city":"Bogotá"}'),
        ToolCall("toolu_2", "agents__close", '{"target":"a"}'),
        ToolCall("toolu_3", "apply_patch", '{"input":"*** Begin\\n"}'),
        Refusal("Not that."),
    ),
    finish="tool_calls",
    usage=USAGE,
)
PLAIN = Generation("x", "m", (Text("Hello"),), "stop", Usage(input=1, output=2))


def sdk(body: bytes, content_type: str = "application/json") -> OpenAI:
    """OpenAI's client, whose every request is answered with these bytes."""
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": content_type}, stream=httpx2.ByteStream(body))
    )
    return OpenAI(api_key="k", base_url="http://gateway/v1", http_client=httpx2.Client(transport=transport))


def events_seen_by_sdk(body: bytes) -> list[ResponseStreamEvent]:
    return list(sdk(body, "text/event-stream").responses.create(model="m", input="hi", stream=True))


def without_parsed(value: Any) -> Any:
    """An item without what the SDK adds to it."""
    if isinstance(value, list):
        return [without_parsed(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: without_parsed(one) for name, one in value.items() if name not in {"parsed", "parsed_arguments"}}


def test_the_sdk_reads_a_whole_answer() -> None:
    body = CODEC.render_response(RICH, asked(tools=[PATCH, AGENTS]))
    response = sdk(body).responses.create(model="m", input="hi")
    Response.model_validate(json.loads(body))
    assert response.id == "resp_01kav3x"
    assert response.output_text == "It is warm, I read. 🌍"
    assert [item.type for item in response.output] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
        "custom_tool_call",
        "message",
    ]
    assert response.usage is not None
    assert response.usage.input_tokens == 30
    assert response.usage.input_tokens_details.cached_tokens == 5
    assert response.usage.input_tokens_details.cache_write_tokens == 5
    assert response.usage.output_tokens_details.reasoning_tokens == 10
    assert response.usage.total_tokens == 70


def test_every_event_is_one_of_the_sdks() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for frame in frames(streamed(RICH, tools=[PATCH, AGENTS])):
        adapter.validate_python(frame)


def test_the_sdk_accumulates_the_stream_to_the_whole_answer() -> None:
    fields = {"tools": [PATCH, AGENTS]}
    with sdk(streamed(RICH, **fields), "text/event-stream").responses.stream(model="m", input="hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    whole = Response.model_validate(written(RICH, **fields))
    assert final.output_text == whole.output_text
    assert [without_parsed(item.to_dict()) for item in final.output] == [item.to_dict() for item in whole.output]


async def test_the_async_sdk_reads_the_stream_too() -> None:
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=streamed(PLAIN))
    )
    client = AsyncOpenAI(api_key="k", base_url="http://gateway/v1", http_client=httpx2.AsyncClient(transport=transport))
    stream = await client.responses.create(model="m", input="hi", stream=True)
    assert [event.delta async for event in stream if event.type == "response.output_text.delta"] == ["Hello"]


def test_the_sdk_parses_a_structured_answer() -> None:
    class City(BaseModel):
        name: str

    generation = Generation("x", "m", (Text('{"name":"Paris"}'),), "stop", USAGE)
    parsed = sdk(CODEC.render_response(generation, asked())).responses.parse(model="m", input="hi", text_format=City)
    assert parsed.output_parsed == City(name="Paris")


def test_the_last_event_carries_the_whole_answer() -> None:
    fields = {"tools": [PATCH, AGENTS]}
    assert frames(streamed(RICH, **fields))[-1]["response"] == written(RICH, **fields)


def test_the_events_of_a_text_come_in_their_order() -> None:
    assert [frame["type"] for frame in frames(streamed(PLAIN))] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_the_events_of_thoughts_and_calls_come_in_their_order() -> None:
    generation = Generation("x", "m", (Thinking("Hm", Seal("gemini", "S")), ToolCall("c", "f", "{}")), "tool_calls")
    assert [frame["type"] for frame in frames(streamed(generation))][2:] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_numbers_rise_and_every_event_is_named() -> None:
    stream = streamed(RICH)
    assert [frame["sequence_number"] for frame in frames(stream)] == list(range(len(frames(stream))))
    for frame in stream.split(b"\n\n")[:-1]:
        name, _, data = frame.partition(b"\ndata: ")
        assert name == b"event: " + json.loads(data)["type"].encode()
    assert b"[DONE]" not in stream


def test_items_have_an_index_and_an_id_of_their_own() -> None:
    items = written(RICH)["output"]
    assert len({item["id"] for item in items}) == len(items)
    assert [item["id"].partition("_")[0] for item in items] == ["rs", "msg", "fc", "fc", "fc", "msg"]
    added = [frame for frame in frames(streamed(RICH)) if frame["type"] == "response.output_item.added"]
    assert [frame["output_index"] for frame in added] == list(range(len(items)))


def test_tools_come_back_by_the_clients_own_names() -> None:
    items = written(RICH, tools=[PATCH, AGENTS])["output"]
    weather, close, patch = items[2:5]
    assert (weather["name"], "namespace" in weather) == ("get_weather", False)
    assert (close["name"], close["namespace"], close["arguments"]) == ("close", "agents", '{"target":"a"}')
    assert (patch["type"], patch["name"], patch["input"]) == ("custom_tool_call", "apply_patch", "*** Begin\n")
    assert [item["call_id"] for item in items[2:5]] == ["toolu_1", "toolu_2", "toolu_3"]


@pytest.mark.parametrize("arguments", ['{"patch":1}', "not json", '{"input":5}', "[]"])
def test_a_custom_tool_called_otherwise_gets_what_was_written(arguments: str) -> None:
    generation = Generation("x", "m", (ToolCall("c", "apply_patch", arguments),), "tool_calls")
    assert written(generation, tools=[PATCH])["output"][0]["input"] == arguments


def test_a_call_without_arguments_has_an_empty_object() -> None:
    renderer = CODEC.stream_renderer(asked())
    events: list[Event] = [Started("", ""), BlockStarted(ToolCall("c", "f", "")), BlockEnded(), Ended("tool_calls")]
    stream = b"".join(renderer.feed(event) for event in events)
    assert folded(stream).blocks == (ToolCall("c", "f", "{}"),)


@pytest.mark.parametrize(
    ("finish", "status", "details"),
    [
        ("stop", "completed", None),
        ("stop_sequence", "completed", None),
        ("tool_calls", "completed", None),
        ("pause", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_the_status_tells_how_it_ended(finish: FinishReason, status: str, details: dict[str, str] | None) -> None:
    generation = Generation("x", "m", (Text("Once"),), finish)
    response = written(generation)
    assert (response["status"], response["incomplete_details"]) == (status, details)
    assert response["output"][0]["status"] == status
    last = frames(streamed(generation))[-1]
    assert last["type"] == f"response.{status}"
    assert events_seen_by_sdk(streamed(generation))[-1].type == f"response.{status}"


def test_what_the_client_asked_is_echoed_as_it_wrote_it() -> None:
    tools = [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}]
    response = written(
        PLAIN,
        instructions="Be brief.",
        tools=tools,
        tool_choice="required",
        parallel_tool_calls=False,
        temperature=0.5,
        max_output_tokens=99,
        reasoning={"effort": "low"},
        metadata={"run": "7"},
        store=True,
    )
    assert response["instructions"] == "Be brief."
    assert response["tools"] == tools
    assert (response["tool_choice"], response["parallel_tool_calls"]) == ("required", False)
    assert (response["temperature"], response["top_p"], response["max_output_tokens"]) == (0.5, 1.0, 99)
    assert (response["reasoning"], response["metadata"]) == ({"effort": "low"}, {"run": "7"})
    assert (response["store"], response["previous_response_id"]) == (False, None)
    assert (response["model"], response["created_at"], response["object"]) == ("team/gpt", 1_763_000_000, "response")


def test_a_citation_without_an_address_is_left_out() -> None:
    local = Citation("anthropic_messages", "{}", cited_text="page 3")
    generation = Generation("x", "m", (Text("abc", (local, CITED)),), "stop")
    (annotation,) = written(generation)["output"][0]["content"][0]["annotations"]
    assert annotation == {
        "type": "url_citation",
        "url": "https://example.org",
        "title": "An example",
        "start_index": 0,
        "end_index": 3,
    }


def test_a_citation_in_the_middle_of_a_text_is_an_event() -> None:
    renderer = CODEC.stream_renderer(asked())
    events: list[Event] = [
        BlockStarted(Text("")),
        BlockDelta("ab"),
        CitationAdded(CITED),
        BlockDelta("c"),
        BlockEnded(),
        Ended("stop"),
    ]
    stream = b"".join(map(renderer.feed, events))
    (added,) = (frame for frame in frames(stream) if frame["type"] == "response.output_text.annotation.added")
    assert (added["annotation_index"], added["annotation"]["end_index"]) == (0, 2)


def test_an_image_is_an_item_of_its_own() -> None:
    generation = Generation("x", "m", (Text("Here:"), Image(Base64Source("image/png", "iVBORw0K"))), "stop")
    item = written(generation)["output"][1]
    assert (item["type"], item["result"]) == ("image_generation_call", "iVBORw0K")
    assert folded(streamed(generation)).blocks == generation.blocks


def test_blocks_that_only_another_protocol_understands_are_left_out() -> None:
    foreign = Foreign("anthropic_messages", "server_tool_use", "{}")
    generation = Generation("x", "m", (Text("a"), foreign, Text("b")), "stop")
    assert len(written(generation)["output"]) == 1


def test_an_empty_answer_is_an_answer() -> None:
    assert written(Generation("x", "m", (), "stop"))["output"] == []
    assert folded(streamed(Generation("x", "m", (), "stop"))).blocks == ()


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        (Failed(429, "slow down"), "rate_limit_exceeded"),
        (Failed(529, "Overloaded"), "server_error"),
        (Failed(400, "prompt is too long: 300000 tokens"), "context_length_exceeded"),
        (Failed(400, "odd"), "invalid_prompt"),
    ],
)
def test_a_failure_midway_is_told_with_a_code(failed: Failed, code: str) -> None:
    renderer = CODEC.stream_renderer(asked())
    events: list[Event] = [Started("", ""), BlockStarted(Text("")), BlockDelta("Hi"), failed]
    stream = b"".join(renderer.feed(event) for event in events)
    told, last = frames(stream)[-2:]
    assert (told["type"], told["code"], last["type"]) == ("error", code, "response.failed")
    assert (last["response"]["status"], last["response"]["error"]["code"]) == ("failed", code)
    with pytest.raises(APIError, match=failed.message):
        events_seen_by_sdk(stream)


def test_a_failure_before_anything_else_begins_the_response() -> None:
    stream = CODEC.stream_renderer(asked()).feed(Failed(500, "no"))
    assert next(frame["type"] for frame in frames(stream)) == "response.created"


def test_a_heartbeat_is_nothing_to_say() -> None:
    assert CODEC.stream_renderer(asked()).feed(Heartbeat()) == b""


def test_the_sdk_raises_at_an_error_in_the_middle_of_a_stream() -> None:
    error = UpstreamBroken("the provider broke off", provider="anthropic")
    stream = streamed(PLAIN)
    cut = stream[: stream.index(b"event: response.output_text.done")]
    with pytest.raises(APIError, match="the provider broke off"):
        events_seen_by_sdk(cut + CODEC.render_stream_error(error, "req_01kav3x"))
    client = sdk(cut + CODEC.render_stream_error(error, "req_01kav3x"), "text/event-stream")
    with pytest.raises(APIError, match="the provider broke off"), client.responses.stream(model="m", input="x") as told:
        list(told)


def test_codex_finds_the_failure_that_it_looks_for() -> None:
    error = UpstreamBroken("the provider broke off", provider="anthropic")
    told = frames(CODEC.render_stream_error(error, "req_01kav3x"))
    assert [frame["type"] for frame in told] == ["error", "response.failed"]
    assert told[1]["response"]["id"] == "resp_01kav3x"
    assert told[1]["response"]["error"] == {"code": "server_error", "message": "the provider broke off"}
    assert told[0]["sequence_number"] < told[1]["sequence_number"]


def test_what_is_written_reads_back() -> None:
    generation = Generation(
        "x", "m", (Text("a"), Text("b"), ToolCall("c", "f", "{}"), Refusal("no")), "tool_calls", USAGE
    )
    read = CODEC.parse_response(CODEC.render_response(generation, asked()), READING)
    assert read.blocks == generation.blocks
    assert folded(streamed(generation)) == read
