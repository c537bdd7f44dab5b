"""What an entry of a model list comes to by itself: its names, and who may be relayed to it."""

from urllib.parse import urlsplit

from app.domain.catalog import ModelEntry
from app.providers.host_table import HOSTS, family_of
from app.providers.hosts import Host


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
