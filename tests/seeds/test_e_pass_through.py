"""Part E: Anthropic's own API below /anthropic, in its native format."""

import asyncio
import json
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from click.testing import CliRunner

from app.cli import main
from app.settings import Settings, SettingsError, load_settings
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream
from tests.seeds.conftest import PROVIDER_KEY, SecondGateway, environment_of

pytestmark = [pytest.mark.services, pytest.mark.contract]

MODEL = "claude-3-5-sonnet-20241022"
HELLO: Any = {"model": MODEL, "max_tokens": 1024, "messages": [{"role": "user", "content": "Hello, world"}]}
VERSION = {"anthropic-version": "2023-06-01"}
BATCHES = {**VERSION, "anthropic-beta": "message-batches-2024-09-24"}


@pytest.fixture
def headers(key: str) -> dict[str, str]:
    return {"x-api-key": key, **VERSION}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/skills?limit=5"),
        ("DELETE", "/v1/skills/skill_01JAbcdefghijklmnopqrstuvw"),
        ("POST", "/v1/of/the/future"),
        ("GET", "/v1/organizations/me"),
    ],
)
async def test_e01_whatever_stands_after_anthropic_is_the_providers_own_route(
    http: httpx.AsyncClient, headers: dict[str, str], upstream: RecordingUpstream, method: str, path: str
) -> None:
    body = b'{"not": "translated", "number": 1.10}' if method == "POST" else None
    answer = await http.request(method, f"/anthropic{path}", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.content == bytes(upstream.responses[-1].body)
    request = upstream.requests[-1]
    assert (request.method, request.target, request.body) == (method, path, body or b"")


async def test_e01_only_the_base_address_of_the_sdk_is_replaced(
    gateway: GatewayProcess, key: str, upstream: RecordingUpstream
) -> None:
    http = anthropic.DefaultAsyncHttpxClient(trust_env=False)
    async with anthropic.AsyncAnthropic(
        api_key=key, base_url=f"{gateway.base_url}/anthropic", http_client=http
    ) as client:
        messages = HELLO["messages"]
        said = await client.messages.create(model="claude-sonnet-4-6", max_tokens=1024, messages=messages)
        assert said.type == "message"
        async with client.messages.stream(model="claude-sonnet-4-6", max_tokens=9, messages=messages) as streaming:
            assert (await streaming.get_final_message()).stop_reason == "end_turn"
        assert "claude-sonnet-4-5" in {model.id async for model in client.models.list()}
    assert {request.path for request in upstream.requests} == {"/v1/messages"}


async def test_e02_all_endpoints_are_there_streams_included(
    http: httpx.AsyncClient, headers: dict[str, str], upstream: RecordingUpstream
) -> None:
    upstream.default = Script(events=20, thinking=True, tools=1, unknown=True, split=7)
    async with http.stream("POST", "/anthropic/v1/messages", json={**HELLO, "stream": True}, headers=headers) as answer:
        received = b"".join([part async for part in answer.aiter_raw()])
    assert received == bytes(upstream.responses[-1].body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    upstream.default = Script()
    assert (await http.get("/anthropic/v1/models", headers=headers)).json()["data"]
    prompt = {"model": "claude-2.1", "max_tokens_to_sample": 9, "prompt": "\n\nHuman: Hello\n\nAssistant:"}
    completed = await http.post("/anthropic/v1/complete", json=prompt, headers=headers)
    assert completed.json()["type"] == "completion"
    assert upstream.requests[-1].path == "/v1/complete"
    made = (await http.post("/anthropic/v1/files", files={"file": ("a.txt", b"words")}, headers=headers)).json()
    assert made["type"] == "file"
    assert (await http.get(f"/anthropic/v1/files/{made['id']}/content", headers=headers)).content == b"words"
    assert made["id"] in (await http.get("/anthropic/v1/files", headers=headers)).text
    assert (await http.delete(f"/anthropic/v1/files/{made['id']}", headers=headers)).status_code == 200


async def test_e03_messages_pass_byte_for_byte(
    http: httpx.AsyncClient, headers: dict[str, str], upstream: RecordingUpstream
) -> None:
    body = b'{"model":"claude-3-5-sonnet-20241022", "max_tokens":1024,\n"messages":[{"role":"user","content":"Hi"}]}'
    answer = await http.post("/anthropic/v1/messages", content=body, headers=headers)
    assert answer.content == bytes(upstream.responses[-1].body)
    assert (upstream.requests[-1].path, upstream.requests[-1].body) == ("/v1/messages", body)


async def test_e04_tokens_are_counted(
    http: httpx.AsyncClient, headers: dict[str, str], upstream: RecordingUpstream
) -> None:
    body = {name: HELLO[name] for name in ("model", "messages")}
    beta = {"anthropic-beta": "token-counting-2024-11-01"}
    answer = await http.post("/anthropic/v1/messages/count_tokens", json=body, headers={**headers, **beta})
    assert answer.json()["input_tokens"] > 0
    assert upstream.requests[-1].path == "/v1/messages/count_tokens"
    assert upstream.requests[-1].header("anthropic-beta") == "token-counting-2024-11-01"


def requests_of_a_batch() -> dict[str, Any]:
    """The two requests of the page."""
    second = {**HELLO, "messages": [{"role": "user", "content": "Hi again, friend"}]}
    return {
        "requests": [
            {"custom_id": "my-first-request", "params": HELLO},
            {"custom_id": "my-second-request", "params": second},
        ]
    }


async def test_e05_a_batch_is_made_read_listed_and_deleted(
    http: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream
) -> None:
    key = await admin.generate()
    headers = {"x-api-key": key, **BATCHES}
    path = "/anthropic/v1/messages/batches"
    made = (await http.post(path, json=requests_of_a_batch(), headers=headers)).json()
    assert (made["type"], made["processing_status"]) == ("message_batch", "in_progress")
    assert upstream.requests[-1].header("anthropic-beta") == "message-batches-2024-09-24"
    one = f"{path}/{made['id']}"
    assert (await http.get(one, headers=headers)).json()["processing_status"] == "ended"
    assert [batch["id"] for batch in (await http.get(path, headers=headers)).json()["data"]] == [made["id"]]
    lines = (await http.get(f"{one}/results", headers=headers)).text.splitlines()
    results = {json.loads(line)["custom_id"]: json.loads(line)["result"]["type"] for line in lines}
    assert results == {"my-first-request": "succeeded", "my-second-request": "succeeded"}
    assert len(await admin.receipts(key, 2)) == 2
    assert (await http.delete(one, headers=headers)).json()["type"] == "message_batch_deleted"
    assert (await http.get(one, headers=headers)).status_code == 404


async def test_e05_a_batch_that_runs_is_cancelled(
    http: httpx.AsyncClient, headers: dict[str, str], upstream: RecordingUpstream
) -> None:
    path = "/anthropic/v1/messages/batches"
    made = (await http.post(path, json=requests_of_a_batch(), headers={**headers, **BATCHES})).json()
    answer = await http.post(f"{path}/{made['id']}/cancel", headers={**headers, **BATCHES})
    assert answer.json()["processing_status"] == "canceling"


@pytest.mark.parametrize("scheme", ["x-api-key", "bearer", "Bearer", "BEARER"])
async def test_e06_e08_the_key_is_taken_in_either_header_and_exchanged_for_the_providers(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, scheme: str
) -> None:
    credential = {"x-api-key": key} if scheme == "x-api-key" else {"authorization": f"{scheme} {key}"}
    answer = await http.post("/anthropic/v1/messages", json=HELLO, headers=credential)
    assert answer.status_code == 200
    request = upstream.requests[-1]
    assert (request.header_values("x-api-key"), request.header_values("authorization")) == ([PROVIDER_KEY], [])
    assert key not in str(request.headers)
    assert (await http.post("/anthropic/v1/messages", json=HELLO)).status_code == 401


async def test_e07_version_and_types_are_forwarded(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    told = {**VERSION, "content-type": "application/json", "accept": "application/json"}
    answer = await http.post("/anthropic/v1/messages", content=json.dumps(HELLO), headers={"x-api-key": key, **told})
    assert answer.status_code == 200
    assert {name: upstream.requests[-1].header(name) for name in told} == told


async def test_e09_e11_without_a_file_a_key_made_with_the_master_key_works_below_anthropic(
    gateway: GatewayProcess, upstream: RecordingUpstream, stores: dict[str, str], tmp_path: Path
) -> None:
    environment = {
        **stores,
        "KEYHOUSE_MASTER_KEY": "",
        "LITELLM_MASTER_KEY": "sk-1234-the-master-key-of-the-page",
        "ANTHROPIC_API_KEY": PROVIDER_KEY,
        "ANTHROPIC_API_BASE": environment_of(upstream)["ANTHROPIC_API_BASE"],
        "COHERE_API_KEY": PROVIDER_KEY,
    }
    bare = GatewayProcess(tmp_path / "home", environment)
    await asyncio.to_thread(bare.start)
    try:
        async with httpx.AsyncClient(base_url=bare.base_url, timeout=30, trust_env=False) as client:
            master = {"authorization": "Bearer sk-1234-the-master-key-of-the-page"}
            made = await client.post("/key/generate", json={}, headers=master)
            key = made.json()["key"]
            assert key.startswith("sk-")
            bearer = {"authorization": f"bearer {key}", "accept": "application/json"}
            answer = await client.post("/anthropic/v1/messages", json=HELLO, headers=bearer)
            assert answer.status_code == 200
            assert upstream.requests[-1].header("x-api-key") == PROVIDER_KEY
            assert (await client.post("/key/generate", json={}, headers=bearer)).status_code == 403
    finally:
        await asyncio.to_thread(bare.stop)


async def test_e10_in_open_mode_bearer_anything_works_and_a_web_page_or_a_proxy_still_needs_a_key(
    second_gateway: SecondGateway, upstream: RecordingUpstream
) -> None:
    """``open_mode: true`` in the second gateway's file."""
    body = {**HELLO, "model": "claude-3-5-haiku-20241022"}
    bearer = {"authorization": "bearer sk-anything", "accept": "application/json"}
    for _ in range(70):  # more than the wrong keys of a minute
        answer = await second_gateway.http.post("/anthropic/v1/messages", json=body, headers=bearer)
        assert answer.status_code == 200
    assert upstream.requests[-1].header("x-api-key") == PROVIDER_KEY
    for header in ("origin", "x-forwarded-for"):
        refused = await second_gateway.http.post(
            "/anthropic/v1/messages", json=body, headers={**bearer, header: "http://elsewhere.example"}
        )
        assert refused.status_code == 401
    assert (await second_gateway.http.post("/key/generate", json={}, headers=bearer)).status_code == 401
    assert "whoever is on this machine may call every model without a key" in second_gateway.process.log()


@pytest.mark.parametrize("reachable", [{"KEYHOUSE_HOST": "0.0.0.0"}, {"KEYHOUSE_TRUSTED_PROXIES": "10.0.0.1"}])
def test_e10_open_mode_is_for_this_machine_alone(reachable: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="open mode is for this machine alone"):
        load_settings({"KEYHOUSE_OPEN_MODE": "true", **reachable}, {})
    assert load_settings({"KEYHOUSE_OPEN_MODE": "true"}, {}).open_mode
    assert not load_settings({}, {}).open_mode


def test_e11_the_port_is_4000_where_nothing_is_said_and_the_address_is_this_machines_own() -> None:
    """0.0.0.0 is one option away: a gateway that has just been tried out is not to be found by the whole network."""
    assert (Settings().host, Settings().port) == ("127.0.0.1", 4000)
    help_text = CliRunner().invoke(main, ["serve", "--help"]).output
    assert "127.0.0.1 unless set" in help_text
    assert "4000 unless set" in help_text
