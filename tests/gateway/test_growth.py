"""The hold of a stream grows with what passes: in time, seldom, and only where something is held."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from app.base.errors import BudgetExhausted, InvalidRequest, StorageUnavailable
from app.base.ids import BudgetId
from app.domain.access import Principal
from app.domain.catalog import Catalog, Model
from app.domain.pricing import always
from app.domain.spend import Admitted, BudgetClaim, BudgetStanding, Claim, Growth, Refused
from app.domain.tenancy import Level
from app.gateway.admit import AdmissionRules
from app.gateway.call import StreamBody, StreamCut
from tests.fakes.ports import NotingLedger, ScriptedReply
from tests.gateway.examples import DEPLOYMENT, KEY, NOW, SHEET
from tests.gateway.test_pipeline import (
    BUDGETED,
    DELTA,
    JSON,
    SSE,
    START,
    STOP,
    WHOLE,
    House,
    RefusingLedger,
    call,
    event,
    read,
)

OUTPUT_RATE, TOKENS = 15_000, 250
"""Nano-dollars a token, and the tokens of a piece."""
PIECE = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x" * 4 * TOKENS})
END = event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 40 * TOKENS})


async def collect(body: StreamBody, received: list[bytes]) -> None:
    """``received`` has what came also where the stream is cut."""
    try:
        async for chunk in body.chunks():
            received.append(chunk)  # noqa: PERF401
    finally:
        await body.close()


class Admitting(NotingLedger):
    """Admits, and says what is held on each budget."""

    async def reserve(self, claim: Claim) -> Admitted | Refused:
        self.claims.append(claim)
        return Admitted(None, None, tuple(BudgetStanding(one, 0, one.hold_nanousd) for one in claim.budgets))


def house(*chunks: bytes) -> House:
    return House([ScriptedReply(200, SSE, list(chunks))], Admitting())


def wanted(ledger: NotingLedger) -> Sequence[int]:
    return [growth.wanted_nanousd for growths in ledger.grown for growth in growths]


async def test_an_answer_longer_than_was_held_for_it_makes_its_hold_grow_before_it_passes_it() -> None:
    one = house(START, *[PIECE] * 40, END, STOP)
    body = await read(await one.serve(call(stream=True, max_tokens=32_000), BUDGETED))
    assert body.endswith(STOP)
    [claim] = one.ledger.claims
    held = [claim.budgets[0].hold_nanousd, *wanted(one.ledger)]
    assert 1 <= len(one.ledger.grown) <= 3
    # A growth is asked for while what has passed still fits into what is held, and is no trifle.
    for (before, after), [growth] in zip(pairwise(held), one.ledger.grown, strict=True):
        assert growth.least_nanousd <= before + 2 * TOKENS * OUTPUT_RATE
        assert after >= before * 1.5
    assert held[-1] >= one.ledger.settled[0].cost.total * 0.95


async def test_an_answer_that_stays_within_its_hold_never_asks_for_more() -> None:
    one = house(START, PIECE, DELTA, STOP)
    await read(await one.serve(call(stream=True, max_tokens=32_000), BUDGETED))
    assert one.ledger.grown == []


async def test_a_prompt_that_was_dearer_than_was_held_makes_the_hold_grow_as_soon_as_it_is_counted() -> None:
    dear = event("message_start", message={"usage": {"input_tokens": 90_000, "output_tokens": 1}})
    one = house(dear, PIECE, DELTA, STOP)
    reply = await one.serve(call(stream=True, max_tokens=32_000), BUDGETED)
    assert not isinstance(reply.body, bytes)
    chunks = reply.body.chunks()
    await anext(chunks)
    await anext(chunks)
    assert wanted(one.ledger)[0] >= 90_000 * 3_000
    await reply.body.close()


async def test_a_long_prompt_and_a_short_answer_ask_for_nothing_more() -> None:
    counted = event("message_start", message={"usage": {"input_tokens": 25, "output_tokens": 1}})
    one = house(counted, DELTA, STOP)
    await read(await one.serve(call(stream=True, max_tokens=60), BUDGETED))
    assert one.ledger.grown == []


async def test_a_hold_grows_to_the_most_that_the_call_allows_and_then_no_more() -> None:
    one = house(START, *[PIECE] * 40, END, STOP)
    await read(await one.serve(call(stream=True, max_tokens=6000), BUDGETED))
    [last] = wanted(one.ledger)[-1:]
    assert last == 100 * 3_000 + 6000 * OUTPUT_RATE
    assert len(one.ledger.grown) == 1


async def test_a_call_without_a_budget_holds_nothing_that_could_grow() -> None:
    one = house(START, *[PIECE] * 40, END, STOP)
    await read(await one.serve(call(stream=True, max_tokens=32_000), KEY))
    assert one.ledger.grown == []


[BUDGET] = BUDGETED.budgets
STRICT_BUDGET = replace(BUDGET, on_exceed="cut")
STRICT = replace(BUDGETED, budgets=(STRICT_BUDGET,))


def strict_house(*chunks: bytes, full: bool = False) -> House:
    ledger = Admitting()
    one = House([ScriptedReply(200, SSE, list(chunks))], ledger)
    if full:
        claim = BudgetClaim("bud_1:1:1", BudgetId("bud_1"), "key_1", 1_000_000_000, 0, NOW, None, NOW, strict=True)
        ledger.growth_refused = BudgetStanding(claim, 900_000_000, 90_000_000)
    return one


async def test_a_budget_that_may_not_be_exceeded_is_held_ahead_of_everything_that_may_be_billed() -> None:
    one = strict_house(START, *[PIECE] * 10, END, STOP)
    reply = await one.serve(call(stream=True, max_tokens=32_000), STRICT)
    assert not isinstance(reply.body, bytes)
    [claim] = one.ledger.claims
    # A byte of the prompt may be a token, and so may a byte of the answer.
    assert claim.budgets[0].strict
    assert claim.budgets[0].hold_nanousd >= len(one.upstream.requests[0].body) * 3_000 + 1024 * OUTPUT_RATE
    seen = 0
    async for chunk in reply.body.chunks():
        held = [claim.budgets[0].hold_nanousd, *wanted(one.ledger)][-1]
        assert 100 * 3_000 + seen * OUTPUT_RATE <= held
        seen += chunk.count(b"x")
    assert one.ledger.settled[0].status == "ok"


async def test_a_stream_is_cut_where_a_budget_that_may_not_be_exceeded_has_no_room_for_more() -> None:
    one = strict_house(START, *[PIECE] * 40, END, STOP, full=True)
    upstream = one.upstream.replies[0]
    reply = await one.serve(call(stream=True, max_tokens=32_000), STRICT)
    assert not isinstance(reply.body, bytes)
    received: list[bytes] = []
    with pytest.raises(StreamCut):
        await collect(reply.body, received)
    assert received[0] == START
    assert b'"billing_error"' in received[-1]
    assert b'key \\"\xe2\x80\xa6abcd\\" has spent 0.900000 of its 1.000000 USD' in received[-1]
    assert isinstance(upstream, ScriptedReply)
    assert upstream.closed
    [receipt] = one.ledger.settled
    seen = b"".join(received).count(b"x" * 4)
    assert (receipt.status, receipt.usage_source, receipt.usage.output) == ("cut", "counted", seen)
    assert receipt.cost.total <= one.ledger.claims[0].budgets[0].hold_nanousd


async def test_a_whole_answer_cannot_be_cut_so_all_that_it_may_be_is_held() -> None:
    one = House([ScriptedReply(200, JSON, [WHOLE])], Admitting())
    await one.serve(call(max_tokens=32_000), STRICT)
    assert one.ledger.claims[0].budgets[0].hold_nanousd >= 32_000 * OUTPUT_RATE


async def test_thoughts_cannot_be_seen_so_a_stream_that_may_have_some_is_held_at_its_maximum() -> None:
    one = strict_house(START, *[PIECE] * 40, END, STOP, full=True)
    thinking = {"type": "enabled", "budget_tokens": 2000}
    body = await read(await one.serve(call(stream=True, max_tokens=32_000, thinking=thinking), STRICT))
    assert one.ledger.claims[0].budgets[0].hold_nanousd >= 32_000 * OUTPUT_RATE
    assert body.endswith(STOP)
    assert one.ledger.grown == []


async def test_an_answer_without_a_maximum_is_refused_where_all_of_it_would_have_to_be_held() -> None:
    one = House([ScriptedReply(200, JSON, [b"{}"])], Admitting())
    asked = call(max_tokens=None)
    with pytest.raises(InvalidRequest, match="name a maximum of output tokens") as caught:
        await one.serve(asked, STRICT)
    assert caught.value.code == "output_limit_missing"
    assert one.upstream.requests == []


async def test_the_settings_say_what_a_budget_does_not() -> None:
    one = House([ScriptedReply(200, JSON, [WHOLE])], Admitting(), AdmissionRules(on_exceed="cut"))
    await one.serve(call(max_tokens=32_000), BUDGETED)
    assert one.ledger.claims[0].budgets[0].strict
    lenient = replace(BUDGETED, budgets=(replace(BUDGET, on_exceed="finish"),))
    one = House([ScriptedReply(200, JSON, [WHOLE])], Admitting(), AdmissionRules(on_exceed="cut"))
    await one.serve(call(max_tokens=32_000), lenient)
    assert not one.ledger.claims[0].budgets[0].strict


async def test_only_the_levels_that_may_not_be_exceeded_hold_the_maximum() -> None:
    team = Level("team", "team:red", 'team "red"', budgets=(replace(STRICT_BUDGET, shared=True),))
    one = House([ScriptedReply(200, JSON, [WHOLE])], Admitting())
    await one.gateway.serve(call(max_tokens=32_000), Principal(BUDGETED, levels=(team,)))
    key, of_team = one.ledger.claims[0].budgets
    assert key.hold_nanousd < 5000 * OUTPUT_RATE < 32_000 * OUTPUT_RATE <= of_team.hold_nanousd


async def test_a_call_that_is_too_dear_for_what_is_left_is_told_so() -> None:
    ledger = RefusingLedger("budget_short")
    with pytest.raises(
        BudgetExhausted, match=r"this call may cost up to 0\.\d+ USD, while the budget may not"
    ) as caught:
        await House(ledger=ledger).serve(call(max_tokens=32_000), STRICT)
    assert "allow it less output (max_tokens)" in caught.value.message


class Failing(Admitting):
    async def grow(self, request_id: str, growths: Sequence[Growth]) -> tuple[int, ...] | BudgetStanding | None:
        raise StorageUnavailable("Redis does not answer")


async def test_a_strict_stream_ends_where_the_store_cannot_say_whether_there_is_room() -> None:
    one = House([ScriptedReply(200, SSE, [START, *[PIECE] * 40, END, STOP])], Failing())
    reply = await one.serve(call(stream=True, max_tokens=32_000), STRICT)
    assert not isinstance(reply.body, bytes)
    received: list[bytes] = []
    with pytest.raises(StreamCut):
        await collect(reply.body, received)
    assert b'"overloaded_error"' in received[-1]
    assert [receipt.status for receipt in one.ledger.settled] == ["error"]


async def test_any_other_stream_goes_on_where_the_store_does_not_answer() -> None:
    one = House([ScriptedReply(200, SSE, [START, *[PIECE] * 40, END, STOP])], Failing())
    assert (await read(await one.serve(call(stream=True, max_tokens=32_000), BUDGETED))).endswith(STOP)


class FreeHouse(House):
    free = replace(SHEET, rates=replace(SHEET.rates, input=0, output=0, reasoning=0))
    catalog = Catalog((Model("claude-sonnet-4-5", (replace(DEPLOYMENT, prices=always(free)),), "Free", ""),))


async def test_a_model_that_costs_nothing_never_asks_for_more() -> None:
    one = FreeHouse([ScriptedReply(200, SSE, [START, *[PIECE] * 40, END, STOP])], Admitting())
    await read(await one.serve(call(stream=True, max_tokens=32_000), BUDGETED))
    assert one.ledger.grown == []
