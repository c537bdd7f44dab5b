"""Alerts of a running gateway, set up as LiteLLM's are: two processes, one message for each thing that happens."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.contract.conftest import CONFIG, PROVIDER_KEY
from tests.fakes.alert_sinks import wait_until, web_sink
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

ALERTING = """
general_settings:
  alerting: ["slack"]
  alert_types: ["budget_alerts", "outage_alerts"]
environment_variables:
  SLACK_WEBHOOK_URL: %s
alert_check_s: 1
"""


@pytest.mark.timeout(180)
async def test_two_processes_tell_of_a_budget_and_of_an_empty_account_once(
    upstream: RecordingUpstream, make_home: Callable[[], Path]
) -> None:
    folder = make_home()
    (folder / "home").mkdir(mode=0o711)
    async with web_sink(500) as sink:
        (folder / "config.yaml").write_text(CONFIG + ALERTING % sink.url)
        process = GatewayProcess(
            folder / "home",
            {"ANTHROPIC_API_KEY": PROVIDER_KEY, "ANTHROPIC_API_BASE": upstream.base_url, "OPENAI_API_KEY": "sk-none"},
            "--workers", "2", "--config", str(folder / "config.yaml"),
        )  # fmt: skip
        await asyncio.to_thread(process.start)
        admin = Admin(process.base_url)
        try:
            await call_until_told(process, admin, upstream)
            await wait_until(lambda: len(sink.received) >= 3)
            await until_noted(admin)
            await asyncio.to_thread(process.kill)
            await asyncio.to_thread(process.start)
        finally:
            await admin.client.aclose()
            await asyncio.to_thread(process.stop)
    texts = [msgspec.json.decode(post.body)["text"] for post in sink.received]
    refused_first, *others = texts
    assert others.count(refused_first) == 1, "what the sink refused came again"
    assert sorted(text.partition("\n")[0] for text in others) == [
        '*Key "ci" has spent 90 % of its budget*',
        "*Provider anthropic refuses calls: its account is out of credit*",
    ]
    by_budget = next(text for text in others if "ci" in text)
    assert "0.94 of 1.00 USD per day spent; resets on" in by_budget
    assert "To change the budget: POST /key/update with key" in by_budget


async def until_noted(admin: Admin) -> None:
    """A delivery that was not yet noted is made again after a kill, as it should be."""
    for _ in range(600):
        if not (await admin.client.get("/alert/events", params={"state": "pending"})).json()["events"]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("a delivery is still pending")


async def call_until_told(process: GatewayProcess, admin: Admin, upstream: RecordingUpstream) -> None:
    key = await admin.generate(key_alias="ci", max_budget=1, budget_duration="1d")
    body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
    async with httpx.AsyncClient(base_url=process.base_url, headers={"x-api-key": key}, trust_env=False) as client:
        upstream.default = Script(input_tokens=316_666, output_tokens=0)
        assert (await client.post("/v1/messages", json=body)).status_code == 200
        upstream.default = Script(error=402)
        for _ in range(8):
            assert (await client.post("/v1/messages", json=body)).status_code >= 400
