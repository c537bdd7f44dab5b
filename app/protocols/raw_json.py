"""JSON that stays text as it came, and refusals that name the place in a client's request that cannot be read."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from app.base.errors import InvalidRequest

T = TypeVar("T")
Decode = Callable[[msgspec.Raw | bytes], T]

_EXPECTED = re.compile(r"Expected `([a-z |]+)`, got `([a-z]+)`")
_KINDS = {
    "str": "a string", "int": "a whole number", "float": "a number", "bool": "true or false", "object": "an object",
    "array": "an array", "null": "null",
}  # fmt: skip
"""What a decoder calls the kinds of JSON, and what people call them."""

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
    return InvalidRequest(f'"{param}" {plainly(said)}', param=param)


def plainly(said: str) -> str:
    """What a decoder says of a value, in words that follow the value's name: ``must be an array, not a string``."""
    found = _EXPECTED.fullmatch(said)
    if found is None:
        return f"cannot be read: {said}"
    wanted = [_KINDS.get(kind, kind) for kind in found[1].split(" | ") if kind != "null"] or ["null"]
    return f"must be {' or '.join(wanted)}, not {_KINDS.get(found[2], found[2]).replace('true or false', 'a boolean')}"
