"""The running settings as people read them: in groups, secrets only as set or not."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from app.api.ui.machine import SettingGroup, ShownSetting
from app.api.ui.rendering import exact_usd
from app.api.ui.role_words import role_name
from app.base.secret import Secret
from app.settings.settings import Settings

_GROUPS: Mapping[str, Sequence[str]] = {
    "Serving": (
        "host", "port", "workers", "public_url", "trusted_proxies", "open_mode", "home", "config_path", "log_level",
        "log_format", "shutdown_grace_s",
    ),
    "Stores and secrets": ("database_url", "redis_url", "master_key", "secret", "credential_secret"),
    "Models": (
        "model", "has_model_list", "model_entries", "model_aliases", "provider_budgets", "credentials", "demo_models",
        "model_list_format", "allowed_upstreams", "unpriced_models", "price_terms",
    ),
    "Money": (
        "max_budget_nanousd", "budget_duration", "max_customer_budget_nanousd", "max_customer_budget_id", "on_exceed",
        "budget_exceeded_status", "cached_token_percent", "admission_wait_s", "lease_s", "receipts_retention",
        "retention_export",
    ),
    "Sign-in": ("password_sign_in", "claude_code_sign_in", "claude_code_native_enabled", "claude_code_owner"),
}  # fmt: skip
_PREFIXES: Mapping[str, tuple[str, ...]] = {
    "Sign-in": ("oidc_",),
    "Alerts": ("alert", "slack_", "smtp_"),
    "Response cache": ("response_cache",),
    "Limits and times": ("max_", "place_", "body_", "ping_", "first_byte", "idle_", "total_", "idempotency_"),
    "Telemetry": ("otlp_",),
}
_LEFT_OUT = frozenset({"notices", "routing", "former_credential_secret"})
_LABELS: Mapping[str, str] = {
    "config_path": "configuration file", "public_url": "public address", "database_url": "Postgres",
    "redis_url": "Redis", "has_model_list": "models in the configuration file", "model_entries": "deployments in it",
    "max_budget_nanousd": "budget of the platform", "budget_duration": "its period", "lease_s": "lease of a hold",
    "max_customer_budget_nanousd": "budget of each customer", "max_customer_budget_id": "shared budget of customers",
    "budget_exceeded_status": "HTTP status of a spent budget", "on_exceed": "when a budget is full",
    "claude_code_native_enabled": "Claude Code's personal tokens", "claude_code_owner": "owner of the personal token",
    "claude_code_sign_in": "sign-in of Claude Code", "password_sign_in": "sign-in by password",
    "oidc_auto_create": "OIDC makes users", "oidc_trust_email": "OIDC addresses are trusted",
    "num_retries": "retries", "max_fallbacks": "fallbacks at most", "max_body_bytes": "largest body",
    "max_running_requests": "running requests at most", "max_running_per_tenant": "those of one tenant at most",
    "max_waiting_requests": "waiting requests at most",
    "pre_call_checks": "checks before the call", "tag_match_any": "one tag that fits is enough",
}  # fmt: skip
_SPELLED: Mapping[str, str] = {
    "oidc": "OIDC", "otlp": "OTLP", "smtp": "SMTP", "tls": "TLS", "url": "address", "ttl": "lifetime", "bytes": "size",
    "slack": "Slack", "emails": "e-mail addresses",
}  # fmt: skip
_UNITS = ((" days", 86_400), (" h", 3_600), (" min", 60))
_SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
_COUNTED = frozenset({"model_entries", "model_aliases", "price_terms", "provider_budgets"})
_MOST_SHOWN = 20


def shown_settings(settings: Settings) -> list[SettingGroup]:
    plain = Settings()
    found: dict[str, list[ShownSetting]] = {name: [] for name in (*_GROUPS, *_PREFIXES, "Further")}
    for field in fields(Settings):
        if field.name not in _LEFT_OUT:
            value = getattr(settings, field.name)
            is_changed = bool(value != getattr(plain, field.name))
            found[_group_of(field.name)].append(ShownSetting(_words(field.name), _text(field.name, value), is_changed))
    routing = settings.routing
    found["Routing"] = [
        ShownSetting(_words(field.name), _text(field.name, getattr(routing, field.name)), _differs(routing, field.name))
        for field in fields(routing)
    ]
    return [SettingGroup(name, tuple(shown)) for name, shown in found.items() if shown]


def _group_of(name: str) -> str:
    for group, names in _GROUPS.items():
        if name in names:
            return group
    return next((group for group, begins in _PREFIXES.items() if name.startswith(begins)), "Further")


def _differs(record: Any, name: str) -> bool:  # noqa: ANN401  any record of settings
    return bool(getattr(record, name) != getattr(type(record)(), name))


def _words(name: str) -> str:
    parts = name.removesuffix("_nanousd").removesuffix("_s").split("_")
    return _LABELS.get(name) or " ".join(_SPELLED.get(part, part) for part in parts)


def _text(name: str, value: Any) -> str:  # noqa: ANN401  any value of a setting
    if value is None or value in ("", (), {}):
        return ""
    if name in _COUNTED:
        return str(len(value))
    if name == "oidc_default_role":
        return role_name(value)
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return _number(name, value)
        case float() | str() | Path():
            return str(value)
        case Mapping():
            return "; ".join(sorted(_pair(one, inner) for one, inner in value.items()))
        case tuple() | frozenset():
            more = f" and {len(value) - _MOST_SHOWN} more" if len(value) > _MOST_SHOWN else ""
            return ", ".join(str(one) for one in list(value)[:_MOST_SHOWN]) + more
        case _:
            return _record(value)


def _number(name: str, value: int) -> str:
    if name.endswith("_nanousd"):
        return exact_usd(value)
    if name.endswith("_s"):
        unit, size = next((one for one in _UNITS if value >= 2 * one[1] and value % one[1] == 0), (" s", 1))
        return f"{value // size:,}{unit}"
    if name.endswith("_bytes"):
        unit, size = next((one for one in _SIZES if value and value % one[1] == 0), ("bytes", 1))
        return f"{value // size:,} {unit}"
    return f"{value:,}" if name.startswith("max_") else str(value)


def _record(value: Any) -> str:  # noqa: ANN401  a record of settings, or a secret
    if isinstance(value, Secret) or not is_dataclass(value):
        return "set"
    return ", ".join(f"{_words(one.name)} {_text(one.name, getattr(value, one.name))}" for one in fields(value))


def _pair(name: str, value: Any) -> str:  # noqa: ANN401  of a mapping of settings
    """Of credentials the provider alone, whatever they hold."""
    return f"{name}: {', '.join(value)}" if isinstance(value, tuple) else name
