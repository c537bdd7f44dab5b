"""What a provider says that a call cost is what is booked, and what the settlement tells."""

from dataclasses import replace

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.pricing import BILLION, Cost, PriceSheet, Terms, cost_of, reported_cost, with_terms
from app.domain.spend import ReceiptStatus
from app.domain.usage import Usage
from app.gateway.call import Call, Grant
from app.gateway.settle import Settlement
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.codec import UsageReport
from tests.fakes.ports import NotingLedger
from tests.gateway.examples import DEPLOYMENT, KEY, NOW, RECEIPT, SHEET

USAGE = Usage(input=100, output=50)
CALL = Call("req_1", AnthropicMessages(), "generate", "POST", "/v1/messages", None, b"", (), b"{}", NOW, 0.0)
ROUTER = replace(DEPLOYMENT, provider="openrouter")
LISTED = replace(SHEET, source="bundled")
HALF_OFF = with_terms(LISTED, Terms(discount=BILLION // 2))


@pytest.mark.parametrize("price", [LISTED, HALF_OFF])
@pytest.mark.parametrize("status", ["ok", "hung_up"])
async def test_a_reported_cost_is_the_cost_whatever_the_price_list_says(
    price: PriceSheet, status: ReceiptStatus
) -> None:
    ledger = NotingLedger()
    settlement = Settlement(ledger, Metrics(CollectorRegistry()))
    grant = Grant(Principal(KEY), None, None, ROUTER, None, None, RECEIPT, price)

    receipt = await settlement.settle(CALL, grant, UsageReport(USAGE, True, 200, "stop", 1_234_567), status, None)

    assert receipt.cost == reported_cost(1_234_567)
    assert (receipt.price_source, receipt.price_version) == ("reported", price.version)
    assert receipt.usage == USAGE
    assert await settlement.drain(1) == []
    assert ledger.settled == [receipt]


async def test_without_one_the_price_list_decides() -> None:
    settlement = Settlement(NotingLedger(), Metrics(CollectorRegistry()))
    grant = Grant(Principal(KEY), None, None, ROUTER, None, None, RECEIPT, LISTED)

    receipt = await settlement.settle(CALL, grant, UsageReport(USAGE, True, 200, "stop"), "ok", None)
    nothing = await settlement.settle(CALL, grant, UsageReport(USAGE, True, 200, "stop", 0), "ok", None)

    assert (receipt.cost, receipt.price_source) == (cost_of(USAGE, LISTED), "bundled")
    assert (nothing.cost.total, nothing.price_source) == (0, "reported")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(receipt), type=type(receipt)) == receipt


@pytest.mark.parametrize(
    ("provider", "price"),
    [
        ("openrouter", SHEET),
        ("openrouter", replace(SHEET, source="database")),
        ("openai_compatible", LISTED),
    ],
    ids=["the file's own price", "an admin's own price", "any other host"],
)
async def test_a_reported_cost_counts_for_nothing_where_its_word_does_not(provider: str, price: PriceSheet) -> None:
    settlement = Settlement(NotingLedger(), Metrics(CollectorRegistry()))
    deployment = replace(DEPLOYMENT, provider=provider)
    grant = Grant(Principal(KEY), None, None, deployment, None, None, RECEIPT, price)
    receipt = await settlement.settle(CALL, grant, UsageReport(USAGE, True, 200, "stop", 0), "ok", None)
    assert (receipt.cost, receipt.price_source) == (cost_of(USAGE, price), price.source)


async def test_a_margin_is_put_on_what_the_provider_says_and_a_discount_is_in_it_already() -> None:
    settlement = Settlement(NotingLedger(), Metrics(CollectorRegistry()))
    price = with_terms(LISTED, Terms(discount=BILLION // 2, margin=BILLION // 10, fixed_nanousd=7))
    grant = Grant(Principal(KEY), None, None, ROUTER, None, None, RECEIPT, price)

    receipt = await settlement.settle(CALL, grant, UsageReport(USAGE, True, 200, "stop", 1_000_000), "ok", None)

    assert receipt.cost == Cost(other=1_100_007, total=1_100_007)
