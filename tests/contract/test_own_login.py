"""A developer's own login goes out as it came, to the one place it may go to, and what it pays is in no budget."""

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.contract.test_models_at_run_time import dump_of_postgres, dump_of_redis, forms_of
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

LOGIN = "sk-ant-oat01-of-a-developer-7f3c9a51d2e84b06"
BETAS = "oauth-2025-04-20,claude-code-20250219"
QUESTION = {"max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def relayed_model(admin: Admin, upstream: RecordingUpstream) -> AsyncIterator[str]:
    """A model at a place that an admin has opened to callers' own logins."""
    params = {
        "model": "anthropic/claude-sonnet-4-6", "api_key": "sk-ant-the-gateways-own", "api_base": upstream.base_url,
        "input_cost_per_token": "0.000003", "output_cost_per_token": "0.000015", "allow_relay": True,
        "extra_headers": {"anthropic-beta": "of-the-admin", "x-egress": "yes"},
    }  # fmt: skip
    made = await admin.post("/model/new", model_name="relayed", litellm_params=params)
    assert made.status_code == 200, made.text
    yield "relayed"
    await admin.post("/model/delete", id=made.json()["model_id"])


async def ask(
    client: httpx.AsyncClient, key: str, model: str, path: str = "/v1/messages", **fields: object
) -> httpx.Response:
    headers = {"authorization": f"Bearer {LOGIN}", "x-keyhouse-key": key, "anthropic-beta": BETAS}
    return await client.post(path, json={"model": model, **QUESTION, **fields}, headers=headers)


async def test_the_login_goes_out_as_it_came_and_costs_no_budget_anything(
    client: httpx.AsyncClient,
    admin: Admin,
    upstream: RecordingUpstream,
    gateway: GatewayProcess,
    relayed_model: str,
    database_url: str,
    redis_url: str,
) -> None:
    upstream.default = Script(input_tokens=1_000, output_tokens=10)
    # Spent by its first call, if that call were the budget's.
    key = await admin.generate(max_budget=0.000001, models=[relayed_model], metadata={"project": "relay"})
    answers = [await ask(client, key, relayed_model), await ask(client, key, relayed_model, stream=True)]
    assert [answer.status_code for answer in answers] == [200, 200]
    for request in upstream.requests:
        assert request.header_values("authorization") == [f"Bearer {LOGIN}"]
        assert request.header_values("anthropic-beta") == [BETAS]
        assert (request.header("x-api-key"), request.header("x-egress")) == (None, "yes")
        assert key not in str(request.headers)
    rows = await admin.receipts(key, 2)
    assert [(row["spend"], row["metadata"]["notional_cost"]) for row in rows] == [(0, 0.00315)] * 2
    assert (await admin.client.get("/key/info", params={"key": key})).json()["info"]["spend"] == 0

    days = dict.fromkeys(("start_date", "end_date"), rows[0]["startTime"][:10])
    for group_by in ("key", "key,tag", "key,agent"):
        report = await admin.client.get(
            "/spend/report", params={**days, "group_by": group_by, "key_id": rows[0]["api_key"]}
        )
        [cell] = report.json()["data"]
        assert (cell["requests"], cell["cost"], cell["notional_cost"]) == (2, 0, 0.0063)

    dumps = await dump_of_postgres(database_url) + await dump_of_redis(redis_url)
    assert rows[0]["request_id"].encode() in dumps
    assert all(form not in dumps for form in forms_of(LOGIN))
    assert LOGIN not in gateway.log()


async def test_the_same_key_without_the_login_is_paid_by_its_budget(
    client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, relayed_model: str
) -> None:
    upstream.default = Script(input_tokens=1_000, output_tokens=10)
    key = await admin.generate(max_budget=1)
    alone = await client.post(
        "/v1/messages", json={"model": relayed_model, **QUESTION}, headers={"x-keyhouse-key": key}
    )
    # In x-api-key our key is one that is to be replaced, not one that stands beside a login.
    headers = {"authorization": f"Bearer {LOGIN}", "x-api-key": key}
    replaced = await client.post("/v1/messages", json={"model": relayed_model, **QUESTION}, headers=headers)
    assert (alone.status_code, replaced.status_code) == (200, 200)
    assert {request.header("authorization") for request in upstream.requests} == {None}
    rows = await admin.receipts(key, 2)
    assert [(row["spend"], row["metadata"]["notional_cost"]) for row in rows] == [(0.00315, None)] * 2


async def test_a_login_is_sent_nowhere_else(
    client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, relayed_model: str
) -> None:
    key = await admin.generate()
    for model, path in (
        ("claude-sonnet-4-6", "/v1/messages"),
        ("gpt-5", "/v1/messages"),
        ("claude-sonnet-4-6", "/v1/messages/count_tokens"),
        ("claude-sonnet-4-6", "/anthropic/v1/messages"),
    ):
        refused = await ask(client, key, model, path)
        assert refused.status_code == 400, path
        assert "allow_relay: true" in refused.json()["error"]["message"]
    for path in ("/v1/chat/completions", "/v1/messages/batches", "/v1/responses", "/v1/embeddings"):
        refused = await ask(client, key, relayed_model, path, input="Hello")
        assert refused.status_code == 400, path
        assert "takes no login of your own" in refused.json()["error"]["message"]
    assert upstream.requests == []
    headers = {"authorization": f"Bearer {LOGIN}", "x-keyhouse-key": key, "anthropic-version": "2023-06-01"}
    listed = (await client.get("/v1/models", headers=headers)).json()["data"]
    assert {model["id"].removeprefix("anthropic-gateway/") for model in listed} == {relayed_model}


async def test_what_costs_nothing_is_relayed_too(
    client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, relayed_model: str
) -> None:
    key = await admin.generate()
    counted = await ask(client, key, relayed_model, "/v1/messages/count_tokens")
    passed = await client.get(
        "/anthropic/v1/organizations/me", headers={"authorization": f"Bearer {LOGIN}", "x-litellm-api-key": key}
    )
    assert counted.status_code == 200
    assert passed.status_code in {200, 404}
    assert [request.header("authorization") for request in upstream.requests] == [f"Bearer {LOGIN}"] * 2


async def test_a_key_of_ours_must_stand_beside_it(
    client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, relayed_model: str
) -> None:
    key = await admin.generate()
    wrong = await ask(client, f"{key[:-1]}{'a' if key[-1] != 'a' else 'b'}", relayed_model)
    alone = await client.post(
        "/v1/messages", json={"model": relayed_model, **QUESTION}, headers={"authorization": f"Bearer {LOGIN}"}
    )
    assert (wrong.status_code, alone.status_code) == (401, 401)
    assert "unknown API key" in wrong.json()["error"]["message"]
    assert "x-keyhouse-key" in alone.json()["error"]["message"]
    assert LOGIN[-4:] not in alone.text
    headers = {"authorization": f"Bearer {LOGIN}", "x-keyhouse-key": key}
    assert (await client.get("/key/info", headers=headers)).json()["info"]["spend"] == 0
    assert upstream.requests == []


async def test_limits_hold_and_the_providers_refusal_passes_as_it_is(
    client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, relayed_model: str
) -> None:
    upstream.script(Script(error=401, message="OAuth token has expired"))
    key = await admin.generate(rpm_limit=1)
    expired = await ask(client, key, relayed_model)
    assert (expired.status_code, expired.content) == (401, bytes(upstream.responses[-1].body))
    limited = [await ask(client, key, relayed_model) for _ in range(3)]
    assert 429 in {answer.status_code for answer in limited}
