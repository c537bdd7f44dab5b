"""Whether a JSON value is what a provider's own SDK declares: its typed dicts and models, unknown members included."""

import collections.abc
import types as python_types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from typing_extensions import get_type_hints, is_typeddict

_LISTS = (list, tuple, set, collections.abc.Iterable, collections.abc.Sequence)
_MAPPINGS = (dict, collections.abc.Mapping)


def faults(value: object, declared: Any, place: str = "$") -> list[str]:
    """What is wrong with ``value``, each with its place; empty where it is as declared."""
    origin = get_origin(declared)
    if origin in (Annotated, Required, NotRequired):
        return faults(value, get_args(declared)[0], place)
    if origin in (Union, python_types.UnionType):
        return _of_one(value, get_args(declared), place)
    if origin is Literal:
        return [] if value in get_args(declared) else [f"{place}: {value!r} is none of {get_args(declared)}"]
    if is_typeddict(declared):
        return _of_members(value, declared, place)
    if origin in _MAPPINGS:
        return [] if isinstance(value, dict) else [f"{place}: no object"]
    if origin in _LISTS or (isinstance(origin, type) and "Sequence" in origin.__name__):
        return _of_items(value, get_args(declared)[0], place)
    if isinstance(declared, type) and issubclass(declared, BaseModel):
        return _of_model(value, declared, place)
    return _of_plain(value, declared, place)


def _of_one(value: object, choices: tuple[Any, ...], place: str) -> list[str]:
    found = [faults(value, choice, place) for choice in choices]
    return min(found, key=lambda each: (len(each), -max((len(fault) for fault in each), default=0)))


def _of_members(value: object, declared: Any, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place}: no object of {declared.__name__}"]
    hints = get_type_hints(declared, include_extras=True)
    found = [f"{place}.{name}: missing in {declared.__name__}" for name in declared.__required_keys__ - value.keys()]
    for name, member in value.items():
        if name in hints:
            found += faults(member, hints[name], f"{place}.{name}")
        else:
            found.append(f"{place}.{name}: unknown to {declared.__name__}")
    return found


def _of_items(value: object, declared: Any, place: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{place}: no list"]
    return [fault for number, item in enumerate(value) for fault in faults(item, declared, f"{place}.{number}")]


def _of_model(value: object, declared: type[BaseModel], place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place}: no object of {declared.__name__}"]
    fields = {field.alias or name: field.annotation for name, field in declared.model_fields.items()}
    found: list[str] = []
    for name, member in value.items():
        if name not in fields:
            found.append(f"{place}.{name}: unknown to {declared.__name__}")
        elif _holds_models(fields[name]):
            found += faults(member, fields[name], f"{place}.{name}")
    if found:
        return found
    try:
        declared.model_validate(value)
    except ValidationError as error:
        return [f"{place}.{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return []


def _holds_models(declared: Any) -> bool:
    if isinstance(declared, type) and issubclass(declared, BaseModel):
        return True
    return any(_holds_models(inner) for inner in get_args(declared))


def _of_plain(value: object, declared: Any, place: str) -> list[str]:
    if declared in (Any, object):
        return []
    if declared in (None, type(None)):
        return [] if value is None else [f"{place}: not null"]
    if declared is float:
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif declared is int:
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif declared in (str, bool, dict, list):
        fits = isinstance(value, declared)
    elif declared == Mapping:
        fits = isinstance(value, dict)
    elif isinstance(declared, type) and issubclass(declared, str):
        fits = isinstance(value, str)
    else:
        return [f"{place}: {declared!r} is not understood here"]
    return [] if fits else [f"{place}: {value!r} is no {declared.__name__}"]
