"""LiteLLM's price fields (``input_cost_per_token``, ``cache_read_input_token_cost_above_200k_tokens``, …) as rates."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_UP, Decimal

from app.base.money import price_per_million
from app.domain.pricing import Rates, Tier

# LiteLLM's field: the class of ours, in dollars per unit.
_FIELDS = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "input_cost_per_token_cache_hit": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "output_cost_per_reasoning_token": "reasoning",
    "input_cost_per_audio_token": "audio_input",
    "output_cost_per_audio_token": "audio_output",
    "output_cost_per_image": "images",
    "search_context_cost_per_query": "web_searches",
}
_FOLLOWS_OUTPUT = frozenset({"output", "reasoning", "audio_output"})
_BY_THE_PIECE = frozenset({"images", "web_searches"})
_TIER = re.compile(r"(?P<field>.+)_above_(?P<thousands>\d{1,5})k_tokens", re.ASCII)


@dataclass(frozen=True, slots=True)
class PriceField:
    """What a field's name means: a class of ``Rates``, for prompts above so many tokens (0: for all)."""

    rate: str
    above_prompt_tokens: int


def read_price_field(name: str) -> PriceField | None:
    """None for a name that is no price, or one that is not honoured (batches, priority tiers, seconds)."""
    tier = _TIER.fullmatch(name)
    field, above = (tier["field"], int(tier["thousands"]) * 1000) if tier is not None else (name, 0)
    rate = _FIELDS.get(field)
    return None if rate is None else PriceField(rate, above)


def written_with(base: Rates, written: Mapping[str, Decimal]) -> Rates:
    """The rates as written; a class that is not follows its leading rate in the proportion of ``base``."""
    return _following(base, _at(written, 0))


def written_tiers(rates: Rates, known: tuple[Tier, ...], written: Mapping[str, Decimal]) -> tuple[Tier, ...]:
    """The tiers as written, each over the one below it.

    Known tiers are kept only where the input and output rates are not the operator's own, with the classes
    that are put in their place.
    """
    plain = _at(written, 0)
    thresholds = sorted({above for name in written if (above := _above(name))})
    if not thresholds:
        if {"input", "output"} & plain.keys():
            return ()
        return tuple(Tier(tier.above_prompt_tokens, replace(tier.rates, **plain)) for tier in known)
    tiers = []
    for threshold in thresholds:
        rates = _following(rates, _at(written, threshold))
        tiers.append(Tier(threshold, rates))
    return tuple(tiers)


def _above(name: str) -> int:
    field = read_price_field(name)
    return 0 if field is None else field.above_prompt_tokens


def _at(written: Mapping[str, Decimal], above_prompt_tokens: int) -> dict[str, int]:
    found = {}
    for name, dollars in written.items():
        field = read_price_field(name)
        if field is not None and field.above_prompt_tokens == above_prompt_tokens:
            found[field.rate] = price_per_million(dollars)
    return found


def _following(base: Rates, given: dict[str, int]) -> Rates:
    rates = {}
    for field in fields(Rates):
        leader = "output" if field.name in _FOLLOWS_OUTPUT else "input"
        before = getattr(base, field.name)
        if field.name in given:
            rates[field.name] = given[field.name]
        elif field.name in _BY_THE_PIECE or leader not in given:
            rates[field.name] = before
        else:
            rates[field.name] = _in_proportion(before, getattr(base, leader), given[leader])
    return Rates(**rates)


def _in_proportion(rate: int, leader_before: int, leader: int) -> int:
    if leader_before == 0:
        return leader
    return int((Decimal(rate) * leader / leader_before).to_integral_value(ROUND_HALF_UP))
