"""``reasoning_details``: thoughts and their proof in OpenRouter's form, gathered from an answer and given back."""

from collections.abc import Sequence
from typing import Any

import msgspec

from app.protocols.conversation import Thinking

_GROWING = ("text", "summary")
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Details:
    """Those of one answer. In a stream each comes in pieces of the same index and type."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[tuple[object, object], dict[str, Any]] = {}

    def add(self, pieces: list[Any]) -> None:
        for piece in pieces:
            if isinstance(piece, dict):
                self._merge(piece)

    def written(self) -> str:
        """All as JSON; empty where there were none."""
        return _encode(list(self._entries.values())).decode() if self._entries else ""

    def _merge(self, piece: dict[str, Any]) -> None:
        place, kind = piece.get("index"), piece.get("type")
        if not isinstance(place, int | str):
            # Without an index, texts go on and proofs are whole.
            place = len(self._entries) if "data" in piece else None
        key = (place, kind if isinstance(kind, str) else None)
        entry = self._entries.setdefault(key, {})
        for name, value in piece.items():
            known = entry.get(name)
            if name in _GROWING and isinstance(known, str) and isinstance(value, str):
                entry[name] = known + value
            elif value is not None or name not in entry:
                entry[name] = value


def shown_text(pieces: list[Any]) -> str:
    """The text that these details show."""
    texts = (piece.get(key) for piece in pieces if isinstance(piece, dict) for key in _GROWING)
    return "".join(text for text in texts if isinstance(text, str))


def details_of(thoughts: Sequence[Thinking]) -> list[msgspec.Raw]:
    """What the seals of these thoughts hold; of a seal that a client has changed, nothing."""
    found: list[msgspec.Raw] = []
    for thought in thoughts:
        if thought.seal is not None and thought.seal.data:
            try:
                found += _decode_list(thought.seal.data)
            except (msgspec.DecodeError, RecursionError):
                continue
    return found
