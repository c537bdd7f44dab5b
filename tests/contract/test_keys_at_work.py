"""What an admin says of a key is what the next request meets: limits, blocks, rotation, expiry, routes, aliases."""

import asyncio
import time
from collections.abc import AsyncIterator
from itertools import islice

import httpx
import pytest

from tests.contract.conftest import CONFIG, PROVIDER_KEY
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.minutes import within_one_minute
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

QUESTION = {"max_tokens": 20, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
async def client(gateway: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gateway.base_url, timeout=30, trust_env=False) as client:
        yield client


async def ask(
    client: httpx.AsyncClient, key: str, model: str = "claude-sonnet-4-6", path: str = "/v1/messages"
) -> httpx.Response:
    return await client.post(path, json={"model": model, **QUESTION}, headers={"x-api-key": key})


async def test_requests_a_minute(client: httpx.AsyncClient, admin: Admin) -> None:
    key = await admin.generate(rpm_limit=2)
    await within_one_minute()
    answers = [await ask(client, key) for _ in range(2)]
    assert [answer.headers["anthropic-ratelimit-requests-remaining"] for answer in answers] == ["1", "0"]
    refused = await ask(client, key)
    assert refused.status_code == 429
    assert refused.json()["error"]["type"] == "rate_limit_error"
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert refused.headers["anthropic-ratelimit-requests-limit"] == "2"
    openai = await client.post(
        "/v1/chat/completions", json={"model": "gpt-5", **QUESTION}, headers={"authorization": f"Bearer {key}"}
    )
    assert (openai.status_code, openai.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert openai.headers["x-ratelimit-limit-requests"] == "2"


async def test_tokens_a_minute_are_those_that_the_provider_counted(
    client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream
) -> None:
    upstream.default = Script(input_tokens=10, output_tokens=10)
    # What is held for a call is learned of the last 64 of its kind: until they are alike, so are no two holds.
    warm, key = await admin.generate(), await admin.generate(tpm_limit=1000)
    for _ in range(64):
        await ask(client, warm)
    await within_one_minute()
    first = await ask(client, key)
    second = await ask(client, key)
    spent = int(first.headers["anthropic-ratelimit-tokens-remaining"]) - int(
        second.headers["anthropic-ratelimit-tokens-remaining"]
    )
    # The second holds the same estimate as the first did, of which 20 tokens were kept.
    assert spent == 20


async def test_requests_at_once(client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream) -> None:
    upstream.default = Script(hold_after=0)
    key = await admin.generate(max_parallel_requests=2)
    calls = [asyncio.create_task(ask(client, key)) for _ in range(5)]
    refused = [await call for call in islice(asyncio.as_completed(calls), 3)]
    assert [answer.status_code for answer in refused] == [429, 429, 429]
    upstream.released.set()
    assert sorted(answer.status_code for answer in await asyncio.gather(*calls)) == [200, 200, 429, 429, 429]
    assert (await ask(client, key)).status_code == 200


async def test_a_block_a_deletion_and_an_unblock_are_heard_by_every_worker(
    upstream: RecordingUpstream, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("workers")
    (folder / "config.yaml").write_text(CONFIG)
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ANTHROPIC_API_KEY": PROVIDER_KEY,
        "ANTHROPIC_API_BASE": upstream.base_url,
        "OPENAI_API_KEY": PROVIDER_KEY,
    }
    process = GatewayProcess(folder / "home", environment, "--workers", "2", "--config", str(folder / "config.yaml"))
    await asyncio.to_thread(process.start)
    admin = Admin(process.base_url)
    try:
        key = await admin.generate()

        async def statuses() -> set[int]:
            """Over new connections, so that both workers take some."""
            found = set()
            for _ in range(12):
                async with httpx.AsyncClient(base_url=process.base_url, timeout=30, trust_env=False) as client:
                    found.add((await ask(client, key)).status_code)
            return found

        assert await statuses() == {200}
        for path, named, expected in (
            ("block", {"key": key}, {401}), ("unblock", {"key": key}, {200}), ("delete", {"keys": [key]}, {401}),
        ):  # fmt: skip
            await admin.post(f"/key/{path}", **named)
            changed_at = time.monotonic()
            while await statuses() != expected:
                assert time.monotonic() - changed_at < 8, "sooner than a key that is known is read again: it was told"
    finally:
        await admin.client.aclose()
        await asyncio.to_thread(process.stop)


async def test_a_regenerated_key_works_beside_the_old_one_until_the_grace_ends(
    client: httpx.AsyncClient, admin: Admin
) -> None:
    old = await admin.generate(models=["claude-haiku-4-5"])
    assert (await ask(client, old, "claude-haiku-4-5")).status_code == 200
    new = (await admin.post("/key/regenerate", key=old, grace_period="1h")).json()["key"]
    assert {(await ask(client, key, "claude-haiku-4-5")).status_code for key in (old, new)} == {200}
    assert (await ask(client, new)).status_code == 400, "the new one has the old one's allow-list"
    newest = (await admin.post("/key/regenerate", key=new, grace_period="1s")).json()["key"]
    async with asyncio.timeout(30):
        while (await ask(client, new, "claude-haiku-4-5")).status_code != 401:  # noqa: ASYNC110  only the gateway can tell
            await asyncio.sleep(0.1)
    assert (await ask(client, newest, "claude-haiku-4-5")).status_code == 200


async def test_routes_aliases_and_expiry(client: httpx.AsyncClient, admin: Admin, upstream: RecordingUpstream) -> None:
    narrow = await admin.generate(allowed_routes=["openai_routes"])
    assert (await ask(client, narrow)).status_code == 403
    assert (await ask(client, narrow, "gpt-5", "/v1/chat/completions")).status_code == 200
    aliased = await admin.generate(aliases={"fast": "claude-haiku-4-5"})
    assert (await ask(client, aliased, "fast")).status_code == 200
    assert upstream.requests[-1].json()["model"] == "claude-haiku-4-5"
    brief = await admin.generate(duration="1h")
    assert (await ask(client, brief)).status_code == 200
    await admin.post("/key/update", key=brief, duration="1s")
    await asyncio.sleep(1.05)
    expired = await ask(client, brief)
    assert (expired.status_code, "expired on" in expired.text) == (401, True)


async def test_what_is_tagged_is_found_in_the_receipt(client: httpx.AsyncClient, admin: Admin) -> None:
    key = await admin.generate(tags=["of-the-key"], metadata={"cost_centre": "7"})
    headers = {
        "x-api-key": key,
        "x-litellm-tags": "one, two",
        "x-keyhouse-tag-project": "apollo",
        "x-claude-code-session-id": "session-1",
        "x-claude-code-agent-id": "agent-1",
    }
    answer = await client.post("/v1/messages", json={"model": "claude-sonnet-4-6", **QUESTION}, headers=headers)
    [row] = await admin.receipts(key, 1)
    assert row["request_id"] == answer.headers["request-id"]
    assert row["request_tags"] == ["of-the-key", "one", "two", "project:apollo"]
    assert (row["session_id"], row["agent_id"]) == ("session-1", "agent-1")


async def test_a_virtual_key_is_no_admin(client: httpx.AsyncClient, admin: Admin) -> None:
    key = await admin.generate(key_type="management")
    answer = await client.post("/key/generate", json={}, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 403
    other = await admin.generate()
    seen = await client.get("/key/info", params={"key": other}, headers={"authorization": f"Bearer {key}"})
    assert seen.status_code == 404
