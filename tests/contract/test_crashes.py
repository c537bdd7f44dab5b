"""kill -9 of the gateway, of Valkey and of Postgres in mid-stream: no receipt is lost, doubled or wrong."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.embedded import EmbeddedServers
from tests.contract.conftest import CONFIG, PROVIDER_KEY
from tests.contract.test_budgets_hold import INPUT_USD, OUTPUT_USD
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract, pytest.mark.timeout(600)]

CRASH_POINTS = int(os.environ.get("KEYHOUSE_TEST_CRASH_POINTS", "1"))
LEASE_S = 5
STREAMS = 12


@pytest.fixture(scope="module")
async def embedded_gateway(upstream: RecordingUpstream, make_home: Callable[[], Path]) -> AsyncIterator[GatewayProcess]:
    folder = make_home()
    (folder / "home").mkdir(mode=0o711)
    (folder / "config.yaml").write_text(CONFIG)
    process = GatewayProcess(
        folder / "home",
        {
            "ANTHROPIC_API_KEY": PROVIDER_KEY,
            "ANTHROPIC_API_BASE": upstream.base_url,
            "OPENAI_API_KEY": PROVIDER_KEY,
            "KEYHOUSE_LEASE_S": str(LEASE_S),
        },
        "--config",
        str(folder / "config.yaml"),
    )
    await asyncio.to_thread(process.start)
    yield process
    await asyncio.to_thread(process.stop)


def server_pid(home: Path, name: str) -> int:
    """The embedded server of that home."""
    pid = EmbeddedServers(home).find_pid(name)
    assert pid is not None, f"no {name} runs for {home}"
    return pid


async def one_call(client: httpx.AsyncClient, key: str, name: str) -> str:
    """``finished`` when the client saw the whole answer, else ``broken`` or the status of a refusal."""
    body: dict[str, Any] = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 400,
        "stream": True,
        "metadata": {"user_id": name},
        "messages": [{"role": "user", "content": "Hello"}],
    }
    try:
        async with client.stream("POST", "/v1/messages", json=body, headers={"x-api-key": key}) as answer:
            if answer.status_code != 200:
                return str(answer.status_code)
            received = await answer.aread()
    except httpx.HTTPError:
        return "broken"
    return "finished" if b"message_stop" in received and b"event: error" not in received else "broken"


@pytest.mark.parametrize("point", range(CRASH_POINTS))
@pytest.mark.parametrize("victim", ["gateway", "valkey", "postgres"])
async def test_after_a_kill_the_receipts_are_what_the_provider_billed(
    embedded_gateway: GatewayProcess, upstream: RecordingUpstream, victim: str, point: int
) -> None:
    chance = random.Random(f"{victim}{point}")
    upstream.default = Script(events=30, input_tokens=100, output_tokens=60, delay_ms=20)
    admin = Admin(embedded_gateway.base_url)
    key = await admin.generate(max_budget=100, max_parallel_requests=STREAMS, rpm_limit=10_000)
    names = [f"{victim}-{point}-{number}" for number in range(STREAMS)]
    seen: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=embedded_gateway.base_url, timeout=30, trust_env=False) as client:

        async def later(name: str, wait_s: float) -> None:
            await asyncio.sleep(wait_s)
            seen[name] = await one_call(client, key, name)

        calls = asyncio.gather(*(later(name, chance.uniform(0, 1)) for name in names))
        await asyncio.sleep(chance.uniform(0.1, 1.4))
        if victim == "gateway":
            await asyncio.to_thread(embedded_gateway.kill)
        else:
            os.kill(server_pid(embedded_gateway.home, victim), signal.SIGKILL)
        await calls
    if victim == "gateway":
        await asyncio.to_thread(embedded_gateway.start)
    await upstream.wait_until(lambda: all(entry.state != "started" for entry in upstream.bill.entries))

    reached = {request.json()["metadata"]["user_id"] for request in upstream.requests}
    rows = await admin.receipts(key, len(reached), timeout_s=LEASE_S + 60)
    by_name = {row["end_user"]: row for row in rows}
    assert len(rows) == len(by_name), "a receipt was booked twice"
    for name in names:
        if seen[name] == "finished":
            assert Decimal(str(by_name[name]["spend"])) == 100 * INPUT_USD + 60 * OUTPUT_USD, by_name[name]
        elif name in reached:
            # The stated estimate: what was counted, or what was held: between the input alone and max_tokens.
            assert 0 < by_name[name]["spend"] <= 0.0003 + 400 * 0.000015, by_name[name]
    # Nothing is stuck: as many calls as the key may make at once go through again.
    async with httpx.AsyncClient(base_url=embedded_gateway.base_url, timeout=60, trust_env=False) as client:
        again = await asyncio.gather(*(one_call(client, key, f"again-{name}") for name in names))
    assert set(again) == {"finished"}
    await admin.client.aclose()
