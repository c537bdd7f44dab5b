"""Stepping down with a ledger that answers as told: one reservation at the end, and each request counted once."""

from dataclasses import replace
from datetime import timedelta

from app.base.ids import BudgetId
from app.domain.access import Principal
from app.domain.budgets import Budget, Duration
from app.domain.limits import RateLimits
from app.domain.spend import Admitted, BudgetClaim, BudgetStanding, Refused
from tests.fakes.ports import ScriptedReply
from tests.gateway.examples import KEY, NOW
from tests.gateway.test_pipeline import JSON, WHOLE, House, call

SINCE = NOW - timedelta(days=40)
BUDGET = Budget(BudgetId("bud_1"), 1_000_000_000, Duration(1, "mo"), SINCE, SINCE)
RUNG = {"to": "claude-sonnet-4-5", "at": 50, "classes": "all"}
PLANNED = replace(KEY, budgets=(BUDGET,), limits=(RateLimits(requests=9),), metadata={"step_down": RUNG})


def standing(spent_nanousd: int) -> BudgetStanding:
    claim = BudgetClaim("c", BudgetId("bud_1"), "key_1", 1_000_000_000, 10, SINCE, None, SINCE)
    return BudgetStanding(claim, spent_nanousd, 0)


async def test_what_is_far_from_its_budget_is_reserved_once() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])])
    house.ledger.outcomes = [Admitted(None, None, (standing(499_999_999),))]
    reply = await house.gateway.serve(call(model="dear"), Principal(PLANNED))
    assert len(house.ledger.claims) == 1
    assert b"x-keyhouse-step-down" not in dict(reply.headers)


async def test_the_second_reservation_takes_the_first_ones_place_and_counts_no_request() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])])
    house.ledger.outcomes = [Admitted(None, None, (standing(500_000_000),)), Admitted(None, None, ())]
    reply = await house.gateway.serve(call(model="dear"), Principal(PLANNED))
    first, second = house.ledger.claims
    assert first.request_id == second.request_id
    assert [rate.counted for claim in (first, second) for rate in claim.rates] == [False, True]
    assert dict(reply.headers)[b"x-keyhouse-step-down"] == b"claude-sonnet-4-5; from=dear; at=50%"
    (receipt,) = house.ledger.settled
    assert (receipt.model_asked, receipt.model_served, receipt.step_down) == ("dear", "claude-sonnet-4-5", "50%")


async def test_where_the_cheaper_model_is_refused_the_one_asked_for_is_reserved_again() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])])
    refused = Refused("budget", 60, budget=standing(1_000_000_000))
    house.ledger.outcomes = [Admitted(None, None, (standing(900_000_000),)), refused, Admitted(None, None, ())]
    reply = await house.gateway.serve(call(model="dear"), Principal(PLANNED))
    assert [rate.counted for claim in house.ledger.claims for rate in claim.rates] == [False, True, True]
    assert b"x-keyhouse-step-down" not in dict(reply.headers)
    (receipt,) = house.ledger.settled
    assert (receipt.model_served, receipt.step_down) == ("claude-opus-4-5", None)
