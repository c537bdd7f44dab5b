"""LiteLLM's price fields (``input_cost_per_token``, ``cache_read_input_token_cost_above_200k_tokens``, …) as rates."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from decimal import ROUND_HALF_UP, Decimal

from app.base.money import price_per_million
from app.domain.pricing import Rates, Service, Tier

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
    "file_search_cost_per_1k_calls": "file_searches",
}
_FOLLOWS_OUTPUT = frozenset({"output", "reasoning", "audio_output"})
_BY_THE_PIECE = frozenset({"images", "web_searches", "file_searches"})
_OF_A_THOUSAND = frozenset({"file_searches"})
_TIER = re.compile(r"(?P<field>.+)_above_(?P<thousands>\d{1,5})k_tokens", re.ASCII)
_SERVICE = re.compile(r"(?P<field>.+)_(?P<service>flex|priority|batches)", re.ASCII)
_SERVICE_NAMES = {"batches": "batch"}


@dataclass(frozen=True, slots=True)
class PriceField:
    """What a field's name means: a class of ``Rates``, for prompts above so many tokens (0: for all), at a service
    tier (empty: the standard one)."""

    rate: str
    above_prompt_tokens: int
    service: str = ""


def read_price_field(name: str) -> PriceField | None:
    """None for a name that is no price, or one that is not honoured (by the second, by the pixel)."""
    at_service = _SERVICE.fullmatch(name)
    plain, service = (at_service["field"], at_service["service"]) if at_service is not None else (name, "")
    tier = _TIER.fullmatch(plain)
    field, above = (tier["field"], int(tier["thousands"]) * 1000) if tier is not None else (plain, 0)
    rate = _FIELDS.get(field)
    return None if rate is None else PriceField(rate, above, _SERVICE_NAMES.get(service, service))


def written_with(base: Rates, written: Mapping[str, Decimal]) -> Rates:
    """The rates as written; a class that is not follows its leading rate in the proportion of ``base``."""
    return _following(base, _at(written, 0))


def written_tiers(rates: Rates, known: tuple[Tier, ...], written: Mapping[str, Decimal]) -> tuple[Tier, ...]:
    """The tiers as written, each over the one below it.

    Known tiers are kept only where the input and output rates are not the operator's own, with the classes
    that are put in their place.
    """
    plain = _at(written, 0)
    stepped = _stepped(rates, written, "")
    if stepped or {"input", "output"} & plain.keys():
        return stepped
    return tuple(Tier(tier.above_prompt_tokens, replace(tier.rates, **plain)) for tier in known)


def written_services(rates: Rates, written: Mapping[str, Decimal]) -> tuple[Service, ...]:
    """The service tiers as written; what one of them does not name follows its standard price."""
    names = dict.fromkeys(field.service for name in written if (field := read_price_field(name)) and field.service)
    found = []
    for name in names:
        own = _following(rates, _at(written, 0, name))
        found.append(Service(name, rates=own, tiers=_stepped(own, written, name)))
    return tuple(found)


def _stepped(rates: Rates, written: Mapping[str, Decimal], service: str) -> tuple[Tier, ...]:
    """The tiers of prompts that are written for a service tier, each over the one below it."""
    fields = (field for name in written if (field := read_price_field(name)) and field.service == service)
    tiers = []
    for threshold in sorted({field.above_prompt_tokens for field in fields} - {0}):
        rates = _following(rates, _at(written, threshold, service))
        tiers.append(Tier(threshold, rates))
    return tuple(tiers)


def _at(written: Mapping[str, Decimal], above_prompt_tokens: int, service: str = "") -> dict[str, int]:
    found = {}
    for name, dollars in written.items():
        field = read_price_field(name)
        if field is not None and (field.above_prompt_tokens, field.service) == (above_prompt_tokens, service):
            found[field.rate] = price_per_million(dollars.scaleb(-3) if field.rate in _OF_A_THOUSAND else dollars)
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
