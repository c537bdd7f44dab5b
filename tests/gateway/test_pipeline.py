"""The story of a request with fakes at its ports: every way it can go, and one settlement in each."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from app.base.errors import (
    BudgetExhausted,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    RateLimited,
    UpstreamUnreachable,
)
from app.base.ids import BudgetId
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.budgets import Budget, Duration
from app.domain.catalog import Catalog, Model
from app.domain.keys import VirtualKey
from app.domain.limits import RateLimits
from app.domain.routing import RoutingRules
from app.domain.spend import BudgetStanding, RateStanding, Refused
from app.domain.usage import Usage
from app.gateway.admit import Admission, AdmissionRules
from app.gateway.call import Call, Operation, Reply, StreamCut
from app.gateway.claims import budget_claims
from app.gateway.exchange import Exchanges
from app.gateway.pipeline import Gateway
from app.gateway.relay import RelayRules
from app.gateway.router import Router
from app.gateway.settle import Settlement
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.protocols.codec import Codec, Header
from app.protocols.openai_chat.codec import OpenAIChat
from app.providers.prices import LivePrices
from tests.fakes.ports import NotingLedger, OneCatalog, ScriptedReply, ScriptedUpstream, broken
from tests.gateway.examples import DEPLOYMENT, KEY, NOW

JSON: list[Header] = [(b"content-type", b"application/json")]
SSE: list[Header] = [(b"content-type", b"text/event-stream; charset=utf-8")]
CATALOG = Catalog(
    (
        Model("claude-sonnet-4-5", (DEPLOYMENT,), "Claude Sonnet 4.5", ""),
        Model("dear", (replace(DEPLOYMENT, upstream_model="claude-opus-4-5"),), "Dear", ""),
    )
)


def event(kind: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **fields}))


START = event("message_start", message={"usage": {"input_tokens": 100, "output_tokens": 1}})
TEXT = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x" * 40})
DELTA = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 50})
STOP = event("message_stop")
AUDIO = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]}]
WHOLE = msgspec.json.encode(
    {"type": "message", "stop_reason": "end_turn", "usage": {"input_tokens": 100, "output_tokens": 50}}
)


@dataclass
class House:
    replies: list[ScriptedReply | Exception] = field(default_factory=list)
    ledger: NotingLedger = field(default_factory=NotingLedger)
    rules: AdmissionRules = field(default_factory=AdmissionRules)
    ping_after_s: float = 15
    catalog: ClassVar[Catalog] = CATALOG

    def __post_init__(self) -> None:
        metrics = Metrics(CollectorRegistry())
        self.upstream = ScriptedUpstream(self.replies)
        self.settlement = Settlement(self.ledger, metrics)
        codecs: dict[str, Codec] = {codec.name: codec for codec in (AnthropicMessages(), OpenAIChat())}
        self.router = Router(RoutingRules(), metrics)
        admission = Admission(
            OneCatalog(self.catalog), self.ledger, Exchanges(codecs), self.rules, LivePrices(), self.router
        )
        self.gateway = Gateway(
            admission, self.upstream, self.settlement, metrics, RelayRules(ping_after_s=self.ping_after_s)
        )

    async def serve(self, call: Call, key: VirtualKey = KEY) -> Reply:
        return await self.gateway.serve(call, Principal(key))


def call(
    *,
    codec: Codec | None = None,
    operation: Operation = "generate",
    headers: list[Header] | None = None,
    **fields: Any,
) -> Call:
    body = {"model": "claude-sonnet-4-5", "max_tokens": 200, "messages": [], **fields}
    return Call(
        request_id="req_1",
        codec=codec or AnthropicMessages(),
        operation=operation,
        method="POST",
        route="/v1/messages",
        upstream_path=None,
        query=b"beta=true",
        headers=headers or [(b"content-type", b"application/json")],
        body=msgspec.json.encode(body),
        started_at=NOW,
        started_s=asyncio.get_running_loop().time(),
    )


async def read(reply: Reply) -> bytes:
    assert not isinstance(reply.body, bytes)
    try:
        return b"".join([chunk async for chunk in reply.body.chunks()])
    finally:
        await reply.body.close()


def stream(*chunks: bytes | Exception | None) -> ScriptedReply:
    return ScriptedReply(200, SSE, list(chunks))


async def test_a_whole_answer_passes_as_it_is_and_is_booked_once() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE[:10], WHOLE[10:]])])
    reply = await house.serve(call())
    assert reply.body == WHOLE
    [receipt] = house.ledger.settled
    assert receipt.usage == Usage(input=100, output=50)
    assert receipt.cost.total == 100 * 3_000 + 50 * 15_000
    assert (receipt.status, receipt.usage_source, receipt.finish_reason) == ("ok", "provider", "end_turn")


async def test_what_a_translation_leaves_out_is_named_in_a_header_whatever_signs_its_name_holds() -> None:
    house = House([ScriptedReply(200, JSON, [msgspec.json.encode({"content": [], "stop_reason": "end_turn"})])])
    odd: dict[str, Any] = {"x\r\nset-cookie: a=b": 1, "caf\u00e9\x7f": 2}
    reply = await house.serve(call(codec=OpenAIChat(), messages=[{"role": "user", "content": "Hello"}], **odd))
    told = dict(reply.headers)[b"x-keyhouse-losses"]
    assert told == b"dropped x??set-cookie: a=b, dropped caf??"


async def test_a_stream_passes_as_it_is_and_is_booked_before_its_last_bytes_are_given_away() -> None:
    house = House([stream(START, TEXT, DELTA, STOP)])
    reply = await house.serve(call(stream=True))
    assert not isinstance(reply.body, bytes)
    received = b""
    async for chunk in reply.body.chunks():
        received += chunk
        assert (chunk == STOP) <= (len(house.ledger.settled) == 1)
    await reply.body.close()
    assert received == START + TEXT + DELTA + STOP
    assert len(house.ledger.settled) == 1


async def test_the_request_goes_out_with_the_providers_credential_and_never_with_ours() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])])
    await house.serve(
        call(
            headers=[
                (b"authorization", b"Bearer sk-kh-virtual"),
                (b"x-api-key", b"sk-kh-virtual"),
                (b"cookie", b"session=1"),
                (b"anthropic-beta", b"one,two"),
                (b"anthropic-of-the-future", b"yes"),
                (b"x-forwarded-for", b"10.0.0.1"),
                (b"x-keyhouse-tag-project", b"apollo"),
                (b"connection", b"keep-alive, x-hop"),
                (b"x-hop", b"1"),
                (b"accept-encoding", b"gzip"),
                (b"x-stainless-os", b"Linux"),
            ]
        )
    )
    [sent] = house.upstream.requests
    assert sent.url == "https://provider.example/v1/messages?beta=true"
    assert sorted(name for name, _ in sent.headers) == [
        b"accept-encoding",
        b"anthropic-beta",
        b"anthropic-of-the-future",
        b"anthropic-version",
        b"x-api-key",
        b"x-stainless-os",
    ]
    assert dict(sent.headers)[b"x-api-key"] == b"sk-ant-provider"
    assert dict(sent.headers)[b"accept-encoding"] == b"identity"
    assert house.ledger.settled[0].tags == ("project:apollo",)


async def test_an_error_of_the_provider_passes_unchanged_and_costs_nothing() -> None:
    head = [*JSON, (b"retry-after", b"7"), (b"request-id", b"req_upstream"), (b"x-should-retry", b"true")]
    house = House([ScriptedReply(529, head, [b'{"type":"error"}'])])
    reply = await house.serve(call(stream=True))
    assert (reply.status, reply.body) == (529, b'{"type":"error"}')
    headers = dict(reply.headers)
    assert headers[b"retry-after"] == b"7"
    assert headers[b"request-id"] == b"req_1"
    assert headers[b"x-keyhouse-upstream-request-id"] == b"req_upstream"
    await house.settlement.drain(1)
    assert (house.ledger.settled, house.ledger.released) == ([], ["req_1"])


async def test_an_unreachable_provider_costs_nothing() -> None:
    house = House([UpstreamUnreachable("cannot be reached", provider="anthropic")])
    with pytest.raises(UpstreamUnreachable):
        await house.serve(call())
    await house.settlement.drain(1)
    assert (house.ledger.settled, house.ledger.released) == ([], ["req_1"])


async def test_a_client_that_hangs_up_pays_for_what_was_counted() -> None:
    house = House([stream(START, TEXT, None)])
    reply = await house.serve(call(stream=True))
    assert not isinstance(reply.body, bytes)
    chunks = reply.body.chunks()
    await anext(chunks)
    await anext(chunks)
    await reply.body.close()
    [receipt] = house.ledger.settled
    assert (receipt.status, receipt.usage_source) == ("hung_up", "counted")
    assert receipt.usage == Usage(input=100, output=10)


@pytest.mark.parametrize("seen", range(9))
async def test_p4_after_any_number_of_events_a_client_that_leaves_pays_for_what_it_saw(seen: int) -> None:
    """The policy: what the provider has counted so far, and of what it has not, a token for each four bytes of text
    that passed; nothing of what had not come yet."""
    texts = [event("content_block_delta", index=0, delta={"type": "text_delta", "text": "ä" * n}) for n in range(1, 6)]
    events = [START, *texts, DELTA, STOP]
    house = House([stream(*events[:seen], *([None] if seen < len(events) else []))])
    reply = await house.serve(call(stream=True))
    assert not isinstance(reply.body, bytes)
    chunks = reply.body.chunks()
    for _ in range(seen):
        await anext(chunks)
    await reply.body.close()
    [receipt] = house.ledger.settled
    text_bytes = sum(2 * n for n in range(1, min(seen, 6)))
    output = 50 if seen > len(texts) + 1 else max(min(seen, 1), -(-text_bytes // 4))
    assert receipt.usage.output == output
    assert receipt.usage.input == (100 if seen else receipt.usage.input)
    assert receipt.cost.total == receipt.usage.input * 3_000 + output * 15_000
    assert receipt.status == ("ok" if seen == len(events) else "hung_up")


async def test_a_client_that_leaves_before_the_first_byte_pays_for_its_input() -> None:
    house = House([ScriptedReply(200, JSON, [None])])
    serving = asyncio.create_task(house.serve(call()))
    while not house.upstream.requests:  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    await house.settlement.drain(1)
    [receipt] = house.ledger.settled
    assert (receipt.status, receipt.usage_source, receipt.usage.output) == ("hung_up", "estimated", 0)
    assert receipt.usage.input > 0


async def test_a_client_that_leaves_before_the_stream_began_is_settled_too() -> None:
    house = House([stream(START, TEXT, DELTA, STOP)])
    reply = await house.serve(call(stream=True))
    assert not isinstance(reply.body, bytes)
    await reply.body.close()
    assert [receipt.status for receipt in house.ledger.settled] == ["hung_up"]


@pytest.mark.parametrize("ending", [[broken()], []])
async def test_a_stream_that_the_provider_breaks_off_says_so_and_is_cut(ending: list[Exception]) -> None:
    house = House([stream(START, TEXT, *ending)])
    reply = await house.serve(call(stream=True))
    assert not isinstance(reply.body, bytes)
    chunks = reply.body.chunks()
    assert [await anext(chunks), await anext(chunks)] == [START, TEXT]
    assert (await anext(chunks)).startswith(b"event: error\n")
    with pytest.raises(StreamCut):
        await anext(chunks)
    await reply.body.close()
    [receipt] = house.ledger.settled
    assert (receipt.status, receipt.usage) == ("error", Usage(input=100, output=10))


async def test_a_silent_stream_is_kept_alive_by_our_own_pings_at_frame_boundaries_only() -> None:
    house = House([stream(START, TEXT[:20], None)], ping_after_s=0.02)
    reply = await house.serve(call(stream=True))
    assert not isinstance(reply.body, bytes)
    chunks = reply.body.chunks()
    assert await anext(chunks) == START
    assert await anext(chunks) == TEXT[:20]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(chunks), 0.1)
    await reply.body.close()

    house = House([stream(START, None)], ping_after_s=0.02)
    reply = await house.serve(call(stream=True))
    assert not isinstance(reply.body, bytes)
    chunks = reply.body.chunks()
    assert [await anext(chunks) for _ in range(3)] == [START, AnthropicMessages.ping, AnthropicMessages.ping]
    await reply.body.close()


async def test_counting_tokens_holds_nothing_and_books_nothing() -> None:
    house = House([ScriptedReply(200, JSON, [b'{"input_tokens":5}'])])
    reply = await house.serve(call(operation="count_tokens"))
    assert reply.body == b'{"input_tokens":5}'
    assert (house.ledger.claims, house.ledger.settled, house.ledger.released) == ([], [], [])


async def test_a_store_that_is_away_at_the_end_delays_neither_client_nor_loses_the_receipt() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])], NotingLedger(failures=3))
    reply = await house.serve(call())
    assert reply.body == WHOLE
    assert house.ledger.settled == []
    assert await house.settlement.drain(5) == []
    assert len(house.ledger.settled) == 1


async def test_what_cannot_be_booked_before_the_end_is_handed_over() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])], NotingLedger(failures=1000))
    await house.serve(call())
    [receipt] = await house.settlement.drain(0.01)
    assert receipt.cost.total == 100 * 3_000 + 50 * 15_000


async def test_running_holds_are_renewed_with_what_was_counted_and_finished_ones_are_not() -> None:
    house = House([stream(START, None), ScriptedReply(200, JSON, [WHOLE])])
    reply = await house.serve(call(stream=True))
    await house.settlement.renew_once()
    [(request_id, orphan)] = house.ledger.renewed
    assert request_id == "req_1"
    assert orphan is not None
    assert (orphan.status, orphan.usage_source, orphan.usage.output) == ("cut", "estimated", 0)
    assert not isinstance(reply.body, bytes)
    await reply.body.close()
    house.ledger.renewed.clear()
    await house.settlement.renew_once()
    assert house.ledger.renewed == []


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"model": "claude-sonet-4-5"}, ModelNotFound, 'did you mean: "claude-sonnet-4-5"'),
        ({"model": "dear"}, ModelNotAllowed, 'may use: "claude-sonnet-4-5"'),
        ({"model": ""}, InvalidRequest, "model"),
        ({"model": 7}, InvalidRequest, "model"),
        ({"stream": "yes"}, InvalidRequest, "stream"),
        ({"codec": OpenAIChat(), "messages": AUDIO}, InvalidRequest, "audio"),
    ],
)
async def test_what_cannot_be_served_is_refused_before_anything_is_held(
    change: dict[str, Any], error: type[Exception], said: str
) -> None:
    house = House()
    with pytest.raises(error, match=said):
        await house.serve(call(**change), replace(KEY, models=("claude-sonnet-4-5",)))
    assert (house.ledger.claims, house.upstream.requests) == ([], [])


async def test_an_alias_of_the_key_stands_for_the_model_it_names() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])])
    await house.serve(call(model="fast"), replace(KEY, aliases={"fast": "dear"}))
    assert b'"model":"claude-opus-4-5"' in house.upstream.requests[0].body
    assert house.ledger.settled[0].model_asked == "fast"


BUDGETED = replace(
    KEY,
    budgets=(
        Budget(BudgetId("bud_1"), 1_000_000_000, Duration(1, "d"), NOW - timedelta(days=3), NOW - timedelta(days=3)),
    ),
    limits=(RateLimits(requests=10, tokens=1000, max_parallel_requests=2),),
)


class RefusingLedger(NotingLedger):
    def __init__(self, reason: Any) -> None:
        super().__init__()
        self.reason = reason

    async def reserve(self, claim: Any) -> Any:
        self.claims.append(claim)
        budget = BudgetStanding(claim.budgets[0], 999_000_000, 1_000_000)
        standing = RateStanding(limit=10, remaining=0, reset_s=17)
        rate = claim.rates[0] if self.reason in ("requests", "tokens", "concurrency") else None
        return Refused(self.reason, 17, standing, standing, None if rate else budget, rate)


async def test_a_spent_budget_says_whose_how_much_and_until_when() -> None:
    house = House(ledger=RefusingLedger("budget"))
    with pytest.raises(BudgetExhausted) as caught:
        await house.serve(call(), BUDGETED)
    error = caught.value
    assert error.message.startswith("spend limit reached · resets Nov 22 at 2026-11-22 00:00:00 UTC")
    assert '"…abcd"' in error.message
    assert "0.999000 of its 1.000000 USD" in error.message
    assert (error.period, error.retry_after_s) == ("daily", 17)


@pytest.mark.parametrize("reason", ["requests", "tokens", "concurrency"])
async def test_a_reached_limit_says_which_and_when_one_more_fits(reason: str) -> None:
    house = House(ledger=RefusingLedger(reason))
    with pytest.raises(RateLimited) as caught:
        await house.serve(call(), BUDGETED)
    assert caught.value.retry_after_s == 17
    assert (b"anthropic-ratelimit-requests-limit", b"10") in caught.value.headers


async def test_a_call_kept_out_only_by_running_ones_waits_and_then_goes() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])])
    held = BudgetStanding(budget_claims(Principal(BUDGETED), None, 1, NOW)[0], 0, 0)
    house.ledger.outcomes = [Refused("budget_held", 1, budget=held), Refused("budget_held", 1, budget=held)]
    assert (await house.serve(call(), BUDGETED)).body == WHOLE
    assert len(house.ledger.claims) == 3


async def test_a_call_that_waited_in_vain_may_come_again() -> None:
    house = House(ledger=RefusingLedger("budget_held"), rules=AdmissionRules(wait_s=0))
    with pytest.raises(RateLimited, match="held by its running requests") as caught:
        await house.serve(call(), BUDGETED)
    assert caught.value.code == "budget_held"


async def test_the_claim_names_the_window_and_holds_the_estimate() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])])
    await house.serve(call(), BUDGETED)
    [claim] = house.ledger.claims
    [budget] = claim.budgets
    assert (budget.start, budget.end) == (NOW.replace(hour=0), NOW.replace(hour=0) + timedelta(days=1))
    assert budget.hold_nanousd == claim.if_orphaned.cost.total  # a whole answer is computed to its end
    assert claim.if_orphaned.usage.output == 200


@pytest.mark.parametrize(
    ("headers", "session_id", "agent_id"),
    [
        ([(b"content-type", b"application/json")], None, None),
        ([(b"x-claude-code-session-id", b""), (b"x-claude-code-agent-id", b"")], None, None),
        ([(b"x-claude-code-session-id", b"s-1"), (b"x-claude-code-agent-id", b"a-1")], "s-1", "a-1"),
    ],
)
async def test_a_receipt_names_session_and_agent_or_says_that_there_is_none(
    headers: list[Header], session_id: str | None, agent_id: str | None
) -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE])])
    await house.serve(call(headers=headers))
    [receipt] = house.ledger.settled
    assert (receipt.session_id, receipt.agent_id) == (session_id, agent_id)
