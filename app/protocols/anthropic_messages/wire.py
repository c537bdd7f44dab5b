"""What the readers and writers of this protocol share: JSON kept as text, and refusals that name the place."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import CacheMark

PROTOCOL = "anthropic_messages"
NATIVE = "anthropic"
"""Whose seals stand bare in this protocol's opaque fields."""
BILLING_HEAD = "x-anthropic-billing-header:"
"""How the first system block of Claude Code begins, which is for Anthropic's own host alone."""

T = TypeVar("T")
Decode = Callable[[msgspec.Raw | bytes], T]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_anything = msgspec.json.Decoder().decode
encode = msgspec.json.encode


class WireCache(msgspec.Struct):
    ttl: str | None = None


def text_of(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def raw_of(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def is_null(raw: msgspec.Raw) -> bool:
    return bytes(memoryview(raw)[:4]) == b"null"


def read(decode: Decode[T], raw: msgspec.Raw, place: str) -> T:
    """The value at ``place``. Raises InvalidRequest naming the member that has the wrong type."""
    try:
        return decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise unreadable(error, place) from error


def unreadable(error: Exception, place: str) -> InvalidRequest:
    said, _, inner = str(error).partition("\n")[0].partition(" - at `$")
    param = place + inner.rstrip("`").replace("[", ".").replace("]", "")
    return InvalidRequest(f'"{param}" cannot be read: {said}', param=param)


def as_mark(cache: WireCache | None) -> CacheMark | None:
    return None if cache is None else CacheMark(cache.ttl)


def wire_mark(cache: CacheMark) -> dict[str, str]:
    return {"type": "ephemeral"} if cache.ttl is None else {"type": "ephemeral", "ttl": cache.ttl}


def is_object(text: str) -> bool:
    """Whether ``text`` is a JSON object to its last byte."""
    try:
        decode_members(text.encode())
    except (*UNREADABLE, UnicodeEncodeError):
        return False
    return True
