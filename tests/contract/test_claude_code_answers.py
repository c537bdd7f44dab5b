"""What Claude Code asks of a gateway, C50 to C60: what it acts on in answers and errors is there, in its words."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.contract.claude_code import MODEL, send, turn
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]


@pytest.fixture
async def http(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def key(admin: Admin) -> str:
    return await admin.generate()


WORDS = (
    "messages.1.content.0: Invalid `signature` in `thinking` block",
    "cache_control cannot be set for system messages",
    "output_config.effort: Extra inputs are not permitted",
    "tools.12: Input tag 'advisor_20260301' found using 'type' does not match any of the expected tags",
    "prompt is too long: 215000 tokens > 200000 maximum",
)


@pytest.mark.parametrize("words", WORDS)
async def test_c50_the_providers_errors_keep_their_status_and_every_byte(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, words: str
) -> None:
    upstream.script(Script(error=400, message=words))
    answer = await send(http, key, turn())
    assert answer.status_code == 400
    assert answer.content == bytes(upstream.responses[-1].body)


TOO_LONG = {
    "gpt-5": "This model's maximum context length is 400000 tokens. However, your messages resulted in 400010 tokens.",
    "gpt-5-responses": "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "gemini-2.5-pro": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "deepseek-reasoner": "This model's maximum context length is 131072 tokens.",
    "llama": "the input length exceeds the context length",
}


@pytest.mark.parametrize("model", TOO_LONG)
async def test_c51_a_conversation_that_is_too_long_is_told_in_the_words_that_shorten_it(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, model: str
) -> None:
    upstream.script(Script(error=400, message=TOO_LONG[model]))
    answer = await send(http, key, turn(model=model))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"].startswith("prompt is too long")
    assert TOO_LONG[model] in error["message"]


async def test_c52_c59_every_error_of_ours_has_anthropics_shape_and_a_request_id(
    http: httpx.AsyncClient, key: str
) -> None:
    bearer = {"authorization": f"Bearer {key}"}
    answers = [
        await http.post("/v1/messages", content=b"{", headers=bearer),
        await http.post("/v1/messages", json={"model": MODEL, "messages": 3, "max_tokens": "x"}, headers=bearer),
        await http.get("/v1/messages", headers=bearer),
        await http.post("/v1/messages", json=turn()),
        await http.post("/v1/messages/nowhere", json={}, headers=bearer),
        await http.post("/v1/messages", json=turn(model="no-such-model"), headers=bearer),
    ]
    for answer in answers:
        assert 400 <= answer.status_code < 500
        told = answer.json()
        assert told["type"] == "error"
        assert set(told["error"]) == {"type", "message"}
        assert told["request_id"] == answer.headers["request-id"]
        assert told["request_id"].startswith("req_")


async def test_c59_the_id_of_an_answer_finds_its_receipt(http: httpx.AsyncClient, key: str, admin: Admin) -> None:
    answer = await send(http, key, turn())
    [row] = await admin.receipts(key, 1)
    assert row["request_id"] == answer.headers["request-id"]


async def test_c53_a_rate_limit_says_in_whole_seconds_when_to_come_again(http: httpx.AsyncClient, admin: Admin) -> None:
    key = await admin.generate(rpm_limit=1)
    answers = [await send(http, key, turn()) for _ in range(3)]  # a minute of the clock may end between two
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
    assert re.fullmatch("[0-9]+", refused.headers["retry-after"])
    assert 0 <= int(refused.headers["retry-after"]) <= 60
    assert "x-should-retry" not in refused.headers


@pytest.mark.parametrize("model", [MODEL, "gpt-5"])
async def test_c53_c54_what_a_provider_says_of_trying_again_is_passed_on(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, model: str
) -> None:
    upstream.script(Script(error=429, retry_after="7", headers=(("x-should-retry", "false"),)))
    answer = await send(http, key, turn(model=model))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert "false" in answer.headers["x-should-retry"]
    upstream.script(Script(error=529))
    assert (await send(http, key, turn())).status_code == 529


async def test_c54_c55_a_spent_budget_is_refused_as_anthropics_own_gateway_does(
    http: httpx.AsyncClient, admin: Admin
) -> None:
    key = await admin.generate(max_budget=0, budget_duration="1d")
    answer = await send(http, key, turn())
    told = answer.json()["error"]
    assert (answer.status_code, told["type"], answer.headers["x-should-retry"]) == (429, "billing_error", "false")
    assert told["message"].startswith("spend limit reached · resets ")
    for part in (f'key "…{key[-4:]}"', "UTC", "0.000000 USD", "ask an admin"):
        assert part in told["message"]
    unified = {
        name.removeprefix("anthropic-ratelimit-unified-"): value
        for name, value in answer.headers.items()
        if name.startswith("anthropic-ratelimit-unified-")
    }
    assert unified["status"] == "rejected"
    assert unified["overage-period"] == "daily"
    assert unified["overage-utilization"] == "1.00"
    assert unified["overage-surpassed-threshold"] == "1"
    assert unified["overage-disabled-reason"] == "org_spend_cap_reached"
    assert unified["reset"] == unified["overage-reset"]
    assert unified.keys().isdisjoint({"representative-claim", "overage-status"})
    assert 0 < int(answer.headers["retry-after"]) <= 86_400


@pytest.mark.parametrize(("percent", "threshold"), [(50, None), (75, "0.75"), (94, "0.75"), (95, "0.95"), (99, "0.95")])
async def test_c56_a_success_tells_how_much_of_the_callers_own_budget_is_used(
    http: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, percent: int, threshold: str | None
) -> None:
    key = await admin.generate(max_budget=150, budget_duration="30d")
    upstream.script(Script(text=("much",), input_tokens=0, output_tokens=percent * 100_000))  # 1.5 USD for each
    assert (await send(http, key, turn(stream=False))).status_code == 200
    headers = (await send(http, key, turn(stream=False))).headers
    name = "anthropic-ratelimit-unified-"
    status = "allowed" if threshold is None else "allowed_warning"
    assert headers[f"{name}status"] == headers[f"{name}overage-status"] == status
    assert headers[f"{name}representative-claim"] == "overage"
    assert headers[f"{name}overage-utilization"] == f"0.{percent}"
    assert headers.get(f"{name}overage-surpassed-threshold") == threshold
    assert not [one for one in headers if one.startswith("anthropic-ratelimit-") and name not in one]


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_c57_verdicts_and_ids_that_we_do_not_know_come_through(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, stream: bool
) -> None:
    upstream.script(Script(tools=2, unknown=not stream))
    answer = await send(http, key, turn(stream=stream))
    assert answer.content == bytes(upstream.responses[-1].body)
    assert b"toolu_01Fake0001" in answer.content
    if stream:
        verdict = next(line for line in answer.text.splitlines() if "safeguard_results" in line)
        results: list[Any] = json.loads(verdict.removeprefix("data: "))["delta"]["safeguard_results"]
        uses = results[0]["status"]["tool_uses"]
        assert uses["toolu_01Fake0000"] == {"type": "evaluated", "outcome": "not_flagged"}


async def test_c58_a_model_that_is_not_there_or_not_allowed_is_told_with_those_that_are(
    http: httpx.AsyncClient, admin: Admin
) -> None:
    key = await admin.generate(models=["claude-haiku-4-5", "gpt-5"])
    missing = await send(http, key, turn(model="claude-haiku-4-6"))
    assert (missing.status_code, missing.json()["error"]["type"]) == (404, "not_found_error")
    assert '"claude-haiku-4-6"' in missing.json()["error"]["message"]
    assert '"claude-haiku-4-5"' in missing.json()["error"]["message"]
    refused = await send(http, key, turn())
    assert (refused.status_code, refused.json()["error"]["type"]) == (400, "invalid_request_error")
    for name in (MODEL, "claude-haiku-4-5", "gpt-5"):
        assert f'"{name}"' in refused.json()["error"]["message"]


async def test_c60_names_with_a_date_reach_the_model_that_is_there(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    """Background calls ask for a dated Haiku, whatever model was chosen."""
    names = ("claude-haiku-4-5-20251001", "claude-haiku-4-5", "anthropic/claude-haiku-4-5")
    answers = await asyncio.gather(*(send(http, key, turn(model=name, stream=False)) for name in names))
    assert {answer.status_code for answer in answers} == {200}
    assert len(upstream.requests) == len(names)
