"""Reads the entries of ``model_list``, as LiteLLM writes them."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from app.base.secret import Secret
from app.domain.catalog import ModelEntry, ModelInfo
from app.providers.host_table import HOSTS, family_of
from app.providers.hosts import UNCHANGED
from app.providers.known_elsewhere import NOT_BUILT
from app.providers.written_prices import read_price_field
from app.settings import litellm_names
from app.settings.parsing import nearest_names
from app.settings.platform_limits import read_limits
from app.settings.yaml_reading import Item, Reader

ANY_PROVIDER = "*"
DISABLE_SUFFIX_VARIABLE = "LITELLM_ANTHROPIC_DISABLE_URL_SUFFIX"
_ENTRY_NAMES = frozenset({"model_name", "litellm_params", "model_info"})
# Honoured by doing what we do anyway: use_in_pass_through.
_PARAM_NAMES = frozenset(
    {
        "model", "api_key", "api_base", "base_url", "extra_headers", "headers", "organization", "timeout",
        "stream_timeout", "request_timeout", "rpm", "tpm", "weight", "order", "num_retries", "max_retries",
        "cooldown_time", "custom_llm_provider", "use_in_pass_through", "tags", "max_parallel_requests",
        "aws_bedrock_runtime_endpoint", "allow_relay", "region_name", "max_budget", "budget_duration",
    }
)  # fmt: skip
_OPTION_NAMES = frozenset(name for host in HOSTS.values() for name in host.options)
# LiteLLM's second names of the same: vertex_ai_project.
_OPTION_ALIASES = {name.replace("vertex_", "vertex_ai_"): name for name in _OPTION_NAMES if name.startswith("vertex_")}
_BASE_NAMES = ("api_base", "base_url", "aws_bedrock_runtime_endpoint")
_NUMBERS = ("rpm", "tpm", "weight", "order", "num_retries", "max_retries", "max_parallel_requests")
_BUDGET_NAMES = ("max_budget", "budget_duration")
_TIMES = ("timeout", "request_timeout", "stream_timeout")
_TARGET_NAMES = frozenset({"model", "custom_llm_provider"})
_picker_name = re.compile(r"(?i:claude|anthropic)[A-Za-z0-9._:@/-]{0,240}")
_INFO_NAMES = frozenset(
    {
        "id", "display_name", "description", "access_groups", "base_model", "mode", "max_input_tokens",
        "max_output_tokens", "max_tokens", "discoverable", "listed", "supports_function_calling", "claude_code_name",
        "disable_background_health_check", "health_check_model",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Target:
    provider: str
    upstream_model: str


def read_entry(reader: Reader, item: Item) -> ModelEntry | None:
    """None for an entry that is wrong (a problem was added) or that is left out (a notice was).

    Left out is one whose provider is not built yet, and one that refers to a variable that is not set: a file that
    lists more providers than this machine has keys of is common, and the others are to be served.
    """
    fields = reader.mapping(item)
    if fields is None:
        return None
    reader.check_names(fields, "model_list[]", _ENTRY_NAMES, litellm_names.ENTRY)
    name = _required_text(reader, item, fields, "model_name")
    params = reader.mapping(fields["litellm_params"]) if "litellm_params" in fields else {}
    info = reader.mapping(fields["model_info"]) if "model_info" in fields else {}
    if name is None or params is None or info is None:
        return None
    if _is_left_out(reader, name, params, _TARGET_NAMES):
        return None
    model = _required_text(reader, item, params, "model", "litellm_params.")
    target = None if model is None else _target(reader, name, model, params)
    if target is None:
        return None
    honoured = _check_names(reader, params, info)
    if _is_left_out(reader, name, params, honoured):
        return None
    return _entry(reader, item, name, target, params, info)


def checked_base(reader: Reader, place: str, name: str, api_base: str) -> str | None:
    """The base URL without surrounding blanks; None with a problem for what is no http(s) URL."""
    api_base = api_base.strip()
    try:
        parts = urlsplit(api_base)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        reader.problems.error(place, f'{name} is "{api_base}", which is not an http:// or https:// address')
        return None
    return api_base


def with_suffix_rule(environ: Mapping[str, str], provider: str, api_base: str) -> str:
    """LiteLLM's switch: an Anthropic base URL that is used as it stands."""
    if provider == "anthropic" and environ.get(DISABLE_SUFFIX_VARIABLE, "").lower() == "true":
        return api_base + UNCHANGED
    return api_base


def _required_text(reader: Reader, item: Item, fields: dict[str, Item], name: str, prefix: str = "") -> str | None:
    if name not in fields or fields[name].is_null:
        reader.problems.error(item.place or prefix + name, f"{item.name or 'the model'} has no {prefix}{name}")
        return None
    text = reader.text(fields[name])
    if text is not None and not text.strip():
        reader.problems.error(fields[name].place, f"{fields[name].name} is empty")
        return None
    return text


def _target(reader: Reader, name: str, model: str, params: dict[str, Item]) -> _Target | None:
    """The provider by ``custom_llm_provider``, by the prefix of the model, or by the family of a bare name."""
    if model == ANY_PROVIDER:
        return _Target(ANY_PROVIDER, "*")
    given = reader.text(params["custom_llm_provider"]) if "custom_llm_provider" in params else None
    prefix, slash, rest = model.partition("/")
    if given is not None:
        provider, upstream_model = given, rest if slash and prefix == given else model
    elif slash:
        provider, upstream_model = prefix, rest
    else:
        provider, upstream_model = family_of(model) or "", model
    place = params["model"].place
    if provider in HOSTS and upstream_model:
        return _Target(provider, model if provider == "demo" else upstream_model)
    if provider in NOT_BUILT:
        reader.problems.notice(
            f'{place}: provider "{provider}" of model "{name}" is not built yet, so the model is left out; '
            f"known: {', '.join(HOSTS)}"
        )
    elif not provider:
        reader.problems.error(
            place, f'litellm_params.model "{model}" of model "{name}" names no provider; write "openai/{model}", say'
        )
    else:
        reader.problems.error(
            place, f'provider "{provider}" of model "{name}" is not known; {nearest_names(provider, HOSTS)}'
        )
    return None


def _is_left_out(reader: Reader, name: str, params: dict[str, Item], honoured: Collection[str]) -> bool:
    """With a notice, when an honoured parameter refers to a variable that is not set; others have no effect anyway."""
    items = (item for key, item in params.items() if key in honoured)
    absent = next((found for item in items if (found := reader.absent_variable(item)) is not None), None)
    if absent is None:
        return False
    variable, place = absent
    reader.problems.notice(f'model "{name}" is left out: {variable} is not set ({place.place})')
    return True


def _check_names(reader: Reader, params: dict[str, Item], info: dict[str, Item]) -> Collection[str]:
    """The names that are honoured in ``litellm_params``."""
    prices = {name for name in (*params, *info) if read_price_field(name) is not None}
    is_price = litellm_names.is_price_name
    honoured = _PARAM_NAMES | _OPTION_NAMES | _OPTION_ALIASES.keys() | prices
    reader.check_names(params, "litellm_params", honoured, litellm_names.LITELLM_PARAMS, is_price)
    reader.check_names(
        info,
        "model_info",
        _INFO_NAMES | prices,
        litellm_names.MODEL_INFO,
        lambda name: is_price(name) or litellm_names.is_support_name(name),
    )
    return honoured


def _entry(
    reader: Reader, item: Item, name: str, target: _Target, params: dict[str, Item], info: dict[str, Item]
) -> ModelEntry:
    numbers = {key: reader.integer(params[key]) for key in _NUMBERS if key in params}
    seconds = {key: reader.seconds(params[key]) for key in _TIMES if key in params}
    limits = read_limits(reader, {name: params[name] for name in _BUDGET_NAMES if name in params})
    key_item = params.get("api_key")
    api_key = reader.text(key_item) if key_item is not None else None
    return ModelEntry(
        model_name=name,
        provider=target.provider,
        upstream_model=target.upstream_model,
        place=item.place,
        api_base=_api_base(reader, target.provider, params),
        api_key=Secret(api_key) if api_key else None,
        headers=_headers(reader, params),
        timeout_s=seconds.get("timeout") or seconds.get("request_timeout"),
        stream_timeout_s=seconds.get("stream_timeout"),
        requests_per_minute=numbers.get("rpm"),
        tokens_per_minute=numbers.get("tpm"),
        weight=numbers.get("weight"),
        order=numbers.get("order"),
        retries=numbers.get("num_retries", numbers.get("max_retries")),
        cooldown_s=reader.pause(params["cooldown_time"]) if "cooldown_time" in params else None,
        tags=(reader.texts(params["tags"]) or ()) if "tags" in params else (),
        most_running=numbers.get("max_parallel_requests"),
        max_budget_nanousd=limits.get("max_budget_nanousd"),
        budget_duration=limits.get("budget_duration"),
        region=_region(reader, params["region_name"]) if "region_name" in params else None,
        info=_info(reader, info),
        prices=_prices(reader, params) | _prices(reader, info),
        options=_options(reader, target.provider, params),
        allow_relay=_allow_relay(reader, target.provider, params["allow_relay"]) if "allow_relay" in params else None,
    )


def _region(reader: Reader, item: Item) -> str | None:
    region = (reader.text(item) or "").strip().lower()
    if not region:
        reader.problems.error(item.place, 'region_name must be a text such as "eu"')
    return region or None


def _allow_relay(reader: Reader, provider: str, item: Item) -> bool | None:
    allowed = reader.boolean(item)
    if allowed and provider != "anthropic":
        reader.problems.error(
            item.place,
            f'allow_relay is true on provider "{provider}", and callers\' own logins are of Anthropic: it goes with '
            "provider anthropic alone, whose api_base may be another host's",
        )
    return allowed


def _options(reader: Reader, provider: str, params: dict[str, Item]) -> dict[str, Secret]:
    """The parameters that the provider alone understands. One that means nothing to it is said once."""
    host = HOSTS.get(provider)
    options: dict[str, Secret] = {}
    for written, item in params.items():
        name = _OPTION_ALIASES.get(written, written)
        if name not in _OPTION_NAMES:
            continue
        if host is None or name not in host.options:
            reader.problems.notice(f'{item.place}: {written} has no effect on provider "{provider}"')
        elif text := reader.text(item):
            options[name] = Secret(text)
    return options


def _api_base(reader: Reader, provider: str, params: dict[str, Item]) -> str | None:
    item = next((params[name] for name in _BASE_NAMES if name in params), None)
    written = None if item is None else reader.text(item)
    if item is None or not written:
        return None
    api_base = checked_base(reader, item.place, item.name, written)
    return None if api_base is None else with_suffix_rule(reader.environ, provider, api_base)


def _headers(reader: Reader, params: dict[str, Item]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name in ("headers", "extra_headers"):
        if name in params:
            headers |= reader.text_mapping(params[name]) or {}
    organization = reader.text(params["organization"]) if "organization" in params else None
    if organization:
        headers.setdefault("OpenAI-Organization", organization)
    for name, value in headers.items():
        if not (name + value).isascii() or not (name + value).isprintable() or not name.strip():
            place = params.get("extra_headers", params.get("headers", next(iter(params.values())))).place
            reader.problems.error(place, f'the header "{name}" has characters that no header may have')
    return headers


def _info(reader: Reader, info: dict[str, Item]) -> ModelInfo:
    texts = {
        key: reader.text(info[key])
        for key in ("id", "display_name", "description", "base_model", "mode", "health_check_model")
        if key in info
    }
    limits = {
        key: reader.integer(info[key]) for key in ("max_input_tokens", "max_output_tokens", "max_tokens") if key in info
    }
    unprobed = info.get("disable_background_health_check")
    listed = [reader.boolean(info[key]) for key in ("discoverable", "listed") if key in info]
    return ModelInfo(
        deployment_id=texts.get("id"),
        display_name=texts.get("display_name"),
        description=texts.get("description"),
        access_groups=(reader.texts(info["access_groups"]) or ()) if "access_groups" in info else (),
        base_model=texts.get("base_model"),
        mode=texts.get("mode"),
        max_input_tokens=limits.get("max_input_tokens"),
        max_output_tokens=limits.get("max_output_tokens") or limits.get("max_tokens"),
        listed=False not in listed,
        native_tools=reader.boolean(info["supports_function_calling"]) if "supports_function_calling" in info else None,
        claude_code_name=_claude_code_name(reader, info["claude_code_name"]) if "claude_code_name" in info else None,
        probed=unprobed is None or not reader.boolean(unprobed),
        probe_model=texts.get("health_check_model"),
    )


def _claude_code_name(reader: Reader, item: Item) -> str | None:
    name = reader.text(item)
    if name is None or _picker_name.fullmatch(name):
        return name
    reader.problems.error(
        item.place,
        f'claude_code_name "{name}" must begin with "claude" or "anthropic", which Claude Code asks of every name that '
        "it lists, and have at most 256 letters, digits and . _ : @ / -",
    )
    return None


def _prices(reader: Reader, fields: dict[str, Item]) -> dict[str, Decimal]:
    prices: dict[str, Decimal] = {}
    for name, item in fields.items():
        if read_price_field(name) is None:
            continue
        written = _searches(reader, item) if name == "search_context_cost_per_query" else item
        dollars = None if written is None else reader.dollars(written)
        if dollars is not None:
            prices[name] = dollars
    return prices


def _searches(reader: Reader, item: Item) -> Item | None:
    """LiteLLM prices a search by the size of its context; the middle one stands for all."""
    sizes = reader.mapping(item) or {}
    return sizes.get("search_context_size_medium") or next(iter(sizes.values()), None)
