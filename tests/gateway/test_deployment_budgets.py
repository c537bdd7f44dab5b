"""What a deployment may cost: once it is spent, others of the model serve, then its fallbacks, and nobody calls it."""

from dataclasses import dataclass, field, replace

import pytest

from app.base.errors import DeploymentSpent
from app.domain.budgets import Duration
from app.domain.catalog import Deployment
from app.domain.routing import RoutingRules
from app.domain.spend import Admitted, BudgetStanding, Claim, Refused
from app.domain.tenancy import budget_of_serving, serving_of
from tests.fakes.ports import NotingLedger
from tests.gateway.test_attempts import Farm, header, hosted, refuses
from tests.gateway.test_pipeline import WHOLE


def budgeted(name: str, limit_nanousd: int = 5_000_000_000) -> Deployment:
    return replace(hosted(name), budgets=(budget_of_serving("deployment", name, limit_nanousd, Duration(1, "d")),))


@dataclass
class Spent(NotingLedger):
    """Refuses what is to be served by deployments whose budget is spent, and tells all budgets."""

    spent: set[str] = field(default_factory=set)

    async def reserve(self, claim: Claim) -> Admitted | Refused:
        self.claims.append(claim)
        for budget in claim.budgets:
            if (serving_of(budget.scope) or ("", ""))[1] in self.spent:
                return Refused("budget", 3_600, budget=BudgetStanding(budget, budget.limit_nanousd, 0))
        return Admitted(None, None, tuple(BudgetStanding(budget, 4_900_000_000, 0) for budget in claim.budgets))

    def asked_for(self, name: str) -> int:
        return sum(
            serving_of(budget.scope) == ("deployment", name) for claim in self.claims for budget in claim.budgets
        )


async def test_others_serve_when_one_is_spent_and_it_is_asked_again_a_minute_later() -> None:
    ledger = Spent(spent={"a"})
    farm = Farm({"m": (budgeted("a"), hosted("b"))}, ledger=ledger)
    for _ in range(30):
        assert (await farm.ask()).body == WHOLE
    assert (set(farm.hosts.asked), ledger.asked_for("a")) == ({"b"}, 1)
    farm.now_s += 61
    ledger.spent.clear()
    for _ in range(30):
        await farm.ask()
    assert set(farm.hosts.asked) == {"a", "b"}


async def test_where_all_are_spent_the_fallbacks_serve_and_without_any_the_call_is_refused() -> None:
    ledger = Spent(spent={"a", "b"})
    models = {"m": (budgeted("a"), budgeted("b")), "n": (hosted("c"),)}
    with pytest.raises(DeploymentSpent, match=r'the deployment "[ab]" has spent 5\.000000 of its 5\.000000 USD'):
        await Farm(models, ledger=ledger).ask()
    farm = Farm(models, rules=RoutingRules(fallbacks={"m": ("n",)}), ledger=ledger)
    for _ in range(3):
        assert (await farm.ask()).body == WHOLE
    assert set(farm.hosts.asked) == {"c"}


async def test_one_alone_that_is_spent_is_not_called_and_a_fallback_goes_to_what_is_not() -> None:
    ledger = Spent(spent={"a", "b"})
    alone = Farm({"m": (budgeted("a"),)}, ledger=ledger)
    with pytest.raises(DeploymentSpent):
        await alone.ask()
    assert alone.hosts.asked == []
    models = {"m": (hosted("x"),), "n": (budgeted("a"), budgeted("b"), hosted("c"))}
    farm = Farm(models, {"x": refuses(500)}, RoutingRules(fallbacks={"m": ("n",)}), ledger)
    assert (await farm.ask()).body == WHOLE
    assert farm.hosts.asked == ["x", "c"]


async def test_what_is_put_aside_is_tried_before_what_is_spent() -> None:
    ledger = Spent()
    farm = Farm({"m": (budgeted("a"), hosted("b"))}, {"b": refuses(401)}, ledger=ledger)
    for _ in range(5):
        await farm.ask()
    ledger.spent.add("a")
    farm.hosts.asked.clear()
    assert (await farm.ask()).status == 401
    assert set(farm.hosts.asked) == {"b"}


async def test_it_is_a_budget_of_the_operators_that_receipts_name_and_callers_do_not_see() -> None:
    ledger = Spent()
    reply = await Farm({"m": (budgeted("a"),)}, ledger=ledger).ask()
    (claim,) = ledger.claims
    (budget,) = claim.budgets
    assert (serving_of(budget.scope), claim.if_orphaned.scopes) == (("deployment", "a"), (budget.scope,))
    assert not [name for name, _ in reply.headers if b"budget" in name or b"unified" in name]
    assert header(reply, b"anthropic-ratelimit-unified-status") is None


async def test_what_a_provider_has_spent_keeps_all_its_deployments_back() -> None:
    of_openai = (budget_of_serving("provider", "openai", 5_000_000_000, None),)
    places = (*(replace(hosted(name), budgets=of_openai) for name in ("a", "b")), hosted("c"))
    farm = Farm({"m": places, "n": places[:1]}, ledger=Spent(spent={"openai"}))
    for _ in range(20):
        assert (await farm.ask()).body == WHOLE
    assert set(farm.hosts.asked) == {"c"}
    with pytest.raises(DeploymentSpent, match='the provider "openai" has spent'):
        await farm.ask("n")
