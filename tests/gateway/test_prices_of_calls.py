"""Which price a call is admitted, held and booked at."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from app.base.errors import InvalidRequest
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.catalog import Catalog, Model
from app.domain.price_list import DatedPrice, PriceList
from app.domain.pricing import PriceSchedule, Service, Terms, always
from app.domain.routing import RoutingRules
from app.domain.spend import Receipt
from app.gateway.admit import Admission, AdmissionRules
from app.gateway.exchange import Exchanges
from app.gateway.pipeline import Gateway
from app.gateway.relay import RelayRules
from app.gateway.router import Router
from app.gateway.settle import Settlement
from app.protocols.openai_chat.codec import OpenAIChat
from app.providers.prices import LivePrices
from tests.fakes.ports import NotingLedger, OneCatalog, ScriptedReply, ScriptedUpstream
from tests.gateway.examples import DEPLOYMENT, KEY, NOW, SHEET
from tests.gateway.test_pipeline import JSON, call

FALLBACK = replace(SHEET, version="fallback", source="fallback")
DEARER = replace(SHEET, version="dearer", rates=replace(SHEET.rates, output=SHEET.rates.output * 2))
TIERED = replace(SHEET, services=(Service("priority", 2), Service("flex", 1, 2)))
ANSWER = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 100, "completion_tokens": 10},
}
PLAIN_NANOUSD = 100 * 3_000 + 10 * 15_000


@dataclass
class Shop:
    """One model of a host of chat completions that answers at ``tier``."""

    schedule: PriceSchedule
    tier: str = "default"
    live: LivePrices = field(default_factory=LivePrices)
    rules: AdmissionRules = field(default_factory=AdmissionRules)

    async def sell(self, **fields: Any) -> tuple[Receipt, Receipt]:
        """What is booked should the process die, and what is in the end."""
        place = replace(DEPLOYMENT, prices=self.schedule, provider="openai", upstream_model="gpt-x")
        catalog, ledger = OneCatalog(Catalog((Model("gpt-x", (place,), "X", ""),))), NotingLedger()
        codec, metrics = OpenAIChat(), Metrics(CollectorRegistry())
        router = Router(RoutingRules(), metrics)
        admission = Admission(catalog, ledger, Exchanges({codec.name: codec}), self.rules, self.live, router)
        reply = ScriptedReply(200, JSON, [msgspec.json.encode(ANSWER | {"service_tier": self.tier})])
        gateway = Gateway(
            admission, ScriptedUpstream([reply]), Settlement(ledger, metrics), metrics, RelayRules(ping_after_s=15)
        )
        await gateway.serve(call(codec=codec, model="gpt-x", **fields), Principal(KEY))
        return ledger.claims[0].if_orphaned, ledger.settled[0]


@pytest.mark.parametrize(
    ("tier", "version", "cost"),
    [
        ("default", "test:1", PLAIN_NANOUSD),
        ("priority", "test:1:priority", PLAIN_NANOUSD * 2),
        ("flex", "test:1:flex", PLAIN_NANOUSD // 2),
    ],
)
async def test_a_call_is_booked_at_the_tier_at_which_it_was_served(tier: str, version: str, cost: int) -> None:
    _, receipt = await Shop(always(TIERED), tier).sell()

    assert (receipt.price_version, receipt.cost.total) == (version, cost)
    assert receipt.usage.service == ("" if tier == "default" else tier)


async def test_a_dearer_tier_that_is_asked_for_is_held_and_a_cheaper_one_is_not_hoped_for() -> None:
    plain, _ = await Shop(always(TIERED)).sell()
    dearer, _ = await Shop(always(TIERED)).sell(service_tier="priority")
    cheaper, _ = await Shop(always(TIERED)).sell(service_tier="flex")

    assert (dearer.price_version, plain.price_version) == ("test:1:priority", "test:1")
    assert dearer.cost.total > plain.cost.total * 19 // 10
    assert cheaper.price_version == "test:1"


async def test_a_price_that_began_while_the_process_ran_holds_for_the_next_call() -> None:
    schedule = PriceSchedule(((None, SHEET), (NOW, DEARER)))
    past = PriceSchedule(((None, SHEET), (NOW + timedelta(microseconds=1), DEARER)))

    assert (await Shop(schedule).sell())[1].price_version == "dearer"
    assert (await Shop(past).sell())[1].price_version == "test:1"


async def test_discount_margin_and_fee_are_in_what_is_held_and_in_what_is_booked() -> None:
    live = LivePrices({"openai": Terms(discount=100_000_000, margin=500_000_000, fixed_nanousd=7)})

    draft, receipt = await Shop(always(SHEET), live=live).sell()

    assert receipt.cost.total == PLAIN_NANOUSD * 9 * 15 // 100 + 7
    assert draft.price_version == receipt.price_version == "test:1:off=0.1:on=0.5:fee=0.000000007"


async def test_a_model_without_a_price_is_refused_where_such_are_until_an_admin_sets_one() -> None:
    live, rules = LivePrices(), AdmissionRules(refuse_unpriced=True)
    with pytest.raises(InvalidRequest, match="has no price"):
        await Shop(always(FALLBACK), live=live, rules=rules).sell()
    own = DatedPrice("prc_1", "own", "openai", "gpt-x", None, NOW, replace(SHEET, version="own", source="database"))

    live.replace(PriceList([own]))

    assert (await Shop(always(FALLBACK), live=live, rules=rules).sell())[1].price_version == "own"


async def test_a_model_without_a_price_is_charged_and_says_so() -> None:
    _, receipt = await Shop(always(FALLBACK)).sell()

    assert (receipt.price_source, receipt.cost.total > 0) == ("fallback", True)
