"""The most that a call can sensibly cost, told from its body before it runs; for holds only, never for a bill."""

import re

import msgspec

from app.base.money import NanoUSD, round_per_million
from app.domain.pricing import PriceSheet
from app.domain.usage import Usage
from app.protocols.codec import Envelope

BYTES_PER_TOKEN = 4
"""Stated estimate for text that no provider counted: four bytes of UTF-8 a token."""
BINARY_BYTES_PER_TOKEN = 64
"""Images and documents in base64: a page or a picture of 100 KB comes to about 1 600 tokens."""
DEFAULT_MAX_OUTPUT_TOKENS = 4096
_TOKENS_OF_A_PICTURE = 5_000
_TOKENS_AROUND = 512
"""What a host puts around a prompt: how tools are to be called, and the marks of turns."""
_SHORTEST_BINARY_BYTES = 4096
_SAMPLE_BYTES = 256
_SEARCHES = ("web_search_options", "search_parameters", "plugins")
_BINARY = re.compile(rb"[A-Za-z0-9+/=_-]{%d,}" % _SHORTEST_BINARY_BYTES)
_is_sample_of_binary = re.compile(rb"[A-Za-z0-9+/=_-]{%d}" % _SAMPLE_BYTES).match


def tokens_of_bytes(count_bytes: int) -> int:
    return -(-count_bytes // BYTES_PER_TOKEN)


class Estimate(msgspec.Struct, frozen=True):
    """Tokens that the call may consume, and what to hold for it in nano-dollars by ``price``."""

    usage: Usage
    hold_nanousd: NanoUSD
    price: PriceSheet


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
    return Estimate(usage, round_per_million(product, sheet.millions) + sheet.terms.fixed_nanousd, sheet)


def input_tokens(body: bytes) -> int:
    """The stated estimate: text by its bytes, pictures and documents by theirs."""
    binary_bytes = 0
    if _may_hold_binary(body) and b"base64" in body:
        binary_bytes = sum(match.end() - match.start() for match in _BINARY.finditer(body))
    return tokens_of_bytes(len(body) - binary_bytes) + binary_bytes // BINARY_BYTES_PER_TOKEN


def may_search(envelope: Envelope) -> bool:
    """Whether the host could search the web for the call, which is paid by the piece."""
    tools = envelope.fields.get("tools")
    return (tools is not None and b"search" in bytes(tools)) or any(name in envelope.fields for name in _SEARCHES)


def most_of_input(body: bytes, sheet: PriceSheet) -> NanoUSD:
    """What the input cannot exceed, where everything is in the body: no token is shorter than a byte, and all of it may
    be new or written to a cache. A picture has some thousand tokens however small it is."""
    binaries = [match.end() - match.start() for match in _BINARY.finditer(body)] if _may_hold_binary(body) else []
    tokens = len(body) - sum(binaries) + sum(max(size // 16, _TOKENS_OF_A_PICTURE) for size in binaries)
    rates = sheet.rates_for(tokens)
    rate = max(rates.input, rates.audio_input) if binaries else rates.input
    if b'"cache_control"' in body:
        rate = max(rate, rates.cache_write_5m, rates.cache_write_1h)
    return round_per_million((tokens + _TOKENS_AROUND) * rate, sheet.millions)


def _may_hold_binary(body: bytes) -> bool:
    """Looks at samples so close together that one of them lies within any binary: a search would read all the text."""
    step = _SHORTEST_BINARY_BYTES - _SAMPLE_BYTES
    return any(_is_sample_of_binary(body, place) for place in range(0, len(body), step))
