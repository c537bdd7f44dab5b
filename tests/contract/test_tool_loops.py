"""Two turns of a tool loop with thoughts, by the official SDKs: each host gets its own reasoning back, unchanged."""

import json
from typing import Any

import pytest

from tests.contract.test_any_client_any_model import SCHEMA, Clients, clients, key
from tests.fakes import anthropic_wire, gemini_wire, responses_wire
from tests.fakes.recording import RecordedRequest
from tests.fakes.script import THINKING_TEXT, Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]
__all__ = ["clients", "key"]

QUESTION = "What is the weather in Zürich?"
THOUGHTS = "".join(THINKING_TEXT)
HOSTS = ("claude-sonnet-4-6", "gemini-2.5-pro", "gemini-3-pro", "deepseek-reasoner", "gpt-5-responses")
CHAT_HOSTS = HOSTS[:-1]
"""OpenAI itself is asked by chat completions when the client speaks them, and keeps its reasoning to itself there."""


@pytest.fixture(autouse=True)
def _thinks_and_calls(upstream: RecordingUpstream) -> None:
    upstream.default = Script(text=("Moment.",), thinking=True, tools=2, output_tokens=40)


def assert_reasoning_came_back(model: str, request: RecordedRequest) -> None:
    """The second request holds what the host gave in its first answer, in its own form and place."""
    body: Any = json.loads(request.body)
    assert "kh1." not in request.body.decode(), "our own mark is not for hosts"
    if model.startswith("claude"):
        assistant = next(message for message in body["messages"] if message["role"] == "assistant")
        first = assistant["content"][0]
        assert (first["type"], first["thinking"], first["signature"]) == (
            "thinking",
            THOUGHTS,
            anthropic_wire.SIGNATURE,
        )
        assert [block["type"] for block in assistant["content"]].count("tool_use") == 2
    elif model.startswith("gemini"):
        parts = [part for content in body["contents"] if content["role"] == "model" for part in content["parts"]]
        calls = [part for part in parts if "functionCall" in part]
        assert len(calls) == 2
        assert calls[0]["thoughtSignature"] == gemini_wire.SIGNATURE
        assert "thoughtSignature" not in calls[1]
    elif model.startswith("deepseek"):
        assistant = next(message for message in body["messages"] if message["role"] == "assistant")
        assert assistant["reasoning_content"] == THOUGHTS
        assert len(assistant["tool_calls"]) == 2
    else:
        reasoning = next(item for item in body["input"] if item.get("type") == "reasoning")
        assert reasoning["encrypted_content"] == responses_wire.ENCRYPTED
        kinds = [item.get("type", "message") for item in body["input"]]
        assert kinds.index("reasoning") < kinds.index("function_call")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", HOSTS)
async def test_a_messages_client_gives_each_host_its_reasoning_back(
    clients: Clients, upstream: RecordingUpstream, model: str, stream: bool
) -> None:
    fields: Any = {
        "model": model,
        "max_tokens": 6000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}],
    }
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    if stream:
        async with clients.anthropic.messages.stream(**fields, messages=messages) as streaming:
            answer: Any = await streaming.get_final_message()
    else:
        answer = await clients.anthropic.messages.create(**fields, messages=messages)
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert len({call.id for call in calls}) == 2
    messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"} for call in calls]
    messages.append({"role": "user", "content": results})
    await clients.anthropic.messages.create(**fields, messages=messages)
    assert_reasoning_came_back(model, upstream.requests[-1])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", HOSTS)
async def test_a_responses_client_gives_each_host_its_reasoning_back(
    clients: Clients, upstream: RecordingUpstream, model: str, stream: bool
) -> None:
    fields: Any = {
        "model": model,
        "max_output_tokens": 6000,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}],
    }
    items: list[Any] = [{"role": "user", "content": QUESTION}]
    if stream:
        async with clients.openai.responses.stream(**fields, input=items) as streaming:
            async for _ in streaming:
                pass
            answer: Any = await streaming.get_final_response()
    else:
        answer = await clients.openai.responses.create(**fields, input=items)
    items += [item.model_dump(exclude_none=True, exclude={"parsed_arguments"}) for item in answer.output]
    calls = [item for item in answer.output if item.type == "function_call"]
    assert len(calls) == 2
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": "rain"} for call in calls]
    await clients.openai.responses.create(**fields, input=items)
    assert_reasoning_came_back(model, upstream.requests[-1])


@pytest.mark.parametrize("model", CHAT_HOSTS)
async def test_a_chat_client_that_returns_the_message_it_got_gives_each_host_its_reasoning_back(
    clients: Clients, upstream: RecordingUpstream, model: str
) -> None:
    function = {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}
    fields: Any = {
        "model": model,
        "max_completion_tokens": 6000,
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": function}],
    }
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    answer = await clients.openai.chat.completions.create(**fields, messages=messages)
    message = answer.choices[0].message
    messages.append(message.model_dump(exclude_none=True))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in message.tool_calls or []]
    await clients.openai.chat.completions.create(**fields, messages=messages)
    assert_reasoning_came_back(model, upstream.requests[-1])


@pytest.mark.parametrize("model", ["claude-haiku-4-5", *CHAT_HOSTS])
async def test_a_chat_client_that_lost_the_reasoning_is_served_all_the_same(
    clients: Clients, upstream: RecordingUpstream, model: str
) -> None:
    function = {"name": "get_weather", "description": "Weather", "parameters": SCHEMA}
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Zürich"}'}}
    fields: Any = {
        "model": model,
        "max_completion_tokens": 6000,
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": function}],
        "messages": [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        ],
    }
    answer = await clients.openai.chat.completions.create(**fields)
    assert answer.choices[0].message.tool_calls
    body = json.loads(upstream.requests[-1].body)
    if model == "claude-haiku-4-5":
        assert "thinking" not in body, "with a budget, Claude refuses to think after a call without its thoughts"
    if model == "gemini-3-pro":
        parts = [part for content in body["contents"] if content["role"] == "model" for part in content["parts"]]
        assert parts[0]["thoughtSignature"], "Gemini 3 refuses a call without any"


@pytest.mark.parametrize("second", HOSTS)
@pytest.mark.parametrize("first", HOSTS)
async def test_a_conversation_that_moves_to_another_host_leaves_the_first_ones_seals_behind(
    clients: Clients, upstream: RecordingUpstream, first: str, second: str
) -> None:
    fields: Any = {
        "max_tokens": 6000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "tools": [{"name": "get_weather", "description": "Weather", "input_schema": SCHEMA}],
    }
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    answer = await clients.anthropic.messages.create(model=first, messages=messages, **fields)
    messages.append({"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in answer.content]})
    calls = [block for block in answer.content if block.type == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"} for call in calls]
    messages.append({"role": "user", "content": results})
    await clients.anthropic.messages.create(model=second, messages=messages, **fields)
    sent = upstream.requests[-1].body.decode()
    assert "kh1." not in sent
    if first.partition("-")[0] != second.partition("-")[0]:
        for proof in (anthropic_wire.SIGNATURE, gemini_wire.SIGNATURE, responses_wire.ENCRYPTED):
            if not (first.startswith("claude") and proof == anthropic_wire.SIGNATURE and second.startswith("claude")):
                assert proof not in sent
