"""Keys as LiteLLM answers them, with every field that its clients read; what we do not keep is null or empty."""

from collections.abc import Sequence
from typing import Any

from app.admin.key_parts import PartUse
from app.admin.key_reading import KeyView
from app.admin.keys import IssuedKey
from app.api.admin.answers import number, optional_number
from app.api.admin.budget_answers import render_limits, render_parts

_ROUTER_SETTINGS: dict[str, Any] = {
    "routing_strategy_args": None,
    "routing_strategy": None,
    "routing_groups": None,
    "retry_policy": None,
    "model_group_retry_policy": None,
    "model_group_affinity_config": None,
    "allowed_fails": None,
    "cooldown_time": None,
    "num_retries": None,
    "timeout": None,
    "max_retries": None,
    "retry_after": None,
    "fallbacks": None,
    "context_window_fallbacks": None,
    "content_policy_fallbacks": None,
    "model_group_alias": {},
    "enable_tag_filtering": None,
    "weights": None,
    "tag_routing_prefix": None,
    "optional_pre_call_checks": None,
    "fallback_on_unsupported_params": None,
}
_UNUSED_ON_GENERATE = (
    "duration",
    "agent_id",
    "mcp_rpm_limit",
    "tag_rpm_limit",
    "guardrails",
    "policies",
    "prompts",
    "object_permission",
    "default_estimated_output_tokens",
    "default_estimated_output_tokens_per_model",
    "end_user_budget_id",
    "disable_global_guardrails",
    "enable_prompt_caching",
    "throttle_on_budget_exceeded",
    "enforced_params",
    "allowed_passthrough_routes",
    "denied_passthrough_routes",
    "allowed_vector_store_indexes",
    "rpm_limit_type",
    "tpm_limit_type",
    "litellm_budget_table",
)
_UNUSED_IN_INFO = (
    "agent_id",
    "policies",
    "object_permission_id",
    "object_permission",
    "rotation_interval",
    "key_rotation_at",
    "litellm_budget_table",
    "router_settings",
)


def render_issued(issued: IssuedKey) -> dict[str, Any]:
    """The answer of /key/generate and /key/regenerate: the only one that holds the key itself."""
    key = issued.view.key
    return {
        **dict.fromkeys(_UNUSED_ON_GENERATE),
        **_common(issued.view),
        "key": issued.secret,
        "spend": number(issued.view.spend_nanousd),
        "blocked": key.blocked or None,
        "tags": key.tags or None,
        "router_settings": _ROUTER_SETTINGS,
        "token": key.key_id,
        "token_id": key.key_id,
    }


def render_info(view: KeyView, parts: Sequence[PartUse] = ()) -> dict[str, Any]:
    """The ``info`` of /key/info: the key's row without its token. ``parts`` are asked for where one key is read."""
    key = view.key
    info = {
        **dict.fromkeys(_UNUSED_IN_INFO),
        **_common(view),
        "soft_budget_cooldown": False,
        "spend": number(view.spend_nanousd),
        "total_spend": number(view.total_spend_nanousd),
        "budget_reset_at": view.budget_resets_at,
        "model_spend": {},
        "settings_updated_at": key.updated_at,
        "last_active": key.last_active_at,
        "rotation_count": key.rotation_count,
        "auto_rotate": False,
        "last_rotation_at": key.last_rotation_at,
        "status": view.status,
        "model_max_budget_usage": {part.budget.model: _part_usage(part) for part in parts if part.budget.model},
        "budget_limits_usage": {part.duration: _part_usage(part) for part in parts if not part.budget.model},
    }
    if key.deleted_at is not None:
        info |= {"deleted_at": key.deleted_at, "deleted_by": key.deleted_by}
    return info


def render_row(view: KeyView) -> dict[str, Any]:
    """A key's row with its token: what /key/block answers and /key/list lists."""
    return {"token": view.key.key_id, **render_info(view)}


def _part_usage(part: PartUse) -> dict[str, Any]:
    return {
        "current_spend": number(part.spent_nanousd),
        "budget_limit": number(part.budget.limit_nanousd),
        "time_period": part.duration,
        "reset_at": part.resets_at,
    }


def _common(view: KeyView) -> dict[str, Any]:
    key = view.key
    return {
        "key_name": f"sk-...{key.last_four}",
        "key_alias": key.key_alias,
        "key_type": key.key_type,
        "models": key.models,
        "aliases": key.aliases,
        "allowed_model_region": key.allowed_model_region,
        "config": {},
        "permissions": {},
        "user_id": key.user_id,
        "team_id": key.team_id,
        "project_id": key.project_id,
        "organization_id": key.organization_id,
        **render_limits(key),
        "max_budget": optional_number(key.limit_nanousd),
        "soft_budget": optional_number(key.soft_limit_nanousd),
        **render_parts(
            key.budget_timezone, key.budget_windows, key.model_budgets, key.increase_nanousd, key.increase_until
        ),
        "budget_duration": key.budget_duration,
        "on_exceed": key.on_exceed,
        "budget_id": key.budget_id,
        "budget_fallbacks": key.budget_fallbacks,
        "allowed_cache_controls": [],
        "allowed_routes": key.allowed_routes,
        "access_group_ids": view.group_ids,
        "blocked": key.blocked,
        "metadata": {**key.metadata, "tags": key.tags} if key.tags else key.metadata,
        "expires": key.expires_at,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "updated_at": key.updated_at,
        "updated_by": key.updated_by,
    }
