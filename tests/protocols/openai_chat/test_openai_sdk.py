"""OpenAI's own SDK judges what is written: its types the requests, its client the answers."""

import json
from typing import Any

import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from app.domain.usage import Usage
from app.protocols.conversation import (
    Base64Source,
    Block,
    Citation,
    Document,
    Foreign,
    FunctionTool,
    Image,
    JsonFormat,
    Reasoning,
    Refusal,
    Sampling,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from app.protocols.events import Generation
from app.protocols.opaque import Seal
from app.protocols.translation import as_stream
from tests.protocols.openai_chat.builders import CODEC, OPENAI, asked, body_of, rendered

WEB = Citation("anthropic_messages", '{"type":"web"}', url="https://a", title="A")
ANSWERS: dict[str, tuple[Block, ...]] = {
    "text": (Text("Hello "), Text("world", (WEB, WEB))),
    "thoughts": (
        Thinking("one", Seal("anthropic", "EqQB")),
        Thinking("", Seal("anthropic", "EmwK"), redacted=True),
        Text("two"),
    ),
    "calls": (Text("a"), ToolCall("c1", "f", ""), ToolCall("c2", "g", '{"x":1}')),
    "refusal": (Refusal("I can't."),),
    "images": (Text("a"), *[Image(Base64Source("image/png", "AAAA"))] * 2),
    "foreign": (Foreign("x", "y", '{"z":1}'), Text("b")),
    "nothing": (),
}


def generation(name: str) -> Generation:
    blocks = ANSWERS[name]
    finish: Any = "tool_calls" if name == "calls" else "stop"
    return Generation("msg_1", "m", blocks, finish, usage=Usage(input=3, output=4), extras={"container": '{"id":"c"}'})


def client(body: bytes, content_type: str) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, content=body, headers={"content-type": content_type})

    return openai.OpenAI(
        api_key="k", base_url="http://test/v1", http_client=httpx2.Client(transport=httpx2.MockTransport(answer))
    )


@pytest.mark.parametrize("name", ANSWERS)
def test_a_whole_answer_is_taken(name: str) -> None:
    body = CODEC.render_response(generation(name), asked())
    ChatCompletion.model_validate_json(body, strict=True)
    with client(body, "application/json") as sdk:
        answer = sdk.chat.completions.create(model="m", messages=[])
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_adds_up_to_the_whole_answer(name: str) -> None:
    request = asked(stream_options={"include_usage": True})
    body = as_stream(generation(name), CODEC.stream_renderer(request))
    for frame in body.split(b"\n\n"):
        if frame.startswith(b"data: {"):
            ChatCompletionChunk.model_validate_json(frame[6:], strict=True)
    with (
        client(body, CODEC.stream_type.decode()) as sdk,
        sdk.chat.completions.stream(model="m", messages=[]) as stream,
    ):
        for _ in stream:
            pass
        answer = stream.get_final_completion()
    whole = json.loads(CODEC.render_response(generation(name), asked()))
    said = answer.choices[0].message
    expected = whole["choices"][0]["message"]
    assert (said.content or None, said.refusal) == (expected["content"] or None, expected["refusal"])
    calls = [call.model_dump(include={"id", "type", "function"}) for call in said.tool_calls or ()]
    assert [{"name": call["function"]["name"], "id": call["id"]} for call in calls] == [
        {"name": call["function"]["name"], "id": call["id"]} for call in expected.get("tool_calls", ())
    ]
    extra = said.model_dump()
    for field in ("annotations", "thinking_blocks", "images"):
        entries = [{key: value for key, value in entry.items() if key != "index"} for entry in extra.get(field) or ()]
        assert entries == expected.get(field, [])
    assert answer.choices[0].finish_reason == whole["choices"][0]["finish_reason"]
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7


def test_a_request_is_one_of_openais() -> None:
    image = Image(Base64Source("image/png", "AAAA"))
    body = body_of(
        rendered(
            OPENAI,
            "gpt-5",
            instructions=(Text("Be brief."),),
            turns=(
                Turn("user", (Text("a"), image, Document(Base64Source("application/pdf", "JVBERi0=")))),
                Turn("assistant", (Text("b"), ToolCall("c", "f", "{}"))),
                Turn("user", (ToolResult("c", (Text("d"), image)), Text("e"))),
                Turn("system", (Text("f"),)),
                Turn("assistant", (Refusal("no"),)),
            ),
            tools=(FunctionTool("f", "d", '{"type":"object"}', strict=False),),
            tool_choice=ToolChoice("tool", "f"),
            parallel_tool_calls=True,
            sampling=Sampling(seed=5),
            reasoning=Reasoning("low"),
            output_format=JsonFormat('{"type":"object"}'),
            max_output_tokens=9,
            end_user="u",
        )
    )
    TypeAdapter(CompletionCreateParamsNonStreaming).validate_python(body, strict=False)
    known = CompletionCreateParamsNonStreaming.__annotations__.keys()
    assert body.keys() <= known
