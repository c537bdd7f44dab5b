"""Reading the requests of models and credentials: open objects of parameters, with every digit of a price."""

from typing import Any

import msgspec

from app.admin.models import ModelTerms
from app.api.admin import fields
from app.api.admin.fields import Body, check_names, is_null
from app.base.errors import Unprocessable

_decode_exactly = msgspec.json.Decoder(float_hook=str).decode
_FIELDS = frozenset({"model_name", "litellm_params", "model_info", "blocked"})


def read_object(name: str, body: Body) -> dict[str, Any]:
    """An open object of at most 64 KB and 32 levels; a number with a point is the text of its digits."""
    raw = body.get(name, b"null")
    if is_null(raw):
        return {}
    fields.read_metadata(name, raw)
    found: dict[str, Any] = _decode_exactly(raw)
    return found


def read_new_model(body: Body) -> ModelTerms:
    """Raises Unprocessable."""
    check_names(body, _FIELDS, ())
    for name in ("model_name", "litellm_params"):
        if is_null(body.get(name, b"null")):
            raise Unprocessable(
                f'"{name}" is missing: give {{"model_name": "…", "litellm_params": {{"model": "provider/name"}}}}',
                param=name,
            )
    return _read_terms(body)


def read_model_change(body: Body) -> ModelTerms:
    """Raises Unprocessable."""
    check_names(body, {*_FIELDS, "litellm_params_to_remove"}, ())
    return _read_terms(body)


def _read_terms(body: Body) -> ModelTerms:
    name, blocked = body.get("model_name", b"null"), body.get("blocked", b"null")
    removed = body.get("litellm_params_to_remove", b"null")
    return ModelTerms(
        model_name=msgspec.UNSET if is_null(name) else fields.read_text("model_name", name),
        params=read_object("litellm_params", body),
        info=read_object("model_info", body),
        removed=() if is_null(removed) else fields.read_texts("litellm_params_to_remove", removed),
        blocked=msgspec.UNSET if is_null(blocked) else fields.read_flag("blocked", blocked),
    )
