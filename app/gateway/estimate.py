"""What a call will probably consume, learned from the calls before it; for holds only, never for a bill."""

from collections import deque
from dataclasses import dataclass

from app.base.money import NanoUSD
from app.domain.pricing import PriceSheet, cost_of
from app.domain.spend import Receipt
from app.domain.usage import Usage

BYTES_PER_TOKEN = 4
"""Stated estimate for text that no provider counted: four bytes of UTF-8 a token."""
DEFAULT_MAX_OUTPUT_TOKENS = 4096
_REMEMBERED_CALLS = 64
_ENOUGH_CALLS = 4


def tokens_of_bytes(count_bytes: int) -> int:
    return -(-count_bytes // BYTES_PER_TOKEN)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Tokens that the call is taken to consume, and what to hold for it in nano-dollars."""

    usage: Usage
    hold_nanousd: NanoUSD


class Estimator:
    """Per deployment, the last 64 calls: how many tokens they wrote, and what a byte of their bodies cost.

    The hold is the largest of those plus a quarter, never more than the caller's own maximum. A call that no
    history speaks of is held at its maximum: it may wait for a running one to settle, but cannot overshoot.
    """

    def __init__(self) -> None:
        self._output_tokens: dict[str, deque[int]] = {}
        self._input_nanousd_per_kilobyte: dict[str, deque[int]] = {}

    def estimate(self, deployment_id: str, sheet: PriceSheet, body_bytes: int, max_output: int | None) -> Estimate:
        most = DEFAULT_MAX_OUTPUT_TOKENS if max_output is None else max_output
        outputs = self._output_tokens.get(deployment_id, ())
        learned = len(outputs) >= _ENOUGH_CALLS
        output = min(most, max(outputs) * 5 // 4 + 1) if learned else most
        usage = Usage(input=tokens_of_bytes(body_bytes), output=output)
        cost = cost_of(usage, sheet)
        inputs = self._input_nanousd_per_kilobyte.get(deployment_id)
        input_cost = cost.input
        if learned and inputs:
            input_cost = min(input_cost, max(inputs) * (body_bytes + 1024) // 1024 * 5 // 4)
        return Estimate(usage, input_cost + cost.output)

    def learn(self, receipt: Receipt, body_bytes: int) -> None:
        """Take in a call that the provider has counted to its end."""
        outputs = self._output_tokens.setdefault(receipt.deployment_id, deque(maxlen=_REMEMBERED_CALLS))
        outputs.append(receipt.usage.output)
        inputs = self._input_nanousd_per_kilobyte.setdefault(receipt.deployment_id, deque(maxlen=_REMEMBERED_CALLS))
        cost = receipt.cost
        inputs.append((cost.input + cost.cache_read + cost.cache_write) * 1024 // max(body_bytes, 1))
