"""Prices as they are answered: dollars per unit by LiteLLM's names, with every digit."""

from decimal import Decimal
from typing import Any

import msgspec

from app.admin.prices import TermValue
from app.api.admin.answers import number
from app.domain.price_list import ANY_PROVIDER
from app.domain.pricing import PriceSheet, Rates, Terms, format_billionths
from app.storage.postgres.prices import StoredPrice

NAMES = {
    "input": "input_cost_per_token",
    "output": "output_cost_per_token",
    "cache_read": "cache_read_input_token_cost",
    "cache_write_5m": "cache_creation_input_token_cost",
    "cache_write_1h": "cache_creation_input_token_cost_above_1hr",
    "reasoning": "output_cost_per_reasoning_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_output": "output_cost_per_audio_token",
    "images": "output_cost_per_image",
    "web_searches": "search_context_cost_per_query",
    "file_searches": "file_search_cost_per_1k_calls",
}
_UNITS = {"file_searches": 1000}
"""For how many a price is written, where that is not one."""
_SERVICES = {"batch": "batches"}
_NANO_PER_MILLION = Decimal(10) ** 15


def render_price(stored: StoredPrice) -> dict[str, Any]:
    """A row: ``withdrawn`` ends what stood before it."""
    dated = stored.dated
    return {
        "price_id": dated.price_id,
        "kind": dated.kind,
        "provider": dated.provider,
        "model": dated.model,
        "organization_id": dated.organization_id,
        "effective_from": dated.effective_from,
        "withdrawn": dated.sheet is None,
        **({} if dated.sheet is None else render_rates(dated.sheet)),
        "created_at": stored.created_at,
        "created_by": stored.created_by,
    }


def render_rates(sheet: PriceSheet) -> dict[str, Any]:
    """The classes and tiers that cost something; service tiers with rates of their own in LiteLLM's way."""
    told = _rates(sheet.rates, sheet.millions)
    for tier in sheet.tiers:
        told |= _rates(tier.rates, sheet.millions, f"_above_{tier.above_prompt_tokens // 1000}k_tokens")
    for service in sheet.services:
        name = _SERVICES.get(service.name, service.name)
        if service.rates is not None:
            told |= _rates(service.rates, sheet.millions, f"_{name}")
    return told


def render_services(sheet: PriceSheet) -> dict[str, Any]:
    """What each service tier takes of the standard price, where that is a proportion."""
    return {one.name: _exact(Decimal(one.parts) / one.of) for one in sheet.services if one.rates is None}


def render_terms(terms: Terms) -> dict[str, Any]:
    return {
        "discount": msgspec.Raw(format_billionths(terms.discount).encode()),
        "margin": msgspec.Raw(format_billionths(terms.margin).encode()),
        "fixed_amount": number(terms.fixed_nanousd),
    }


def render_discounts(values: dict[str, TermValue]) -> dict[str, Any]:
    return {name: msgspec.Raw(format_billionths(value.share or 0).encode()) for name, value in values.items()}


def render_margins(values: dict[str, TermValue]) -> dict[str, Any]:
    """A plain fraction where there is no fixed amount, as LiteLLM writes it."""
    told: dict[str, Any] = {}
    for provider, value in values.items():
        share = msgspec.Raw(format_billionths(value.share or 0).encode())
        name = "global" if provider == ANY_PROVIDER else provider
        fixed = {"percentage": share, "fixed_amount": number(value.fixed_nanousd)}
        told[name] = fixed if value.fixed_nanousd else share
    return told


def _rates(rates: Rates, millions: int, suffix: str = "") -> dict[str, Any]:
    return {
        f"{wire}{suffix}": _exact(Decimal(getattr(rates, name) * _UNITS.get(name, 1)) / millions / _NANO_PER_MILLION)
        for name, wire in NAMES.items()
        if getattr(rates, name) or name in {"input", "output"}
    }


def _exact(value: Decimal) -> msgspec.Raw:
    text = f"{value:f}"
    return msgspec.Raw((text.rstrip("0").rstrip(".") if "." in text else text).encode())
