"""The ledger beside a plain model of it: whatever is asked in whatever order, the sums agree and the limits hold."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis import Redis

from app.domain.limits import RateLimits
from app.domain.spend import Admitted, BudgetClaim, Receipt, Refused
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.storage.ledger_support import make_budget, make_claim, make_receipt, redis_server

pytestmark = pytest.mark.services

START = datetime(2026, 1, 1, tzinfo=UTC)
COUNTERS = ("bud_key:1:1", "bud_team:1:1")
PARALLEL = 4
LONG_S = 3_600.0

# Small ones meet each other and the limits exactly; the largest, in each of 40 steps, come to what a double can hold.
amounts = st.one_of(st.integers(0, 4), st.integers(0, 60), st.sampled_from([10**9, 2 * 10**14]))


@dataclass
class Budget:
    spent: int = 0
    held: int = 0


@dataclass
class Hold:
    amounts: dict[str, int]
    orphan: Receipt
    expired: bool = False


@dataclass
class Model:
    """What the ledger should say, without Redis: integers and dictionaries."""

    budgets: dict[str, Budget] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    booked: list[int] = field(default_factory=list)

    def verdict(self, claims: tuple[BudgetClaim, ...]) -> str | dict[str, int]:
        """Of several that refuse the one that does so the longest: a spent budget without end, a slot, a hold."""
        if any(self.budgets.get(claim.counter, Budget()).spent >= claim.limit_nanousd for claim in claims):
            return "budget"
        if sum(not hold.expired for hold in self.holds.values()) >= PARALLEL:
            return "concurrency"
        cut: dict[str, int] = {}
        for claim in claims:
            budget = self.budgets.get(claim.counter, Budget())
            cut[claim.counter] = claim.hold_nanousd
            if budget.spent + budget.held + claim.hold_nanousd > claim.limit_nanousd:
                if budget.held > 0:
                    return "budget_held"
                cut[claim.counter] = claim.limit_nanousd - budget.spent
        return cut

    def reserve(self, request_id: str, cut: dict[str, int], orphan: Receipt) -> None:
        for name, amount in cut.items():
            self.budgets.setdefault(name, Budget()).held += amount
        self.holds[request_id] = Hold(cut, orphan)

    def end(self, request_id: str, cost: int) -> bool:
        hold = self.holds.pop(request_id, None)
        if hold is not None:
            for name, amount in hold.amounts.items():
                self.budgets[name].held -= amount
                self.budgets[name].spent += cost
        return hold is not None

    def renew(self, request_id: str, orphan: Receipt) -> None:
        hold = self.holds[request_id]
        hold.orphan, hold.expired = orphan, False
        for name, amount in hold.amounts.items():
            hold.amounts[name] = max(amount, orphan.cost.total)
            self.budgets[name].held += hold.amounts[name] - amount


class LedgerMachine(RuleBasedStateMachine):
    """Runs each step on the ledger and on the model. ``url`` is set by the test."""

    url = ""
    requests: Bundle[str] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis = Redis.from_url(self.url, decode_responses=True)
        self.redis.flushall()
        self.redis.set("{kh}:born", 0)
        self.runner = script_runner(self.url)
        self.ledger = RedisLedger(self.runner, lease_s=LONG_S)
        self.expiring = RedisLedger(self.runner, lease_s=0)
        self.model = Model()
        self.number = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(self.runner.close())
        self.loop.close()
        self.redis.close()

    @rule(target=requests, limit=amounts, holds=st.tuples(amounts, amounts), cost=amounts, both=st.booleans())
    def reserve(self, limit: int, holds: tuple[int, int], cost: int, *, both: bool) -> str:
        self.number += 1
        request_id = f"req_{self.number}"
        self._reserve(request_id, limit, holds if both else holds[:1], cost)
        return request_id

    @rule(request_id=requests, limit=amounts, holds=st.tuples(amounts, amounts), cost=amounts)
    def reserve_again(self, request_id: str, limit: int, holds: tuple[int, int], cost: int) -> None:
        self.model.end(request_id, 0)
        self._reserve(request_id, limit, holds, cost)

    def _reserve(self, request_id: str, limit: int, holds: tuple[int, ...], cost: int) -> None:
        budgets = tuple(
            make_budget(limit, hold, counter=name, start=START) for name, hold in zip(COUNTERS, holds, strict=False)
        )
        orphan = make_receipt(request_id, cost)
        limits = RateLimits(max_parallel_requests=PARALLEL)
        claim = make_claim(*budgets, request_id=request_id, limits=limits, orphan=orphan)
        expected = self.model.verdict(budgets)
        outcome = self.loop.run_until_complete(self.ledger.reserve(claim))
        if isinstance(expected, str):
            assert isinstance(outcome, Refused)
            assert outcome.reason == expected
            return
        assert isinstance(outcome, Admitted)
        self.model.reserve(request_id, expected, orphan)
        for standing in outcome.budgets:
            known = self.model.budgets[standing.claim.counter]
            assert (standing.spent_nanousd, standing.held_nanousd) == (known.spent, known.held)
            # What is admitted fits; only calls that outgrew their hold can have gone beyond.
            assert standing.spent_nanousd < limit
            assert standing.held_nanousd <= limit - standing.spent_nanousd or expected[standing.claim.counter] == 0

    @rule(request_id=requests, cost=amounts)
    def settle(self, request_id: str, cost: int) -> None:
        existed = self.loop.run_until_complete(self.ledger.settle(make_receipt(request_id, cost), 1))
        assert existed == self.model.end(request_id, cost)
        self.model.booked.append(cost)

    @rule(request_id=requests)
    def release(self, request_id: str) -> None:
        self.loop.run_until_complete(self.ledger.release(request_id))
        self.model.end(request_id, 0)

    @rule(request_id=requests, cost=amounts)
    def renew(self, request_id: str, cost: int) -> None:
        orphan = make_receipt(request_id, cost)
        gone = self.loop.run_until_complete(self.ledger.renew([(request_id, orphan)]))
        assert gone == ([] if request_id in self.model.holds else [request_id])
        if not gone:
            self.model.renew(request_id, orphan)

    @rule(request_id=requests)
    def let_expire(self, request_id: str) -> None:
        self.loop.run_until_complete(self.expiring.renew([(request_id, None)]))
        if hold := self.model.holds.get(request_id):
            hold.expired = True

    @rule()
    def sweep(self) -> None:
        expired = [name for name, hold in self.model.holds.items() if hold.expired]
        assert self.loop.run_until_complete(self.ledger.sweep()) == len(expired)
        for name in expired:
            cost = self.model.holds[name].orphan.cost.total
            self.model.end(name, cost)
            self.model.booked.append(cost)

    @invariant()
    def the_counters_say_what_the_model_says(self) -> None:
        for name, budget in self.model.budgets.items():
            counted = self.redis.hgetall(f"{{kh}}:budget:{name}")
            assert (counted["spent"], counted["held"]) == (str(budget.spent), str(budget.held))
            assert budget.held >= 0

    @invariant()
    def what_is_held_is_what_lives(self) -> None:
        assert set(self.redis.zrange("{kh}:leases", 0, -1)) == set(self.model.holds)
        for name, budget in self.model.budgets.items():
            assert budget.held == sum(hold.amounts.get(name, 0) for hold in self.model.holds.values())

    @invariant()
    def every_receipt_is_in_the_stream(self) -> None:
        entries: list[Any] = self.redis.xrange("{kh}:receipts") or []
        costs = [int(fields["cost"]) for _, fields in entries]
        assert sorted(costs) == sorted(self.model.booked)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


def test_any_sequence_of_steps_keeps_the_sums_and_the_limits(url: str) -> None:
    LedgerMachine.url = url
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
