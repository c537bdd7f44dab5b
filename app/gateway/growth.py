"""The hold of one stream while it runs: when to look at what has passed, and how much more is then to be held."""

from collections.abc import Sequence

from msgspec.structs import replace

from app.base.money import MILLION, NanoUSD
from app.domain.pricing import PriceSheet, cost_of
from app.domain.spend import BudgetClaim, Growth
from app.gateway.call import Grant, Hold, StrictHold
from app.gateway.estimate import BYTES_PER_TOKEN, tokens_of_bytes
from app.gateway.holds import AHEAD_TOKENS, STRICT_STEP_TOKENS
from app.protocols.codec import UsageReport

NEVER = 2**63
"""Bytes that no stream has."""
_STEP_TOKENS = 256
_LEAST_DISTANCE_BYTES = 512


class GrowingHold:
    """What passes is looked at seldom: the bytes on the wire are never fewer than those of the text in them, so a look
    is due only when so many have passed as the text may have that fills the hold."""

    def __init__(self, finished: "_FinishedHold | None", within_limit: "_HoldWithinLimit | None") -> None:
        self._finished = finished
        self._within_limit = within_limit
        self.look_at_bytes = 0

    def look(self, passed_bytes: int, report: UsageReport) -> list[Growth]:
        """What more is to be held before any more passes; with that on strict claims, ``granted`` is to be called."""
        growths: list[Growth] = []
        self.look_at_bytes = NEVER
        for hold in (self._within_limit, self._finished):
            if hold is not None:
                growths += hold.look(report)
                self.look_at_bytes = min(self.look_at_bytes, passed_bytes + hold.distance_bytes)
        return growths

    def granted(self, amounts_nanousd: Sequence[NanoUSD]) -> None:
        """Less than was wanted, perhaps, of the growths of the last look; then it is looked again at the next bytes."""
        if self._within_limit is not None:
            self._within_limit.granted(amounts_nanousd)
            self.look_at_bytes = 0


class _FinishedHold:
    """On budgets that let a running answer be finished: it holds ahead of what passes, so that nobody else is
    admitted for that money, and grows beyond the limit too."""

    def __init__(self, hold: Hold, claims: tuple[BudgetClaim, ...]) -> None:
        self._hold = hold
        self._claims = claims
        self._held_nanousd = hold.most.hold_nanousd
        self.distance_bytes = 0

    def look(self, report: UsageReport) -> list[Growth]:
        """Once the output that has passed comes to four fifths of what is held for it: twice that."""
        hold, rate = self._hold, self._hold.output_rate
        input_nanousd, output_nanousd = self._costs_so_far(report)
        growths = []
        self.distance_bytes = NEVER
        most_nanousd = None if hold.output_limit is None else input_nanousd + hold.output_limit * rate // MILLION
        if not rate or (most_nanousd is not None and self._held_nanousd >= most_nanousd):
            return []
        if output_nanousd * 5 > (self._held_nanousd - input_nanousd) * 4:
            wanted_nanousd = input_nanousd + 2 * output_nanousd + _STEP_TOKENS * rate // MILLION
            self._held_nanousd = wanted_nanousd if most_nanousd is None else min(wanted_nanousd, most_nanousd)
            least_nanousd = input_nanousd + output_nanousd
            growths = [Growth(claim, least_nanousd, self._held_nanousd) for claim in self._claims]
        left_nanousd = (self._held_nanousd - input_nanousd) * 4 // 5 - output_nanousd
        self.distance_bytes = max(left_nanousd * MILLION // rate * BYTES_PER_TOKEN, _LEAST_DISTANCE_BYTES)
        return growths

    def _costs_so_far(self, report: UsageReport) -> tuple[NanoUSD, NanoUSD]:
        """Of input and output: by the provider's counts where it has given some, else by what passed."""
        hold, usage = self._hold, report.usage
        output = tokens_of_bytes(report.output_bytes)
        if usage is None or usage.prompt_tokens == 0:
            return hold.input_nanousd, output * hold.output_rate // MILLION
        input_nanousd = cost_of(replace(usage, output=0, reasoning=0), hold.most.price).total
        return input_nanousd, max(usage.output, output) * hold.output_rate // MILLION


class _HoldWithinLimit:
    """On budgets that may not be exceeded: ahead of what passes by all that it may come to, each byte a token."""

    def __init__(self, strict: StrictHold, price: PriceSheet, claims: tuple[BudgetClaim, ...]) -> None:
        self._strict = strict
        self._price = price
        self._claims = claims
        self._held_nanousd = strict.hold_nanousd
        self.distance_bytes = 0

    def look(self, report: UsageReport) -> list[Growth]:
        strict, usage = self._strict, report.usage
        counted = usage is not None and usage.prompt_tokens > 0
        input_nanousd = strict.input_nanousd
        seen_tokens = report.output_bytes
        if usage is not None and counted:
            input_nanousd = cost_of(replace(usage, output=0, reasoning=0), self._price).total
            seen_tokens = max(usage.output, seen_tokens)
        needed_tokens = seen_tokens + AHEAD_TOKENS
        least_nanousd = input_nanousd + self._cost_of_output(needed_tokens)
        self.distance_bytes = NEVER
        most = strict.output_limit
        if not strict.output_rate or (
            most is not None and self._held_nanousd >= input_nanousd + self._cost_of_output(most)
        ):
            return []
        if self._held_nanousd < least_nanousd:
            wanted_nanousd = input_nanousd + self._cost_of_output(seen_tokens + max(seen_tokens, STRICT_STEP_TOKENS))
            return [Growth(claim, least_nanousd, wanted_nanousd) for claim in self._claims]
        self.distance_bytes = (self._held_nanousd - least_nanousd) * MILLION // strict.output_rate + 1
        return []

    def granted(self, amounts_nanousd: Sequence[NanoUSD]) -> None:
        self._held_nanousd = min(amounts_nanousd[: len(self._claims)])

    def _cost_of_output(self, tokens: int) -> NanoUSD:
        limit = self._strict.output_limit
        return -(-(tokens if limit is None else min(tokens, limit)) * self._strict.output_rate // MILLION)


def growing_hold(grant: Grant) -> GrowingHold | None:
    """None for a call that holds nothing on any budget."""
    hold, admitted = grant.hold, grant.admitted
    if hold is None or admitted is None or not admitted.budgets:
        return None
    claims = tuple(standing.claim for standing in admitted.budgets)
    strict = tuple(claim for claim in claims if claim.strict)
    finished = tuple(claim for claim in claims if not claim.strict)
    return GrowingHold(
        _FinishedHold(hold, finished) if finished else None,
        _HoldWithinLimit(hold.strict, hold.most.price, strict) if hold.strict is not None and strict else None,
    )


def is_strict(growths: Sequence[Growth]) -> bool:
    return any(growth.claim.strict for growth in growths)
