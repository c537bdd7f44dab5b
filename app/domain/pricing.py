"""Prices in integer nano-dollars per million units, and the one routine that turns usage into cost."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from fractions import Fraction
from typing import Literal

import msgspec

from app.base.money import MILLION, NanoUSD, format_usd
from app.domain.usage import Usage

PriceSource = Literal[
    "database", "config", "imported", "bundled", "fallback", "local", "demo", "reported", "taken_over"
]
"""Where the price of a call is from: ``database`` is an admin's own, ``imported`` a public list that took the place of
the bundled one; ``reported``: the provider itself has told what the call cost; ``taken_over``: the gateway before this
one booked it."""
OPERATORS_OWN: frozenset[PriceSource] = frozenset({"database", "config"})


@dataclass(frozen=True, slots=True)
class Rates:
    """Nano-dollars per million units of each class; images and searches per million pieces."""

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
    file_searches: NanoUSD = 0


RATE_NAMES = tuple(field.name for field in fields(Rates))


@dataclass(frozen=True, slots=True)
class Tier:
    """Rates of a whole request whose prompt has more than ``above_prompt_tokens`` tokens."""

    above_prompt_tokens: int
    rates: Rates


@dataclass(frozen=True, slots=True)
class Service:
    """What a service tier costs (``batch``, ``flex``, ``priority``): a fraction of the standard price, or own rates.

    The fraction is ``parts`` of ``of``, exactly, and of tokens alone, unless ``pieces`` says that images and searches
    have it too. ``rates`` are own ones, for as many millions of units as those of the sheet.
    """

    name: str
    parts: int = 1
    of: int = 1
    pieces: bool = False
    rates: Rates | None = None
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What is taken off a provider's price, and then put on it: billionths, and nano-dollars of each receipt."""

    discount: int = 0
    margin: int = 0
    fixed_nanousd: NanoUSD = 0


NO_TERMS = Terms()
BILLION = 1_000_000_000
MOST_MARGIN = 10
"""The largest margin: ten times the price on top of it."""


_NEVER_REPORTED = frozenset({*OPERATORS_OWN, "local", "demo"})


@dataclass(frozen=True, slots=True)
class PriceSheet:
    """The price of one model at one time. ``version`` stands on every receipt that used it; tiers ascend.

    The rates are for so many ``millions`` of units: half a price is the same rate for twice as many, exactly.
    ``terms`` are those that the rates contain already.
    """

    version: str
    source: PriceSource
    rates: Rates
    tiers: tuple[Tier, ...] = ()
    millions: int = 1
    services: tuple[Service, ...] = ()
    terms: Terms = NO_TERMS

    def costs_nothing(self, *, may_search: bool) -> bool:
        """Of a call that searches the web or not; and it is nothing that the provider itself could put a cost on."""
        if self.source not in _NEVER_REPORTED or self.terms.fixed_nanousd:
            return False
        every = [self.rates, *(tier.rates for tier in self.tiers)]
        every += [service.rates for service in self.services if service.rates is not None]
        names = [name for name in RATE_NAMES if may_search or name != "web_searches"]
        return not any(getattr(rates, name) for rates in every for name in names)

    def rates_for(self, prompt_tokens: int) -> Rates:
        rates = self.rates
        for tier in self.tiers:
            if prompt_tokens > tier.above_prompt_tokens:
                rates = tier.rates
        return rates


@dataclass(frozen=True, slots=True)
class PriceSchedule:
    """The prices of one model over time: each holds from its instant on, the first one since ever."""

    sheets: tuple[tuple[datetime | None, PriceSheet], ...]

    @property
    def source(self) -> PriceSource:
        """Where the price is from; of all times alike."""
        return self.sheets[-1][1].source

    def at(self, instant: datetime) -> PriceSheet:
        sheet = self.sheets[0][1]
        for since, later in self.sheets[1:]:
            if since is not None and instant >= since:
                sheet = later
        return sheet


def always(sheet: PriceSheet) -> PriceSchedule:
    return PriceSchedule(((None, sheet),))


BATCH_DIVISORS: Mapping[str, int] = {"anthropic": 2}
"""The providers that take batches, and by what each divides every price of what was asked in one."""


def batch_sheet(sheet: PriceSheet, provider: str) -> PriceSheet:
    """The price in a batch. Raises KeyError for a provider that takes none."""
    if any(service.name == "batch" for service in sheet.services):
        return at_service(sheet, "batch")
    return _scaled(sheet, f"{sheet.version}:batch", 1, BATCH_DIVISORS[provider], pieces=True)


def at_service(sheet: PriceSheet, service: str) -> PriceSheet:
    """The price at a service tier, or at several joined by ``+``; the standard one where a tier has none of its own."""
    for name in service.split("+") if service else ():
        found = next((one for one in sheet.services if one.name == name), None)
        if found is None:
            continue
        version = f"{sheet.version}:{name}"
        if found.rates is not None:
            sheet = replace(sheet, version=version, rates=found.rates, tiers=found.tiers)
        else:
            sheet = _scaled(sheet, version, found.parts, found.of, pieces=found.pieces)
    return sheet


def with_terms(sheet: PriceSheet, terms: Terms) -> PriceSheet:
    """The price with a discount taken off it, and the margin put on what is left; still exact."""
    if terms == NO_TERMS:
        return sheet
    shares = {"off": terms.discount, "on": terms.margin}
    said = [f"{name}={format_billionths(share)}" for name, share in shares.items() if share]
    said += [f"fee={format_usd(terms.fixed_nanousd)}"] if terms.fixed_nanousd else []
    factor = Fraction((BILLION - terms.discount) * (BILLION + terms.margin), BILLION * BILLION)
    version = ":".join((sheet.version, *said))
    return replace(_scaled(sheet, version, factor.numerator, factor.denominator, pieces=True), terms=terms)


def format_billionths(part: int) -> str:
    """``50000000`` is ``0.05``."""
    whole, fraction = divmod(part, BILLION)
    return f"{whole}.{f'{fraction:09d}'.rstrip('0') or '0'}"


_PIECES = frozenset({"images", "web_searches", "file_searches"})


def _scaled(sheet: PriceSheet, version: str, parts: int, of: int, *, pieces: bool) -> PriceSheet:
    """``parts`` of ``of`` of every price; without ``pieces`` those of images and searches stay what they are."""

    def rates(given: Rates) -> Rates:
        kept = frozenset[str]() if pieces else _PIECES
        return Rates(**{name: getattr(given, name) * (of if name in kept else parts) for name in RATE_NAMES})

    def tiers(given: tuple[Tier, ...]) -> tuple[Tier, ...]:
        return tuple(Tier(tier.above_prompt_tokens, rates(tier.rates)) for tier in given)

    return replace(
        sheet,
        version=version,
        rates=rates(sheet.rates),
        tiers=tiers(sheet.tiers),
        millions=sheet.millions * of,
        services=tuple(
            one if one.rates is None else replace(one, rates=rates(one.rates), tiers=tiers(one.tiers))
            for one in sheet.services
        ),
    )


class Cost(msgspec.Struct, frozen=True, array_like=True):
    """Nano-dollars by class. The parts add up to ``total`` exactly; ``total`` was rounded once, half up."""

    input: NanoUSD = 0
    cache_read: NanoUSD = 0
    cache_write: NanoUSD = 0
    output: NanoUSD = 0
    other: NanoUSD = 0
    total: NanoUSD = 0


NO_COST = Cost()


def reported_cost(amount: NanoUSD, terms: Terms = NO_TERMS) -> Cost:
    """What the provider says that a call cost: it tells no classes, so all of it is ``other``.

    A discount is in the amount already; a margin is not.
    """
    charged = (amount * (BILLION + terms.margin) + BILLION // 2) // BILLION + terms.fixed_nanousd
    return Cost(other=charged, total=charged)


def cost_of(usage: Usage, sheet: PriceSheet) -> Cost:
    """What ``usage`` costs on ``sheet``, which is that of its service tier (``at_service``).

    Reasoning tokens are a part of the output: they are charged at their own rate and the rest of the output at
    the output rate. Audio, images, server tools and the fixed part of a margin are ``other``.
    """
    rates = sheet.rates if not sheet.tiers else sheet.rates_for(usage.prompt_tokens)
    units = MILLION * sheet.millions
    half = units // 2
    # Rounding the running sum, and taking differences, makes the parts add up to the once-rounded total. Most calls
    # have few of the parts.
    running = usage.input * rates.input + half
    to_input = to_read = to_write = running // units
    if usage.cache_read:
        running += usage.cache_read * rates.cache_read
        to_read = to_write = running // units
    if usage.cache_write_5m or usage.cache_write_1h:
        running += usage.cache_write_5m * rates.cache_write_5m + usage.cache_write_1h * rates.cache_write_1h
        to_write = running // units
    if usage.reasoning:
        reasoning = min(usage.reasoning, usage.output)
        running += (usage.output - reasoning) * rates.output + reasoning * rates.reasoning
    else:
        running += usage.output * rates.output
    to_output = total = running // units
    if usage.audio_input or usage.audio_output or usage.images or usage.web_searches or usage.file_searches:
        running += usage.audio_input * rates.audio_input + usage.audio_output * rates.audio_output
        running += usage.images * rates.images + usage.web_searches * rates.web_searches
        running += usage.file_searches * rates.file_searches
        total = running // units
    total += sheet.terms.fixed_nanousd
    return Cost(to_input, to_read - to_input, to_write - to_read, to_output - to_write, total - to_output, total)
