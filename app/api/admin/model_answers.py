"""Models as LiteLLM answers them: rows of its table, its lists of deployments and of groups. Never a secret."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from app.admin.models import CREDENTIAL_NAME
from app.base.clock import now
from app.domain.catalog import Deployment, Model
from app.providers.written_prices import read_price_field
from app.storage.postgres.deployments import StoredDeployment

_DOLLARS_PER_TOKEN = -15  # of nano-dollars per million
_RATES = {
    "input_cost_per_token": "input",
    "output_cost_per_token": "output",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
}


def render_row(stored: StoredDeployment) -> dict[str, Any]:
    """A row of LiteLLM's table of models."""
    return {
        "model_id": stored.deployment_id,
        "model_name": stored.model_name,
        "litellm_params": render_params(stored),
        "model_info": {**_with_numbers(stored.model_info), **_life(stored)},
        "blocked": stored.blocked,
        "created_at": stored.created_at,
        "created_by": stored.created_by,
        "updated_at": stored.updated_at,
        "updated_by": stored.updated_by,
    }


def render_params(stored: StoredDeployment) -> dict[str, Any]:
    shared = {} if stored.credential_name is None else {CREDENTIAL_NAME: stored.credential_name}
    return {**_with_numbers(stored.litellm_params), **shared}


def render_entry(
    model: Model, deployment: Deployment, stored: StoredDeployment | None, *, addresses: bool
) -> dict[str, Any]:
    """One deployment as it is served; ``addresses`` are shown to who reads everything."""
    params: dict[str, Any] = {"model": f"{deployment.provider}/{deployment.upstream_model}"}
    if addresses:
        params |= {"api_base": deployment.api_base, **({} if stored is None else render_params(stored))}
    kept = {} if stored is None else {**_with_numbers(stored.model_info), **_life(stored)}
    return {
        "model_name": model.name,
        "litellm_params": params,
        "model_info": {
            **kept,
            "id": deployment.deployment_id,
            "db_model": stored is not None,
            "key": deployment.upstream_model,
            "litellm_provider": deployment.provider,
            "display_name": model.display_name,
            "description": model.description,
            "access_groups": list(model.access_groups),
            "max_tokens": model.max_output_tokens,
            "max_input_tokens": model.max_input_tokens,
            "max_output_tokens": model.max_output_tokens,
            **_rates(deployment),
            "price_source": deployment.prices.source,
            "discoverable": model.listed,
        },
    }


def render_unserved(stored: StoredDeployment, why: str | None) -> dict[str, Any]:
    """One that is made and not served: blocked, or lacking something that ``unusable`` names."""
    row = render_row(stored)
    info = {**row["model_info"], "blocked": stored.blocked, "unusable": why}
    return {"model_name": stored.model_name, "litellm_params": row["litellm_params"], "model_info": info}


def render_group(model: Model) -> dict[str, Any]:
    """A line of LiteLLM's ``/model_group/info``: the dearest of the deployments, so that nobody is surprised."""
    rates = [_rates(deployment) for deployment in model.deployments]
    dearest = {name: max((rate[name] for rate in rates), key=_decimal) for name in _RATES}
    return {
        "model_group": model.name,
        "providers": list(dict.fromkeys(deployment.provider for deployment in model.deployments)),
        "max_input_tokens": model.max_input_tokens,
        "max_output_tokens": model.max_output_tokens,
        **dearest,
        "mode": "chat",
        "tpm": None,
        "rpm": None,
        "supports_function_calling": all(deployment.native_tools is not False for deployment in model.deployments),
        "is_public_model_group": False,
        "access_groups": list(model.access_groups),
        "display_name": model.display_name,
    }


def _life(stored: StoredDeployment) -> dict[str, Any]:
    return {
        "id": stored.deployment_id,
        "db_model": True,
        "created_at": stored.created_at,
        "created_by": stored.created_by,
        "updated_at": stored.updated_at,
        "updated_by": stored.updated_by,
    }


def _rates(deployment: Deployment) -> dict[str, msgspec.Raw]:
    rates = deployment.prices.at(now()).rates
    return {name: _number(Decimal(getattr(rates, rate)).scaleb(_DOLLARS_PER_TOKEN)) for name, rate in _RATES.items()}


def _with_numbers(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Prices and budgets are kept as texts of their digits, and answered as numbers with all of them."""
    return {
        name: _number(Decimal(value)) if _is_amount(name) and isinstance(value, str) else value
        for name, value in fields.items()
    }


def _is_amount(name: str) -> bool:
    return name == "max_budget" or read_price_field(name) is not None


def _number(value: Decimal) -> msgspec.Raw:
    text = f"{value:f}"
    return msgspec.Raw((text.rstrip("0").rstrip(".") if "." in text else text).encode() or b"0")


def _decimal(raw: msgspec.Raw) -> Decimal:
    return Decimal(bytes(raw).decode())


def pages_of(rows: Iterable[dict[str, Any]], page: int, size: int) -> dict[str, Any]:
    """LiteLLM's page of ``/v2/model/info``."""
    listed = list(rows)
    return {
        "data": listed[(page - 1) * size : page * size],
        "total_count": len(listed),
        "current_page": page,
        "size": size,
        "total_pages": -(-len(listed) // size),
    }
