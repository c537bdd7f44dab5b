"""Budgets under concurrency, with a provider that keeps its own bill."""

import asyncio
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tests.fakes.bill import BillEntry
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

INPUT_USD, OUTPUT_USD = Decimal("0.000003"), Decimal("0.000015")
"""Claude Sonnet 4.6's list price of a token, as the bundled price book has it."""


def billed_usd(entries: list[BillEntry]) -> Decimal:
    return sum((entry.input * INPUT_USD + entry.output * OUTPUT_USD for entry in entries), Decimal(0))


async def stream(client: httpx.AsyncClient, key: str, max_tokens: int) -> tuple[int, bytes, httpx.Headers]:
    body: dict[str, Any] = {
        "model": "claude-sonnet-4-6",
        "max_tokens": max_tokens,
        "stream": True,
        "messages": [{"role": "user", "content": "Hello"}],
    }
    async with client.stream("POST", "/v1/messages", json=body, headers={"x-api-key": key}) as answer:
        return answer.status_code, await answer.aread(), answer.headers


async def test_two_hundred_streams_at_once_spend_the_budget_of_twenty_and_no_more(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(events=20, input_tokens=100, output_tokens=200, delay_ms=5)
    one_usd = 100 * INPUT_USD + 200 * OUTPUT_USD
    key = await admin.generate(max_budget=float(20 * one_usd))
    billed_before = len(upstream.bill.entries)
    limits = httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(base_url=gateway.base_url, limits=limits, timeout=60, trust_env=False) as client:
        answers = await asyncio.gather(*(stream(client, key, 400) for _ in range(200)))

    served = [body for status, body, _ in answers if status == 200]
    refused = [(status, body, headers) for status, body, headers in answers if status != 200]
    billed = billed_usd(upstream.bill.entries[billed_before:])
    assert all(body.endswith(b'{"type":"message_stop"}\n\n') or b"message_stop" in body for body in served)
    assert billed <= 21 * one_usd
    assert len(served) >= 20
    for status, body, headers in refused:
        assert status == 429
        assert b'"billing_error"' in body
        assert b"spend limit reached" in body
        assert headers["x-should-retry"] == "false"
    rows = await admin.receipts(key, len(served))
    assert sum(Decimal(str(row["spend"])) for row in rows) == billed


async def test_a_spent_budget_works_again_after_its_duration(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(input_tokens=100, output_tokens=200)
    key = await admin.generate(max_budget=0.003, budget_duration="3s")
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        assert (await stream(client, key, 200))[0] == 200
        while (answer := await stream(client, key, 200))[0] == 200:
            pass  # the three seconds had passed meanwhile
        status, _, headers = answer
        assert status == 429
        assert 0 <= int(headers["retry-after"]) <= 3
        assert headers["anthropic-ratelimit-unified-status"] == "rejected"
        await asyncio.sleep(int(headers["retry-after"]) + 0.1)
        assert (await stream(client, key, 200))[0] == 200


async def test_the_spend_of_a_key_is_exact_to_the_nano_dollar(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(
        input_tokens=1, cache_read=1, cache_write_5m=1000, cache_write_1h=1000, output_tokens=1, events=1
    )
    key = await admin.generate()
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        assert (await stream(client, key, 200))[0] == 200
    rows = await admin.receipts(key, 1)
    # 1 × 3 + 1 × 0.30 + 1000 × 3.75 + 1000 × 6 + 1 × 15 dollars per million
    assert rows[0]["spend"] == 0.0097683
    info = await admin.client.get("/key/info", params={"key": key})
    assert b'"spend":0.0097683' in info.content.replace(b" ", b"")
