"""What is held for a call: carefully much at first, and what such calls come to once that is known."""

from dataclasses import replace
from typing import Any

import pytest

from app.domain.learning import LEAST_KNOWN
from app.domain.pricing import cost_of
from app.domain.spend import Receipt
from app.domain.usage import Usage
from app.gateway.call import Call, Hold, StrictHold
from app.gateway.estimate import DEFAULT_MAX_OUTPUT_TOKENS, estimate
from app.gateway.holds import STRICT_STEP_TOKENS, Holds, learn, strict_hold
from app.protocols.openai_chat.codec import OpenAIChat
from tests.fakes.ports import ScriptedReply
from tests.gateway.examples import DEPLOYMENT, RECEIPT, SHEET
from tests.gateway.test_pipeline import JSON, WHOLE, House, call

SUBAGENT = [(b"x-claude-code-agent-id", b"a-1")]
ASKED = {"role": "user", "content": "x" * 4000}
ANSWERED = [ASKED, {"role": "assistant", "content": "y"}, {"role": "user", "content": "z"}]


def hold_for(holds: Holds, asked: Call, limit: int | None = 32_000) -> Hold:
    return holds.hold_for(asked, asked.codec.read_envelope(asked.body), limit, DEPLOYMENT, SHEET)


def receipt(usage: Usage, **fields: Any) -> Receipt:
    values = {name: getattr(RECEIPT, name) for name in RECEIPT.__struct_fields__}
    counted = {"usage": usage, "cost": cost_of(usage, SHEET), "status": "ok", "usage_source": "provider"}
    return Receipt(**(values | counted | fields))


def teach(holds: Holds, asked: Call, usage: Usage, limit: int | None = 32_000) -> None:
    for _ in range(LEAST_KNOWN):
        learn(hold_for(holds, asked, limit), receipt(usage))


async def test_where_nothing_is_known_the_input_is_new_and_the_output_is_that_of_most_answers() -> None:
    asked = call(messages=[ASKED])
    held = hold_for(Holds(), asked)
    assert held.most == estimate(asked.body, DEFAULT_MAX_OUTPUT_TOKENS, SHEET)
    assert hold_for(Holds(), asked, 200).most == estimate(asked.body, 200, SHEET)
    assert hold_for(Holds(), asked, None).most == estimate(asked.body, None, SHEET)


async def test_a_prompt_that_is_read_from_the_cache_is_held_at_what_such_prompts_came_to() -> None:
    holds, asked = Holds(), call(stream=True, messages=ANSWERED)
    usage = Usage(input=10, cache_read=900, cache_write_5m=90, output=300)
    teach(holds, asked, usage)
    cost = cost_of(usage, SHEET).total
    # Never below what they came to; above it by the rounding of a share.
    assert cost <= hold_for(holds, asked).most.hold_nanousd <= cost + hold_for(holds, asked).fresh_nanousd // 1000 + 1


async def test_a_longer_prompt_of_the_kind_is_held_at_more() -> None:
    holds, asked = Holds(), call(stream=True, messages=ANSWERED)
    teach(holds, asked, Usage(cache_read=1000, output=0))
    longer = call(stream=True, messages=[ASKED, *ANSWERED])
    ratio = hold_for(holds, longer).most.hold_nanousd / hold_for(holds, asked).most.hold_nanousd
    assert ratio == pytest.approx(len(longer.body) / len(asked.body), rel=0.01)


@pytest.mark.parametrize(
    ("other", "limit"),
    [
        ({"headers": SUBAGENT, "messages": ANSWERED, "stream": True}, 32_000),
        ({"messages": ANSWERED}, 32_000),
        ({"messages": ANSWERED, "stream": True}, 1),
        ({"messages": [ASKED], "stream": True}, 32_000),
        ({"messages": ANSWERED, "stream": True, "tools": []}, 32_000),
    ],
    ids=["subagent", "whole answer", "probe", "first turn", "with tools"],
)
async def test_calls_of_another_kind_teach_nothing_about_this_one(other: dict[str, Any], limit: int) -> None:
    holds, asked = Holds(), call(stream=True, messages=ANSWERED)
    teach(holds, call(**other), Usage(output=5), limit)
    assert hold_for(holds, asked).most == estimate(asked.body, DEFAULT_MAX_OUTPUT_TOKENS, SHEET)
    assert hold_for(holds, call(**other), limit).most.usage.output == 5


@pytest.mark.parametrize(
    "fields", [{"status": "hung_up"}, {"status": "error"}, {"usage_source": "counted"}, {"usage_source": "estimated"}]
)
async def test_what_was_cut_short_or_not_counted_teaches_nothing(fields: dict[str, Any]) -> None:
    holds, asked = Holds(), call()
    for _ in range(LEAST_KNOWN):
        learn(hold_for(holds, asked), receipt(Usage(output=5), **fields))
    assert hold_for(holds, asked).most.usage.output == DEFAULT_MAX_OUTPUT_TOKENS


async def test_searches_and_pictures_are_held_for_as_the_output_they_are_worth() -> None:
    holds, asked = Holds(), call()
    searching = replace(SHEET, rates=replace(SHEET.rates, web_searches=10_000_000_000_000))
    usage = Usage(output=100, web_searches=3)
    for _ in range(LEAST_KNOWN):
        learn(hold_for(holds, asked), receipt(usage, cost=cost_of(usage, searching)))
    assert hold_for(holds, asked).most.hold_nanousd >= cost_of(usage, searching).total


async def test_a_model_without_a_price_is_learned_for_the_sake_of_its_tokens() -> None:
    free = replace(SHEET, rates=replace(SHEET.rates, input=0, output=0, reasoning=0))
    asked, holds = call(), Holds()
    envelope = asked.codec.read_envelope(asked.body)
    for _ in range(LEAST_KNOWN):
        learn(
            holds.hold_for(asked, envelope, 32_000, DEPLOYMENT, free),
            receipt(Usage(output=5), cost=cost_of(Usage(), free)),
        )
    assert holds.hold_for(asked, envelope, 32_000, DEPLOYMENT, free).most.usage.output == 5


async def test_the_gateway_learns_from_the_calls_it_settles() -> None:
    house = House([ScriptedReply(200, JSON, [WHOLE]) for _ in range(LEAST_KNOWN + 1)])
    for _ in range(LEAST_KNOWN + 1):
        await house.serve(call(max_tokens=32_000))
    first, *_, last = house.ledger.claims
    assert first.tokens > DEFAULT_MAX_OUTPUT_TOKENS
    assert last.tokens < 100


def strict(asked: Call, limit: int | None, holds: Holds | None = None, protocol_out: str = "openai_chat") -> StrictHold:
    envelope = asked.codec.read_envelope(asked.body)
    hold = (holds or Holds()).hold_for(asked, envelope, limit, DEPLOYMENT, SHEET)
    return strict_hold(asked, envelope, hold, limit, protocol_out)


async def test_each_of_several_answers_may_be_as_long_as_the_maximum() -> None:
    assert strict(call(codec=OpenAIChat(), n=3), 1000).output_limit == 3000
    assert strict(call(codec=OpenAIChat()), 1000).output_limit == 1000


async def test_an_embedding_writes_nothing() -> None:
    asked = call(operation="embeddings")
    assert strict(asked, None).output_tokens == 0


async def test_a_stream_is_held_at_its_maximum_until_such_calls_are_known_to_hide_nothing() -> None:
    holds, asked = Holds(), call(codec=OpenAIChat(), stream=True)
    assert strict(asked, 32_000, holds).output_tokens == 32_000
    for _ in range(LEAST_KNOWN):
        learn(hold_for(holds, asked), receipt(Usage(output=300)), output_bytes=1200)
    assert STRICT_STEP_TOKENS < strict(asked, 32_000, holds).output_tokens < 2000
    learn(hold_for(holds, asked), receipt(Usage(output=3000)), output_bytes=1200)
    assert strict(asked, 32_000, holds).output_tokens == 32_000


async def test_a_messages_host_that_was_not_asked_to_think_hides_nothing() -> None:
    asked = call(stream=True)
    assert strict(asked, 32_000, protocol_out="anthropic_messages").output_tokens == STRICT_STEP_TOKENS
    thinking = call(stream=True, thinking={"type": "adaptive"})
    assert strict(thinking, 32_000, protocol_out="anthropic_messages").output_tokens == 32_000
