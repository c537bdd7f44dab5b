"""How often a budget refuses what would have fitted, and how far it is exceeded: three ways to hold, side by side.

``python -m benchmarks.budgets`` prints the table of docs/budgets.md in about a minute. The ledger, what is learned and
how holds grow are the gateway's own; calls and their time are simulated, from fixed seeds.
"""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from app.base import clock
from app.base.ids import BudgetId, DeploymentId
from app.base.money import NanoUSD
from app.domain.catalog import Deployment
from app.domain.pricing import PriceSheet, Rates, always, cost_of
from app.domain.spend import Admitted, BudgetClaim, BudgetStanding, Refused
from app.domain.usage import Usage
from app.gateway.call import Call, Grant, Hold
from app.gateway.estimate import estimate
from app.gateway.growth import GrowingHold, growing_hold
from app.gateway.holds import Holds, learn, strict_hold
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.codec import Envelope, UsageReport
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.storage.ledger_support import make_claim, make_receipt, redis_server

Policy = Literal["counting afterwards", "holding max_tokens", "learned, finish", "learned, cut"]
POLICIES: tuple[Policy, ...] = ("counting afterwards", "holding max_tokens", "learned, finish", "learned, cut")
SEEDS = range(5)
WAIT_S, FIRST_BYTE_S, TOKENS_A_SECOND, LOOK_EVERY_S = 30.0, 1.0, 80, 0.25
PAUSES_S = (0.02, 0.25)
BYTES_A_TOKEN, WIRE_BYTES_A_TOKEN = 4, 110
SHEET = PriceSheet(
    version="sonnet",
    source="bundled",
    rates=Rates(
        input=3_000_000_000,
        output=15_000_000_000,
        cache_read=300_000_000,
        cache_write_5m=3_750_000_000,
        cache_write_1h=6_000_000_000,
        reasoning=15_000_000_000,
        audio_input=3_000_000_000,
        audio_output=15_000_000_000,
    ),
)
DEPLOYMENT = Deployment(DeploymentId("dep"), "anthropic", "claude-sonnet", "https://host", None, always(SHEET))
CODEC = AnthropicMessages()


@dataclass(frozen=True)
class Turn:
    """One call: what it asks for, and what it will turn out to use."""

    call: Call
    envelope: Envelope
    usage: Usage

    @property
    def cost_nanousd(self) -> int:
        return cost_of(self.usage, SHEET).total


@dataclass(frozen=True)
class Thread:
    """Calls one after the other, from ``begins_s`` on; a refused one ends it. ``then`` begins when it has ended."""

    begins_s: float
    turns: tuple[Turn, ...]
    then: tuple["Thread", ...] = ()


@dataclass(frozen=True)
class Workload:
    """``share`` is the budget, as a part of what all calls cost; ``known``: such calls were made before."""

    name: str
    make: Callable[[random.Random], list[Thread]]
    share: float
    known: bool = False


@dataclass
class Outcome:
    """``early``: of those refused (or cut), so many would still have fitted into what was left at the end."""

    calls: int = 0
    refused: list[NanoUSD] = field(default_factory=list)
    early: int = 0
    waited_s: float = 0
    cap_nanousd: int = 0
    spent_nanousd: int = 0
    overshoots: list[float] = field(default_factory=list)


def make_turn(prompt_bytes: int, usage: Usage, *, first: bool, agent: bool = False, most: int = 32_000) -> Turn:
    before = [] if first else [{"role": "user", "content": "Go."}, {"role": "assistant", "content": "I do."}]
    body = {
        "model": "claude-sonnet",
        "max_tokens": most,
        "stream": True,
        "system": [{"type": "text", "text": "x" * prompt_bytes, "cache_control": {"type": "ephemeral"}}],
        "messages": [*before, {"role": "user", "content": "Next."}],
        "tools": [],
    }
    encoded = msgspec.json.encode(body)
    headers = [(b"x-claude-code-agent-id", b"a")] if agent else []
    call = Call("req", CODEC, "generate", "POST", "/v1/messages", None, b"", headers, encoded, clock.now(), 0)
    return Turn(call, CODEC.read_envelope(encoded), usage)


def agent_turn(chance: random.Random, *, first: bool, prompt_tokens: int, agent: bool = False) -> Turn:
    """A coding agent's: its prompt is written to a cache once and then read; one answer in twenty-five is long."""
    written = prompt_tokens if first else chance.randint(300, 1500)
    output = chance.randint(3000, 9000) if chance.random() < 0.04 else chance.randint(60, 600)
    usage = Usage(input=4, cache_read=0 if first else prompt_tokens, cache_write_5m=written, output=output)
    return make_turn(4 * (prompt_tokens if first else prompt_tokens + written), usage, first=first, agent=agent)


def coding_session(chance: random.Random) -> list[Thread]:
    """Sixty turns of a prompt of 49 kB that grows; four times, four subagents of six turns each run beside it."""
    parts: list[list[Turn]] = []
    prompt_tokens = 49_000 // 4
    for number in range(60):
        turn = agent_turn(chance, first=number == 0, prompt_tokens=prompt_tokens)
        prompt_tokens += turn.usage.cache_write_5m if number else 0
        if number % 15 == 7 or not parts:
            parts.append([])
        parts[-1].append(turn)
    following: tuple[Thread, ...] = ()
    for part in reversed(parts[1:]):
        subagents = tuple(Thread(0, tuple(subagent_turns(chance))) for _ in range(4))
        following = (Thread(0, tuple(part), following), *subagents)
    return [Thread(0, tuple(parts[0]), following)]


def subagent_turns(chance: random.Random) -> Iterator[Turn]:
    for number in range(6):
        yield agent_turn(chance, first=number == 0, prompt_tokens=8000 + 800 * number, agent=True)


def developers(chance: random.Random) -> list[Thread]:
    """Ten sessions of one team."""
    sessions = [thread for _ in range(10) for thread in coding_session(chance)]
    return [Thread(chance.uniform(0, 60), thread.turns, thread.then) for thread in sessions]


def burst(chance: random.Random) -> list[Thread]:
    """Two hundred streams within a second, of very different length."""
    threads = []
    for _ in range(200):
        output = min(32_000, round(chance.lognormvariate(5.6, 1)))
        turn = make_turn(2000, Usage(input=500, output=output), first=True)
        threads.append(Thread(chance.random(), (turn,)))
    return threads


WORKLOADS = (
    Workload("coding session, budget 1.5 × its cost", coding_session, 1.5),
    Workload("ten sessions of a team, budget 0.7 × their cost", developers, 0.7),
    Workload("200 streams at once, budget for a third", burst, 1 / 3, known=True),
)


class House:
    """One budget, the gateway's rules of holding, and a clock that jumps from event to event."""

    def __init__(self, ledger: RedisLedger, policy: Policy, cap_nanousd: int, mark: str) -> None:
        self.now_s = 0.0
        self.outcome = Outcome(cap_nanousd=cap_nanousd)
        self.holds = Holds()
        self._ledger = ledger
        self._policy = policy
        self._numbers = count()
        self._events: list[tuple[float, int, Callable[[], Awaitable[None]]]] = []
        at = clock.now()
        self._claim = BudgetClaim(
            f"{mark}:1:1", BudgetId(mark), mark, cap_nanousd, 0, at, None, at, strict=policy == "learned, cut"
        )

    def at(self, time_s: float, what: Callable[[], Awaitable[None]]) -> None:
        heapq.heappush(self._events, (time_s, next(self._numbers), what))

    async def run(self, threads: list[Thread]) -> Outcome:
        for thread in threads:
            self._begin(thread, thread.begins_s)
        while self._events:
            self.now_s, _, what = heapq.heappop(self._events)
            await what()
        self._count_early()
        return self.outcome

    def _begin(self, thread: Thread, time_s: float, number: int = 0) -> None:
        if number < len(thread.turns):
            self.outcome.calls += 1
            self.at(time_s, lambda: self._ask(thread, number, time_s, PAUSES_S[0]))
        else:
            for following in thread.then:
                self._begin(following, time_s)

    def _hold(self, turn: Turn) -> tuple[Hold, int]:
        limit = turn.envelope.max_output_tokens
        hold = self.holds.hold_for(turn.call, turn.envelope, limit, DEPLOYMENT, SHEET)
        match self._policy:
            case "counting afterwards":
                return hold, 0
            case "holding max_tokens":
                return hold, estimate(turn.call.body, limit, SHEET).hold_nanousd
            case "learned, finish":
                return hold, hold.most.hold_nanousd
            case "learned, cut":
                strict = strict_hold(turn.call, turn.envelope, hold, limit, CODEC.name)
                return replace(hold, strict=strict), strict.hold_nanousd

    async def _ask(self, thread: Thread, number: int, since_s: float, pause_s: float) -> None:
        turn, request_id = thread.turns[number], f"{self._claim.scope}-{next(self._numbers)}"
        hold, amount = self._hold(turn)
        claim = replace(self._claim, hold_nanousd=amount)
        outcome = await self._ledger.reserve(make_claim(claim, orphan=make_receipt(request_id, key_id=claim.scope)))
        waited_s = self.now_s - since_s
        if isinstance(outcome, Refused):
            if outcome.reason == "budget_held" and waited_s + pause_s <= WAIT_S:
                longer_s = min(pause_s * 2, PAUSES_S[1])
                self.at(self.now_s + pause_s, lambda: self._ask(thread, number, since_s, longer_s))
                return
            self.outcome.refused.append(turn.cost_nanousd)
            return
        self.outcome.waited_s = max(self.outcome.waited_s, waited_s)
        growing = self._growing(hold, outcome, claim)
        self.at(self.now_s + FIRST_BYTE_S, lambda: self._pass(thread, number, request_id, hold, growing, 0))

    def _growing(self, hold: Hold, admitted: Admitted, claim: BudgetClaim) -> GrowingHold | None:
        if not self._policy.startswith("learned"):
            return None
        admitted = replace(admitted, budgets=(BudgetStanding(claim, 0, 0),))
        unlooked: Any = None
        grant = Grant(unlooked, None, None, DEPLOYMENT, None, admitted, None, SHEET, hold)
        return growing_hold(grant)

    async def _pass(
        self, thread: Thread, number: int, request_id: str, hold: Hold, growing: GrowingHold | None, passed: int
    ) -> None:
        """``passed`` tokens have come so far; some more, and a look at what is held."""
        turn = thread.turns[number]
        output = turn.usage.output
        if passed >= output:
            await self._end(thread, number, request_id, hold, turn.usage)
            return
        if growing is not None and passed * WIRE_BYTES_A_TOKEN >= growing.look_at_bytes:
            seen = UsageReport(replace(turn.usage, output=1), final=False, output_bytes=passed * BYTES_A_TOKEN)
            growths = growing.look(passed * WIRE_BYTES_A_TOKEN, seen)
            granted = await self._ledger.grow(request_id, growths) if growths else ()
            if isinstance(granted, BudgetStanding):
                so_far = cost_of(replace(turn.usage, output=passed), SHEET).total
                self.outcome.refused.append(turn.cost_nanousd - so_far)
                await self._end(thread, number, request_id, hold, replace(turn.usage, output=passed), cut=True)
                return
            if granted and growths[0].claim.strict:
                growing.granted(granted)
        step = min(output - passed, round(LOOK_EVERY_S * TOKENS_A_SECOND))
        later_s = self.now_s + step / TOKENS_A_SECOND
        self.at(later_s, lambda: self._pass(thread, number, request_id, hold, growing, passed + step))

    async def _end(
        self, thread: Thread, number: int, request_id: str, hold: Hold, usage: Usage, *, cut: bool = False
    ) -> None:
        cost = cost_of(usage, SHEET)
        receipt = replace(make_receipt(request_id, key_id=self._claim.scope), usage=usage, cost=cost)
        await self._ledger.settle(receipt, 0)
        self.outcome.spent_nanousd += cost.total
        if not cut:
            learn(hold, receipt, usage.output * BYTES_A_TOKEN)
            self._begin(thread, self.now_s, number + 1)

    def _count_early(self) -> None:
        left_nanousd = self.outcome.cap_nanousd - self.outcome.spent_nanousd
        for cost_nanousd in self.outcome.refused:
            if cost_nanousd <= left_nanousd:
                left_nanousd -= cost_nanousd
                self.outcome.early += 1


def turns_of(threads: tuple[Thread, ...] | list[Thread]) -> Iterator[Turn]:
    for thread in threads:
        yield from thread.turns
        yield from turns_of(thread.then)


async def simulate(ledger: RedisLedger, workload: Workload, policy: Policy, seed: int) -> Outcome:
    chance = random.Random(f"{workload.name} {seed}")
    threads = workload.make(chance)
    cap_nanousd = round(sum(turn.cost_nanousd for turn in turns_of(threads)) * workload.share)
    house = House(ledger, policy, cap_nanousd, f"{policy}-{workload.share:.3f}-{seed}".replace(" ", "_"))
    if workload.known:
        for turn in turns_of(workload.make(chance)):
            hold = house.holds.hold_for(turn.call, turn.envelope, turn.envelope.max_output_tokens, DEPLOYMENT, SHEET)
            receipt = replace(make_receipt("known"), usage=turn.usage, cost=cost_of(turn.usage, SHEET))
            learn(hold, receipt, turn.usage.output * BYTES_A_TOKEN)
    return await house.run(threads)


async def measure(
    seeds: range = SEEDS, workloads: tuple[Workload, ...] = WORKLOADS
) -> dict[tuple[str, Policy], Outcome]:
    """By workload and policy, the sums over all seeds; the overshoots as parts of the budget."""
    found: dict[tuple[str, Policy], Outcome] = {}
    with redis_server() as server:
        runner = script_runner(server.url)
        ledger = RedisLedger(runner, lease_s=120, on_missing_counter=lambda claim: ledger.rebuild(claim, 0))
        await ledger.open()
        for workload in workloads:
            for policy in POLICIES:
                whole = found[workload.name, policy] = Outcome()
                for seed in seeds:
                    one = await simulate(ledger, workload, policy, seed)
                    for name in ("calls", "refused", "early", "cap_nanousd", "spent_nanousd"):
                        setattr(whole, name, getattr(whole, name) + getattr(one, name))
                    whole.waited_s = max(whole.waited_s, one.waited_s)
                    whole.overshoots.append(max(0.0, one.spent_nanousd / one.cap_nanousd - 1))
        await runner.close()
    return found


def render(found: dict[tuple[str, Policy], Outcome]) -> str:
    lines = ["| calls | policy | refused or cut too early | exceeded by, mean and most | spent | longest wait |"]
    lines.append("|---|---|---|---|---|---|")
    for (name, policy), one in found.items():
        shown = name if policy == POLICIES[0] else ""
        mean = sum(one.overshoots) / len(one.overshoots)
        early = f"{one.early / one.calls:.1%} ({one.early} of {one.calls})"
        exceeded = f"{mean:.1%}, {max(one.overshoots):.1%}"
        spent = f"{one.spent_nanousd / one.cap_nanousd:.0%}"
        lines.append(f"| {shown} | {policy} | {early} | {exceeded} | {spent} | {one.waited_s:.1f} s |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(render(asyncio.run(measure())))
