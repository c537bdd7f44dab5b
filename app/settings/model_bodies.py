"""Reads a model of the admin API by the rules of an entry of the file: its JSON as YAML nodes, a problem as a 422."""

import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml

from app.base.errors import Unprocessable
from app.domain.catalog import ModelEntry
from app.settings import litellm_names
from app.settings.model_list import read_entry
from app.settings.yaml_reading import ENVIRONMENT_REFERENCE, Item, Problems, Reader

_NOWHERE = yaml.Mark("", 0, -1, 0, None, 0)  # the line before the first: see Item
_TAG = "tag:yaml.org,2002:"
_NEUTRAL: tuple[object, ...] = (None, False, [], {})
_PLACE = re.compile(r"[\w.\[\]-]+")
_ASKS_FOR_SOMETHING = frozenset(
    """
    access_windows blocked direct_access health_check_interval health_check_max_tokens
    health_check_reasoning_effort health_check_timeout health_check_voice rpm team_id
    team_public_model_name tiered_pricing tpm
    """.split()  # noqa: SIM905  a list of words
)
_DESCRIPTIVE = litellm_names.MODEL_INFO - _ASKS_FOR_SOMETHING
"""What ``model_info`` may say of a model without anything following from it: kept, and shown."""


def read_model(model_name: str, litellm_params: Mapping[str, Any], model_info: Mapping[str, Any]) -> ModelEntry:
    """Numbers may be Decimal or texts. Raises Unprocessable, ``param`` being the dotted name of the field."""
    params = {name: value for name, value in litellm_params.items() if value is not None}
    info = {name: value for name, value in model_info.items() if value is not None and not _is_descriptive(name)}
    google = params.get("vertex_credentials")
    if isinstance(google, dict):
        params["vertex_credentials"] = msgspec.json.encode(google).decode()
    _refuse_references("litellm_params", params)
    _refuse_references("model_info", info)
    _refuse_paths(params)
    body = {"model_name": model_name, "litellm_params": _asking(params), "model_info": _asking(info)}
    entry = read_entry(Reader(_Refusals(), {}), Item("", Path(), 0, _node(body)))
    if entry is None:
        raise Unprocessable('"litellm_params" cannot be read as those of a model', param="litellm_params")
    return entry


class _Refusals(Problems):
    """The first problem is the answer. A notice is one too: what has no effect is not accepted."""

    def error(self, place: str, sentence: str) -> None:
        raise Unprocessable(sentence.strip(), param=place or None)

    def notice(self, sentence: str) -> None:
        place, _, rest = sentence.partition(": ")
        if rest and _PLACE.fullmatch(place):
            raise Unprocessable(f"{rest}; it is refused rather than stored and ignored", param=place)
        raise Unprocessable(sentence)


def _is_descriptive(name: str) -> bool:
    described = name in _DESCRIPTIVE or litellm_names.is_support_name(name)
    return described and name != "supports_function_calling"


def _asking(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without what LiteLLM's clients send for fields that they leave alone."""
    known = litellm_names.LITELLM_PARAMS | litellm_names.MODEL_INFO
    return {name: value for name, value in fields.items() if name not in known or value not in _NEUTRAL}


def _refuse_references(name: str, value: object) -> None:
    """The environment is the operator's: whoever manages models could read it by sending it to a host of theirs."""
    match value:
        case str() if value.strip().startswith(ENVIRONMENT_REFERENCE):
            raise Unprocessable(
                f'"{name}" refers to the environment, which only the operator\'s own file may; give the value itself, '
                'or the name of a credential as "litellm_credential_name"',
                param=name,
            )
        case dict():
            for key, inner in value.items():
                _refuse_references(f"{name}.{key}", inner)
        case list():
            for inner in value:
                _refuse_references(name, inner)
        case _:
            pass


_GOOGLE_KINDS = ("service_account", "authorized_user")


def _refuse_paths(params: Mapping[str, Any]) -> None:
    """Google's credentials are given as such: a path, or a kind that reads files, would be this machine's."""
    written = params.get("vertex_credentials")
    if written is not None and _google_kind(written) not in _GOOGLE_KINDS:
        raise Unprocessable(
            f'"vertex_credentials" must be the JSON of credentials of the type {" or ".join(_GOOGLE_KINDS)}',
            param="litellm_params.vertex_credentials",
        )


def _google_kind(written: object) -> str | None:
    try:
        decoded = msgspec.json.decode(written if isinstance(written, str) else "", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        return None
    kind = decoded.get("type")
    return kind if isinstance(kind, str) else None


def _node(value: object) -> yaml.Node:
    match value:
        case dict():
            pairs = [(_scalar("str", str(key)), _node(inner)) for key, inner in value.items()]
            return yaml.MappingNode(f"{_TAG}map", pairs, _NOWHERE, _NOWHERE)
        case list() | tuple():
            return yaml.SequenceNode(f"{_TAG}seq", [_node(inner) for inner in value], _NOWHERE, _NOWHERE)
        case None:
            return _scalar("null", "")
        case bool():
            return _scalar("bool", "true" if value else "false")
        case int() | Decimal():
            return _scalar("float", str(value))
        case _:
            return _scalar("str", str(value))


def _scalar(kind: str, text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode(f"{_TAG}{kind}", text, _NOWHERE, _NOWHERE)
