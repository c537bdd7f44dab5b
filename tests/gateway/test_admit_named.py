"""Customers, tags and the platform beside a key: what a call asks of the ledger for them, and what they refuse."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from app.base.errors import Forbidden, ModelNotAllowed, RateLimited
from app.base.ids import BudgetId
from app.domain.access import Principal
from app.domain.budgets import Budget, Duration
from app.domain.limits import RateLimits
from app.domain.spend import BudgetStanding, Refused
from app.domain.tenancy import PLATFORM, Level, budget_of_setting
from app.gateway.admit import AdmissionRules
from app.gateway.claims import budget_claims, further_scopes, rate_claims, whose
from tests.fakes.ports import ScriptedReply
from tests.gateway.examples import KEY, NOW
from tests.gateway.test_pipeline import CATALOG, JSON, WHOLE, House, call

SINCE = NOW - timedelta(days=40)
(MODEL,) = (model for model in CATALOG.models if model.name == "claude-sonnet-4-5")


def budget(limit: int = 10**9, **fields: Any) -> Budget:
    return Budget(BudgetId("bud_1"), limit, Duration(1, "month"), SINCE, SINCE, shared=True, **fields)


CUSTOMER = Level("customer", "customer:ishaan", 'customer "ishaan"', budgets=(budget(),))
TAG = Level("tag", "tag:red", 'tag "red"', budgets=(budget(),), limits=(RateLimits(requests=5, window_s=3600),))


@dataclass
class Known:
    """Knows these levels, and notes what it was asked for."""

    levels: dict[str, Level] = field(default_factory=dict)
    warm: bool = True
    asked: list[tuple[Sequence[str], Sequence[str]]] = field(default_factory=list)

    def peek(self, customers: Sequence[str], tags: Sequence[str]) -> tuple[Level, ...] | None:
        return self._of(customers, tags) if self.warm else None

    async def find(self, customers: Sequence[str], tags: Sequence[str]) -> tuple[Level, ...]:
        self.asked.append((customers, tags))
        return self._of(customers, tags)

    def _of(self, customers: Sequence[str], tags: Sequence[str]) -> tuple[Level, ...]:
        names = [*(f"customer:{one}" for one in customers), *(f"tag:{one}" for one in tags)]
        return tuple(self.levels[name] for name in names if name in self.levels)


def house(*levels: Level, rules: AdmissionRules | None = None, warm: bool = True) -> tuple[House, Known]:
    made = House([ScriptedReply(200, JSON, [WHOLE])], rules=rules or AdmissionRules())
    known = Known({level.scope: level for level in levels}, warm)
    made.gateway._admission._named = known
    return made, known


async def test_a_customer_and_a_tag_are_claimed_beside_the_key() -> None:
    made, known = house(CUSTOMER, TAG, warm=False)
    headers = [(b"content-type", b"application/json"), (b"x-litellm-tags", b"red, blue")]
    await made.serve(call(metadata={"user_id": "ishaan"}, headers=headers))
    (claim,) = made.ledger.claims
    assert [one.scope for one in claim.budgets] == ["customer:ishaan", "tag:red"]
    assert [one.scope for one in claim.rates] == ["tag:red@3600"]
    assert known.asked == [(("ishaan",), ("red", "blue"))]
    assert (claim.if_orphaned.customer_id, claim.if_orphaned.tags) == ("ishaan", ("red", "blue"))


async def test_a_call_that_names_nobody_asks_nothing() -> None:
    made, known = house(CUSTOMER, TAG, warm=False)
    await made.serve(call())
    assert (known.asked, made.ledger.claims[0].budgets) == ([], ())


async def test_every_call_counts_on_the_platform() -> None:
    level = Level("platform", PLATFORM, "the platform", budgets=(budget_of_setting("max_budget", 5),))
    made, _ = house(rules=AdmissionRules(platform=level))
    await made.serve(call())
    (claim,) = made.ledger.claims[0].budgets
    assert (claim.scope, claim.limit_nanousd) == ("platform", 5)


async def test_a_blocked_customer_is_refused_by_name() -> None:
    made, _ = house(replace(CUSTOMER, blocked=True))
    with pytest.raises(Forbidden, match='customer "ishaan" is blocked'):
        await made.serve(call(metadata={"user_id": "ishaan"}))
    assert made.ledger.claims == []


async def test_a_customer_may_use_its_models_alone_or_gets_its_default() -> None:
    listed = replace(CUSTOMER, models=("claude-opus-*", "dear"))
    made, _ = house(listed)
    with pytest.raises(ModelNotAllowed):
        await made.serve(call(metadata={"user_id": "ishaan"}))
    made, _ = house(replace(listed, default_model="dear"))
    await made.serve(call(metadata={"user_id": "ishaan"}))
    assert b'"model":"claude-opus-4-5"' in made.upstream.requests[0].body
    assert made.ledger.claims[0].if_orphaned.model_asked == "claude-sonnet-4-5"


def test_budgets_and_limits_of_a_model_are_claimed_for_it_alone() -> None:
    level = Level(
        "team",
        "team:red",
        'team "red"',
        budgets=(budget(), budget(model="claude-sonnet-*", part="mclaude-sonnet-*"), budget(model="gpt-*", part="m")),
        limits=(RateLimits(requests=9, model="claude-sonnet-*"), RateLimits(requests=1, model="gpt-*")),
    )
    principal = Principal(KEY, levels=(level,))
    claims = budget_claims(principal, (MODEL,), 5, NOW)
    of_model = "model:team%3Ared:claude-sonnet-%2A"
    assert [claim.scope for claim in claims] == ["team:red", of_model]
    assert [claim.scope for claim in rate_claims(principal, (MODEL,))] == [of_model]
    assert further_scopes(claims) == (of_model,)
    assert whose(principal, of_model) == 'model "claude-sonnet-*" of team "red"'


def test_a_pool_is_claimed_once_however_many_name_it() -> None:
    pool = budget(pooled=True)
    levels = (Level("team", "team:red", 'team "red"', budgets=(pool,)), replace(CUSTOMER, budgets=(pool,)))
    principal = Principal(replace(KEY, budgets=(pool,)), levels=levels)
    (claim,) = budget_claims(principal, (MODEL,), 5, NOW)
    assert (claim.scope, further_scopes((claim,))) == ("pool:bud_1", ("pool:bud_1",))
    assert whose(principal, claim.scope) == 'the pool "bud_1"'


def test_several_windows_have_a_counter_each_and_an_increase_ends() -> None:
    month = budget(10, increase_nanousd=5, increase_until=NOW + timedelta(hours=1))
    day = replace(month, part="wday", duration=Duration(1, "day"), limit_nanousd=2, increase_until=None)
    principal = Principal(replace(KEY, budgets=(month, day)))
    now = budget_claims(principal, (), 5, NOW)
    assert [claim.limit_nanousd for claim in now] == [15, 2]
    later = budget_claims(principal, (), 5, NOW + timedelta(hours=2))
    assert [claim.limit_nanousd for claim in later] == [10, 2]
    tomorrow = budget_claims(principal, (), 5, NOW + timedelta(days=1))
    assert len({claim.counter for claim in (*now, *later, *tomorrow)}) == 3


async def test_a_pace_refuses_as_a_rate_does() -> None:
    made, _ = house()
    pace = Budget(BudgetId("pace"), 2_000_000_000, Duration(1, "h"), SINCE, SINCE, shared=True, pace=True)
    key = replace(KEY, budgets=(pace,))
    (claim,) = budget_claims(Principal(key), (), 5, NOW)
    made.ledger.outcomes = [Refused("budget", 17, budget=BudgetStanding(claim, 2_000_000_000, 0))]
    with pytest.raises(RateLimited, match=r"the limit of 2\.000000 USD per hour of key") as caught:
        await made.serve(call(), key)
    assert caught.value.retry_after_s == 17
