"""The provider inside the product, judged by the official SDK's own types."""

import json
from typing import Any

import pytest
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from app.domain.catalog import Timeouts
from app.providers.demo import DemoUpstream
from app.providers.provider import UpstreamRequest

TOOL = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
        "required": ["city", "unit", "days"],
    },
}
EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


async def ask(model: str, path: str = "/v1/messages", **fields: Any) -> tuple[int, bytes]:
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Grüße 👋"}], **fields}
    request = UpstreamRequest("demo", "POST", f"demo://demo{path}?beta=true", [], json.dumps(body).encode(), Timeouts())
    reply = await DemoUpstream().send(request)
    received = b""
    while chunk := await reply.next_chunk(5):
        received += chunk
    reply.close()
    return reply.status, received


def events_of(stream: bytes) -> list[RawMessageStreamEvent]:
    frames = [frame for frame in stream.decode().split("\n\n") if frame]
    datas = [frame.split("\ndata: ")[1] for frame in frames]
    return [EVENT.validate_json(data) for data in datas if '"ping"' not in data]


@pytest.mark.parametrize(
    ("model", "stop_reason"), [("demo/echo", "end_turn"), ("demo/lorem", "max_tokens"), ("demo/tools", "tool_use")]
)
async def test_an_answer_is_a_message_of_the_api(model: str, stop_reason: str) -> None:
    status, body = await ask(model, tools=[TOOL])
    message = Message.model_validate_json(body)
    assert (status, message.stop_reason, message.model) == (200, stop_reason, model)
    assert message.usage.output_tokens <= 100


async def test_the_same_question_has_the_same_answer() -> None:
    assert await ask("demo/lorem") == await ask("demo/lorem")


async def test_echo_says_the_last_user_text() -> None:
    _, body = await ask("demo/echo", messages=[{"role": "user", "content": [{"type": "text", "text": "one"}]}])
    assert json.loads(body)["content"] == [{"type": "text", "text": "one"}]


async def test_a_stream_tells_the_same_as_the_whole_answer() -> None:
    for model in ("demo/echo", "demo/lorem", "demo/tools"):
        _, whole = await ask(model, tools=[TOOL])
        _, stream = await ask(model, tools=[TOOL], stream=True)
        events = events_of(stream)
        deltas = [event.delta for event in events if event.type == "content_block_delta"]
        said = "".join(getattr(delta, "text", "") or getattr(delta, "partial_json", "") for delta in deltas)
        block = json.loads(whole)["content"][0]
        assert said == block.get("text") or json.loads(said) == block["input"]
        kinds = [event.type for event in events]
        assert (kinds[0], *kinds[-2:]) == ("message_start", "message_delta", "message_stop")


async def test_a_tool_is_called_with_what_its_schema_requires_and_its_result_is_echoed() -> None:
    _, body = await ask("demo/tools", tools=[TOOL])
    assert json.loads(body)["content"][0]["input"] == {"city": "demo", "unit": "C", "days": 1}
    result = {"type": "tool_result", "tool_use_id": "toolu_demo_1", "content": "sunny"}
    _, body = await ask("demo/tools", tools=[TOOL], messages=[{"role": "user", "content": [result]}])
    assert json.loads(body)["content"] == [{"type": "text", "text": "sunny"}]


async def test_tokens_can_be_counted() -> None:
    status, body = await ask("demo/echo", "/v1/messages/count_tokens")
    assert (status, json.loads(body)["input_tokens"] > 0) == (200, True)


@pytest.mark.parametrize("fields", [{"messages": []}, {"messages": "x"}, {"max_tokens": 0}, {"max_tokens": None}])
async def test_what_the_api_refuses_is_refused_in_its_words(fields: dict[str, Any]) -> None:
    status, body = await ask("demo/echo", **fields)
    assert (status, json.loads(body)["error"]["type"]) == (400, "invalid_request_error")


async def test_odd_tools_and_blocks_break_nothing() -> None:
    odd: list[Any] = [{}, {"name": "x", "input_schema": {"required": ["a"], "properties": {"a": 5}}}, 5, "x"]
    for tool in odd:
        status, _ = await ask("demo/tools", tools=[tool])
        assert status == 200
    status, _ = await ask("demo/echo", messages=[{"role": "user", "content": [5, {"type": "text", "text": None}]}])
    assert status == 200
