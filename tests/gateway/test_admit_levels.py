"""What a call asks of the ledger for every level above its key, and whose limit a refusal names."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from app.base.errors import BudgetExhausted, ModelNotAllowed, RateLimited
from app.base.ids import BudgetId
from app.domain.access import Principal
from app.domain.budgets import Budget, Duration
from app.domain.limits import RateLimits
from app.domain.spend import Admitted, BudgetStanding, RateStanding, Refused
from app.domain.tenancy import Level
from app.gateway.admit import AdmissionRules
from app.gateway.call import Reply
from app.gateway.claims import budget_claims, rate_claims, whose
from tests.fakes.ports import NotingLedger, ScriptedReply
from tests.gateway.examples import KEY, NOW
from tests.gateway.test_pipeline import JSON, WHOLE, House, call

SINCE = NOW - timedelta(days=40)
LIMITS = (RateLimits(requests=10, tokens=1000, max_parallel_requests=2),)


def budget(limit: int, **fields: Any) -> Budget:
    return Budget(BudgetId("bud_shared"), limit, Duration(1, "mo"), SINCE, SINCE, shared=True, **fields)


LEVELS = (
    Level("member", "member:red:ada", 'member "ada" of team "red"', budgets=(budget(1_000_000_000),)),
    Level("team", "team:red", 'team "red"', limits=LIMITS, budgets=(budget(2_000_000_000),)),
    Level("user", "user:ada", 'user "ada"', limits=(RateLimits(max_parallel_requests=1),)),
    Level("organization", "organization:acme", 'organization "acme"', models=("claude-*",), budgets=(budget(3),)),
)
ADA = Principal(KEY, levels=LEVELS)


async def serve(house: House, principal: Principal = ADA, **fields: Any) -> Reply:
    return await house.gateway.serve(call(**fields), principal)


class Refusing(NotingLedger):
    """Refuses for the last rate claim, or for the budget of the scope."""

    def __init__(self, reason: Any, scope: str) -> None:
        super().__init__()
        self.reason, self.scope = reason, scope

    async def reserve(self, claim: Any) -> Any:
        for rate in claim.rates:
            if rate.scope == self.scope and not self.reason.startswith("budget"):
                standing = RateStanding(10, 0, 17)
                return Refused(self.reason, 17, standing, standing, rate=rate)
        (of_scope,) = [one for one in claim.budgets if one.scope == self.scope]
        return Refused(self.reason, 17, budget=BudgetStanding(of_scope, 999_000_000, 1_000_000))


def test_a_key_with_nothing_set_asks_for_nothing() -> None:
    assert rate_claims(Principal(KEY), ()) == ()
    assert budget_claims(Principal(KEY), (), 5, NOW) == ()


def test_every_level_that_sets_something_is_asked_the_nearest_first() -> None:
    key = replace(KEY, limits=LIMITS, budgets=(replace(budget(7), shared=False),))
    principal = replace(ADA, key=key)
    claims = budget_claims(principal, (), 5, NOW)
    assert [rate.scope for rate in rate_claims(principal, ())] == ["key_1", "team:red", "user:ada"]
    assert [one.scope for one in claims] == ["key_1", "member:red:ada", "team:red", "organization:acme"]
    assert {one.hold_nanousd for one in claims} == {5}
    # One budget row, four owners: four counters.
    assert len({one.counter for one in claims}) == 4


async def test_a_budget_in_new_hands_may_not_begin_at_zero_in_mid_window() -> None:
    handed_over = NOW - timedelta(hours=1)
    level = replace(LEVELS[0], budgets=(budget(5, owned_since=handed_over),))
    (claim,) = budget_claims(Principal(KEY, levels=(level,)), (), 5, NOW)
    assert claim.counting_since == handed_over > claim.start


def test_each_window_and_each_definition_has_a_counter_of_its_own() -> None:
    def counters(at: datetime, limit: int = 5, **fields: Any) -> set[tuple[str, datetime]]:
        principal = Principal(KEY, levels=(replace(LEVELS[1], budgets=(budget(limit, **fields),)),))
        return {(one.counter, one.start) for one in budget_claims(principal, (), 5, at)}

    later = NOW + timedelta(days=30)
    of_now = counters(NOW)
    assert counters(NOW, 6) == of_now  # another limit is no other budget
    assert counters(NOW - timedelta(days=30)) != of_now
    assert counters(NOW) == of_now
    assert counters(later) != of_now
    assert counters(NOW, owned_since=NOW - timedelta(hours=1)) != of_now
    assert counters(NOW) == of_now


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ("member:red:ada", 'member "ada" of team "red" has spent 0.999000 of its 1.000000 USD'),
        ("team:red", 'team "red" has spent 0.999000 of its 2.000000 USD'),
    ],
)
async def test_a_spent_budget_says_whose_it_is(scope: str, said: str) -> None:
    with pytest.raises(BudgetExhausted) as caught:
        await serve(House(ledger=Refusing("budget", scope)))
    assert said in caught.value.message
    assert caught.value.message.startswith("spend limit reached · resets Dec 1")
    assert "ask an admin" in caught.value.message
    assert (caught.value.period, caught.value.retry_after_s) == ("monthly", 17)


async def test_a_held_budget_says_whose_it_is() -> None:
    house = House(ledger=Refusing("budget_held", "team:red"), rules=AdmissionRules(wait_s=0))
    with pytest.raises(RateLimited, match='the rest of the budget of team "red" is held') as caught:
        await serve(house)
    assert caught.value.code == "budget_held"


@pytest.mark.parametrize(
    ("reason", "scope", "said"),
    [
        ("requests", "team:red", '10 requests per minute of team "red"'),
        ("tokens", "team:red", '1000 tokens per minute of team "red"'),
        ("concurrency", "user:ada", '1 parallel request of user "ada"'),
    ],
)
async def test_a_reached_limit_says_whose_it_is(reason: str, scope: str, said: str) -> None:
    with pytest.raises(RateLimited, match=said) as caught:
        await serve(House(ledger=Refusing(reason, scope)))
    assert caught.value.retry_after_s == 17
    assert (b"anthropic-ratelimit-requests-remaining", b"0") in caught.value.headers


async def test_a_limit_of_nothing_is_not_waited_for() -> None:
    closed = Principal(KEY, levels=(Level("team", "team:red", 'team "red"', limits=(RateLimits(requests=0),)),))
    with pytest.raises(
        RateLimited, match='requests per minute of team "red" lets no call pass; ask an admin'
    ) as caught:
        await serve(House(ledger=Refusing("requests", "team:red")), closed)
    assert caught.value.retry_after_s is None


async def test_the_budget_nearest_to_its_end_is_in_the_headers_of_a_success() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])])
    spent = [100_000_000, 1_600_000_000, 0]
    standings = tuple(map(BudgetStanding, budget_claims(ADA, (), 5, NOW), spent, (0, 0, 0)))
    house.ledger.outcomes = [Admitted(None, None, standings)]
    reply = await serve(house)
    assert (b"anthropic-ratelimit-unified-overage-utilization", b"0.80") in reply.headers


async def test_a_list_of_any_level_keeps_a_model_out() -> None:
    level = Level("organization", "organization:acme", 'organization "acme"', models=("claude-sonnet-*",))
    house = House()
    with pytest.raises(ModelNotAllowed, match='may use: "claude-sonnet-4-5"'):
        await serve(house, Principal(KEY, levels=(level,)), model="dear")
    assert house.ledger.claims == []


def test_a_scope_is_told_in_words() -> None:
    assert whose(ADA, "user:ada") == 'user "ada"'
    assert whose(ADA, "key_1") == f'key "…{KEY.last_four}"' + (f' ("{KEY.alias}")' if KEY.alias else "")
