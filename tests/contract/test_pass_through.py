"""The provider's own API under ``/anthropic``: forwarded as it is, and no way around the books."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.contract.conftest import PROVIDER_KEY
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

MESSAGE = {"model": "claude-sonnet-4-6", "max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def client(gateway: GatewayProcess, admin: Admin) -> AsyncIterator[httpx.AsyncClient]:
    key = await admin.generate()
    headers = {"authorization": f"bearer {key}"}
    async with httpx.AsyncClient(base_url=gateway.base_url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


def key_of(client: httpx.AsyncClient) -> str:
    return client.headers["authorization"].removeprefix("bearer ")


async def test_messages_are_forwarded_and_booked(
    client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream
) -> None:
    answer = await client.post("/anthropic/v1/messages?beta=true", json=MESSAGE)
    assert answer.content == bytes(upstream.responses[-1].body)
    assert (upstream.requests[-1].target, upstream.requests[-1].header("x-api-key")) == (
        "/v1/messages?beta=true",
        PROVIDER_KEY,
    )
    assert len(await admin.receipts(key_of(client), 1)) == 1


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/skills?limit=5"),
        ("DELETE", "/v1/skills/skill_01JAbcdefghijklmnopqrstuvw"),
        ("POST", "/v1/of/the/future"),
    ],
)
async def test_other_endpoints_are_forwarded_as_they_are(
    client: httpx.AsyncClient, upstream: RecordingUpstream, method: str, path: str
) -> None:
    answer = await client.request(method, f"/anthropic{path}", content=b"raw" if method == "POST" else None)
    assert answer.status_code == 200
    received = upstream.requests[-1]
    assert (received.method, received.target, received.header("x-api-key")) == (method, path, PROVIDER_KEY)
    assert key_of(client) not in str(received.headers)


@pytest.mark.parametrize(
    "path",
    ["v1//messages", "v1/./messages", "v1/x/../messages", "v1/messages%3Fx", "v1/%2e%2e/messages", "v1/mess%20ages"],
)
async def test_no_other_writing_of_a_path_gets_around_the_books(
    client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream, path: str, gateway: GatewayProcess
) -> None:
    # Byte for byte: an HTTP client would tidy the path up.
    body = json.dumps(MESSAGE).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        f"POST /anthropic/{path} HTTP/1.1\r\nhost: x\r\nx-api-key: {key_of(client)}\r\nconnection: close\r\n"
        f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    if upstream.requests:
        assert upstream.requests[-1].target == "/v1/messages"
        assert len(await admin.receipts(key_of(client), 1)) == 1
    else:
        assert answer.startswith(b"HTTP/1.1 404")


async def test_an_unknown_endpoint_whose_body_names_a_model_is_booked_by_estimate(
    client: httpx.AsyncClient, admin: Admin
) -> None:
    assert (await client.post("/anthropic/v1/of/the/future", json=MESSAGE)).status_code == 200
    [row] = await admin.receipts(key_of(client), 1)
    assert row["spend"] > 0
    assert row["metadata"]["usage_source"] == "estimated"
    assert (await client.post("/anthropic/v1/of/the/future", json={**MESSAGE, "model": "x"})).status_code == 404


async def test_the_model_list_is_always_anthropics_and_the_keys_own(gateway: GatewayProcess, admin: Admin) -> None:
    key = await admin.generate(models=["claude-haiku-4-5"])
    async with httpx.AsyncClient(base_url=gateway.base_url, trust_env=False) as client:
        answer = await client.get("/anthropic/v1/models", headers={"x-api-key": key})
    assert [model["type"] for model in answer.json()["data"]] == ["model"]
    assert answer.json()["first_id"] == "claude-haiku-4-5"
