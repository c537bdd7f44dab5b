"""A client may leave at any moment: whatever was under way then, nothing is held on for it."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest

from app.api.llm.connection import send_reply
from app.base.errors import GatewayError, UpstreamBroken
from app.domain.access import Principal
from app.domain.catalog import Deployment
from app.domain.routing import RoutingRules
from app.domain.spend import Admitted, Claim, Receipt, Refused
from app.gateway.response_cache import CacheRules, ResponseCache
from tests.fakes.ports import NotingLedger, ScriptedReply
from tests.gateway.examples import KEY
from tests.gateway.test_attempts import THREE, TWO_MODELS, Answer, Farm, answers, hosted, refuses, unreachable
from tests.gateway.test_pipeline import DELTA, JSON, SSE, START, STOP, TEXT, call
from tests.gateway.test_response_cache import Answers

ONE: dict[str, tuple[Deployment, ...]] = {"m": (hosted("a"),)}
BROKEN = UpstreamBroken("cut", provider="anthropic")
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'
WAYS: dict[str, Answer] = {
    "whole": answers,
    "whole, broken off": lambda: ScriptedReply(200, JSON, [b"{", BROKEN]),
    "stream": lambda: ScriptedReply(200, SSE, [START, TEXT, DELTA, STOP]),
    "stream, broken off": lambda: ScriptedReply(200, SSE, [START, BROKEN]),
    "stream, broken off before it began": lambda: ScriptedReply(200, SSE, [BROKEN]),
    "stream of an error": lambda: ScriptedReply(200, SSE, [ERROR]),
    "400": refuses(400),
    "429": refuses(429),
    "unreachable": unreachable,
}
MOST_STEPS = 60


@dataclass
class Holds(NotingLedger):
    """Knows which requests hold something. Each answer takes a turn of the loop, as over a wire."""

    held: set[str] = field(default_factory=set)

    async def reserve(self, claim: Claim) -> Admitted | Refused:
        self.held.discard(claim.request_id)  # as the one of before is exchanged, and undone where nobody hears of it
        await asyncio.sleep(0)
        self.held.add(claim.request_id)
        return await super().reserve(claim)

    def start_settling(self, receipt: Receipt, tokens: int) -> "asyncio.Future[bool]":
        self.held.discard(receipt.request_id)
        return super().start_settling(receipt, tokens)

    async def release(self, request_id: str) -> None:
        await asyncio.sleep(0)
        self.held.discard(request_id)


class FarAnswers(Answers):
    async def find(self, digest: bytes) -> Any:
        await asyncio.sleep(0)
        return await super().find(digest)


@pytest.mark.parametrize("models", [ONE, THREE, TWO_MODELS], ids=["one", "three", "a fallback"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stream", [False, True], ids=["asks for a whole answer", "asks for a stream"])
async def test_a_client_that_leaves_after_any_step_leaves_nothing_behind(
    models: dict[str, tuple[Deployment, ...]], way: str, stream: bool
) -> None:
    for steps in range(MOST_STEPS):
        rules = RoutingRules(fallbacks={"m": ("n",)}) if "n" in models else RoutingRules()
        ledger = Holds()
        farm = Farm(models, dict.fromkeys("ab", WAYS[way]), rules=rules, ledger=ledger)
        cache = ResponseCache(FarAnswers(), farm.settlement, farm.gateway._metrics, CacheRules(mode="on"))
        farm.gateway.cache = cache
        calling = asyncio.create_task(_call(farm, stream=stream))
        for _ in range(steps):
            await asyncio.sleep(0)
        is_over = calling.done()
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError, GatewayError):
            await calling
        await farm.settlement.drain(1)

        running = sum(standing.running for standing in farm.router.standings)
        left = (ledger.held, farm.settlement._running, running, cache._under_way)
        assert left == (set(), {}, 0, {}), f"it left after {steps} steps"
        if is_over:
            return
    pytest.fail("a call has more steps than were looked at")


async def _call(farm: Farm, *, stream: bool) -> None:
    async def send(event: object) -> None:
        await asyncio.sleep(0)

    reply = await farm.gateway.serve(call(model="m", stream=stream), Principal(KEY))
    await send_reply(reply, send)
