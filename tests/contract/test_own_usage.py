"""What a key may ask about its spend, and what of Claude Code's gateway protocol is told: its gateway mode."""

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]


@pytest.fixture
async def http(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        yield client


async def spend_usd_1_50(http: httpx.AsyncClient, upstream: RecordingUpstream, key: str) -> httpx.Response:
    upstream.script(Script(text=("much",), input_tokens=0, output_tokens=100_000))
    body = {"model": "claude-sonnet-4-6", "max_tokens": 10, "messages": [{"role": "user", "content": "Hello"}]}
    answer = await http.post("/v1/messages", json=body, headers={"x-api-key": key})
    assert answer.status_code == 200, answer.text
    return answer


async def usage_of(http: httpx.AsyncClient, key: str, used_cents: int) -> Any:
    """As soon as the books have what was spent."""
    deadline = time.monotonic() + 30
    while True:
        answer = await http.get("/api/oauth/usage", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200, answer.text
        if answer.json()["extra_usage"]["used_credits"] >= used_cents or time.monotonic() > deadline:
            return answer.json()
        await asyncio.sleep(0.05)


async def test_the_budgets_of_a_key_and_of_its_team_are_told_with_their_reset(
    http: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream
) -> None:
    team = (await admin.post("/team/new", max_budget=100, budget_duration="7d")).json()["team_id"]
    key = await admin.generate(team_id=team, max_budget=2, budget_duration="1mo")
    await spend_usd_1_50(http, upstream, key)
    told = await usage_of(http, key, 150)
    assert told["extra_usage"] | {"monthly_limit": 200, "used_credits": 150, "utilization": 75} == told["extra_usage"]
    assert [(limit["group"], limit["percent"], limit["severity"]) for limit in told["limits"]] == [
        ("monthly", 75, "warning"),
        ("weekly", 1, "normal"),
    ]
    headers = (await spend_usd_1_50(http, upstream, key)).headers
    assert headers["anthropic-ratelimit-unified-overage-utilization"] == "0.75"
    assert headers["anthropic-ratelimit-unified-overage-surpassed-threshold"] == "0.75"
    assert "anthropic-ratelimit-requests-limit" not in headers, "the provider's own are not the caller's"
    ends_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(headers["anthropic-ratelimit-unified-reset"])))
    assert told["limits"][0]["resets_at"] == ends_at


async def test_a_key_without_a_budget_is_told_what_it_has_spent(
    http: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream
) -> None:
    key = await admin.generate()
    await spend_usd_1_50(http, upstream, key)
    told = await usage_of(http, key, 150)
    assert told["limits"] == []
    assert told["extra_usage"]["monthly_limit"] is None
    assert told["daily"] == told["weekly"] == {"limit": None, "used_credits": 150, "utilization": None}


async def test_a_refusal_there_has_anthropics_shape(http: httpx.AsyncClient) -> None:
    answer = await http.request("PUT", "/api/oauth/usage")
    assert answer.status_code == 405
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_the_protocol_page_tells_without_a_key_what_is_there(http: httpx.AsyncClient) -> None:
    page = await http.get("/protocol")
    assert page.headers["content-type"].startswith("text/markdown")
    assert "gateway_protocol_version: 1" in page.text
    told = (await http.get("/protocol", headers={"accept": "application/json"})).json()
    assert told["gateway_protocol_version"] == 1
    for part in told["parts"]:
        answer = await http.request(part["method"], part["path"])
        assert (answer.status_code != 404) == part["served"], part
        assert (answer.status_code == 401) == (part["served"] and part["needs_key"]), part
    assert {"/v1/messages", "/v1/models", "/v1/metrics", "/protocol"} <= {
        part["path"] for part in told["parts"] if part["served"]
    }


async def test_the_settings_of_a_keys_team_come_with_a_checksum_and_not_twice(
    http: httpx.AsyncClient, admin: Admin
) -> None:
    teams = [(await admin.post("/team/new")).json()["team_id"] for _ in range(2)]
    key, other = [await admin.generate(team_id=team_id, key_type="llm_api") for team_id in teams]
    settings = {"permissions": {"deny": ["WebFetch"]}, "env": {"B": "2", "A": "1"}}
    await admin.post("/managed_settings/update", team_id=teams[0], settings=settings)
    answer = await http.get("/managed/settings", headers={"authorization": f"Bearer {key}"})
    written = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    checksum = f"sha256:{hashlib.sha256(written.encode()).hexdigest()}"
    assert answer.json() == {"uuid": answer.json()["uuid"], "checksum": checksum, "settings": settings}
    assert answer.headers["etag"] == f'"{checksum}"'
    for known in (checksum, f'W/"{checksum}"', f'"other", "{checksum}"'):
        headers = {"authorization": f"Bearer {key}", "if-none-match": known}
        assert (await http.get("/managed/settings", headers=headers)).status_code == 304
    headers = {"authorization": f"Bearer {other}", "if-none-match": checksum}
    assert (await http.get("/managed/settings", headers=headers)).status_code == 404, "another team's"
    await admin.post("/managed_settings/update", team_id=teams[0], settings={})
    changed = await http.get("/managed/settings", headers={"authorization": f"Bearer {key}", "if-none-match": checksum})
    assert changed.json()["settings"] == {}
