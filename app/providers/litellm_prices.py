"""LiteLLM's public list of prices (``model_prices_and_context_window.json``): whose prices its entries are."""

from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Any

from app.base.errors import Unprocessable
from app.providers.host_table import HOSTS
from app.providers.written_prices import read_price_field

MOST_DOLLARS = 1000
_SAMPLE = "sample_spec"
_SEARCHES = "search_context_cost_per_query"
_PROVIDERS = {"bedrock_converse": "bedrock", "cohere_chat": "cohere", "text-completion-openai": "openai"}


def provider_of(name: str) -> str | None:
    """Ours for one of LiteLLM's (``vertex_ai-language-models``); None for one that is not known or is free by rule."""
    plain = _PROVIDERS.get(name, "vertex_ai" if name.startswith("vertex_ai") else name)
    host = HOSTS.get(plain)
    return None if host is None or host.local or plain == "demo" else plain


def price_fields(entry: object) -> dict[str, Any]:
    """The prices of an entry that are honoured, as written."""
    fields = entry if isinstance(entry, Mapping) else {}
    return {name: value for name, value in fields.items() if value is not None and read_price_field(name) is not None}


def read_entries(models: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Decimal]]]:
    """Provider, model and prices in dollars per unit. Raises Unprocessable for a price that no model can have."""
    for name, entry in models.items():
        provider = provider_of(str(entry.get("litellm_provider"))) if isinstance(entry, Mapping) else None
        fields = price_fields(entry)
        if name == _SAMPLE or provider is None or not fields.keys() & {"input_cost_per_token", "output_cost_per_image"}:
            continue
        model = name.removeprefix(f"{provider}/").removeprefix(f"{entry['litellm_provider']}/")
        yield provider, model, {field: _dollars(name, field, value) for field, value in fields.items()}


def slimmed(models: Mapping[str, Any]) -> dict[str, Any]:
    """What ``read_entries`` looks at, and no more."""
    kept: Collection[str] = ("litellm_provider",)
    return {
        name: {field: entry[field] for field in kept if field in entry} | price_fields(entry)
        for name, entry in models.items()
        if isinstance(entry, Mapping) and price_fields(entry)
    }


def _dollars(model: str, field: str, value: object) -> Decimal:
    if isinstance(value, Mapping) and field == _SEARCHES:
        value = value.get("search_context_size_medium", next(iter(value.values()), None))
    try:
        dollars = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except ArithmeticError:
        dollars = None
    if dollars is None or not dollars.is_finite() or not 0 <= dollars <= MOST_DOLLARS:
        raise Unprocessable(
            f'"{field}" of "{model}" is {str(value)[:40]}; a price is from 0 to {MOST_DOLLARS} dollars per unit',
            param=f"prices.{model}.{field}",
        )
    return dollars
