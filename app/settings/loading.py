"""Puts the settings together: the command line wins over the environment, the environment over the file."""

import os
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.base.secret import Secret
from app.domain.catalog import ModelEntry
from app.domain.keys import may_be_key
from app.domain.retention import parse_retention
from app.providers.host_table import HOSTS, family_of
from app.providers.hosts import Credential
from app.settings import litellm_names
from app.settings.alerting import check_alerting
from app.settings.caching import CACHE_NAMES, check_call_types, read_cache
from app.settings.errors import SettingsError
from app.settings.model_list import checked_base, read_entry, with_suffix_rule
from app.settings.parsing import is_loopback, is_network, nearest_names, parse_boolean, parse_integer
from app.settings.platform_limits import LIMIT_NAMES, read_limits
from app.settings.price_terms import read_terms
from app.settings.routing_rules import LITELLM_NAMES as LITELLM_ROUTING_NAMES
from app.settings.routing_rules import ROUTER_NAMES, read_routing
from app.settings.settings import DEFAULT_HOME, NAMES, Name, Settings
from app.settings.single_sign_on import check_single_sign_on
from app.settings.telemetry import check_telemetry
from app.settings.yaml_reading import Item, Problems, Reader

_PREFIX = "KEYHOUSE_"
# Read by commands that talk to a running gateway, and by nothing here.
_CLIENT_VARIABLES = frozenset({"KEYHOUSE_URL", "KEYHOUSE_KEY", "KEYHOUSE_ADMIN_KEY"})
_SECTIONS = frozenset(
    {
        "model_list", "general_settings", "litellm_settings", "router_settings", "environment_variables", "include",
        "claude_code_native",
    }
)  # fmt: skip
_CLAUDE_CODE_NAMES = {"enabled": "claude_code_native_enabled", "owner_user_id": "claude_code_owner"}
_GENERAL_NAMES = frozenset(
    {
        "master_key", "database_url", "alerting", "alert_types", "background_health_checks", "health_check_details",
    }
)  # fmt: skip
_GENERAL_ALIASES = {
    "health_check_interval": "health_check_interval_s",
    "enable_health_check_routing": "health_check_routing",
}
_LITELLM_NAMES = frozenset(
    {
        "budget_exceeded_status_code", "cost_discount_config", "cost_margin_config", "request_timeout", "json_logs",
        *LIMIT_NAMES, *CACHE_NAMES, *LITELLM_ROUTING_NAMES,
    }
)  # fmt: skip
_DEEPEST_INCLUDE = 8


@dataclass
class _File:
    """What the file and those it includes say, each name once: the file's own word comes before an included one's."""

    items: dict[str, Item] = field(default_factory=dict)
    sections: dict[str, dict[str, Item]] = field(default_factory=dict)
    entries: list[Item] = field(default_factory=list)
    has_model_list: bool = False


def environment() -> MutableMapping[str, str]:
    """The process's own environment: the only place where it is read."""
    return os.environ


def export_environment(settings: Settings, further: Mapping[str, str]) -> None:
    """Put into the process's environment what its worker processes need to come to the same settings."""
    values: dict[str, object] = {
        name: getattr(settings, name) for name in NAMES if getattr(settings, name) not in (None, ())
    }
    for name, value in values.items():
        variable = NAMES[name].all_variables[0]
        if isinstance(value, Secret):
            os.environ[variable] = value.reveal()
        elif isinstance(value, tuple):
            os.environ[variable] = ",".join(value)
        else:
            os.environ[variable] = str(value).lower() if isinstance(value, bool) else str(value)
    os.environ.update(further)


def load_settings(environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Settings:
    """``overrides`` are values of the command line by the names of ``Settings``; None is not given.

    Raises SettingsError, with all problems at once.
    """
    problems = Problems()
    given = {name: value for name, value in overrides.items() if value is not None}
    _check_variables(problems, environ)
    values = _from_environment(problems, environ, given)
    config_path = values.get("config_path")
    reader = Reader(problems, environ)
    file = _File()
    if config_path is not None:
        values["config_path"] = config_path = _absolute(config_path)
        _read_file(reader, config_path, file, 0)
        reader.environ = {**_written_environment(reader, file), **environ}
        written = _from_environment(problems, reader.environ, {}) if reader.environ != environ else {}
        values = _from_file(reader, file) | written | values
    entries = _entries(reader, file)
    credentials = _credentials(reader)
    _check(problems, values)
    if problems.errors:
        raise SettingsError("\n".join(dict.fromkeys(problems.errors)))
    values["home"] = _absolute(values.get("home", DEFAULT_HOME))
    return Settings(
        **values,
        has_model_list=file.has_model_list,
        model_entries=entries,
        credentials=credentials,
        notices=problems.notices,
    )


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))


def _check_variables(problems: Problems, environ: Mapping[str, str]) -> None:
    known = {variable for name in NAMES.values() for variable in name.all_variables if variable.startswith(_PREFIX)}
    known |= _CLIENT_VARIABLES
    for variable in environ:
        if variable.startswith(_PREFIX) and variable not in known:
            problems.error("the environment", f'"{variable}" is not a setting; {nearest_names(variable, known)}')


def _from_environment(problems: Problems, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in NAMES.values():
        if name.name in overrides:
            source, text = f"--{name.name.removesuffix('_path').replace('_', '-')}", str(overrides[name.name])
        else:
            source = next((variable for variable in name.all_variables if environ.get(variable, "").strip()), "")
            text = environ.get(source, "")
        if not source:
            continue
        try:
            values[name.name] = _value(name, text.strip())
        except ValueError:
            shown = "its value" if name.kind == "secret" else f'"{text}"'
            problems.errors.append(f"{source}: {shown} is not {_wanted(name)}")
    return values


def _value(name: Name, text: str) -> object:
    """Raises ValueError."""
    match name.kind:
        case "integer":
            number = parse_integer(text, name.least)
            if name.most is not None and number > name.most:
                raise ValueError(text)
            return number
        case "boolean":
            return parse_boolean(text)
        case "path":
            return Path(text)
        case "secret":
            return Secret(text)
        case "texts":
            return tuple(part for piece in text.split(",") if (part := piece.strip()))
        case "text":
            if name.choices and text not in name.choices:
                raise ValueError(text)
            return text


def _wanted(name: Name) -> str:
    if name.kind == "integer":
        bounds = f"of at least {name.least}" if name.most is None else f"from {name.least} to {name.most}"
        return f"a whole number {bounds}"
    if name.kind == "boolean":
        return "true or false"
    return "one of " + ", ".join(f'"{choice}"' for choice in name.choices)


def _read_file(reader: Reader, path: Path, file: _File, depth: int) -> None:
    document = reader.document(path)
    top = None if document is None else reader.mapping(document)
    if top is None:
        return
    honoured = {name for name, setting in NAMES.items() if setting.in_file} | _SECTIONS
    reader.check_names(top, "", honoured, litellm_names.TOP_LEVEL)
    for name, item in top.items():
        if name == "model_list":
            file.has_model_list = True
            file.entries += reader.sequence(item) or []
        elif name in _SECTIONS and name != "include":
            file.sections[name] = (reader.mapping(item) or {}) | file.sections.get(name, {})
        else:
            file.items.setdefault(name, item)
    if "include" not in top:
        return
    if depth >= _DEEPEST_INCLUDE:
        reader.problems.error(top["include"].place, "include goes too deep; does a file include itself?")
        return
    for included in reader.texts(top["include"]) or ():
        _read_file(reader, path.parent / included, file, depth + 1)


def _written_environment(reader: Reader, file: _File) -> dict[str, str]:
    items = file.sections.get("environment_variables", {})
    return {name: text for name, item in items.items() if (text := reader.text(item)) is not None}


def _from_file(reader: Reader, file: _File) -> dict[str, Any]:
    values: dict[str, Any] = {}
    general = file.sections.get("general_settings", {})
    reader.check_names(
        general, "general_settings", _GENERAL_NAMES | _GENERAL_ALIASES.keys(), litellm_names.GENERAL_SETTINGS
    )
    router = file.sections.get("router_settings", {})
    reader.check_names(router, "router_settings", ROUTER_NAMES, litellm_names.ROUTER_SETTINGS)
    litellm = file.sections.get("litellm_settings", {})
    values |= _litellm_settings(reader, litellm) | read_routing(reader, router, litellm)
    values |= _claude_code_settings(reader, file.sections.get("claude_code_native", {}))
    written = {_GENERAL_ALIASES.get(name, name): item for name, item in general.items()}
    if "enable_health_check_routing" in router:
        written.setdefault("health_check_routing", router["enable_health_check_routing"])
    known = _GENERAL_NAMES | set(_GENERAL_ALIASES.values())
    for name, item in (*((name, written[name]) for name in known & written.keys()), *file.items.items()):
        setting = NAMES.get(name)
        if setting is None or not setting.in_file:
            continue
        value = _file_value(reader, setting, item)
        if value is not None:
            values[name] = value
    return values


def _file_value(reader: Reader, setting: Name, item: Item) -> object:
    if setting.kind == "texts":
        return reader.texts(item)
    text = reader.text(item)
    if not text:
        return None
    try:
        value = _value(setting, text.strip())
    except ValueError:
        reader.problems.error(item.place, f'{item.name} is "{text}", which is not {_wanted(setting)}')
        return None
    return item.file.parent / value.expanduser() if isinstance(value, Path) else value


def _litellm_settings(reader: Reader, items: dict[str, Item]) -> dict[str, Any]:
    reader.check_names(items, "litellm_settings", _LITELLM_NAMES, litellm_names.LITELLM_SETTINGS)
    values: dict[str, Any] = {}
    if "budget_exceeded_status_code" in items:
        status = _file_value(reader, NAMES["budget_exceeded_status"], items["budget_exceeded_status_code"])
        values |= {} if status is None else {"budget_exceeded_status": status}
    if "request_timeout" in items:
        seconds = reader.seconds(items["request_timeout"])
        values |= {} if seconds is None else {"total_timeout_s": seconds}
    values |= read_limits(reader, items)
    values |= read_cache(reader, items)
    terms = read_terms(reader, items.get("cost_discount_config"), items.get("cost_margin_config"))
    values |= {"price_terms": terms} if terms else {}
    return values


def _claude_code_settings(reader: Reader, items: dict[str, Item]) -> dict[str, Any]:
    reader.check_names(items, "claude_code_native", _CLAUDE_CODE_NAMES, ())
    values = {
        name: _file_value(reader, NAMES[name], items[written])
        for written, name in _CLAUDE_CODE_NAMES.items()
        if written in items
    }
    return {name: value for name, value in values.items() if value is not None}


def _entries(reader: Reader, file: _File) -> tuple[ModelEntry, ...]:
    return tuple(entry for item in file.entries if (entry := read_entry(reader, item)) is not None)


def _credentials(reader: Reader) -> dict[str, Credential]:
    """Of each provider of which the environment says anything; it may not be enough to use it."""
    environ = reader.environ
    found: dict[str, Credential] = {}
    for host in HOSTS.values():
        key_variable, base_variable = _first_set(environ, host.key_variables), _first_set(environ, host.base_variables)
        options = {
            name: Secret(environ[variable].strip())
            for name, variables in host.options.items()
            if (variable := _first_set(environ, variables)) is not None
        }
        api_base = None
        if base_variable is not None:
            api_base = checked_base(reader, "the environment", base_variable, environ[base_variable])
        headers = {
            header: environ[variable].strip()
            for variable, header in host.header_variables.items()
            if environ.get(variable, "").strip()
        }
        if key_variable is None and api_base is None and not options and not headers:
            continue
        found[host.name] = Credential(
            api_key=Secret(environ[key_variable].strip()) if key_variable is not None else None,
            api_base=None if api_base is None else with_suffix_rule(environ, host.name, api_base),
            options=options,
            headers=headers,
        )
    return found


def _first_set(environ: Mapping[str, str], variables: tuple[str, ...]) -> str | None:
    return next((variable for variable in variables if environ.get(variable, "").strip()), None)


def _check(problems: Problems, values: Mapping[str, Any]) -> None:
    """What is wrong with a value whatever its source."""
    database_url, redis_url, master_key = values.get("database_url"), values.get("redis_url"), values.get("master_key")
    if database_url is not None and not database_url.reveal().startswith(("postgresql://", "postgres://")):
        problems.errors.append("DATABASE_URL: its value does not begin with postgresql://")
    if redis_url is not None and "://" not in redis_url.reveal():
        problems.errors.append("REDIS_URL: its value does not begin with redis:// or rediss://")
    if master_key is not None and not may_be_key(master_key.reveal()):
        problems.errors.append("KEYHOUSE_MASTER_KEY: its value is no key; it must begin with sk- and be plain ASCII")
    problems.errors += [
        f'KEYHOUSE_TRUSTED_PROXIES: "{proxy}" is no IP address, no network such as 10.0.0.0/8, and not *'
        for proxy in values.get("trusted_proxies", ())
        if not is_network(proxy)
    ]
    if (keep := values.get("receipts_retention")) is not None:
        try:
            parse_retention(keep)
        except ValueError as error:
            problems.errors.append(f"KEYHOUSE_RECEIPTS_RETENTION: {error}")
    _check_open_mode(problems, values)
    check_alerting(problems, values)
    check_call_types(problems, values)
    check_telemetry(problems, values)
    check_single_sign_on(problems, values)
    model = values.get("model")
    if model is None:
        return
    provider, _, upstream_model = model.partition("/")
    if (provider not in HOSTS or not upstream_model) and family_of(model) is None:
        problems.errors.append(f'--model: "{model}" is not provider/name with a provider of: {", ".join(HOSTS)}')


def _check_open_mode(problems: Problems, values: Mapping[str, Any]) -> None:
    """It is for the one person at this machine: nothing else may be able to reach the port."""
    if not values.get("open_mode"):
        return
    host = values.get("host", Settings().host)
    if not is_loopback(host) or values.get("trusted_proxies"):
        why = "proxies are trusted" if is_loopback(host) else f'host is "{host}"'
        problems.errors.append(
            f"KEYHOUSE_OPEN_MODE: open mode is for this machine alone, and {why}; issue keys, or listen on 127.0.0.1"
        )
    problems.notice(
        "open mode: whoever is on this machine may call every model without a key; it is for local development alone"
    )
