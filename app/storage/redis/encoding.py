"""Receipts as bytes, in holds and in the stream."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from app.domain.spend import Receipt

_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Receipt)


def encode_receipt(receipt: Receipt) -> bytes:
    """A JSON array on one line. A text that is no Unicode (a lone surrogate) is mended rather than refused."""
    try:
        return _ENCODER.encode(receipt)
    except UnicodeEncodeError:
        return _ENCODER.encode(_mend(receipt))


def decode_receipt(payload: bytes) -> Receipt:
    """Raises ValueError for what is no receipt."""
    return _DECODER.decode(payload)


def without_nul(receipt: Receipt) -> Receipt:
    """The receipt in a form that Postgres can store: its texts cannot hold U+0000."""
    return _map_texts(receipt, lambda text: text.replace("\x00", "�"))


def _mend(receipt: Receipt) -> Receipt:
    return _map_texts(receipt, lambda text: text.encode("utf-8", "replace").decode())


def _map_texts(receipt: Receipt, change: Callable[[str], str]) -> Receipt:
    changed: dict[str, Any] = {"tags": tuple(change(tag) for tag in receipt.tags)}
    for name in receipt.__struct_fields__:
        value = getattr(receipt, name)
        if isinstance(value, str):
            changed[name] = change(value)
    return replace(receipt, **changed)
