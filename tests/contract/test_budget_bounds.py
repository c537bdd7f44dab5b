"""How far budgets can be exceeded, and that they do not refuse too early: four processes and a provider's own bill."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anthropic
import httpx
import ollama
import openai
import pytest
from google import genai

from app.base.ids import new_id
from tests.contract.conftest import CONFIG, PROVIDER_KEY
from tests.contract.test_any_client_any_model import CLIENTS, Clients
from tests.contract.test_budgets_hold import INPUT_USD, OUTPUT_USD
from tests.fakes.bill import BillEntry
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream

pytestmark = [pytest.mark.services, pytest.mark.contract]

WORKERS, STREAMS = 4, 200
ROOM_FOR, MEAN_TOKENS, MOST_TOKENS = 40, 225, 400
USUAL_TOKENS = 200


@pytest.fixture(scope="module")
def fleet(
    upstream: RecordingUpstream, database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    folder: Path = tmp_path_factory.mktemp("fleet")
    (folder / "config.yaml").write_text(CONFIG)
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ANTHROPIC_API_KEY": PROVIDER_KEY,
        "ANTHROPIC_API_BASE": upstream.base_url,
        "OPENAI_API_KEY": PROVIDER_KEY,
    }
    arguments = ("--workers", str(WORKERS), "--config", str(folder / "config.yaml"))
    process = GatewayProcess(folder / "home", environment, *arguments)
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def fleet_admin(fleet: GatewayProcess) -> AsyncIterator[Admin]:
    admin = Admin(fleet.base_url)
    yield admin
    await admin.client.aclose()


@contextlib.asynccontextmanager
async def connected(gateway: GatewayProcess, count: int = 1) -> AsyncIterator[list[httpx.AsyncClient]]:
    """So many clients: one alone goes through all of its connections whenever one of them ends."""
    limits = httpx.Limits(max_connections=STREAMS)
    async with contextlib.AsyncExitStack() as opened:
        clients = [
            httpx.AsyncClient(base_url=gateway.base_url, limits=limits, timeout=60, trust_env=False)
            for _ in range(count)
        ]
        yield [await opened.enter_async_context(client) for client in clients]


async def stream(client: httpx.AsyncClient, key: str, tokens: int, most: int) -> tuple[int, bytes]:
    said = f"FAKE: input_tokens=100 output_tokens={tokens} events={max(1, tokens // 25)} delay_ms=3"
    body: dict[str, Any] = {
        "model": "claude-sonnet-4-6",
        "max_tokens": most,
        "stream": True,
        "messages": [{"role": "user", "content": said}],
    }
    async with client.stream("POST", "/v1/messages", json=body, headers={"x-api-key": key}) as answer:
        received = b""
        with contextlib.suppress(httpx.RemoteProtocolError):  # how a cut connection ends
            async for part in answer.aiter_raw():
                received += part
        return answer.status_code, received


def billed_usd(entries: list[BillEntry]) -> Decimal:
    """Of what was cut, the provider bills what it had sent."""
    outputs = [entry.output if entry.state == "finished" else entry.output_tokens_sent for entry in entries]
    return sum(
        (entry.input * INPUT_USD + output * OUTPUT_USD for entry, output in zip(entries, outputs, strict=True)),
        Decimal(0),
    )


async def keys_below(admin: Admin, level: str, **budget: Any) -> list[str]:
    if level == "key":
        return [await admin.generate(**budget)]
    of_organization = budget if level == "organization" else {}
    made = await admin.post("/organization/new", organization_alias=new_id("org"), **of_organization)
    of_team = budget if level == "team" else {}
    fields = {"organization_id": made.json()["organization_id"], **of_team}
    count = 4 if level == "organization" else 1
    teams = [
        (await admin.post("/team/new", team_alias=new_id("team"), **fields)).json()["team_id"] for _ in range(count)
    ]
    return [await admin.generate(team_id=teams[number % count]) for number in range(12)]


async def spend_at_once(
    gateway: GatewayProcess, upstream: RecordingUpstream, keys: list[str], most: int, seed: str
) -> tuple[list[tuple[int, bytes]], Decimal, int]:
    """The answers to two hundred streams of random length, the provider's bill, and how many ran at once."""
    chance = random.Random(seed)
    lengths = [chance.randint(2 * MEAN_TOKENS - MOST_TOKENS, MOST_TOKENS) for _ in range(STREAMS)]
    begin, peak = len(upstream.bill.entries), 0

    def note_peak() -> bool:
        nonlocal peak
        peak = max(peak, sum(entry.state == "started" for entry in upstream.bill.entries[begin:]))
        return False

    noting = asyncio.create_task(upstream.wait_until(note_peak, 120))
    async with connected(gateway, 20) as clients:
        calls = (
            stream(clients[number % len(clients)], keys[number % len(keys)], length, most)
            for number, length in enumerate(lengths)
        )
        answers = await asyncio.gather(*calls)
    noting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await noting
    await upstream.wait_until(lambda: all(entry.state != "started" for entry in upstream.bill.entries))
    return answers, billed_usd(upstream.bill.entries[begin:]), peak


async def booked_usd(admin: Admin, keys: list[str], served: list[int]) -> Decimal:
    """What the receipts of those calls come to."""
    booked = Decimal(0)
    for index, key in enumerate(keys):
        rows = await admin.receipts(key, sum(number % len(keys) == index for number in served))
        booked += sum((Decimal(str(row["spend"])) for row in rows), Decimal(0))
    return booked


async def teach(gateway: GatewayProcess, admin: Admin, most: int) -> None:
    """Every process learns that such calls write USUAL_TOKENS."""
    key = await admin.generate()
    for _ in range(2):
        async with connected(gateway) as (client,):
            await asyncio.gather(*(stream(client, key, USUAL_TOKENS, most) for _ in range(40)))


@pytest.mark.parametrize("level", ["key", "team", "organization"])
async def test_a_budget_whose_answers_are_finished_is_exceeded_by_no_more_than_is_published(
    fleet: GatewayProcess, fleet_admin: Admin, upstream: RecordingUpstream, level: str
) -> None:
    if level == "key":
        await teach(fleet, fleet_admin, MOST_TOKENS)
    cap = ROOM_FOR * (100 * INPUT_USD + MEAN_TOKENS * OUTPUT_USD)
    keys = await keys_below(fleet_admin, level, max_budget=float(cap))
    answers, billed, peak = await spend_at_once(fleet, upstream, keys, MOST_TOKENS, f"finish {level}")
    served = [number for number, (status, _) in enumerate(answers) if status == 200]
    assert len(served) > ROOM_FOR / 2
    for status, body in answers:
        assert (b"message_stop" in body) == (status == 200)
        assert status == 200 or (status == 429 and b"spend limit reached" in body and f"{level} " in body.decode())
    # What a call costs at most beyond what was held for it, times those that ran; some that the provider had ended may
    # not have been settled yet.
    beyond = (MOST_TOKENS - USUAL_TOKENS) * OUTPUT_USD + 100 * INPUT_USD
    assert billed <= cap + (peak + WORKERS) * beyond
    assert billed >= cap * Decimal("0.9")
    assert await booked_usd(fleet_admin, keys, served) == billed


@pytest.mark.parametrize("level", ["key", "team", "organization"])
async def test_a_budget_whose_answers_are_cut_is_never_exceeded(
    fleet: GatewayProcess, fleet_admin: Admin, upstream: RecordingUpstream, level: str
) -> None:
    cap = ROOM_FOR * (100 * INPUT_USD + MEAN_TOKENS * OUTPUT_USD)
    keys = await keys_below(fleet_admin, level, max_budget=float(cap), on_exceed="cut")
    answers, billed, _ = await spend_at_once(fleet, upstream, keys, 32_000, f"cut {level}")
    served = [number for number, (status, _) in enumerate(answers) if status == 200]
    assert billed <= cap
    assert len(served) > ROOM_FOR / 2
    for number in served:
        assert (b"message_stop" in answers[number][1]) != (b'"billing_error"' in answers[number][1])
    assert cap / 2 < await booked_usd(fleet_admin, keys, served) <= cap


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_cut_stream_tells_its_client_in_its_own_protocol_and_is_booked_at_what_was_written(
    gateway: GatewayProcess, admin: Admin, upstream: RecordingUpstream, client: str
) -> None:
    upstream.bill.entries.clear()
    upstream.default = Script(events=300, output_tokens=3000, input_tokens=100, delay_ms=1)
    key = await admin.generate(max_budget=0.03, on_exceed="cut")
    clients = Clients(gateway.base_url, key)
    errors = (anthropic.APIError, openai.APIError, genai.errors.APIError, ollama.ResponseError)
    with pytest.raises(errors, match="spend limit reached"):
        await clients.ask(client, "claude-sonnet-4-6", stream=True, tools=False)
    await clients.close()
    [row] = await admin.receipts(key, 1)
    assert row["metadata"]["usage_source"] == "counted"
    assert 0.003 < row["spend"] <= 0.03
    [entry] = await upstream.wait_until_settled(1)
    assert entry.state == "cut_by_client"
    assert entry.output_tokens_sent < 2000


TURNS, SUBAGENTS, SUBAGENT_TURNS = 60, 4, 6
SYSTEM_BYTES = 49_000


def turn_usage(chance: random.Random, turn: int, prompt_tokens: int) -> dict[str, int]:
    """Of a turn of a coding agent: nearly all of its prompt is read from the cache, and it writes little."""
    written = prompt_tokens if turn == 0 else chance.randint(300, 1500)
    long_one = chance.random() < 0.04
    return {
        "input_tokens": 4,
        "cache_read": 0 if turn == 0 else prompt_tokens,
        "cache_write_5m": written,
        "output_tokens": chance.randint(3000, 9000) if long_one else chance.randint(60, 600),
    }


def cost_usd(usage: dict[str, int]) -> Decimal:
    return (
        usage["input_tokens"] * INPUT_USD
        + usage["cache_read"] * INPUT_USD / 10
        + usage["cache_write_5m"] * INPUT_USD * Decimal("1.25")
        + usage["output_tokens"] * OUTPUT_USD
    )


def session(seed: int) -> tuple[list[list[list[dict[str, int]]]], Decimal]:
    """Turn by turn the threads that run side by side, each a list of calls one after the other; and what all cost."""
    chance = random.Random(seed)
    turns, total, prompt = [], Decimal(0), SYSTEM_BYTES // 4
    for turn in range(TURNS):
        threads = [[turn_usage(chance, turn, prompt)]]
        prompt += threads[0][0]["cache_write_5m"] if turn else 0
        if turn % 15 == 7:
            threads += [
                [turn_usage(chance, number, 8000 + 800 * number) for number in range(SUBAGENT_TURNS)]
                for _ in range(SUBAGENTS)
            ]
        turns.append(threads)
        total += sum((cost_usd(usage) for thread in threads for usage in thread), Decimal(0))
    return turns, total


async def test_a_coding_session_is_never_refused_on_a_budget_of_one_and_a_half_times_what_it_costs(
    fleet: GatewayProcess, fleet_admin: Admin, upstream: RecordingUpstream
) -> None:
    turns, total = session(seed=7)
    key = await fleet_admin.generate(max_budget=float(total * Decimal("1.5")))
    statuses: list[int] = []
    system = [{"type": "text", "text": "x" * SYSTEM_BYTES, "cache_control": {"type": "ephemeral"}}]
    tools = [{"name": "Bash", "description": "Runs a command.", "input_schema": {"type": "object"}}]

    async def run(client: httpx.AsyncClient, thread: list[dict[str, int]], agent: str | None, begun: int) -> None:
        for number, usage in enumerate(thread):
            words = " ".join(f"{name}={value}" for name, value in usage.items())
            asked = {"role": "user", "content": f"FAKE: {words} events=20 delay_ms=1"}
            before = [{"role": "user", "content": "Go on."}, {"role": "assistant", "content": "I do."}]
            body = {
                "model": "claude-sonnet-4-6",
                "max_tokens": 32_000,
                "stream": True,
                "system": system,
                "tools": tools,
                "messages": [*(before if begun or number else []), asked],
            }
            headers = {"x-api-key": key, **({"x-claude-code-agent-id": agent} if agent else {})}
            answer = await client.post("/v1/messages", params={"beta": "true"}, json=body, headers=headers)
            statuses.append(answer.status_code)

    async with connected(fleet) as (client,):
        for turn, threads in enumerate(turns):
            main, *subagents = threads
            await asyncio.gather(
                run(client, main, None, turn),
                *(run(client, thread, f"agent-{number}", 0) for number, thread in enumerate(subagents)),
            )
    assert set(statuses) == {200}
    rows = await fleet_admin.receipts(key, len(statuses))
    assert sum(Decimal(str(row["spend"])) for row in rows) == total
