"""The forms of models and prices: their fields become those of ``/model/new`` and ``/price/new``, for the same readers.

Prices are asked for in dollars per million tokens, as price lists have them, and kept in dollars per token.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from app.admin.models import CREDENTIAL_NAME, ModelTerms
from app.admin.prices import PriceTerms
from app.admin.provider_secrets import is_shown
from app.api.admin.fields import nearest_or_all
from app.api.admin.model_fields import read_model_change, read_new_model
from app.api.admin.price_fields import read_price
from app.api.ui.access import Form
from app.api.ui.further_values import read_further
from app.api.ui.typed_numbers import EXAMPLES, plain_number
from app.base.errors import Unprocessable
from app.providers.host_table import HOSTS
from app.storage.postgres.deployments import StoredDeployment

PRICES: Mapping[str, str] = {
    "input_cost_per_token": "Input",
    "output_cost_per_token": "Output",
    "cache_read_input_token_cost": "Read from the cache",
    "cache_creation_input_token_cost": "Written to the cache",
}
_TEXTS = ("api_base", "base_model", "region_name")
_BUDGET = ("max_budget", "budget_duration")
_NUMBERS: Mapping[str, str] = {
    "rpm": "requests a minute", "tpm": "tokens a minute", "weight": "the weight", "order": "the order",
    "max_input_tokens": "the context window", "max_output_tokens": "the longest answer",
}  # fmt: skip
_OF_INFO = ("max_input_tokens", "max_output_tokens", "base_model")
_MODEL = ("model_name", "provider", "upstream_model", "credential", "api_key", "access_groups", "further")
TYPED = (*_MODEL, *_TEXTS, *_NUMBERS, *PRICES, *_BUDGET)
"""All fields of the form of a model."""
_MOST_DIGITS = 30


def read_new(form: Form) -> ModelTerms:
    """Raises Unprocessable."""
    params, info = _read(form)
    body = {"model_name": form.text("model_name"), "litellm_params": _given(params), "model_info": _given(info)}
    return read_new_model({name: msgspec.json.encode(value) for name, value in body.items()})


def read_change(form: Form, stored: StoredDeployment) -> ModelTerms:
    """What the form shows is set or taken away; secrets that are left empty stay. Raises Unprocessable."""
    params, info = _read(form)
    shown = _shown_further(stored)
    removed = [name for name in shown if name not in params]
    if not form.text("api_key"):
        params.pop("api_key")
    # A price that the API has put beside the model would hold before the one of this form.
    info |= {name: None for name in PRICES if name in stored.model_info}
    body = {
        "model_name": form.text("model_name"), "litellm_params": params, "model_info": info,
        "litellm_params_to_remove": removed,
    }  # fmt: skip
    return read_model_change({name: msgspec.json.encode(value) for name, value in body.items()})


def typed_of(stored: StoredDeployment) -> dict[str, str]:
    """The form of a model as it stands; no secret is in it."""
    params, info = stored.litellm_params, stored.model_info
    provider, _, upstream_model = str(params.get("model", "")).partition("/")
    typed = dict.fromkeys(TYPED, "")
    typed |= {"model_name": stored.model_name, "provider": provider, "upstream_model": upstream_model}
    typed |= {"credential": stored.credential_name or ""}
    typed |= {"access_groups": ", ".join(info.get("access_groups") or ())}
    for name in (*_TEXTS, *_NUMBERS):
        value = (info if name in _OF_INFO else params).get(name)
        typed[name] = "" if value is None else str(value)
    for name in PRICES:
        value = params.get(name, info.get(name))
        typed[name] = "" if value is None else _plain(Decimal(str(value)).scaleb(6))
    if params.get("max_budget") is not None:
        typed["max_budget"] = _plain(Decimal(str(params["max_budget"])))
        typed["budget_duration"] = str(params.get("budget_duration") or "total")
    typed["further"] = "\n".join(f"{name} = {params[name]}" for name in _shown_further(stored))
    return typed


def read_dated_price(form: Form, provider: str, model: str, organization_id: str | None = None) -> PriceTerms:
    """Raises Unprocessable."""
    body: dict[str, Any] = {"provider": provider, "model": model, "organization_id": organization_id}
    body |= {name: price for name in PRICES if (price := _price(form, name)) is not None}
    if since := form.text("effective_from"):
        body["effective_from"] = since
    return read_price({name: msgspec.json.encode(value) for name, value in body.items()})


def _read(form: Form) -> tuple[dict[str, Any], dict[str, Any]]:
    """``litellm_params`` and ``model_info``; None for what is left empty."""
    provider, upstream_model = form.text("provider"), form.text("upstream_model")
    if not form.text("model_name"):
        raise Unprocessable("the name is missing: give the one that clients ask for", param="model_name")
    if provider not in HOSTS:
        raise Unprocessable(
            f'provider "{provider[:60]}" is not known; {nearest_or_all(provider, HOSTS)}', param="provider"
        )
    if not upstream_model:
        raise Unprocessable("the model is missing: give its name at the provider", param="upstream_model")
    params: dict[str, Any] = {"model": f"{provider}/{upstream_model}"}
    info: dict[str, Any] = {"access_groups": _listed(form.text("access_groups"))}
    for name in _TEXTS:
        (info if name in _OF_INFO else params)[name] = form.text(name) or None
    for name, words in _NUMBERS.items():
        (info if name in _OF_INFO else params)[name] = _whole(name, words, form.text(name))
    params[CREDENTIAL_NAME] = form.text("credential") or None
    params["api_key"] = form.text("api_key") or None
    params |= {name: _price(form, name) for name in PRICES}
    params["max_budget"] = _dollars(form)
    # Without a budget its window says nothing.
    params["budget_duration"] = form.text("budget_duration") or None if form.text("max_budget") else None
    return params | read_further(form.raw("further")), info


def _shown_further(stored: StoredDeployment) -> list[str]:
    """The parameters that have no field of their own."""
    own = {"model", CREDENTIAL_NAME, "api_key", *_TEXTS, *_NUMBERS, *PRICES, *_BUDGET}
    return [name for name in stored.litellm_params if name not in own and is_shown(name)]


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value not in (None, [])}


def _listed(written: str) -> list[str]:
    return [one.strip() for one in written.split(",") if one.strip()]


def _whole(name: str, words: str, written: str) -> int | None:
    if not written:
        return None
    digits = plain_number(written) or ""
    if not digits.isdigit() or len(digits) > _MOST_DIGITS:
        raise Unprocessable(f'{words} is "{written[:40]}"; give a whole number', param=name)
    return int(digits)


def _price(form: Form, name: str) -> msgspec.Raw | None:
    """Dollars per million, as a number of dollars per token."""
    written = form.text(name)
    if not written:
        return None
    plain = plain_number(written)
    if plain is None or len(plain) > _MOST_DIGITS:
        raise Unprocessable(
            f'the price of "{PRICES[name]}" is "{written[:40]}"; give dollars per million tokens, such as 3 or 0.25',
            param=name,
        )
    return msgspec.Raw(f"{Decimal(plain).scaleb(-6):f}".encode())


def _dollars(form: Form) -> msgspec.Raw | None:
    written = form.text("max_budget")
    if not written:
        return None
    plain = plain_number(written)
    if plain is None or len(plain) > _MOST_DIGITS:
        raise Unprocessable(
            f'the budget is "{written[:40]}"; give an amount in dollars, {EXAMPLES}', param="max_budget"
        )
    return msgspec.Raw(plain.encode())


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
