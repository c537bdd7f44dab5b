"""Reads how calls are routed: ``router_settings``, and the same names in ``litellm_settings``, which come second."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

from app.domain.health import BreakerRules
from app.domain.routing import LatencyRules, RoutingRules, Strategy
from app.providers.host_table import HOSTS
from app.settings.platform_limits import read_limits
from app.settings.yaml_reading import Item, Reader

_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
LITELLM_NAMES = frozenset(
    {*_FALLBACKS, "allowed_fails", "cooldown_time", "default_fallbacks", "max_fallbacks", "num_retries"}
)
"""Those that LiteLLM also reads in ``litellm_settings``."""
ROUTER_NAMES = LITELLM_NAMES | {
    "allowed_fails_policy", "client_fallbacks", "disable_cooldowns", "enable_health_check_routing",
    "enable_pre_call_checks", "enable_tag_filtering", "enable_weighted_failover", "model_group_alias",
    "model_group_retry_policy", "optional_pre_call_checks", "provider_budget_config", "retry_after", "retry_policy",
    "routing_strategy", "routing_strategy_args", "session_affinity", "stream_timeout", "tag_filtering_match_any",
    "timeout",
}  # fmt: skip
_BREAKER_NAMES = frozenset({"allowed_fails", "cooldown_s", "disabled", "allowed_by_error"})
_RETRIES, _ALLOWED = "Retries", "AllowedFails"
_RETRIED_ERRORS = frozenset(
    {
        "BadRequestError", "AuthenticationError", "TimeoutError", "RateLimitError", "ContentPolicyViolationError",
        "InternalServerError",
    }
)  # fmt: skip
_ALLOWED_ERRORS = _RETRIED_ERRORS | {"ServiceUnavailableError", "BadGatewayError", "NotFoundError"}
_BUDGET_NAMES = {
    "budget_limit": "max_budget", "time_period": "budget_duration", "max_budget": "max_budget",
    "budget_duration": "budget_duration",
}  # fmt: skip
_LATENCY = "latency-based-routing"
_LATENCY_ARGS = {"ttl": "kept_s", "lowest_latency_buffer": "buffer_percent"}
_OTHER_ARGS = frozenset({"max_latency_list_size", "rpm_to_tpm_ratio", "ttl", "lowest_latency_buffer"})
_DONE_ANYWAY = frozenset({"prompt_caching", "session_affinity", "deployment_affinity", "router_budget_limiting"})
_OTHER_CHECKS = frozenset(
    {
        "enforce_model_rate_limits", "forward_client_headers_by_model_group", "responses_api_deployment_check",
    }
)  # fmt: skip


def read_routing(reader: Reader, router: Mapping[str, Item], litellm: Mapping[str, Item]) -> dict[str, Any]:
    """The settings that are set; a slip is a problem of the reader's."""
    readers: dict[str, tuple[str, Callable[[Item], Any]]] = {
        "routing_strategy": ("strategy", lambda item: _strategy(reader, item)),
        "num_retries": ("num_retries", reader.integer),
        "retry_after": ("retry_after_s", reader.pause),
        "retry_policy": ("retry_policy", lambda item: _policy(reader, item, _RETRIES, _RETRIED_ERRORS)),
        "model_group_retry_policy": ("model_retry_policies", lambda item: _policies(reader, item)),
        "allowed_fails_policy": (
            "allowed_by_error",
            lambda item: _policy(reader, item, _ALLOWED, _ALLOWED_ERRORS),
        ),
        "enable_pre_call_checks": ("pre_call_checks", reader.boolean),
        "enable_tag_filtering": ("tag_filtering", reader.boolean),
        "tag_filtering_match_any": ("tag_match_any", reader.boolean),
        "allowed_fails": ("allowed_fails", reader.integer),
        "cooldown_time": ("cooldown_s", reader.pause),
        "disable_cooldowns": ("disabled", reader.boolean),
        **{name: (name, lambda item: _fallbacks(reader, item)) for name in _FALLBACKS},
        "default_fallbacks": ("default_fallbacks", reader.texts),
        "max_fallbacks": ("max_fallbacks", reader.integer),
        "client_fallbacks": ("client_fallbacks", reader.boolean),
        "session_affinity": ("session_affinity", reader.boolean),
    }
    items = {name: item for name, item in litellm.items() if name in LITELLM_NAMES} | dict(router)
    found = {setting: read(items[name]) for name, (setting, read) in readers.items() if name in items}
    if "routing_strategy_args" in items:
        found["latency"] = _latency(reader, items["routing_strategy_args"], found.get("strategy"))
    _say_what_is_not_checked(reader, items)
    found = {name: value for name, value in found.items() if value is not None}
    values: dict[str, Any] = {}
    if found:
        breaker = {name: found.pop(name) for name in _BREAKER_NAMES & found.keys()}
        values["routing"] = RoutingRules(**found, breaker=BreakerRules(**breaker))
    if "model_group_alias" in items and (aliases := _aliases(reader, items["model_group_alias"])):
        values["model_aliases"] = aliases
    if "provider_budget_config" in items:
        values["provider_budgets"] = _provider_budgets(reader, items["provider_budget_config"])
    for name, setting in (("timeout", "total_timeout_s"), ("stream_timeout", "first_byte_timeout_s")):
        if name in router and (seconds := reader.seconds(router[name])) is not None:
            values[setting] = seconds
    return values


def _strategy(reader: Reader, item: Item) -> str | None:
    text = reader.text(item)
    if text is None or text in get_args(Strategy):
        return text
    reader.problems.error(item.place, f'{item.name} is "{text}", which is not one of: {", ".join(get_args(Strategy))}')
    return None


def _policy(reader: Reader, item: Item, suffix: str, known: Collection[str]) -> dict[str, int]:
    """LiteLLM's ``{"TimeoutErrorRetries": 2}``, by the names of the errors."""
    fields = reader.mapping(item) or {}
    reader.check_names(fields, item.name, [name + suffix for name in known], ())
    numbers = {name.removesuffix(suffix): reader.integer(value) for name, value in fields.items()}
    return {name: number for name, number in numbers.items() if number is not None}


def _policies(reader: Reader, item: Item) -> dict[str, dict[str, int]]:
    models = reader.mapping(item) or {}
    return {model: _policy(reader, policy, _RETRIES, _RETRIED_ERRORS) for model, policy in models.items()}


def _latency(reader: Reader, item: Item, strategy: str | None) -> LatencyRules | None:
    """What is said for a strategy that does not look at it is a notice."""
    fields = reader.mapping(item) or {}
    honoured = _LATENCY_ARGS if strategy == _LATENCY else ()
    reader.check_names(fields, item.name, honoured, _OTHER_ARGS)
    if strategy != _LATENCY:
        return None
    read = {"ttl": reader.seconds, "lowest_latency_buffer": reader.percent}
    values = {name: read[name](fields[name]) for name in _LATENCY_ARGS if name in fields}
    return LatencyRules(**{_LATENCY_ARGS[name]: value for name, value in values.items() if value is not None})


def _say_what_is_not_checked(reader: Reader, items: Mapping[str, Item]) -> None:
    """Affinity is kept here in any case, and what fails over goes by weight."""
    if "optional_pre_call_checks" in items:
        for check in reader.sequence(items["optional_pre_call_checks"]) or ():
            name = reader.text(check)
            if name is not None:
                reader.check_names({name: check}, "optional_pre_call_checks", _DONE_ANYWAY, _OTHER_CHECKS)
    item = items.get("enable_weighted_failover")
    if item is not None and reader.boolean(item) is False:
        reader.problems.notice(f"{item.place}: {item.name} false has no effect: what fails over goes by weight")


def _fallbacks(reader: Reader, item: Item) -> dict[str, tuple[str, ...]]:
    """LiteLLM's list of mappings: ``[{"gpt-4o": ["claude", "gemini"]}]``."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in reader.sequence(item) or ():
        for name, names in (reader.mapping(entry) or {}).items():
            found[name] = found.get(name, ()) + (reader.texts(names) or ())
    return found


def _provider_budgets(reader: Reader, item: Item) -> dict[str, tuple[int, str | None]]:
    """LiteLLM's ``{"openai": {"budget_limit": 100, "time_period": "1d"}}``."""
    found: dict[str, tuple[int, str | None]] = {}
    for provider, terms in (reader.mapping(item) or {}).items():
        if provider not in HOSTS:
            reader.problems.error(terms.place, f'provider_budget_config names "{provider}", which is no provider here')
        fields = reader.mapping(terms) or {}
        reader.check_names(fields, f"{item.name}.{provider}", _BUDGET_NAMES, ())
        limits = read_limits(reader, {_BUDGET_NAMES[name]: value for name, value in fields.items()})
        if "max_budget_nanousd" in limits:
            found[provider] = (limits["max_budget_nanousd"], limits.get("budget_duration"))
        elif "budget_limit" not in fields and "max_budget" not in fields:
            reader.problems.error(terms.place, f'provider_budget_config of "{provider}" needs a budget_limit')
    return found


def _aliases(reader: Reader, item: Item) -> dict[str, str]:
    """``{"gpt-4": "gpt-4o"}``, or with ``{"model": "gpt-4o", "hidden": true}`` for the name."""
    found: dict[str, str] = {}
    for alias, target in (reader.mapping(item) or {}).items():
        model = target
        if target.is_mapping:
            fields = reader.mapping(target) or {}
            if "model" not in fields:
                reader.problems.error(target.place, f"{target.name} names no model")
                continue
            model = fields["model"]
        if name := reader.text(model):
            found[alias] = name
    return found
