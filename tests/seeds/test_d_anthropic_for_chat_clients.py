"""Part D, Anthropic for chat clients: OpenAI's parameters, structured outputs, thinking, usage, the reply's shape."""

import json
from typing import Any

import httpx
import openai
import pytest

from tests.fakes.anthropic_wire import SIGNATURE
from tests.fakes.script import THINKING_TEXT, Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.asking import USER, WEATHER, ask, hear, member_of, text_of
from tests.seeds.conftest import sent_body

pytestmark = [pytest.mark.services, pytest.mark.contract]

SONNET = "anthropic/claude-sonnet-4-5-20250929"
SONNET_3_7 = "anthropic/claude-3-7-sonnet-20250219"
THOUGHTS = "".join(THINKING_TEXT)
CAPITAL_SCHEMA = {
    "type": "object",
    "properties": {"country": {"type": "string"}, "capital": {"type": "string"}},
    "required": ["country", "capital"],
    "additionalProperties": False,
}
CAPITAL = {
    "type": "json_schema",
    "json_schema": {"name": "capital_response", "strict": True, "schema": CAPITAL_SCHEMA},
}
ANSWER = '{"country":"France","capital":"Paris"}'


def betas_of(upstream: RecordingUpstream) -> list[str]:
    return (upstream.requests[-1].header("anthropic-beta") or "").split(",")


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["END", "STOP"]}, {"stop_sequences": ["END", "STOP"]}),
        ({"temperature": 0.2}, {"temperature": 0.2}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"max_tokens": 55}, {"max_tokens": 55}),
        ({"max_completion_tokens": 56}, {"max_tokens": 56}),
        ({"tools": [WEATHER], "tool_choice": "auto"}, {"tool_choice": {"type": "auto"}}),
        ({"tools": [WEATHER], "tool_choice": "required"}, {"tool_choice": {"type": "any"}}),
        (
            {"tools": [WEATHER], "parallel_tool_calls": False},
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
        ({"response_format": CAPITAL}, {"output_format": {"type": "json_schema", "schema": CAPITAL_SCHEMA}}),
        ({"user": "user_123"}, {"metadata": {"user_id": "user_123"}}),
        ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ],
)
async def test_d53_openais_parameters_are_said_in_anthropics_words(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, asked: dict[str, Any], sent: dict[str, Any]
) -> None:
    completion = await openai_client.chat.completions.with_raw_response.create(
        model=SONNET,
        messages=USER,  # type: ignore[arg-type]
        extra_body=asked,
    )
    assert sent_body(upstream).items() >= sent.items()
    assert "x-keyhouse-losses" not in completion.headers


async def test_d53_stream_and_extra_headers_are_parameters_too(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    assert text_of(await hear(openai_client, SONNET, extra_headers={"x-their-own": "word"}))
    assert sent_body(upstream)["stream"] is True
    assert upstream.requests[-1].header("x-their-own") == "word"


@pytest.mark.parametrize(
    "model",
    [
        "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "claude-sonnet-4.5", "claude-opus-4-1",
        "claude-opus-4-1-20250805", "claude-opus-4.1", "claude-opus-4-5", "claude-opus-4-5-20251101",
        "claude-opus-4.5",
    ],
)  # fmt: skip
async def test_d55_d56_d58_a_model_that_holds_to_a_schema_is_given_it_with_its_beta(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    upstream.default = Script(text=(ANSWER,))
    completion = await ask(openai_client, f"anthropic/{model}", response_format=CAPITAL)
    body = sent_body(upstream)
    assert body["output_format"] == {"type": "json_schema", "schema": CAPITAL_SCHEMA}
    assert "structured-outputs-2025-11-13" in betas_of(upstream)
    assert "tools" not in body
    assert completion.choices[0].message.content == ANSWER


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-opus-4-8"])
async def test_d55_a_newer_model_is_given_the_schema_in_its_own_field(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    upstream.default = Script(text=(ANSWER,))
    await ask(openai_client, f"anthropic/{model}", response_format=CAPITAL)
    body = sent_body(upstream)
    assert body["output_config"]["format"] == {"type": "json_schema", "schema": CAPITAL_SCHEMA}
    assert "output_format" not in body


async def test_d56_the_newer_form_is_taken_as_it_is(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    newer = {"format": {"type": "json_schema", "schema": CAPITAL_SCHEMA}}
    await ask(openai_client, SONNET, output_config=newer)
    assert sent_body(upstream)["output_config"] == newer


@pytest.mark.parametrize(
    "model", ["claude-3-5-sonnet-20240620", "claude-3-7-sonnet-20250219", "claude-opus-4-20250514"]
)
async def test_d57_d58_another_model_is_forced_to_call_a_tool_of_that_schema(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    call = {"type": "tool_use", "id": "toolu_1", "name": "json_tool_call", "input": json.loads(ANSWER)}
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [call],
        "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 9},
    }  # fmt: skip
    upstream.default = Script(raw=json.dumps(message).encode())
    choice = (await ask(openai_client, f"anthropic/{model}", response_format=CAPITAL)).choices[0]
    body = sent_body(upstream)
    (tool,) = body["tools"]
    assert tool["input_schema"] == CAPITAL_SCHEMA
    assert body["tool_choice"] == {"type": "tool", "name": tool["name"]}
    assert "output_format" not in body
    assert json.loads(choice.message.content) == json.loads(ANSWER)
    assert (choice.finish_reason, choice.message.tool_calls) == ("stop", None)


@pytest.mark.parametrize("effort", ["low", "medium", "high"])
async def test_d61_an_effort_is_opus_4_5s_own_effort(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, effort: str
) -> None:
    await ask(openai_client, "anthropic/claude-opus-4-5-20251101", reasoning_effort=effort)
    assert sent_body(upstream)["output_config"] == {"effort": effort}
    assert "effort-2025-11-24" in betas_of(upstream)


@pytest.mark.parametrize(("effort", "budget"), [("low", 1024), ("medium", 2048), ("high", 4096)])
async def test_d62_an_effort_is_a_budget_of_tokens_elsewhere(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, effort: str, budget: int
) -> None:
    await ask(openai_client, SONNET_3_7, reasoning_effort=effort)
    body = sent_body(upstream)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert body["max_tokens"] > budget, "the API insists on it"


@pytest.mark.parametrize("model", ["claude-opus-4-6", "claude-opus-4-8"])
async def test_d62_the_newer_models_think_adaptively_by_an_effort(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    await ask(openai_client, f"anthropic/{model}", reasoning_effort="medium")
    body = sent_body(upstream)
    assert (body["thinking"], body["output_config"]) == ({"type": "adaptive"}, {"effort": "medium"})


async def test_d63_thinking_is_passed_on_as_it_is(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    await ask(openai_client, SONNET_3_7, thinking={"type": "enabled", "budget_tokens": 1024})
    assert sent_body(upstream)["thinking"] == {"type": "enabled", "budget_tokens": 1024}


async def test_d64_thoughts_come_as_text_and_as_blocks_with_their_signature(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(thinking=True, text=("The capital of France is Paris.",))
    block = {"type": "thinking", "thinking": THOUGHTS, "signature": SIGNATURE}
    message = (await ask(openai_client, SONNET_3_7, reasoning_effort="low")).choices[0].message
    assert (message.content, message.reasoning_content) == ("The capital of France is Paris.", THOUGHTS)
    assert message.thinking_blocks == [block]
    assert message.provider_specific_fields.items() >= {"citations": None, "thinking_blocks": [block]}.items()
    chunks = await hear(openai_client, SONNET_3_7, reasoning_effort="low")
    assert "".join(member_of(chunks, "reasoning_content")) == THOUGHTS
    (blocks,) = member_of(chunks, "thinking_blocks")
    assert [{name: said[name] for name in block} for said in blocks] == [block]


async def test_d65_usage_counts_what_was_read_from_and_written_to_the_cache(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("Hi",), input_tokens=42, cache_read=100, cache_write_5m=30, output_tokens=68)
    usage = (await ask(openai_client, SONNET)).usage.model_dump()
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (172, 68, 240)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 100
    assert (usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (100, 30)
    chunks = await hear(openai_client, SONNET, stream_options={"include_usage": True})
    streamed = chunks[-1].usage.model_dump()
    assert streamed == usage


async def test_d66_an_answer_is_streamed_in_openais_chunks(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("Hey! ", "I am ", "well. 🙂"), split=7)
    chunks = await hear(openai_client, "claude-opus-4-20250514")
    assert text_of(chunks) == "Hey! I am well. 🙂"
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"


@pytest.mark.parametrize("model", ["claude-2.1", "claude-opus-4-20250514"])
async def test_d69_a_system_message_is_lifted_out_of_the_messages(
    openai_client: openai.AsyncOpenAI, upstream: RecordingUpstream, model: str
) -> None:
    system = {"role": "system", "content": "You are a snarky assistant."}
    await ask(openai_client, model, [system, {"role": "user", "content": "How do I boil water?"}])
    body = sent_body(upstream)
    assert [block["text"] for block in body["system"]] == ["You are a snarky assistant."]
    assert [message["role"] for message in body["messages"]] == ["user"]


async def test_d83_the_reply_is_an_object_of_openais(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("The capital of France is Paris.",))
    body = {"model": "claude-3-7-sonnet-20250219", "messages": USER}
    answer = await http.post("/chat/completions", headers={"authorization": f"Bearer {key}"}, json=body)
    reply = answer.json()
    assert reply["id"].startswith("chatcmpl-")
    assert (reply["object"], reply["model"]) == ("chat.completion", "claude-3-7-sonnet-20250219")
    assert (type(reply["created"]), reply["system_fingerprint"]) == (int, None)
    (choice,) = reply["choices"]
    assert (choice["index"], choice["finish_reason"]) == (0, "stop")
    message = choice["message"]
    assert (message["role"], message["content"]) == ("assistant", "The capital of France is Paris.")
