"""Near the end of a budget a cheaper model serves, is announced, and is checked like any other."""

from typing import Any

import httpx
import pytest

from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.minutes import within_one_minute
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

SONNET, HAIKU = "claude-sonnet-4-6", "claude-haiku-4-5"
SESSION = {"x-claude-code-session-id": "5d1f3d5e-0000-4000-8000-000000000001"}
TOOLS = [{"name": "run", "input_schema": {"type": "object"}}]
# 3 and 15 USD a million: 0.0165 USD.
DEAR = Script(input_tokens=500, output_tokens=1_000)


async def ask(
    gateway: GatewayProcess, key: str, headers: dict[str, str] | None = None, **further: Any
) -> httpx.Response:
    body = {"model": SONNET, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}], **further}
    headers = {"authorization": f"Bearer {key}", **(headers or {})}
    async with httpx.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=30, trust_env=False) as client:
        return await client.post("/v1/messages", json=body)


def served(upstream: RecordingUpstream) -> str:
    model: str = upstream.requests[-1].json()["model"]
    return model


@pytest.mark.parametrize(("at", "said"), [(10, "10%"), ("soft_budget", "soft_budget")])
async def test_helpers_step_down_at_their_share_and_the_main_turn_goes_on(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream, at: Any, said: str
) -> None:
    upstream.default = DEAR
    policy = {"step_down": {"to": HAIKU, "at": at}}
    key = await admin.generate(max_budget=0.1, soft_budget=0.01, rpm_limit=5, metadata=policy)
    await within_one_minute(10)
    first = await ask(gateway, key, SESSION)
    assert (served(upstream), "x-keyhouse-step-down" in first.headers) == (SONNET, False)
    helper = await ask(gateway, key, SESSION)
    assert served(upstream) == HAIKU
    assert helper.headers["x-keyhouse-step-down"] == f"{HAIKU}; from={SONNET}; at={said}"
    await ask(gateway, key, SESSION, tools=TOOLS)
    assert served(upstream) == SONNET
    rows = {row["request_id"]: row for row in await admin.receipts(key, 3)}
    row = rows[helper.headers["request-id"]]
    assert (row["metadata"]["step_down"], row["model"], row["model_group"]) == (said, HAIKU, SONNET)
    assert row["spend"] < rows[first.headers["request-id"]]["spend"]
    # However often it was reserved, each was one request of the minute.
    assert [(await ask(gateway, key, SESSION)).status_code for _ in range(3)] == [200, 200, 429]


async def test_at_the_limit_of_one_model_another_serves_where_it_may(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = DEAR
    limited = {"model_max_budget": {SONNET: {"budget_limit": 0.001, "time_period": "1d"}}}
    rung = {"to": HAIKU, "at": "limit", "classes": "all"}
    team = (await admin.post("/team/new", metadata={"step_down": rung})).json()["team_id"]
    key = await admin.generate(team_id=team, **limited)
    narrow = await admin.generate(team_id=team, models=[SONNET], **limited)
    for one in (key, narrow):
        assert (await ask(gateway, one)).status_code == 200
        await admin.receipts(one, 1)
    second = await ask(gateway, key)
    assert (second.status_code, served(upstream)) == (200, HAIKU)
    assert second.headers["x-keyhouse-step-down"].endswith("at=limit")
    calls = len(upstream.requests)
    refused = await ask(gateway, narrow)
    assert (refused.json()["error"]["type"], len(upstream.requests)) == ("billing_error", calls)


async def test_budget_fallbacks_serve_once_the_budget_of_their_model_is_spent_and_not_at_a_rate(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = DEAR
    fallbacks = {"budget_fallbacks": {SONNET: ["team-sonnet", HAIKU]}}
    limited = {"model_max_budget": {SONNET: {"budget_limit": 0.001, "time_period": "1d"}}}
    key = await admin.generate(**fallbacks, **limited, models=[SONNET, HAIKU, "team-sonnet"])
    await ask(gateway, key)
    await admin.receipts(key, 1)
    second = await ask(gateway, key)
    assert second.headers["x-keyhouse-step-down"] == f"team-sonnet; from={SONNET}; at=limit"
    changed = await admin.post("/key/update", key=key, budget_fallbacks={SONNET: [HAIKU]})
    assert changed.json()["budget_fallbacks"] == {SONNET: [HAIKU]}
    await ask(gateway, key)
    assert served(upstream) == HAIKU
    await admin.post("/key/update", key=key, budget_fallbacks=None)
    assert (await ask(gateway, key)).json()["error"]["type"] == "billing_error"

    hurried = await admin.generate(**fallbacks, model_rpm_limit={SONNET: 1})
    assert [(await ask(gateway, hurried)).status_code for _ in range(2)] == [200, 429]


async def test_a_target_that_is_no_model_or_not_allowed_is_refused_when_it_is_set(admin: Admin) -> None:
    for fields, said in (
        ({"metadata": {"step_down": {"to": "nobody", "at": 80}}}, 'names \\"nobody\\", which is no model here'),
        ({"metadata": {"step_down": {"to": HAIKU, "at": 80}}, "models": [SONNET]}, '\\"models\\" does not hold'),
        ({"metadata": {"step_down": {"to": HAIKU, "at": 101}}}, '\\"at\\" must be per cent'),
    ):
        for path in ("/key/generate", "/team/new"):
            answer = await admin.post(path, **fields)
            assert (answer.status_code, said in answer.text) == (422, True), answer.text
    for fallbacks in ({SONNET: ["nobody"]}, {SONNET: [HAIKU]}, {SONNET: HAIKU}, [SONNET]):
        answer = await admin.post("/key/generate", models=[SONNET], budget_fallbacks=fallbacks)
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "budget_fallbacks"), answer.text
