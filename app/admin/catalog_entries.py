"""What entries of a model list come to: their names, who may be relayed to them, what they make."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from app.admin.model_settings import Spendable
from app.domain.budgets import Budget, parse_period
from app.domain.catalog import ModelEntry, ModelInfo
from app.domain.tenancy import Serving, budget_of_serving
from app.providers.host_table import HOSTS, family_of
from app.providers.hosts import Host
from app.providers.price_table import BundledModel

TEXT_MODES = frozenset({"chat", "completion", "responses"})


def relays_logins(entry: ModelEntry, api_base: str) -> bool:
    """Whether callers' own logins may go there: to their own provider, or as the operator says."""
    if entry.allow_relay is not None or entry.provider != "anthropic":
        return bool(entry.allow_relay)
    parts = urlsplit(api_base)
    return (parts.scheme, parts.hostname, parts.port or 443) == ("https", "api.anthropic.com", 443)


def name_patterns(host: Host) -> tuple[str, ...]:
    return (f"{host.name}/*", *host.families)


def entry_of(name: str) -> ModelEntry:
    """``provider/name`` of the command line, or a bare name of a family; the settings have checked it."""
    provider, _, upstream_model = name.partition("/")
    if provider not in HOSTS:
        provider, upstream_model = family_of(name) or "", name
    upstream_model = name if provider == "demo" else upstream_model
    return ModelEntry(name, provider, upstream_model, "--model")


def generates_text(infos: list[ModelInfo], known: list[BundledModel | None]) -> bool:
    """By LiteLLM's ``mode`` where it is written, else by what the bundled data knows."""
    modes = {info.mode for info in infos if info.mode is not None}
    if modes:
        return not modes.isdisjoint(TEXT_MODES)
    return all(model.generates_text for model in known if model is not None)


def budgets_of(entry: ModelEntry, deployment_id: str, of_providers: Mapping[str, Spendable]) -> tuple[Budget, ...]:
    """What its calls together may cost, and all those of its provider."""
    own = None if entry.max_budget_nanousd is None else (entry.max_budget_nanousd, entry.budget_duration)
    said: tuple[tuple[Serving, str, Spendable | None], ...] = (
        ("deployment", deployment_id, own),
        ("provider", entry.provider, of_providers.get(entry.provider)),
    )
    return tuple(
        budget_of_serving(kind, name, limit_nanousd, None if duration is None else parse_period(duration))
        for kind, name, (limit_nanousd, duration) in ((kind, name, one) for kind, name, one in said if one is not None)
    )
