"""JSON that stays text as it came, and refusals that name the place in a client's request that cannot be read."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from app.base.errors import InvalidRequest

T = TypeVar("T")
Decode = Callable[[msgspec.Raw | bytes], T]

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def text_of(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def raw_of(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def is_null(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:4]) == b"null"


def is_object(text: str) -> bool:
    """Whether ``text`` is a JSON object to its last byte."""
    try:
        _decode_members(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def read(decode: Decode[T], raw: msgspec.Raw, place: str) -> T:
    """The value at ``place``. Raises InvalidRequest naming the member that has the wrong type."""
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise unreadable(error, place) from error


def unreadable(error: Exception, place: str) -> InvalidRequest:
    said, _, inner = str(error).partition("\n")[0].partition(" - at `$")
    param = place + inner.rstrip("`").replace("[", ".").replace("]", "")
    return InvalidRequest(f'"{param}" cannot be read: {said}', param=param)
