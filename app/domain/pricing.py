"""Prices in integer nano-dollars per million units, and the one routine that turns usage into cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from app.base.money import NanoUSD, round_per_million
from app.domain.usage import Usage

PriceSource = Literal["config", "database", "bundled", "fallback", "local", "demo", "reported"]
"""Where the price of a call is from; ``reported``: the provider itself has told what the call cost."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-dollars per million units of each class; ``images`` and ``web_searches`` per million pieces."""

    input: NanoUSD
    output: NanoUSD
    cache_read: NanoUSD
    cache_write_5m: NanoUSD
    cache_write_1h: NanoUSD
    reasoning: NanoUSD
    audio_input: NanoUSD
    audio_output: NanoUSD
    images: NanoUSD = 0
    web_searches: NanoUSD = 0


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates of a whole request whose prompt has more than ``above_prompt_tokens`` tokens."""

    above_prompt_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class PriceSheet:
    """The price of one model at one time. ``version`` stands on every receipt that used it; tiers ascend.

    The rates are for so many ``millions`` of units: half a price is the same rate for twice as many, exactly.
    """

    version: str
    source: PriceSource
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    millions: int = 1

    def rates_for(self, prompt_tokens: int) -> Rates:
        rates = self.rates
        for tier in self.tiers:
            if prompt_tokens > tier.above_prompt_tokens:
                rates = tier.rates
        return rates


BATCH_DIVISORS: Mapping[str, int] = {"anthropic": 2}
"""The providers that take batches, and by what each divides every price of what was asked in one."""


def batch_sheet(sheet: PriceSheet, provider: str) -> PriceSheet:
    """The price in a batch. Raises KeyError for a provider that takes none."""
    return replace(sheet, version=f"{sheet.version}:batch", millions=sheet.millions * BATCH_DIVISORS[provider])


class Cost(msgspec.Struct, frozen=True, array_like=True):
    """Nano-dollars by class. The parts add up to ``total`` exactly; ``total`` was rounded once, half up."""

    input: NanoUSD = 0
    cache_read: NanoUSD = 0
    cache_write: NanoUSD = 0
    output: NanoUSD = 0
    other: NanoUSD = 0
    total: NanoUSD = 0


NO_COST = Cost()


def reported_cost(amount: NanoUSD) -> Cost:
    """What the provider says that a call cost: it tells no classes, so all of it is ``other``."""
    return Cost(other=amount, total=amount)


def cost_of(usage: Usage, sheet: PriceSheet) -> Cost:
    """What ``usage`` costs on ``sheet``.

    Reasoning tokens are a part of the output: they are charged at their own rate and the rest of the output at
    the output rate. Audio, images and server tools are ``other``.
    """
    rates = sheet.rates if not sheet.tiers else sheet.rates_for(usage.prompt_tokens)
    reasoning = min(usage.reasoning, usage.output)
    input_product = usage.input * rates.input
    read_product = usage.cache_read * rates.cache_read
    write_product = usage.cache_write_5m * rates.cache_write_5m + usage.cache_write_1h * rates.cache_write_1h
    output_product = (usage.output - reasoning) * rates.output + reasoning * rates.reasoning
    other_product = (
        usage.audio_input * rates.audio_input
        + usage.audio_output * rates.audio_output
        + usage.images * rates.images
        + usage.web_searches * rates.web_searches
    )
    # Rounding the running sum, and taking differences, makes the parts add up to the once-rounded total.
    millions = sheet.millions
    to_input = round_per_million(input_product, millions)
    to_read = round_per_million(input_product + read_product, millions)
    to_write = round_per_million(input_product + read_product + write_product, millions)
    to_output = round_per_million(input_product + read_product + write_product + output_product, millions)
    total = round_per_million(input_product + read_product + write_product + output_product + other_product, millions)
    return Cost(to_input, to_read - to_input, to_write - to_read, to_output - to_write, total - to_output, total)
