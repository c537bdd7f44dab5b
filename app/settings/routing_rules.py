"""Reads how calls are routed: ``router_settings``, and the same names in ``litellm_settings``, which come second."""

from collections.abc import Callable, Mapping
from typing import Any, get_args

from app.domain.health import BreakerRules
from app.domain.routing import RoutingRules, Strategy
from app.settings.yaml_reading import Item, Reader

_FALLBACKS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
LITELLM_NAMES = frozenset(
    {*_FALLBACKS, "allowed_fails", "cooldown_time", "default_fallbacks", "max_fallbacks", "num_retries"}
)
"""Those that LiteLLM also reads in ``litellm_settings``."""
ROUTER_NAMES = LITELLM_NAMES | {
    "client_fallbacks", "disable_cooldowns", "model_group_alias", "retry_after", "routing_strategy", "session_affinity",
    "stream_timeout", "timeout",
}  # fmt: skip
_BREAKER_NAMES = frozenset({"allowed_fails", "cooldown_s", "disabled"})


def read_routing(reader: Reader, router: Mapping[str, Item], litellm: Mapping[str, Item]) -> dict[str, Any]:
    """The settings that are set; a slip is a problem of the reader's."""
    readers: dict[str, tuple[str, Callable[[Item], Any]]] = {
        "routing_strategy": ("strategy", lambda item: _strategy(reader, item)),
        "num_retries": ("num_retries", reader.integer),
        "retry_after": ("retry_after_s", lambda item: _pause(reader, item)),
        "allowed_fails": ("allowed_fails", reader.integer),
        "cooldown_time": ("cooldown_s", reader.seconds),
        "disable_cooldowns": ("disabled", reader.boolean),
        **{name: (name, lambda item: _fallbacks(reader, item)) for name in _FALLBACKS},
        "default_fallbacks": ("default_fallbacks", reader.texts),
        "max_fallbacks": ("max_fallbacks", reader.integer),
        "client_fallbacks": ("client_fallbacks", reader.boolean),
        "session_affinity": ("session_affinity", reader.boolean),
    }
    items = {name: item for name, item in litellm.items() if name in LITELLM_NAMES} | dict(router)
    found = {setting: read(items[name]) for name, (setting, read) in readers.items() if name in items}
    found = {name: value for name, value in found.items() if value is not None}
    values: dict[str, Any] = {}
    if found:
        breaker = {name: found.pop(name) for name in _BREAKER_NAMES & found.keys()}
        values["routing"] = RoutingRules(**found, breaker=BreakerRules(**breaker))
    if "model_group_alias" in items and (aliases := _aliases(reader, items["model_group_alias"])):
        values["model_aliases"] = aliases
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


def _pause(reader: Reader, item: Item) -> int | None:
    """Seconds, of which LiteLLM's default is none."""
    return 0 if reader.text(item) == "0" else reader.seconds(item)


def _fallbacks(reader: Reader, item: Item) -> dict[str, tuple[str, ...]]:
    """LiteLLM's list of mappings: ``[{"gpt-4o": ["claude", "gemini"]}]``."""
    found: dict[str, tuple[str, ...]] = {}
    for entry in reader.sequence(item) or ():
        for name, names in (reader.mapping(entry) or {}).items():
            found[name] = found.get(name, ()) + (reader.texts(names) or ())
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
