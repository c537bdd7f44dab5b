"""The fields of the key requests: which are enforced, which are known, and how each becomes a term."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET

from app.admin.budget_terms import BudgetTerms
from app.admin.key_terms import FOREVER, KEY_TYPE_ROUTES, KeyTerms
from app.api.admin import fields
from app.api.admin.budget_fields import BUDGET, LIMITS
from app.api.admin.fields import Body, Reader, is_null, read_terms
from app.base.errors import Unprocessable
from app.domain.budgets import Duration


def _read_key_type(name: str, raw: bytes) -> str:
    key_type = fields.read_text(name, raw)
    if key_type not in KEY_TYPE_ROUTES:
        raise Unprocessable(f'"{name}" is "{key_type}"; give one of {", ".join(KEY_TYPE_ROUTES)}', param=name)
    return key_type


def _read_lifetime(name: str, raw: bytes) -> Duration | str:
    return FOREVER if raw == b'"-1"' else fields.read_duration(name, raw)


# Name of the field: name of the term, how it is read, what null means.
_TERMS: dict[str, tuple[str, Reader, Any]] = {
    "key_alias": ("key_alias", fields.read_text, None),
    "models": ("models", fields.read_texts, ()),
    "aliases": ("aliases", fields.read_text_map, {}),
    "budget_fallbacks": ("budget_fallbacks", fields.read_text_lists, {}),
    "duration": ("duration", fields.read_duration, None),
    "blocked": ("blocked", fields.read_flag, UNSET),
    "allowed_routes": ("allowed_routes", fields.read_texts, ()),
    "metadata": ("metadata", fields.read_owner_metadata, {}),
    "tags": ("tags", fields.read_texts, ()),
    "user_id": ("user_id", fields.read_text, None),
    "team_id": ("team_id", fields.read_text, None),
    "project_id": ("project_id", fields.read_text, None),
    "allowed_model_region": ("allowed_model_region", fields.read_region, None),
    "organization_id": ("organization_id", fields.read_text, UNSET),
    "access_group_ids": ("group_ids", fields.read_texts, UNSET),
}
_CHANGES: dict[str, tuple[str, Reader, Any]] = {**_TERMS, "duration": ("duration", _read_lifetime, UNSET)}

NOT_ENFORCED = frozenset(
    {
        "agent_id", "allowed_cache_controls", "allowed_passthrough_routes",
        "allowed_vector_store_indexes", "auto_rotate", "config",
        "default_estimated_output_tokens", "default_estimated_output_tokens_per_model",
        "denied_passthrough_routes", "disable_global_guardrails", "enable_prompt_caching",
        "end_user_budget_id", "enforced_params", "guardrails", "mcp_rpm_limit",
        "object_permission", "permissions", "policies",
        "prompts", "rotation_interval", "router_settings", "rpm_limit_type", "send_invite_email",
        "tag_rpm_limit", "throttle_on_budget_exceeded", "tpm_limit_type",
    }
)  # fmt: skip
_ONLY_UPDATE = frozenset({"key_type"})


def read_generate(body: Body) -> tuple[KeyTerms, str | None]:
    """The terms, and the key that the admin supplies. Raises Unprocessable."""
    fields.check_names(body, {*_TERMS, *BUDGET, *LIMITS, "key", "key_type", "spend"}, NOT_ENFORCED)
    _refuse_spend(body)
    readers = {**_TERMS, "key_type": ("key_type", _read_key_type, UNSET)}
    return _read_terms(body, readers), _optional(body, "key")


def read_update(body: Body) -> tuple[str, KeyTerms]:
    """The key meant, and the terms that change. Raises Unprocessable."""
    fields.check_names(body, {*_TERMS, *BUDGET, *LIMITS, "key", "spend"}, NOT_ENFORCED | _ONLY_UPDATE)
    _refuse_another_spend(body)
    return require_key(body), _read_terms(body, _CHANGES)


def read_regenerate(body: Body, named: str | None) -> tuple[str, KeyTerms, str | None, Duration | None]:
    """The key meant (``named`` in the address, or in the body), the terms that change with it, the new key if the
    admin supplies one, and the grace of the old one. Raises Unprocessable."""
    further = {"key", "new_key", "grace_period", "spend"}
    fields.check_names(body, {*_TERMS, *BUDGET, *LIMITS, *further}, NOT_ENFORCED | _ONLY_UPDATE | {"new_master_key"})
    _refuse_another_spend(body)
    terms = _read_terms(body, _CHANGES)
    grace = body.get("grace_period", b"null")
    period = None if grace in (b"null", b'""', b'"0s"', b'"0"') else fields.read_duration("grace_period", grace)
    return named or require_key(body), terms, _optional(body, "new_key"), period


def require_key(body: Body) -> str:
    """The ``key`` field. Raises Unprocessable."""
    key = _optional(body, "key")
    if key is None:
        raise Unprocessable('"key" is missing: name a key by itself, by its id or by its SHA-256', param="key")
    return key


def _optional(body: Body, name: str) -> str | None:
    raw = body.get(name, b"null")
    return None if is_null(raw) else fields.read_text(name, raw)


def _read_terms(body: Body, readers: Mapping[str, tuple[str, Reader, Any]]) -> KeyTerms:
    terms = read_terms(body, readers)
    _move_tags(terms)
    return KeyTerms(**terms, budget=BudgetTerms(**read_terms(body, BUDGET)), limits=read_terms(body, LIMITS))


def _move_tags(terms: dict[str, Any]) -> None:
    """LiteLLM keeps a key's tags in its metadata, and answers them there: clients write back what they read."""
    metadata = terms.get("metadata")
    if not metadata or "tags" not in metadata:
        return
    tags = metadata["tags"] or []
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise Unprocessable('"metadata" holds "tags" that are not a list of texts', param="metadata")
    terms["metadata"] = {name: value for name, value in metadata.items() if name != "tags"}
    terms.setdefault("tags", tuple(tags))


def _refuse_spend(body: Body) -> None:
    if "spend" in body and not is_null(body["spend"]) and fields.read_amount("spend", body["spend"]) != 0:
        raise Unprocessable('"spend" of a new key is 0: it is the sum of its receipts and cannot be set', param="spend")


def _refuse_another_spend(body: Body) -> None:
    if not is_null(body.get("spend", b"null")):
        raise Unprocessable(
            '"spend" is the sum of the key\'s receipts and cannot be set; POST /key/{key}/reset_spend lets its budget '
            "count anew",
            param="spend",
        )
