"""Reads LiteLLM's ``cache`` and ``cache_params``: the response cache by exact match, kept in our own Redis."""

from collections.abc import Mapping
from typing import Any

from app.domain.caching import CALL_TYPES, LONGEST_TTL_S
from app.settings import litellm_names
from app.settings.yaml_reading import Item, Problems, Reader

CACHE_NAMES = frozenset({"cache", "cache_params"})
_HONOURED = frozenset({"type", "ttl", "mode", "supported_call_types"})
_OURS = frozenset({"redis", "local"})
_KNOWN_TYPES = (
    "local",
    "redis",
    "redis-semantic",
    "valkey-semantic",
    "qdrant-semantic",
    "s3",
    "disk",
    "gcs",
    "azure-blob",
)
_MODES = {"default_on": "on", "default_off": "opt_in"}
# Of kinds of calls that are not made here.
_ELSEWHERE = frozenset({"transcription", "atranscription", "rerank", "arerank"})


def read_cache(reader: Reader, items: Mapping[str, Item]) -> dict[str, Any]:
    """The settings that are set; a slip is a problem of the reader's."""
    if "cache" not in items or not reader.boolean(items["cache"]):
        return {}
    values: dict[str, Any] = {"response_cache": "on"}
    params = reader.mapping(items["cache_params"]) if "cache_params" in items else {}
    if params is None:
        return values
    reader.check_names(params, "cache_params", _HONOURED, litellm_names.CACHE_PARAMS)
    _check_type(reader, params.get("type"))
    if "ttl" in params and (ttl_s := _ttl(reader, params["ttl"])) is not None:
        values["response_cache_ttl_s"] = ttl_s
    if "mode" in params and (mode := _choice(reader, params["mode"], tuple(_MODES))) is not None:
        values["response_cache"] = _MODES[mode]
    if "supported_call_types" in params:
        written = reader.texts(params["supported_call_types"]) or ()
        values["response_cache_call_types"] = tuple(name for name in written if name not in _ELSEWHERE)
    return values


def check_call_types(problems: Problems, values: Mapping[str, Any]) -> None:
    known = frozenset().union(*CALL_TYPES.values())
    problems.errors += [
        f'response_cache_call_types: "{name}" is no kind of call; known are: {", ".join(sorted(known))}'
        for name in values.get("response_cache_call_types", ())
        if name not in known
    ]


def _check_type(reader: Reader, item: Item | None) -> None:
    kind = None if item is None else _choice(reader, item, _KNOWN_TYPES)
    if item is not None and kind is not None and kind not in _OURS:
        reader.problems.notice(
            f'{item.place}: cache_params.type is "{kind}"; answers are kept in Redis, by exact match'
        )


def _ttl(reader: Reader, item: Item) -> int | None:
    ttl_s = reader.integer(item, least=1)
    if ttl_s is not None and ttl_s > LONGEST_TTL_S:
        reader.problems.error(item.place, f"{item.name} is {ttl_s}; the longest is {LONGEST_TTL_S} s")
        return None
    return ttl_s


def _choice(reader: Reader, item: Item, choices: tuple[str, ...]) -> str | None:
    text = reader.text(item)
    if text is not None and text not in choices:
        reader.problems.error(item.place, f'{item.name} is "{text}"; known are: {", ".join(choices)}')
        return None
    return text
