"""Keys of shared teams, users and organizations beside a plain model: every level holds, and comes back when lost."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis import Redis

from app.domain.limits import RateLimits
from app.domain.spend import Admitted, BudgetClaim, RateClaim, Receipt, Refused
from app.domain.tenancy import owners_in, scopes_of
from app.storage.redis.client import script_runner
from app.storage.redis.encoding import decode_receipt
from app.storage.redis.ledger import RedisLedger
from tests.storage.ledger_support import make_budget, make_claim, make_receipt, redis_server

pytestmark = pytest.mark.services

START = datetime(2026, 1, 1, tzinfo=UTC)
LONG_S = 3_600.0
OWNERS: tuple[dict[str, Any], ...] = (
    {"key_id": "key_1", "team_id": "red", "user_id": "ada", "organization_id": "acme", "project_id": "moon"},
    {"key_id": "key_2", "team_id": "red", "user_id": "bob", "organization_id": "acme", "project_id": "moon"},
    {"key_id": "key_3", "team_id": "blue", "user_id": "ada", "organization_id": "acme"},
    {"key_id": "key_4", "team_id": None, "user_id": "ada", "organization_id": None},
)
LIMITS = {"key": 60, "member": 70, "project": 80, "team": 100, "user": 110, "organization": 150}
SLOTS = {"team": 2, "user": 3, "organization": 4}
SCOPES = sorted({scope for owners in OWNERS for scope in scopes_of(**owners)})


def kind_of(scope: str) -> str:
    return scope.partition(":")[0] if ":" in scope else "key"


@dataclass
class Hold:
    amounts: dict[str, int]
    cost: int
    expired: bool = False


class Tenancy(RuleBasedStateMachine):
    """No call costs more than what was asked to be held. ``url`` is set by the test."""

    url = ""
    requests: Bundle[str] = Bundle("requests")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.redis = Redis.from_url(self.url, decode_responses=True)
        self.redis.flushall()
        self.redis.set("{kh}:born", 0)
        self.runner = script_runner(self.url)
        self.ledger = RedisLedger(self.runner, lease_s=LONG_S, on_missing_counter=self._rebuild)
        self.expiring = RedisLedger(self.runner, lease_s=0)
        self.receipts: dict[str, Receipt] = {}
        self.holds: dict[str, Hold] = {}
        self.spent: dict[str, int] = defaultdict(int)
        self.book: list[Receipt] = []
        self.dearest = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(self.runner.close())
        self.loop.close()
        self.redis.close()

    async def _rebuild(self, claim: BudgetClaim) -> None:
        owners = owners_in(claim.scope).items()
        of_scope = [one for one in self.book if all(getattr(one, name) == value for name, value in owners)]
        await self.ledger.rebuild(claim, sum(one.cost.total for one in of_scope))

    def held(self, scope: str) -> int:
        return sum(hold.amounts.get(scope, 0) for hold in self.holds.values())

    def expected(self, scopes: tuple[str, ...], amount: int) -> str | dict[str, int]:
        left = {scope: LIMITS[kind_of(scope)] - self.spent[scope] for scope in scopes}
        # Of several that refuse the one that does so the longest is told, and these budgets never reset.
        if min(left.values()) <= 0:
            return "budget"
        for scope in scopes:
            running = sum(scope in hold.amounts and not hold.expired for hold in self.holds.values())
            if running >= SLOTS.get(kind_of(scope), 99):
                return "concurrency"
        if any(self.held(scope) + amount > left[scope] and self.held(scope) > 0 for scope in scopes):
            return "budget_held"
        return {scope: min(amount, left[scope]) for scope in scopes}

    @rule(target=requests, owners=st.sampled_from(OWNERS), amount=st.integers(0, 60), part=st.floats(0, 1))
    def reserve(self, owners: dict[str, Any], amount: int, part: float) -> str:
        request_id, cost = f"req_{len(self.receipts)}", int(amount * part)
        self.receipts[request_id] = receipt = make_receipt(request_id, cost, **owners)
        scopes = scopes_of(**owners)
        budgets = [
            make_budget(
                LIMITS[kind_of(scope)],
                amount,
                counter=f"{scope}:bud:1:1",
                scope=scope,
                start=START,
                # Defined in mid-window: a counter that is not there is never taken to be zero.
                counting_since=START + timedelta(days=1),
            )
            for scope in scopes
        ]
        rates = [
            RateClaim(scope, RateLimits(max_parallel_requests=SLOTS[kind_of(scope)]))
            for scope in scopes
            if kind_of(scope) in SLOTS
        ]
        expected = self.expected(scopes, amount)
        claim = make_claim(*budgets, rates=tuple(rates), orphan=receipt)
        outcome = self.loop.run_until_complete(self.ledger.reserve(claim))
        if isinstance(expected, str):
            assert isinstance(outcome, Refused)
            assert outcome.reason == expected
        else:
            assert isinstance(outcome, Admitted)
            assert [one.spent_nanousd for one in outcome.budgets] == [self.spent[scope] for scope in scopes]
            self.holds[request_id] = Hold(expected, cost)
            assert [one.held_nanousd for one in outcome.budgets] == [self.held(scope) for scope in scopes]
        return request_id

    def _end(self, request_id: str, cost: int) -> None:
        for scope in self.holds.pop(request_id).amounts:
            self.spent[scope] += cost
        self.dearest = max(self.dearest, cost)

    @rule(request_id=requests)
    def settle(self, request_id: str) -> None:
        if request_id in self.holds:
            assert self.loop.run_until_complete(self.ledger.settle(self.receipts[request_id], 1))
            self._end(request_id, self.holds[request_id].cost)

    @rule(request_id=requests)
    def release(self, request_id: str) -> None:
        self.loop.run_until_complete(self.ledger.release(request_id))
        if request_id in self.holds:
            self._end(request_id, 0)

    @rule(request_id=requests)
    def let_expire(self, request_id: str) -> None:
        self.loop.run_until_complete(self.expiring.renew([(request_id, None)]))
        if hold := self.holds.get(request_id):
            hold.expired = True

    @rule()
    def sweep(self) -> None:
        expired = [name for name, hold in self.holds.items() if hold.expired]
        assert self.loop.run_until_complete(self.ledger.sweep()) == len(expired)
        for name in expired:
            self._end(name, self.holds[name].cost)

    @rule(count=st.integers(1, 5))
    def drain(self, count: int) -> None:
        entries = self.loop.run_until_complete(self.ledger.read_receipts(count))
        self.book += [decode_receipt(entry.payload) for entry in entries]
        self.loop.run_until_complete(self.ledger.acknowledge([entry.entry_id for entry in entries]))

    @rule(scope=st.sampled_from(SCOPES))
    def lose_a_counter(self, scope: str) -> None:
        self.redis.delete(f"{{kh}}:budget:{scope}:bud:1:1")

    @invariant()
    def every_counter_says_what_the_model_says(self) -> None:
        for scope in SCOPES:
            counted = self.redis.hgetall(f"{{kh}}:budget:{scope}:bud:1:1")
            if counted:
                assert (counted["spent"], counted["held"]) == (str(self.spent[scope]), str(self.held(scope)))

    @invariant()
    def no_level_is_exceeded_by_more_than_one_call(self) -> None:
        for scope in SCOPES:
            limit = LIMITS[kind_of(scope)]
            assert self.spent[scope] <= limit + max(0, self.dearest - 1)
            assert self.spent[scope] >= limit or self.spent[scope] + self.held(scope) <= limit

    @invariant()
    def nothing_is_held_by_what_does_not_run(self) -> None:
        assert set(self.redis.zrange("{kh}:leases", 0, -1)) == set(self.holds)
        for scope in SCOPES:
            if kind_of(scope) in SLOTS:
                running = {name for name, hold in self.holds.items() if scope in hold.amounts}
                assert set(self.redis.zrange(f"{{kh}}:running:{scope}", 0, -1)) == running


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


def test_any_sequence_of_calls_of_many_keys_keeps_every_level(url: str) -> None:
    Tenancy.url = url
    run_state_machine_as_test(
        Tenancy,
        settings=settings(
            max_examples=100,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
