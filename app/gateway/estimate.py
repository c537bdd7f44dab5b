"""The most that a call can sensibly cost, told from its body before it runs; for holds only, never for a bill."""

import re

import msgspec

from app.base.money import NanoUSD, round_per_million
from app.domain.pricing import PriceSheet
from app.domain.usage import Usage

BYTES_PER_TOKEN = 4
"""Stated estimate for text that no provider counted: four bytes of UTF-8 a token."""
BINARY_BYTES_PER_TOKEN = 64
"""Images and documents in base64: a page or a picture of 100 KB comes to about 1 600 tokens."""
DEFAULT_MAX_OUTPUT_TOKENS = 4096
_BINARY = re.compile(rb"[A-Za-z0-9+/=_-]{4096,}")


def tokens_of_bytes(count_bytes: int) -> int:
    return -(-count_bytes // BYTES_PER_TOKEN)


class Estimate(msgspec.Struct, frozen=True):
    """Tokens that the call may consume, and what to hold for it in nano-dollars."""

    usage: Usage
    hold_nanousd: NanoUSD


def estimate(body: bytes, max_output_tokens: int | None, sheet: PriceSheet) -> Estimate:
    """The whole body as uncached input, and all the output that the caller allows.

    A hold below what a call turns out to cost is how budgets are overrun by many calls at once, so nothing is hoped
    for here; what is held too much comes back when the call is settled, and others wait for that meanwhile.
    """
    output = DEFAULT_MAX_OUTPUT_TOKENS if max_output_tokens is None else max_output_tokens
    usage = Usage(input=input_tokens(body), output=output)
    rates = sheet.rates_for(usage.input)
    input_rate = rates.input
    if b'"cache_control"' in body:
        # A prompt that is to be cached is written at a higher price, and for an hour at a higher one still.
        input_rate = max(input_rate, rates.cache_write_1h if b'"1h"' in body else rates.cache_write_5m)
    product = usage.input * input_rate + usage.output * max(rates.output, rates.reasoning)
    return Estimate(usage, round_per_million(product, sheet.millions))


def input_tokens(body: bytes) -> int:
    """The stated estimate: text by its bytes, pictures and documents by theirs."""
    binary_bytes = 0
    if len(body) > 4096 and b"base64" in body:
        binary_bytes = sum(match.end() - match.start() for match in _BINARY.finditer(body))
    return tokens_of_bytes(len(body) - binary_bytes) + binary_bytes // BINARY_BYTES_PER_TOKEN
