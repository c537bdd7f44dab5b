"""JSON as Google's protocol buffers are written in it: every field in camelCase or snake_case, null for none.

Reads what a client wrote; each function raises InvalidRequest for what is not of the kind that it reads.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.envelope import LARGEST_COUNT
from app.protocols.raw_json import is_null

Members = Mapping[str, msgspec.Raw]
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_anything = msgspec.json.Decoder().decode
_hump = re.compile(r"[A-Z]")
NULL = msgspec.Raw(b"null")


@lru_cache(maxsize=256)
def snake(name: str) -> str:
    return _hump.sub(lambda letter: "_" + letter[0].lower(), name)


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest) if head else name


def first_byte(raw: msgspec.Raw) -> bytes:
    return bytes(memoryview(raw)[:1])


def find(members: Members, name: str, path: str = "") -> msgspec.Raw | None:
    """The field by its camelCase ``name`` or in snake_case; None where it is missing or null."""
    written, other = members.get(name), None
    spelled = snake(name)
    if spelled != name:
        other = members.get(spelled)
    if written is not None and other is not None:
        raise InvalidRequest(f'"{name}" is there twice, also as "{spelled}"; send one of them', param=path + name)
    found = other if written is None else written
    return None if found is None or is_null(found) else found


def as_members(raw: msgspec.Raw, path: str) -> dict[str, msgspec.Raw]:
    try:
        return _decode_members(raw)
    except UNREADABLE as error:
        raise InvalidRequest(f'"{path}" must be an object', param=path) from error


def as_elements(raw: msgspec.Raw, path: str) -> list[msgspec.Raw]:
    """The elements of an array; a lone object counts as an array of one, as Google's own parser has it."""
    try:
        return [raw] if first_byte(raw) == b"{" else _decode_elements(raw)
    except UNREADABLE as error:
        raise InvalidRequest(f'"{path}" must be an array', param=path) from error


def find_members(members: Members, name: str, path: str = "") -> dict[str, msgspec.Raw]:
    raw = find(members, name, path)
    return {} if raw is None else as_members(raw, path + name)


def find_value(members: Members, name: str, path: str = "") -> object:
    raw = find(members, name, path)
    if raw is None:
        return None
    try:
        value: object = _decode_anything(raw)
    except UNREADABLE as error:
        raise InvalidRequest(f'"{path}{name}" cannot be read', param=path + name) from error
    return value


def find_text(members: Members, name: str, path: str = "") -> str | None:
    value = find_value(members, name, path)
    if value is None or isinstance(value, str):
        return value
    raise InvalidRequest(f'"{path}{name}" must be a string', param=path + name)


def find_flag(members: Members, name: str, path: str = "") -> bool | None:
    value = find_value(members, name, path)
    if value is None or isinstance(value, bool):
        return value
    raise InvalidRequest(f'"{path}{name}" must be true or false', param=path + name)


def find_number(members: Members, name: str, path: str = "") -> float | None:
    value = find_value(members, name, path)
    if value is None:
        return None
    if isinstance(value, str):
        value = _number_in(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise InvalidRequest(f'"{path}{name}" must be a number', param=path + name)


def find_whole(members: Members, name: str, path: str = "", *, least: int = 0) -> int | None:
    """A whole number, which may be written as a string or with a zero after the point."""
    number = find_number(members, name, path)
    if number is None:
        return None
    if not number.is_integer() or not least <= number <= LARGEST_COUNT:
        raise InvalidRequest(
            f'"{path}{name}" must be a whole number from {least} to {LARGEST_COUNT}', param=path + name
        )
    return int(number)


def find_texts(members: Members, name: str, path: str = "") -> tuple[str, ...]:
    value = find_value(members, name, path)
    texts: Sequence[object] = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest(f'"{path}{name}" must be an array of strings', param=path + name)
    return tuple(text for text in texts if isinstance(text, str))


def _number_in(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number - number == 0 else None  # neither infinite nor no number
