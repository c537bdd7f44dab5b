"""What a deployment of a host needs before it can be served, and how the operator gives it."""

from collections.abc import Mapping

from app.base.secret import Secret
from app.providers.hosts import Host, filled


def what_is_missing(host: Host, api_key: Secret | None, options: Mapping[str, Secret], base: str | None) -> str | None:
    """The first thing that a deployment of the host lacks, and where to set it."""
    if api_key is None and host.needs_key:
        return f'provider "{host.name}" needs a key: set {host.key_variables[0]} or litellm_params.api_key, and restart'
    missing = next((name for name in host.needed_options if name not in options), None)
    if missing is not None:
        variables = " or ".join(host.options[missing])
        return f'provider "{host.name}" needs {missing}: set {variables} or litellm_params.{missing}, and restart'
    return None if base is not None else no_address(host)


def no_key_of_its_own(host: Host) -> str | None:
    """A host that can do without ``api_key`` may not fall back on what this machine has."""
    if host.local or not host.secret_options:
        return None
    return f"an address of one's own needs a key of its own: give {' or '.join(sorted(host.secret_options))}"


def no_address(host: Host) -> str:
    variable = host.base_variables[0]
    return f'provider "{host.name}" needs an address: set {variable} or litellm_params.api_base, and restart'


def default_base(host: Host, options: Mapping[str, Secret]) -> str | None:
    if host.default_base is None:
        return None
    try:
        base = filled(host.default_base, "", options)
    except KeyError:  # a needed option is missing: that is said on its own
        return host.default_base
    return base.replace("//global-", "//")  # Google's name for the host that is nowhere in particular
