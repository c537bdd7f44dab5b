"""What a developer reads in Claude Code when the gateway refuses, and how often Claude Code asks before it says so."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.clients.conftest import MakeClaude
from tests.clients.installed import CLAUDE_CODE, Package
from tests.clients.running import asking
from tests.clients.terminal import Terminal
from tests.contract.refused import refusals
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = pytest.mark.clients

MODEL = "claude-sonnet-4-6"
GATEWAY_MODE = {"CLAUDE_CODE_USE_GATEWAY": "1"}
SIGNED_IN = (CLAUDE_CODE.version, True)
"""The version and mode in which the gateway's text stands alone."""


@dataclass(frozen=True, slots=True)
class Case:
    """A refusal: how the key is made, and what is read. ``requests`` are of 2.1.329, in plain and in gateway mode."""

    code: str
    text: str
    requests: tuple[int, int] = (1, 1)
    key: dict[str, Any] = field(default_factory=dict)
    model: str = MODEL
    block: bool = False
    alone: bool = False


CASES = {
    "blocked key": Case("blocked_api_key", 'the key "…{end}" is blocked; ask an admin to unblock it', block=True),
    "expired key": Case("expired_api_key", 'the key "…{end}" expired on ', key={"duration": "1s"}),
    "spent budget": Case(
        "budget_exceeded",
        "spend limit reached · resets ",
        key={"max_budget": 0, "budget_duration": "30d"},
        alone=True,
    ),
    "model not allowed": Case(
        "model_not_allowed",
        'API Error: 400 model "claude-sonnet-4-6" is not allowed for key "…{end}"; it may use: "gpt-5"',
        requests=(6, 2),  # it leaves out one beta after the other, at once
        key={"models": ["gpt-5"]},
    ),
    "unknown model": Case(
        "model_not_found", "There's an issue with the selected model (gpt-6).", requests=(2, 2), model="gpt-6"
    ),
    "route not allowed": Case(
        "permission_denied",
        'API Error: 403 the key "…{end}" may not call /v1/messages',
        key={"allowed_routes": ["/v1/chat/completions"]},
    ),
}


@pytest.mark.parametrize("signed_in", [False, True], ids=["plain", "gateway mode"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_refusal_is_shown_in_our_words_after_few_requests(
    make_claude: MakeClaude,
    version: Package,
    admin: Admin,
    upstream: RecordingUpstream,
    gateway: GatewayProcess,
    case: Case,
    signed_in: bool,
) -> None:
    key = await admin.generate(**case.key)
    if case.block:
        await admin.post("/key/block", key=key)
    if "duration" in case.key:
        await asyncio.sleep(1.1)
    before = await refusals(gateway, case.code)
    claude = make_claude(version, key=key, **(GATEWAY_MODE if signed_in else {}))
    run = await claude.run(*asking("Hello", "--model", case.model))
    shown = next(event for event in run.events if event["type"] == "result")["result"]
    assert case.text.format(end=key[-4:]) in shown
    if case.alone and (version.version, signed_in) == SIGNED_IN:
        assert shown.startswith("spend limit reached"), "nothing of the client's own before it"
    asked = await refusals(gateway, case.code) - before
    assert 1 <= asked <= (case.requests[signed_in] if version is CLAUDE_CODE else max(case.requests))
    assert upstream.requests == []
    assert run.duration_s < 15


async def test_a_wrong_key_is_told_at_once(
    make_claude: MakeClaude, version: Package, gateway: GatewayProcess, upstream: RecordingUpstream
) -> None:
    before = await refusals(gateway, "invalid_api_key")
    run = await make_claude(version, key="sk-kh-" + "0" * 49).run(*asking("Hello", "--model", MODEL))
    assert 'API Error: 401 unknown API key \\"…0000\\"; it was refused by this gateway' in run.output
    assert await refusals(gateway, "invalid_api_key") - before == 1
    assert upstream.requests == []


async def test_a_short_rate_limit_is_waited_for(
    make_claude: MakeClaude, version: Package, admin: Admin, upstream: RecordingUpstream, gateway: GatewayProcess
) -> None:
    key = await admin.generate(max_parallel_requests=1)
    upstream.script(Script(text=("slow ",), delay_ms=600), Script(text=("fast",)))
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        body = {"model": MODEL, "max_tokens": 10, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
        slow = asyncio.create_task(client.post("/v1/messages", json=body, headers={"x-api-key": key}))
        await upstream.wait_until(lambda: len(upstream.requests) == 1)
        before = await refusals(gateway, "rate_limit_exceeded")
        run = await make_claude(version, key=key).run(*asking("Hello", "--model", MODEL))
        assert (await slow).status_code == 200
    assert next(event for event in run.events if event["type"] == "result")["result"] == "fast"
    assert await refusals(gateway, "rate_limit_exceeded") > before


async def spend(gateway: GatewayProcess, upstream: RecordingUpstream, key: str) -> None:
    """1.50 USD."""
    upstream.script(Script(text=("much",), input_tokens=0, output_tokens=100_000))
    body = {"model": MODEL, "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        assert (await client.post("/v1/messages", json=body, headers={"x-api-key": key})).status_code == 200


@pytest.mark.parametrize("percent", [80, 96])
async def test_in_gateway_mode_a_budget_that_is_nearly_spent_is_warned_of_and_told_in_dollars(
    make_claude: MakeClaude, admin: Admin, upstream: RecordingUpstream, gateway: GatewayProcess, percent: int
) -> None:
    key = await admin.generate(max_budget=150 / percent, budget_duration="30d")
    await spend(gateway, upstream, key)
    upstream.default = Script(text=("Good ", "day"), input_tokens=0)
    async with Terminal(make_claude(key=key, **GATEWAY_MODE), "--model", MODEL) as terminal:
        await terminal.until("Claude Code v")
        await terminal.enter("Hello")
        await terminal.until("Good day")
        await terminal.enter("Again")
        await terminal.until(f"You've used {percent}% of your usage credits · resets")
        await terminal.enter("/usage")
        screen = await terminal.until("spent this month")
        assert f"{percent}% used" in screen
        assert f"$1.50 / ${150 / percent:.2f} spent this month · Resets" in screen
