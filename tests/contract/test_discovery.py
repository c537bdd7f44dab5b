"""The model list as Claude Code reads it, and the names in it at work: each leads to its model, in the books too."""

from collections.abc import AsyncIterator

import anthropic
import httpx
import pytest

from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.recording import RecordedRequest
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

VERSION = {"anthropic-version": "2023-06-01", "user-agent": "claude-code/2.1.329"}
NAMES = ["claude-sonnet-4-6", "gpt-5"]
SHOWN = "anthropic-gateway/gpt-5"


@pytest.fixture
async def http(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.base_url, headers=VERSION, timeout=30, trust_env=False) as client:
        yield client


def ask(client: httpx.AsyncClient, key: str, model: str, path: str = "/v1/messages") -> httpx.Request:
    body = {"model": model, "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}
    return client.build_request("POST", path, json=body, headers={"x-api-key": key})


@pytest.mark.parametrize("path", ["/v1/models?limit=1000", "/anthropic/v1/models"])
async def test_the_list_holds_what_the_key_may_use_under_names_that_claude_code_keeps(
    http: httpx.AsyncClient, admin: Admin, path: str
) -> None:
    key = await admin.generate(models=NAMES)
    answer = await http.get(path, headers={"authorization": f"Bearer {key}", "x-api-key": key})
    page = answer.json()
    assert [entry["id"] for entry in page["data"]] == [*NAMES, SHOWN]
    assert page["has_more"] is False
    assert (page["first_id"], page["last_id"]) == (NAMES[0], SHOWN)
    for entry in page["data"]:
        assert entry["type"] == "model"
        assert entry["display_name"]
        assert entry["description"]
        assert entry["created_at"].endswith("Z")
    assert page["data"][2]["display_name"] == "gpt-5"
    assert page["data"][2]["description"] == "openai · 400K context"


async def test_the_name_of_the_picker_is_answered_by_its_model_and_booked_as_it(
    http: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(text=("Hello",))
    key = await admin.generate(models=["gpt-5"], max_budget=1)
    answer = await http.send(ask(http, key, SHOWN))
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == SHOWN, "a client finds the name again that it has asked for"
    sent: RecordedRequest = upstream.requests[-1]
    assert (sent.path, sent.json()["model"]) == ("/v1/chat/completions", "gpt-5")
    [row] = await admin.receipts(key, 1)
    assert (row["model"], row["model_group"]) == ("gpt-5", "gpt-5")
    info = await admin.client.get("/key/info", params={"key": key})
    assert info.json()["info"]["spend"] == row["spend"] > 0
    counted = await http.send(ask(http, key, SHOWN, "/v1/messages/count_tokens"))
    assert counted.json()["input_tokens"] > 0


async def test_an_allow_list_means_the_model_whichever_of_its_names_it_holds(
    http: httpx.AsyncClient, admin: Admin
) -> None:
    by_picker = await admin.generate(models=[SHOWN])
    assert (await http.send(ask(http, by_picker, SHOWN))).status_code == 200
    assert (await http.send(ask(http, by_picker, "gpt-5"))).status_code == 200
    assert (await http.send(ask(http, by_picker, "claude-sonnet-4-6"))).status_code == 400
    for models in (["claude-sonnet-4-6"], ["claude-*", "anthropic/*", "anthropic*"]):
        elsewhere = await admin.generate(models=models)
        refused = await http.send(ask(http, elsewhere, SHOWN))
        assert refused.status_code == 400
        assert f'model "{SHOWN}" is not allowed' in refused.json()["error"]["message"]


async def test_anthropics_sdk_finds_a_model_by_either_name(gateway: GatewayProcess, admin: Admin) -> None:
    key = await admin.generate(models=NAMES)
    async with anthropic.AsyncAnthropic(api_key=key, base_url=gateway.base_url, max_retries=0) as client:
        assert [model.id async for model in await client.models.list(limit=2)] == [*NAMES, SHOWN]
        assert (await client.models.retrieve(SHOWN)).id == SHOWN
        assert (await client.models.retrieve("gpt-5")).display_name == "gpt-5"
        with pytest.raises(anthropic.NotFoundError, match="anthropic-gateway/gpt-6"):
            await client.models.retrieve("anthropic-gateway/gpt-6")


async def test_openais_shape_has_each_model_once(http: httpx.AsyncClient, admin: Admin) -> None:
    key = await admin.generate(models=NAMES)
    async with httpx.AsyncClient(base_url=http.base_url, trust_env=False) as plain:
        answer = await plain.get("/v1/models", headers={"authorization": f"Bearer {key}"})
    assert [entry["id"] for entry in answer.json()["data"]] == NAMES


async def test_a_list_that_is_asked_for_is_never_a_redirect_and_needs_a_key(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/models?limit=1000")
    assert (answer.status_code, answer.headers["x-should-retry"]) == (401, "false")
    assert answer.json()["error"]["type"] == "authentication_error"
