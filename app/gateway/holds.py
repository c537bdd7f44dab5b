"""How much is held for a call: what calls of its kind have lately come to, and before that is known an estimate."""

import re
from collections.abc import Hashable

from app.base.errors import InvalidRequest
from app.base.money import MILLION, round_per_million
from app.domain.catalog import Deployment
from app.domain.learning import Learning
from app.domain.pricing import PriceSheet
from app.domain.spend import Receipt
from app.domain.usage import Usage
from app.gateway.attribution import AGENT_HEADER
from app.gateway.call import Call, Hold, StrictHold
from app.gateway.estimate import (
    BYTES_PER_TOKEN,
    DEFAULT_MAX_OUTPUT_TOKENS,
    Estimate,
    estimate,
    input_tokens,
    most_of_input,
)
from app.protocols.codec import Envelope
from app.protocols.envelope import read_count

_TURNS = ("messages", "input", "contents")
_TAIL_BYTES = 1024
STRICT_STEP_TOKENS = 1024
AHEAD_TOKENS = 256
"""By how much what is held strictly stays ahead of what has passed: more may be on its way."""
_MOST_CANDIDATES = 8
_TOKENS_UNSEEN = 64
"""The marks of blocks and calls, which are billed and are no text."""
_COUNTED = frozenset({"provider", "demo"})
# What the end of a conversation's turns shows when the model has spoken before: its own role, or a tool's result.
_has_been_answered = re.compile(rb'"(?:assistant|model|tool|function)').search


class Holds:
    """Each process learns for itself: a kind is known after a few calls, and nothing is to be agreed upon."""

    def __init__(self) -> None:
        self._learning = Learning()

    def hold_for(
        self, call: Call, envelope: Envelope, output_limit: int | None, deployment: Deployment, price: PriceSheet
    ) -> Hold:
        """``output_limit`` is what the host may write at most, None where nobody said."""
        kind = _kind_of(call, envelope, output_limit, deployment)
        expected = self._learning.expected(kind)
        tokens = input_tokens(call.body)
        rates = price.rates if not price.tiers else price.rates_for(tokens)
        output_rate = max(rates.output, rates.reasoning)
        fresh_nanousd = round_per_million(tokens * rates.input, price.millions)
        if expected is None:
            most = estimate(call.body, _careful_limit(call, output_limit), price)
            input_nanousd = most.hold_nanousd - round_per_million(most.usage.output * output_rate, price.millions)
        else:
            input_nanousd = -(-fresh_nanousd * expected.input_permille // 1000)
            output_nanousd = round_per_million(expected.output_tokens * output_rate, price.millions)
            usage = Usage(input=tokens, output=expected.output_tokens)
            most = Estimate(usage, input_nanousd + output_nanousd + price.terms.fixed_nanousd, price)
        # Of several answers each may be as long as the limit.
        most_output = None if "n" in envelope.fields else output_limit
        return Hold(
            most, input_nanousd, kind, fresh_nanousd, output_rate // price.millions, most_output, self._learning
        )


def strict_hold(call: Call, envelope: Envelope, hold: Hold, output_limit: int | None, protocol_out: str) -> StrictHold:
    """For budgets that may not be exceeded: all that cannot be seen before it is billed.

    A stream that shows all its output is held a little ahead of it, any other answer at its maximum. Raises
    InvalidRequest where there is none.
    """
    price = hold.most.price
    input_nanousd = most_of_input(call.body, price) + price.terms.fixed_nanousd
    answers = _answers_asked(envelope)
    limit = 0 if call.operation == "embeddings" else output_limit
    most = None if limit is None else limit * answers
    tokens = most
    if envelope.stream and not _may_hide(envelope, hold, protocol_out):
        tokens = _tokens_ahead(hold)
        if most is not None:
            tokens = min(most, tokens)
    if tokens is None:
        raise InvalidRequest(
            'the budget of this key, or of a level above it, may not be exceeded (on_exceed is "cut"), so the longest '
            "answer must be known before it begins: name a maximum of output tokens, such as max_tokens",
            code="output_limit_missing",
        )
    rates = price.rates_for(len(call.body))
    output_rate = -(-max(rates.output, rates.reasoning) // price.millions)
    return StrictHold(input_nanousd, tokens, most, output_rate)


def _tokens_ahead(hold: Hold) -> int:
    """At first: enough for nearly all answers of the kind, each byte a token, so that few need more and can be cut."""
    expected = hold.learning.expected(hold.kind)
    if expected is None:
        return STRICT_STEP_TOKENS
    return max(STRICT_STEP_TOKENS, expected.output_tokens * BYTES_PER_TOKEN + AHEAD_TOKENS)


def _answers_asked(envelope: Envelope) -> int:
    """Of one call: each of them may be as long as the maximum."""
    if b"candidateCount" in bytes(envelope.fields.get("generationConfig", b"")):
        return _MOST_CANDIDATES
    return max(1, *(read_count(envelope.fields, name) or 1 for name in ("n", "best_of")))


def _may_hide(envelope: Envelope, hold: Hold, protocol_out: str) -> bool:
    """Whether the answer may be billed for output that is not shown, as thoughts are.

    Before such calls are known: only a Messages host that was not asked to think shows everything.
    """
    expected = hold.learning.expected(hold.kind)
    if expected is not None:
        return expected.hides
    return protocol_out != "anthropic_messages" or _thinks(envelope)


def _thinks(envelope: Envelope) -> bool:
    fields = envelope.fields
    return "thinking" in fields or "reasoning" in fields or "reasoning_effort" in fields


def learn(hold: Hold, receipt: Receipt, output_bytes: int = 0) -> None:
    """From a call that ended well, was counted by its provider and is paid here; nothing from any other.
    ``output_bytes`` is how much of its answer was seen."""
    if receipt.status != "ok" or receipt.usage_source not in _COUNTED or receipt.notional_nanousd is not None:
        return
    cost, fresh_nanousd = receipt.cost, hold.fresh_nanousd
    input_nanousd = cost.input + cost.cache_read + cost.cache_write
    permille = -(-input_nanousd * 1000 // fresh_nanousd) if fresh_nanousd else 0
    output = receipt.usage.output
    if cost.other and hold.output_rate:
        # Searches, pictures and sound: as many tokens of output as they are worth.
        output += -(-cost.other * MILLION // hold.output_rate)
    hidden = max(receipt.usage.output - output_bytes - _TOKENS_UNSEEN, 0)
    hold.learning.observe(hold.kind, permille, output, hidden)


def _careful_limit(call: Call, output_limit: int | None) -> int:
    """Where nothing is known: as much output as most answers have. A picture's is known."""
    if output_limit is None:
        return DEFAULT_MAX_OUTPUT_TOKENS
    return output_limit if call.operation == "images" else min(output_limit, DEFAULT_MAX_OUTPUT_TOKENS)


def _kind_of(call: Call, envelope: Envelope, output_limit: int | None, deployment: Deployment) -> Hashable:
    """What can be told at once of a call, and makes calls alike: an agent's main thread or one of its subagents, its
    first turn or a later one, a probe of one token or a turn of thousands."""
    fields = envelope.fields
    return (
        deployment.upstream_model,
        -1 if output_limit is None else output_limit.bit_length(),
        envelope.stream,
        "tools" in fields,
        _thinks(envelope),
        _continues(envelope),
        bool(dict(call.headers).get(AGENT_HEADER)),
    )


def _continues(envelope: Envelope) -> bool:
    for name in _TURNS:
        turns = envelope.fields.get(name)
        if turns is not None:
            return _has_been_answered(bytes(memoryview(turns)[-_TAIL_BYTES:])) is not None
    return False
