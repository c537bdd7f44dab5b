"""What changed between two states of a thing, as rows that people read: one for each value, by its place in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from app.api.ui.rendering import exact_usd

_NOTHING = object()
_MONEY = "_nanousd"
_OF_THE_CHANGE = frozenset({"updated_at", "updated_by"})
"""What every change has, and its row of the audit tells already."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``before`` and ``after`` are texts; None where there was or is no such value."""

    place: str
    before: str | None
    after: str | None

    @property
    def is_change(self) -> bool:
        return self.before != self.after


def differences(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> list[Difference]:
    """What changed first, each in the order in which it is written."""
    old, new = dict(_flat("", before or {})), dict(_flat("", after or {}))
    found = [
        Difference(
            place.removesuffix(_MONEY), _text(place, old.get(place, _NOTHING)), _text(place, new.get(place, _NOTHING))
        )
        for place in dict.fromkeys((*old, *new))
    ]
    return sorted(found, key=lambda one: not one.is_change)


def _flat(place: str, value: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401  any JSON
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            if not place and name in _OF_THE_CHANGE:
                continue
            yield from _flat(f"{place}.{name}" if place else str(name), inner)
    elif place:
        yield place, value


def _text(place: str, value: Any) -> str | None:  # noqa: ANN401  any JSON
    if value is _NOTHING or value is None or value in ([], {}):
        return None
    if isinstance(value, int) and not isinstance(value, bool) and place.endswith(_MONEY):
        return exact_usd(value)
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    return msgspec.json.encode(value).decode()
