"""Calls on a caller's own login, with fakes at the ports: what is claimed, booked, learned and sent."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.base.errors import ModelNotAllowed
from app.base.ids import BudgetId, DeploymentId
from app.domain.access import Principal
from app.domain.budgets import Budget
from app.domain.catalog import Catalog, Model
from app.domain.limits import RateLimits
from app.domain.pricing import NO_COST, cost_of
from app.domain.usage import Usage
from app.gateway.own_login import brings_own_login, relayed, with_own_login
from app.protocols.codec import Header
from tests.fakes.ports import ScriptedReply
from tests.gateway.examples import DEPLOYMENT, KEY, NOW, RECEIPT, SHEET
from tests.gateway.test_pipeline import JSON, WHOLE, House, call, stream

LOGIN: Header = (b"authorization", b"Bearer sk-ant-oat01-abc")
OURS: Header = (b"x-keyhouse-key", b"sk-kh-ours")
OPEN = replace(DEPLOYMENT, relays_logins=True, headers={"anthropic-beta": "of-the-admin", "X-Api-Key": "sk-other"})
HEADERS: list[Header] = [LOGIN, OURS, (b"anthropic-beta", b"oauth-2025-04-20"), (b"content-type", b"application/json")]
SPENDER = replace(
    KEY,
    limits=(RateLimits(requests=10),),
    budgets=(Budget(BudgetId("bud_1"), 1, None, NOW, NOW),),
)


class RelayHouse(House):
    catalog = Catalog(
        (
            Model("claude-sonnet-4-5", (DEPLOYMENT, OPEN), "Sonnet", ""),
            Model("twice", (OPEN, replace(OPEN, deployment_id=DeploymentId("dep_2"))), "", ""),
            Model("shut", (DEPLOYMENT,), "", ""),
        )
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([LOGIN, OURS], True),
        ([(b"authorization", b"bearer  sk-ant-oat01-abc "), (b"x-litellm-api-key", b"Bearer sk-1")], True),
        ([LOGIN], False),
        ([LOGIN, (b"x-api-key", b"sk-kh-ours")], False),
        ([(b"authorization", b"Bearer sk-kh-ours"), OURS], False),
        ([(b"authorization", b"Basic sk-ant-oat01-abc"), OURS], False),
        ([(b"x-api-key", b"sk-ant-oat01-abc"), OURS], False),
    ],
)
def test_a_login_is_one_that_stands_in_authorization_beside_a_key_of_ours(
    headers: list[Header], expected: bool
) -> None:
    assert brings_own_login(headers) is expected


async def test_limits_are_claimed_and_no_budget_and_nothing_is_learned() -> None:
    house = RelayHouse([ScriptedReply(200, JSON, [WHOLE])])
    await house.gateway.serve(call(headers=HEADERS), Principal(SPENDER, own_login=True))
    [claim] = house.ledger.claims
    assert ([rate.limits.requests for rate in claim.rates], claim.budgets) == ([10], ())
    assert claim.if_orphaned.cost == NO_COST
    assert claim.if_orphaned.notional_nanousd is not None
    [receipt] = house.ledger.settled
    assert (receipt.cost, receipt.notional_nanousd) == (NO_COST, 100 * 3_000 + 50 * 15_000)

    house.replies.append(ScriptedReply(200, JSON, [WHOLE]))
    await house.gateway.serve(call(), Principal(KEY))
    before, after = house.ledger.claims[0].if_orphaned, house.ledger.claims[1].if_orphaned
    assert after.cost.total == before.notional_nanousd, "held as if no such call had been before"


async def test_what_goes_out_has_the_login_and_no_credential_of_ours() -> None:
    house = RelayHouse([ScriptedReply(200, JSON, [WHOLE])])
    await house.gateway.serve(call(headers=HEADERS), Principal(KEY, own_login=True))
    [request] = house.upstream.requests
    sent = dict(request.headers)
    assert (sent[b"authorization"], sent[b"anthropic-beta"]) == (LOGIN[1], b"oauth-2025-04-20")
    assert sent.keys().isdisjoint({b"x-api-key", b"x-keyhouse-key"})


async def test_it_is_refused_where_no_deployment_may_have_it_whatever_has_led_there() -> None:
    house = RelayHouse()
    with pytest.raises(ModelNotAllowed, match="allow_relay: true"):
        await house.gateway.serve(call(headers=HEADERS, model="shut"), Principal(KEY, own_login=True))
    assert (house.ledger.claims, house.upstream.requests) == ([], [])
    with pytest.raises(ModelNotAllowed):
        with_own_login([], call(headers=HEADERS), DEPLOYMENT)


async def test_a_stream_that_its_client_leaves_is_booked_as_notional() -> None:
    house = RelayHouse([stream(None)])
    reply = await house.gateway.serve(call(headers=HEADERS, stream=True), Principal(SPENDER, own_login=True))
    assert not isinstance(reply.body, bytes)
    await reply.body.close()
    [receipt] = house.ledger.settled
    assert (receipt.status, receipt.cost) == ("hung_up", NO_COST)
    assert receipt.notional_nanousd


async def test_a_login_that_has_expired_is_told_at_once_and_puts_nothing_aside() -> None:
    expired = b'{"type":"error","error":{"type":"authentication_error","message":"OAuth token has expired"}}'
    house = RelayHouse([ScriptedReply(401, JSON, [expired]), ScriptedReply(200, JSON, [WHOLE])])
    told: list[int] = []
    house.gateway.on_refusal = lambda deployment, status, body: told.append(status)
    refused = await house.gateway.serve(call(headers=HEADERS, model="twice"), Principal(KEY, own_login=True))
    assert (refused.status, refused.body, len(house.upstream.requests)) == (401, expired, 1)
    assert (told, list(house.router.standings.troubled())) == ([], [])
    assert (await house.gateway.serve(call(model="twice"), Principal(KEY))).status == 200


TOKENS = st.integers(0, 10**7)


@given(st.builds(Usage, input=TOKENS, cache_read=TOKENS, cache_write_5m=TOKENS, cache_write_1h=TOKENS, output=TOKENS))
def test_the_notional_amount_is_to_the_nano_dollar_what_the_call_would_have_cost(usage: Usage) -> None:
    cost = cost_of(usage, SHEET)
    receipt = relayed(msgspec.structs.replace(RECEIPT, usage=usage, cost=cost))
    assert (receipt.cost, receipt.notional_nanousd) == (NO_COST, cost.total)
