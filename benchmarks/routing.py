"""Three providers behind one model, of which one fails in each way in turn: who noticed, and what a choice costs.

``python -m benchmarks.routing`` makes 2 000 requests for each way (``--calls N`` for fewer, ``--at-once N`` of them
under way together) and prints a table. What fails the run: a failed answer that a healthy provider could have given,
retries of more than a fifth, a call to a provider that has failed five times while it is put aside, more than one
probe of it at once, and books that differ from the providers' bill.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import sys
import tempfile
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from app.base.ids import DeploymentId
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.catalog import Model
from app.domain.failures import Failure
from app.domain.routing import RoutingRules, Strategy
from app.gateway.call import Call
from app.gateway.route import Asked
from app.gateway.router import Router
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.codec import Envelope
from tests.fakes.gateway_process import Admin, GatewayProcess
from tests.fakes.recording import RecordedRequest
from tests.fakes.script import Script
from tests.fakes.upstream import RecordingUpstream, _Connection
from tests.gateway.examples import DEPLOYMENT, KEY, NOW

CALLS, AT_ONCE, MENDED_AFTER = 2000, 24, 0.7
_FAILURES, _MOMENT_S, _COOLDOWN_S = 5, 0.1, 4.0
INPUT_PRICE, OUTPUT_PRICE = Decimal("0.000001"), Decimal("0.00001")
STRATEGIES: tuple[Strategy, ...] = (
    "simple-shuffle", "least-busy", "latency-based-routing", "cost-based-routing", "usage-based-routing-v2",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Way:
    """``seen``: what the client sees may be broken, as it had begun to get an answer. ``well``: it is no failure."""

    name: str
    script: Script
    streamed: bool = False
    seen: bool = False
    well: bool = False


WAYS = (
    Way("slow", Script(delay_ms=50), well=True),
    Way("429 with retry-after", Script(error=429, retry_after="2")),
    Way("429", Script(error=429)),
    Way("500", Script(error=500)),
    Way("529", Script(error=529)),
    Way("no answer", Script(hang_before=True)),
    Way("hangs in mid-stream", Script(hang_after=2), streamed=True, seen=True),
    Way("cut in mid-stream", Script(cut_after=2), streamed=True, seen=True),
    Way("bad credential", Script(error=401)),
    Way("out of credit", Script(error=402)),
)


class SickPlace(RecordingUpstream):
    """The one of three that fails: it notes when each call to it began and ended, until it is mended."""

    def __init__(self) -> None:
        super().__init__(keep_traffic=False)
        self.spans: list[tuple[float, float]] = []
        self.mended = False

    async def _answer(self, request: RecordedRequest, connection: _Connection) -> bool:
        began_s, failing = time.monotonic(), not self.mended
        try:
            return await super()._answer(request, connection)
        finally:
            if failing:
                self.spans.append((began_s, time.monotonic()))

    def after_five(self) -> list[tuple[float, float]]:
        """The calls that began when it had failed five times, and news of that had a moment to get round."""
        ends = sorted(ended_s for _, ended_s in self.spans)
        if len(ends) <= _FAILURES:
            return []
        return sorted(span for span in self.spans if span[0] > ends[_FAILURES - 1] + _MOMENT_S)

    def too_soon(self) -> int:
        """Of those, what came while it was put aside for the first time."""
        after = self.after_five()
        ends = sorted(ended_s for _, ended_s in self.spans)
        return sum(began_s < ends[_FAILURES - 1] + _COOLDOWN_S for began_s, _ in after)

    def most_at_once(self) -> int:
        """Of those, how many were under way together."""
        after = self.after_five()
        return max((sum(one[0] <= other[0] < one[1] for one in after) for other in after), default=0)


@dataclasses.dataclass(frozen=True)
class Seen:
    """Of one call: whether it was answered whole, by how many attempts."""

    whole: bool
    status: int
    attempts: int


async def ask(client: httpx.AsyncClient, body: dict[str, Any]) -> Seen:
    try:
        async with client.stream("POST", "/v1/messages", json=body) as answer:
            attempts = int(answer.headers.get("x-keyhouse-attempts", 1))
            content = await answer.aread()
    except httpx.HTTPError:
        return Seen(False, 0, 1)
    whole = answer.status_code == 200 and (not body["stream"] or b"message_stop" in content)
    return Seen(whole, answer.status_code, attempts)


async def run_way(gateway: GatewayProcess, admin: Admin, way: Way, calls: int, at_once: int) -> list[str]:
    async with contextlib.AsyncExitStack() as stack:
        sick = await stack.enter_async_context(SickPlace())
        well = [await stack.enter_async_context(RecordingUpstream(keep_traffic=False)) for _ in range(2)]
        places = [sick, *well]
        ids = [await _deploy(admin, way.name, place.base_url, max(3, at_once // 10)) for place in places]
        key = await admin.generate(models=[way.name])
        sick.default = way.script
        body = {
            "model": way.name, "max_tokens": 20, "stream": way.streamed,
            "messages": [{"role": "user", "content": "Hello"}],
        }  # fmt: skip
        room, seen = asyncio.Semaphore(at_once), list[Seen]()
        limits = httpx.Limits(max_connections=at_once)
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=gateway.base_url, headers={"x-api-key": key}, trust_env=False, timeout=60, limits=limits
            )
        )

        async def one(number: int) -> None:
            async with room:
                if number == int(calls * MENDED_AFTER):
                    sick.default, sick.mended = Script(), True
                seen.append(await ask(client, body))

        await asyncio.gather(*(one(number) for number in range(calls)))
        back_s = await _comes_back(client, body, ids[0])
        rows = await admin.receipts(key, sum(len(place.bill.entries) for place in places), timeout_s=20)
        for deployment_id in ids:
            await admin.post("/model/delete", id=deployment_id)
    finished = [entry for place in places for entry in place.bill.entries if entry.state == "finished"]
    billed = sum(entry.input * INPUT_PRICE + entry.output * OUTPUT_PRICE for entry in finished)
    booked = sum(Decimal(str(row["spend"])) for row in rows if row["status"] == "success")
    failed = sum(not one.whole for one in seen)
    retries = sum(one.attempts - 1 for one in seen)
    sick_calls = "-" if way.well else f"{sick.too_soon()} / {sick.most_at_once()}"
    herd = not way.well and (sick.too_soon() or sick.most_at_once() > 1)
    wrong = (failed and not way.seen) or booked != billed or retries > calls / 5 or herd or back_s == "never"
    return [
        way.name, str(calls), str(failed), f"{100 * retries / calls:.1f} %", sick_calls, back_s, f"{booked:.6f}",
        f"{billed:.6f}", "FAILED" if wrong else "ok",
    ]  # fmt: skip


async def _deploy(admin: Admin, model: str, base_url: str, first_byte_s: int) -> str:
    """What is given up though it was computed is billed and not booked: whoever asks more at once waits longer."""
    params = {
        "model": "anthropic/claude-sonnet-4-6", "api_key": f"sk-ant-{base_url}", "api_base": base_url,
        "input_cost_per_token": str(INPUT_PRICE), "output_cost_per_token": str(OUTPUT_PRICE),
        "stream_timeout": first_byte_s, "timeout": 2 * first_byte_s,
    }  # fmt: skip
    made = await admin.post("/model/new", model_name=model, litellm_params=params)
    made.raise_for_status()
    deployment_id: str = made.json()["model_id"]
    return deployment_id


async def _comes_back(client: httpx.AsyncClient, body: dict[str, Any], deployment_id: str) -> str:
    began_s = time.monotonic()
    while time.monotonic() - began_s < 60:
        async with client.stream("POST", "/v1/messages", json=body) as answer:
            await answer.aread()
            if answer.status_code == 200 and answer.headers["x-keyhouse-deployment"] == deployment_id:
                return f"{time.monotonic() - began_s:.1f} s"
        await asyncio.sleep(0.05)
    return "never"


def cost_of_a_choice(strategy: Strategy, session: bool, sick: bool) -> float:
    """Microseconds of processor time for one call of a model with 20 deployments, and the end of it."""
    rounds = 20_000
    places = tuple(dataclasses.replace(DEPLOYMENT, deployment_id=DeploymentId(f"dep_{n}")) for n in range(20))
    model, router = Model("m", places, "M", ""), Router(RoutingRules(strategy), Metrics(CollectorRegistry()))
    headers = [(b"content-type", b"application/json"), (b"user-agent", b"x")]
    if session:
        headers.append((b"x-claude-code-session-id", b"0b4445e1-f5be-49e1-87ce-62bbc28ad705"))
    call = Call("req", AnthropicMessages(), "generate", "POST", "/v1/messages", None, b"", headers, b"{}", NOW, 0)
    asked = Asked(Principal(KEY), Envelope(b"{}", {}, "m", False, None, None, None), ())

    def one(failure: Failure | None = None) -> None:
        route = router.begin(call, asked, model)
        assert route is not None
        router.choose(route)
        router.began(route)
        if failure is not None:
            router.failed(route, failure)
        else:
            router.head_came(route)
            router.answered(route)
            router.left(route)

    if sick:
        one(Failure("rate_limited", 300))
    one()
    began_s = time.process_time()
    for _ in range(rounds):
        one()
    return (time.process_time() - began_s) / rounds * 1e6


def show(rows: list[list[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |", flush=True)


async def run(ways: Sequence[Way], calls: int, at_once: int, folder: Path) -> bool:
    gateway = GatewayProcess(
        folder / "home", {"KEYHOUSE_ALLOWED_UPSTREAMS": "127.0.0.1/32", "KEYHOUSE_LOG_LEVEL": "warning"}
    )
    gateway.start()
    try:
        admin = Admin(gateway.base_url)
        rows = [
            ["one of three", "calls", "failed", "retries", "too soon / at once", "back after", "booked", "billed", ""]
        ]
        for way in ways:
            rows.append(await run_way(gateway, admin, way, calls, at_once))
            print(rows[-1], file=sys.stderr, flush=True)
        await admin.client.aclose()
    finally:
        gateway.stop()
    show(rows)
    return all(row[-1] != "FAILED" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing", description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help="requests for each way of failing")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="of these, how many are under way together")
    parser.add_argument("--only", default="", help="the ways whose names hold this")
    arguments = parser.parse_args()
    ways = [way for way in WAYS if arguments.only in way.name]
    table = [["µs a call, 20 deployments", "plain", "of a session", "one put aside"]]
    for strategy in STRATEGIES:
        figures = [cost_of_a_choice(strategy, *kind) for kind in ((False, False), (True, False), (False, True))]
        table.append([strategy, *(f"{figure:.1f}" for figure in figures)])
    show(table)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        if not asyncio.run(run(ways, arguments.calls, arguments.at_once, Path(folder))):
            sys.exit(1)


if __name__ == "__main__":
    main()
