"""What Claude Code asks of a gateway, C40 to C45: streams come as they are written, whole, alive and in order."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from functools import partial

import httpx
import pytest

from tests.contract.claude_code import HEADERS, MODEL, send, turn
from tests.contract.conftest import CONFIG, EVERY_HOST, make_gateway
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

without_pings = partial(re.compile(rb"event: ping\ndata: \{[^}]*\}\n\n").sub, b"")
OTHERS = ("gpt-5", "gpt-5-responses", "gemini-2.5-pro", "deepseek-reasoner", "llama")
THIRD = dict(zip((MODEL, *OTHERS), (5, 4, 6, 2, 4, 2), strict=True))
"""Which event of the host's stream says the third word."""


@pytest.fixture(scope="module")
def watchful(
    upstream: RecordingUpstream, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    """A gateway that takes a second for a silence, where in earnest it is a quarter of a minute."""
    folder = tmp_path_factory.mktemp("watchful")
    settings = {"KEYHOUSE_PING_AFTER_S": "1"}
    process = make_gateway(folder, upstream, CONFIG + EVERY_HOST, database_url, redis_url, **settings)
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def http(watchful: GatewayProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=watchful.base_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
async def key(watchful: GatewayProcess) -> AsyncIterator[str]:
    admin = Admin(watchful.base_url)
    yield await admin.generate()
    await admin.client.aclose()


def events_of(stream: bytes | bytearray) -> list[str]:
    return [line.removeprefix("event: ") for line in stream.decode().splitlines() if line.startswith("event: ")]


@pytest.mark.parametrize("model", THIRD)
async def test_c40_each_event_is_passed_on_when_it_comes_and_nothing_is_packed(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, model: str
) -> None:
    upstream.script(Script(text=("one ", "two ", "three"), hold_after=THIRD[model]))
    sent = {**HEADERS, "accept-encoding": "gzip, deflate, br, zstd", "x-api-key": key}
    arrived = 0
    async with http.stream("POST", "/v1/messages?beta=true", json=turn(model=model), headers=sent) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        async for chunk in answer.aiter_raw():
            arrived += chunk.count(b"text_delta")
            if arrived == 2 and not upstream.released.is_set():  # the third is said when these two have arrived
                upstream.released.set()
                assert b"three" not in chunk
    assert arrived == 3


@pytest.mark.parametrize("model", [MODEL, *OTHERS])
async def test_c41_c42_the_sequence_is_whole_without_a_doublet_up_to_its_end(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, model: str
) -> None:
    upstream.script(Script(events=4, thinking=True, tools=2, split=5))
    answer = await send(http, key, turn(model=model))
    events = [event for event in events_of(answer.content) if event != "ping"]
    assert events[0] == "message_start"
    assert events[-2:] == ["message_delta", "message_stop"]
    assert events.count("message_stop") == events.count("message_start") == 1
    open_block: int | None = None
    for line in answer.text.splitlines():
        if line.startswith("data: "):
            data = json.loads(line.removeprefix("data: "))
            match data["type"]:
                case "content_block_start":
                    assert open_block is None
                    open_block = data["index"]
                case "content_block_delta":
                    assert data["index"] == open_block
                case "content_block_stop":
                    assert data["index"] == open_block
                    open_block = None
                case _:
                    continue
    assert open_block is None
    assert events.count("content_block_start") == events.count("content_block_stop") >= 3


async def test_c41_a_stream_of_claude_is_byte_for_byte_the_providers(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    upstream.script(Script(events=30, thinking=True, tools=2, unicode=True, unknown=True, split=3))
    answer = await send(http, key, turn())
    assert without_pings(answer.content) == without_pings(bytes(upstream.responses[-1].body))


@pytest.mark.parametrize("model", [MODEL, *OTHERS])
async def test_c42_a_stream_that_breaks_is_cut_and_never_ended_cleanly(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, model: str
) -> None:
    upstream.script(Script(events=20, cut_after=6))
    received = bytearray()

    async def read() -> None:
        sent = {**HEADERS, "x-api-key": key}
        async with http.stream("POST", "/v1/messages", json=turn(model=model), headers=sent) as answer:
            async for chunk in answer.aiter_raw():
                received.extend(chunk)

    with pytest.raises(httpx.RemoteProtocolError):
        await read()
    assert events_of(received)[-1] == "error"
    assert "message_stop" not in events_of(received)


async def test_c43_a_provider_that_says_nothing_for_long_does_not_make_us_look_dead(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    models = (MODEL, "gpt-5", "gemini-2.5-pro")
    upstream.script(*(Script(text=("one ", "two"), pings=False, hold_after=2) for _ in models))
    pings: Counter[str] = Counter()

    async def read(model: str) -> bytes:
        received = b""
        sent = {**HEADERS, "x-api-key": key}
        async with http.stream("POST", "/v1/messages", json=turn(model=model), headers=sent) as answer:
            async for chunk in answer.aiter_raw():
                received += chunk
                pings[model] += chunk.count(b"event: ping")
                if all(pings[one] >= 2 for one in models):
                    upstream.released.set()
        return received

    for received in await asyncio.gather(*(read(model) for model in models)):
        assert events_of(received)[-1] == "message_stop"


async def test_c43_pings_of_the_provider_pass(http: httpx.AsyncClient, key: str, upstream: RecordingUpstream) -> None:
    upstream.script(Script(events=3, pings=True))
    answer = await send(http, key, turn())
    assert "ping" in events_of(answer.content)


async def test_c45_a_client_that_leaves_ends_the_providers_work_and_pays_for_what_it_saw(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream, watchful: GatewayProcess
) -> None:
    upstream.script(Script(events=200, delay_ms=20, input_tokens=1000))
    async with http.stream("POST", "/v1/messages", json=turn(), headers={**HEADERS, "x-api-key": key}) as answer:
        async for chunk in answer.aiter_raw():
            if b"text_delta" in chunk:
                break
    await upstream.wait_until_settled(len(upstream.bill.entries))
    assert upstream.bill.entries[-1].state == "cut_by_client"
    admin = Admin(watchful.base_url)
    [row] = await admin.receipts(key, 1)
    await admin.client.aclose()
    assert row["metadata"]["status"] == "hung_up"
    assert row["spend"] > 0


async def test_c42_a_whole_answer_is_given_where_a_stream_was_not_asked_for(
    http: httpx.AsyncClient, key: str, upstream: RecordingUpstream
) -> None:
    """What Claude Code falls back to when streams have failed."""
    answers = await asyncio.gather(*(send(http, key, turn(model=model, stream=False)) for model in (MODEL, *OTHERS)))
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["stop_reason"] == "end_turn"
