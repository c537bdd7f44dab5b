"""Settings that an organization gives to Claude Code: how levels add up, and the checksum that the client compares."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

Managed = Mapping[str, Any]


def merge(levels: Sequence[Managed]) -> dict[str, Any]:
    """The widest level first. Objects are merged name by name; any other value of a narrower level stands in the place
    of the wider one's, lists too."""
    merged: dict[str, Any] = {}
    for level in levels:
        for name, value in level.items():
            present = merged.get(name)
            if isinstance(present, dict) and isinstance(value, dict):
                merged[name] = merge([present, value])
            else:
                merged[name] = value
    return merged


def with_plain_numbers(value: Any) -> Any:  # noqa: ANN401  JSON
    """As the client writes numbers again: 1.0 is 1 in JavaScript."""
    match value:
        case dict():
            return {name: with_plain_numbers(inner) for name, inner in value.items()}
        case list():
            return [with_plain_numbers(inner) for inner in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def checksum_of(settings: Managed) -> str:
    """``sha256:…`` of the JSON with its names sorted at every level and no whitespace, as the client computes it."""
    return f"sha256:{hashlib.sha256(msgspec.json.encode(settings, order='sorted')).hexdigest()}"
