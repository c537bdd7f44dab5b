"""Part C: the Messages API for every model of the catalogue, and Claude Code set up on it by four variables."""

import asyncio
import json
from typing import Any

import anthropic
import httpx
import pytest

from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import TOOL_INPUT, Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.asking import WEATHER_SCHEMA
from tests.seeds.conftest import SecondGateway, sent_body

pytestmark = [pytest.mark.services, pytest.mark.contract]

HELLO: Any = [{"role": "user", "content": "Hello, how are you?"}]
TOOL: Any = {"name": "get_weather", "input_schema": WEATHER_SCHEMA}
ELSEWHERE = {
    "gpt-5": "/v1/chat/completions",
    "google/gemini-2.5-pro": "/v1beta/models/gemini-2.5-pro:generateContent",
    "cohere/command-a-03-2025": "/v1/chat/completions",
    "mistral/mistral-large-latest": "/v1/chat/completions",
    "deepseek/deepseek-chat": "/chat/completions",
    "openrouter/meta-llama/llama-3-70b": "/api/v1/chat/completions",
    "ollama_chat/llama3": "/api/chat",
}
"""Models that do not speak the Messages API, and where they are asked instead."""


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_c01_messages_are_translated_for_a_model_of_openai_and_its_answer_back(
    anthropic_client: anthropic.AsyncAnthropic, upstream: RecordingUpstream, *, stream: bool
) -> None:
    upstream.default = Script(text=("I'm doing ", "well."), tools=1, input_tokens=13, output_tokens=20)
    fields: dict[str, Any] = {"model": "gpt-5", "max_tokens": 100, "messages": HELLO, "tools": [TOOL]}
    if stream:
        async with anthropic_client.messages.stream(**fields, system="Be kind.") as streaming:
            message = await streaming.get_final_message()
    else:
        message = await anthropic_client.messages.create(**fields, system="Be kind.")
    said, call = message.content
    assert said.type == "text"
    assert said.text == "I'm doing well."
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("get_weather", TOOL_INPUT)
    assert message.stop_reason == "tool_use"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (13, 20)
    assert upstream.requests[-1].path == "/v1/chat/completions"
    assert [turn["role"] for turn in sent_body(upstream)["messages"]] == ["system", "user"]
    assert sent_body(upstream)["tools"][0]["function"]["parameters"] == WEATHER_SCHEMA


@pytest.mark.parametrize("model", ELSEWHERE)
async def test_c02_models_of_every_provider_answer(
    anthropic_client: anthropic.AsyncAnthropic, upstream: RecordingUpstream, model: str
) -> None:
    upstream.default = Script(text=("Well, ", "thank you."))
    message = await anthropic_client.messages.create(model=model, max_tokens=100, messages=HELLO)
    [block] = message.content
    assert block.type == "text"
    assert block.text == "Well, thank you."
    assert upstream.requests[-1].path == ELSEWHERE[model]


async def test_c02_routing_caches_and_costs_hold_for_it_too(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    key = await admin.generate()
    http = anthropic.DefaultAsyncHttpxClient(trust_env=False)
    upstream.default = Script(input_tokens=100, cache_read=900, output_tokens=50)
    async with anthropic.AsyncAnthropic(api_key=key, base_url=gateway.base_url, http_client=http) as client:
        answers = [
            await client.messages.create(model="on-two-hosts", max_tokens=100, messages=HELLO) for _ in range(24)
        ]
    assert {request.path.partition("/models")[0] for request in upstream.requests} == {
        "/v1beta",
        "/v1/chat/completions",
    }
    assert {(answer.usage.input_tokens, answer.usage.cache_read_input_tokens) for answer in answers} == {(100, 900)}
    rows = await admin.receipts(key, len(answers))
    assert len(rows) == len(answers)
    assert all(row["spend"] > 0 for row in rows)
    assert {row["model_group"] for row in rows} == {"on-two-hosts"}


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("google/gemini-2.5-pro", "/v1beta/models/gemini-2.5-pro:generateContent"),
        ("anthropic/claude-3-5-sonnet-20241022", "claude-3-5-sonnet-20241022"),
        ("gpt-5", "gpt-5"),
        ("gpt-5-mini", "gpt-5-mini"),
        ("gpt-5-nano", "gpt-5-nano"),
    ],
)
async def test_c03_names_work_with_their_provider_before_them_and_bare(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, name: str, asked: str
) -> None:
    body = {"model": name, "max_tokens": 100, "messages": HELLO}
    answer = await http.post("/v1/messages", json=body, headers={"x-api-key": key})
    assert answer.status_code == 200
    assert asked in {upstream.requests[-1].path, sent_body(upstream).get("model")}


@pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning")  # the names are those of the seed
@pytest.mark.parametrize(
    ("main", "small"),
    [("claude-sonnet-4-20250514", "claude-3-5-haiku-20241022"), ("gpt-5", "gpt-5-nano")],
    ids=["defaults", "others"],
)
async def test_c04_c05_c06_four_variables_set_claude_code_up_with_any_main_and_background_model(
    gateway: GatewayProcess,
    key: str,
    upstream: RecordingUpstream,
    monkeypatch: pytest.MonkeyPatch,
    main: str,
    small: str,
) -> None:
    """What ``claude`` does with ANTHROPIC_MODEL and ANTHROPIC_SMALL_FAST_MODEL (newer: ANTHROPIC_DEFAULT_HAIKU_MODEL):
    it names them in its requests. The SDK reads the other two itself."""
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", gateway.base_url)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", key)
    async with anthropic.AsyncAnthropic(http_client=anthropic.DefaultAsyncHttpxClient(trust_env=False)) as claude:
        title = await claude.beta.messages.create(
            model=small, max_tokens=64, messages=HELLO, system="Write a title.", betas=["claude-code-20250219"]
        )
        assert title.model == small
        upstream.default = Script(thinking=True, text=("Let me look.",), tools=1)
        async with claude.beta.messages.stream(
            model=main,
            max_tokens=32_000,
            system=[
                {"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": "The folder is /src.", "cache_control": {"type": "ephemeral"}},
            ],
            messages=HELLO,
            tools=[TOOL],
            metadata={"user_id": '{"device_id":"d","account_uuid":"","session_id":"s"}'},
            thinking={"type": "enabled", "budget_tokens": 31_999},
            betas=["claude-code-20250219", "interleaved-thinking-2025-05-14"],
        ) as streaming:
            answer = await streaming.get_final_message()
        assert [block.type for block in answer.content] == ["thinking", "text", "tool_use"]
        turns: list[Any] = [*HELLO, {"role": "assistant", "content": [block.model_dump() for block in answer.content]}]
        called = answer.content[-1]
        assert called.type == "tool_use"
        result = {"type": "tool_result", "tool_use_id": called.id, "content": "sunny"}
        upstream.default = Script(text=("It is sunny.",))
        turns.append({"role": "user", "content": [result]})
        last = await claude.beta.messages.create(model=main, max_tokens=1024, messages=turns, tools=[TOOL])
        assert last.stop_reason == "end_turn"
    assert {sent["model"] for sent in (request.json() for request in upstream.requests)} == {main, small}


async def test_c07_c08_a_manual_request_is_answered_in_the_shape_of_a_message(
    gateway: GatewayProcess, key: str, upstream: RecordingUpstream
) -> None:
    words = "Hello! I'm doing well, thank you for asking. How can I help you today?"
    upstream.default = Script(text=(words,), input_tokens=13, output_tokens=20)
    curl = await asyncio.create_subprocess_exec(
        *("curl", "--silent", "--noproxy", "*", "-X", "POST", f"{gateway.base_url}/v1/messages"),
        *("-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"),
        *(
            "-d",
            '{"model": "gpt-5", "messages": [{"role": "user", "content": "Hello, how are you?"}], "max_tokens": 100}',
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await curl.communicate()
    answer = json.loads(output)
    assert answer.pop("id").startswith("msg_")
    usage = answer.pop("usage")
    assert (usage["input_tokens"], usage["output_tokens"]) == (13, 20)
    assert answer == {
        "type": "message",
        "role": "assistant",
        "model": "gpt-5",
        "content": [{"type": "text", "text": words}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
    }


async def test_c09_a_promotion_halves_the_price_of_one_providers_models_and_the_catalogue_is_listed(
    http: httpx.AsyncClient, second_gateway: SecondGateway, admin: Admin, upstream: RecordingUpstream
) -> None:
    """``cost_discount_config: {anthropic: 0.5}`` in the second gateway's file."""
    upstream.default = Script(input_tokens=1000, output_tokens=100)
    spent = []
    for client in (http, second_gateway.http):
        key = await admin.generate()
        body = {"model": "claude-3-5-haiku-20241022", "max_tokens": 100, "messages": HELLO}
        assert (await client.post("/v1/messages", json=body, headers={"x-api-key": key})).status_code == 200
        [row] = await admin.receipts(key, 1)
        spent.append(row["spend"])
        listed = await client.get("/v1/models", headers={"x-api-key": key})
        assert "claude-3-5-haiku-20241022" in listed.text or client is http
    assert spent[0] == pytest.approx(2 * spent[1]) != 0


@pytest.mark.parametrize("model", ["gpt-5", "claude-4", "azure/claude-sonnet-4-5", "azure_ai/claude-sonnet-4-5"])
async def test_c10_nobody_needs_to_send_anthropic_version(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, model: str
) -> None:
    body = {"model": model, "max_tokens": 100, "messages": HELLO}
    answer = await http.post("/v1/messages", json=body, headers={"authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["type"]) == (200, "message")
    # The hosts of Claude insist on it, so it is added there.
    assert upstream.requests[-1].header_values("anthropic-version") == ([] if model == "gpt-5" else ["2023-06-01"])
