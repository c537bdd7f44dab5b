"""What a translation could not say, and the three ways of dealing with it: refuse, drop, approximate."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from app.base.errors import InvalidRequest


class Loss(msgspec.Struct, frozen=True):
    """``field`` is a path in the client's own words: "top_k", "messages.3.cache_control".

    dropped: a knob or a hint that the target does not have. approximated: content said in other words.
    """

    field: str
    severity: Literal["dropped", "approximated"]


class Losses:
    """Gathers the losses of one request; each field once."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[str, Loss] = {}

    def drop(self, field: str) -> None:
        self._found.setdefault(field, Loss(field, "dropped"))

    def approximate(self, field: str) -> None:
        self._found.setdefault(field, Loss(field, "approximated"))

    def gathered(self) -> tuple[Loss, ...]:
        return tuple(self._found.values())


def refusal(thing: str, target: str, advice: str, *, param: str | None = None) -> InvalidRequest:
    """Content that cannot be said is a 400 that names it: never sent half, never left out silently."""
    return InvalidRequest(f"{thing} cannot be said to a model behind {target}; {advice}", param=param)


def refuse_suffix(extras: Mapping[str, str], target: str) -> None:
    """A text that the answer must lead to is content, which only completions of a text have a place for."""
    if extras.get("suffix", '""') not in {'""', "null"}:
        advice = "say in the prompt what must follow, or ask for a model behind the text completions API"
        raise refusal("a suffix", target, advice, param="suffix")
