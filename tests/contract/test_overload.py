"""A process with more calls than places: model calls wait and are refused in their protocol, reads give way first."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.contract.conftest import CONFIG, make_gateway
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]
MESSAGE = {
    "model": "claude-sonnet-4-6",
    "max_tokens": 20,
    "stream": True,
    "messages": [{"role": "user", "content": "Hi"}],
}


@pytest.fixture(scope="module")
def narrow(
    upstream: RecordingUpstream, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """One place, and one more that waits a little for it."""
    limits = {"RUNNING_REQUESTS": "1", "WAITING_REQUESTS": "1"}
    environment = {f"KEYHOUSE_MAX_{name}": value for name, value in limits.items()} | {"KEYHOUSE_PLACE_WAIT_S": "3"}
    process = make_gateway(tmp_path_factory.mktemp("narrow"), upstream, CONFIG, database_url, redis_url, **environment)
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def client(narrow: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    admin = Admin(narrow.base_url)
    headers = {"authorization": f"Bearer {await admin.generate()}"}
    await admin.client.aclose()
    async with httpx.AsyncClient(base_url=narrow.base_url, headers=headers, timeout=30, trust_env=False) as client:
        yield client


async def until_one_waits(admin: Admin) -> None:
    while "keyhouse_waiting_requests 1.0" not in (await admin.client.get("/metrics")).text:  # noqa: ASYNC110  only it can tell
        await asyncio.sleep(0.01)


async def test_calls_wait_or_are_refused_reads_are_shed_first_and_changes_and_streams_go_on(
    narrow: GatewayProcess, client: httpx.AsyncClient, upstream: RecordingUpstream
) -> None:
    admin = Admin(narrow.base_url)
    upstream.default = Script(hold_after=1)
    async with client.stream("POST", "/v1/messages", json=MESSAGE) as running:
        shed = await admin.client.get("/key/list")
        assert (shed.status_code, shed.headers["retry-after"]) == (503, "5")
        assert "reports and pages wait" in shed.json()["error"]["message"]
        assert (await admin.client.get("/health/readiness")).status_code == 200
        assert (await admin.post("/key/generate")).status_code == 200

        waiting = asyncio.create_task(client.post("/v1/messages", json=MESSAGE))
        await until_one_waits(admin)
        refused = await client.post("/v1/chat/completions", json=MESSAGE)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert (refused.json()["error"]["type"], refused.json()["error"]["code"]) == ("overloaded_error", "overloaded")
        late = await waiting
        assert (late.status_code, late.json()["error"]["type"]) == (503, "overloaded_error")
        upstream.released.set()
        whole = b"".join([chunk async for chunk in running.aiter_raw()])
    assert b"message_stop" in whole

    upstream.released.clear()
    both = [asyncio.create_task(client.post("/v1/messages", json=MESSAGE)) for _ in range(2)]
    await until_one_waits(admin)
    upstream.released.set()
    assert [(await answer).status_code for answer in both] == [200, 200]
    assert (await admin.client.get("/key/list")).status_code == 200
    await admin.client.aclose()
