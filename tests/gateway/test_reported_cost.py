"""What a provider says that a call cost is what is booked, and what the settlement tells."""

from dataclasses import replace

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.catalog import Deployment
from app.domain.pricing import cost_of, reported_cost
from app.domain.spend import ReceiptStatus
from app.domain.usage import Usage
from app.gateway.call import Call, Grant
from app.gateway.settle import Settlement
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.codec import UsageReport
from tests.fakes.ports import NotingLedger
from tests.gateway.examples import DEPLOYMENT, KEY, NOW, RECEIPT

USAGE = Usage(input=100, output=50)
CALL = Call("req_1", AnthropicMessages(), "generate", "POST", "/v1/messages", None, b"", (), b"{}", NOW, 0.0)
LISTED = replace(DEPLOYMENT, provider="openrouter", price=replace(DEPLOYMENT.price, source="bundled"))
HALF_OFF = replace(LISTED, price=replace(LISTED.price, millions=2))
OWN_PRICE = replace(LISTED, price=DEPLOYMENT.price)
OTHER_HOST = replace(LISTED, provider="openai_compatible")


@pytest.mark.parametrize("deployment", [LISTED, HALF_OFF])
@pytest.mark.parametrize("status", ["ok", "hung_up"])
async def test_a_reported_cost_is_the_cost_whatever_the_price_list_says(
    deployment: Deployment, status: ReceiptStatus
) -> None:
    ledger = NotingLedger()
    settlement = Settlement(ledger, Metrics(CollectorRegistry()))
    grant = Grant(Principal(KEY), None, None, deployment, None, None, RECEIPT)

    receipt = await settlement.settle(CALL, grant, UsageReport(USAGE, True, 200, "stop", 1_234_567), status, None)

    assert receipt.cost == reported_cost(1_234_567)
    assert (receipt.price_source, receipt.price_version) == ("reported", RECEIPT.price_version)
    assert receipt.usage == USAGE
    assert await settlement.drain(1) == []
    assert ledger.settled == [receipt]


async def test_without_one_the_price_list_decides() -> None:
    settlement = Settlement(NotingLedger(), Metrics(CollectorRegistry()))
    grant = Grant(Principal(KEY), None, None, LISTED, None, None, RECEIPT)

    receipt = await settlement.settle(CALL, grant, UsageReport(USAGE, True, 200, "stop"), "ok", None)
    nothing = await settlement.settle(CALL, grant, UsageReport(USAGE, True, 200, "stop", 0), "ok", None)

    assert (receipt.cost, receipt.price_source) == (cost_of(USAGE, LISTED.price), "bundled")
    assert (nothing.cost.total, nothing.price_source) == (0, "reported")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(receipt), type=type(receipt)) == receipt


@pytest.mark.parametrize("deployment", [OWN_PRICE, OTHER_HOST], ids=["the operator's own price", "any other host"])
async def test_a_reported_cost_counts_for_nothing_where_its_word_does_not(deployment: Deployment) -> None:
    settlement = Settlement(NotingLedger(), Metrics(CollectorRegistry()))
    grant = Grant(Principal(KEY), None, None, deployment, None, None, RECEIPT)
    receipt = await settlement.settle(CALL, grant, UsageReport(USAGE, True, 200, "stop", 0), "ok", None)
    assert (receipt.cost, receipt.price_source) == (cost_of(USAGE, deployment.price), deployment.price.source)
