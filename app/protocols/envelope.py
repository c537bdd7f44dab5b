"""The top level of a JSON request body: read without decoding what is nested, changed without touching the rest."""

import re
from collections.abc import Iterable, Mapping

import msgspec

from app.base.errors import InvalidRequest

Buffer = bytes | memoryview

LONGEST_MODEL_NAME = 512
LONGEST_LABEL = 256
LARGEST_COUNT = 2**31 - 1

_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_anything = msgspec.json.Decoder().decode
_encode = msgspec.json.encode
_SPACE = rb"[ \t\n\r]*"
_MEMBER = _SPACE + rb'("[^"\\]*(?:\\.[^"\\]*)*")' + _SPACE + b":" + _SPACE
_first_member = re.compile(_SPACE + rb"\{" + _MEMBER).match
_next_member = re.compile(_SPACE + b"," + _MEMBER).match
_rest = re.compile(_SPACE + rb"\}" + _SPACE).fullmatch
_nothing = re.compile(_SPACE + rb"\{" + _SPACE + rb"\}" + _SPACE).fullmatch
_SLICE_BYTES = 16 * 1024
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# How what is compressed begins; none of it is UTF-8.
_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\x78\x9c", "deflate"))


def read_fields(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level fields, every value as it came; the last of duplicate keys.

    Raises InvalidRequest for whatever is no JSON object in UTF-8 to the last nested byte: its message says what is
    wrong and where, and never repeats the body.
    """
    if not body:
        raise InvalidRequest("the request body is empty; send a JSON object")
    if body.startswith(_BYTE_ORDER_MARK):
        raise InvalidRequest("the request body begins with a byte order mark; send JSON in UTF-8 without one")
    _check_utf8(body)
    try:
        return _decode_fields(body)
    except msgspec.ValidationError as error:
        raise InvalidRequest('the request body is JSON, but no object; send one, such as {"model": "…"}') from error
    except msgspec.DecodeError as error:
        said = _first_line(error).removeprefix("JSON is malformed: ")
        if said == "Input data was truncated":
            said = f"it ends too early, or holds half of a \\u surrogate pair ({len(body)} bytes were read)"
        raise InvalidRequest(f"the request body is not valid JSON: {said}") from error
    except RecursionError as error:
        raise InvalidRequest("the request body is nested too deeply; flatten it to a few hundred levels") from error


def splice(body: bytes, fields: Mapping[str, msgspec.Raw], changes: Mapping[str, bytes | None]) -> bytes:
    """``body`` with top-level fields replaced, added, or (None) removed; ``fields`` are those read from it.

    Every other byte stays as it is, white space included. A body whose keys are duplicated or written with escapes is
    encoded anew from ``fields`` instead: what was authorised is what is sent, whichever of two "model" a host would
    have believed.
    """
    if len(changes) == 1 and _says(body, fields, changes):
        return body
    if changes.keys() <= fields.keys() and (spliced := _splice_compact(body, fields, changes)) is not None:
        return spliced
    members = _find_members(body, fields)
    if members is None:
        return encode_fields(fields, changes)
    view = memoryview(body)
    parts: list[Buffer] = []
    gap: Buffer = view[: members[0][1]] if members else body[: body.index(b"{") + 1]
    end = members[-1][3] if members else len(gap)
    for number, (key, key_start, value_start, value_end) in enumerate(members):
        value = changes.get(key, view[value_start:value_end])
        if value is None:
            continue
        parts += (gap, view[key_start:value_start], value)
        following = number + 1
        gap = view[value_end : members[following][1]] if following < len(members) else b","
    if not parts:
        parts, gap = [gap], b""
    for key, value in changes.items():
        if value is not None and key not in fields:
            parts += (gap, _encode(key), b":", value)
            gap = b","
    parts.append(view[end:])
    return b"".join(parts)


def encode_fields(fields: Mapping[str, msgspec.Raw], changes: Mapping[str, bytes | None]) -> bytes:
    """A JSON object of ``fields`` with ``changes``; None in the latter removes."""
    values: dict[str, Buffer | None] = {key: memoryview(raw) for key, raw in fields.items()}
    values.update(changes)
    parts: list[Buffer] = []
    for key, value in values.items():
        if value is not None:
            parts += (b"," if parts else b"{", _encode(key), b":", value)
    return b"".join((*parts, b"}")) if parts else b"{}"


def read_model(fields: Mapping[str, msgspec.Raw]) -> str:
    """Raises InvalidRequest where ``model`` is missing, no string, empty, or no name that could be shown."""
    model = read_loosely(fields, "model")
    if model is None:
        raise InvalidRequest('"model" is missing; name a model, see GET /v1/models', param="model")
    if not isinstance(model, str):
        raise InvalidRequest(f'"model" must be a string, not {_kind(model)}', param="model")
    if not model or len(model) > LONGEST_MODEL_NAME or not model.isprintable():
        raise InvalidRequest(f'"model" must be 1 to {LONGEST_MODEL_NAME} printable characters', param="model")
    return model


def read_flag(fields: Mapping[str, msgspec.Raw], name: str) -> bool:
    """False where the field is missing or null. Raises InvalidRequest for any other type."""
    value = read_loosely(fields, name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise InvalidRequest(f'"{name}" must be true or false, not {_kind(value)}', param=name)


def read_count(fields: Mapping[str, msgspec.Raw], name: str) -> int | None:
    """None where the field is missing or null. Raises InvalidRequest for anything but a whole number from 0."""
    value = read_loosely(fields, name)
    if value is None:
        return None
    if type(value) is not int:
        raise InvalidRequest(f'"{name}" must be a whole number, not {_kind(value)}', param=name)
    if not 0 <= value <= LARGEST_COUNT:
        raise InvalidRequest(f'"{name}" is {str(value)[:20]}, and must be from 0 to {LARGEST_COUNT}', param=name)
    return value


def read_loosely(fields: Mapping[str, msgspec.Raw], name: str) -> object:
    """The decoded value of a field, None where it is missing. Raises InvalidRequest for a number like 1e999."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        value: object = _decode_anything(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f'"{name}" cannot be read: {_first_line(error)}', param=name) from error
    return value


def as_label(value: object) -> str | None:
    """A text for the books: stripped, at most 256 characters, without NUL (Postgres takes none); else None."""
    if not isinstance(value, str):
        return None
    return value.replace("\0", "").strip()[:LONGEST_LABEL].strip() or None


def as_labels(values: Iterable[object]) -> tuple[str, ...]:
    """Each label once, in the order given."""
    return tuple(dict.fromkeys(label for value in values if (label := as_label(value)) is not None))


def _check_utf8(body: bytes) -> None:
    # msgspec.Raw is checked for its grammar, NaN and lone \u surrogates included, but not for its encoding.
    if body.isascii():
        return
    # In slices: most of a prompt is ASCII, and a large text would be allocated only to be thrown away.
    for start in range(0, len(body), _SLICE_BYTES):
        part = body[_character_start(body, start) : _character_start(body, start + _SLICE_BYTES)]
        if part.isascii():
            continue
        try:
            part.decode()
        except UnicodeDecodeError as error:
            place = _character_start(body, start) + error.start
            for beginning, encoding in _COMPRESSED:
                if body.startswith(beginning):
                    raise InvalidRequest(
                        f"the request body is compressed ({encoding}); send plain JSON, without a content-encoding"
                    ) from error
            raise InvalidRequest(f"the request body is not valid UTF-8: {error.reason} (byte {place})") from error


def _character_start(body: bytes, position: int) -> int:
    """The first byte from ``position`` on that continues no character; never more than three bytes on."""
    if position == 0:
        return 0
    continues = body[position : position + 3]
    return position + next((step for step, byte in enumerate(continues) if byte & 0xC0 != 0x80), 3)


def _says(body: bytes, fields: Mapping[str, msgspec.Raw], changes: Mapping[str, bytes | None]) -> bool:
    """Whether a compact body (``_splice_compact``) says already what is to change: an alias is the exception."""
    lengths = sum(map(len, fields)) + sum(map(len, fields.values())) + 4 * len(fields) + 1
    return lengths == len(body) and all(
        value is not None and key in fields and bytes(fields[key]) == value for key, value in changes.items()
    )


def _splice_compact(
    body: bytes, fields: Mapping[str, msgspec.Raw], changes: Mapping[str, bytes | None]
) -> bytes | None:
    """``splice`` of what is there, in a body with nothing between its tokens, as the SDKs write it; else None.

    No body with these fields is shorter: a key that is there twice or written with escapes, and white space, make it
    longer. So where the length fits, each place follows from the lengths before it.
    """
    parts: list[bytes] = []
    position, copied = 1, 0
    for key, raw in fields.items():
        value_start = position + len(key) + 3
        position = value_start + memoryview(raw).nbytes
        if key in changes:
            value = changes[key]
            if value is None:
                return None
            parts += (body[copied:value_start], value)
            copied = position
        position += 1
    return b"".join((*parts, body[copied:])) if position == len(body) else None


def _find_members(body: bytes, fields: Mapping[str, msgspec.Raw]) -> list[tuple[str, int, int, int]] | None:
    """(key, start of the key, start and end of the value) of each member; None where body and fields do not fit.

    A key's only literal and the value's own bytes must stand at each place, and nothing else between the braces. JSON
    tokens are self-delimiting (a number is followed by a comma or brace), so a body that fits has each key once.
    """
    members: list[tuple[str, int, int, int]] = []
    position = 0
    for key, raw in fields.items():
        member = (_next_member if members else _first_member)(body, position)
        if member is None or member[1] != _encode(key):
            return None
        value, value_start = memoryview(raw), member.end()
        if not body.startswith(value, value_start):
            return None
        position = value_start + value.nbytes
        members.append((key, member.start(1), value_start, position))
    return members if (_rest if members else _nothing)(body, position) else None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _kind(value: object) -> str:
    match value:
        case bool():
            return "a boolean"
        case int() | float():
            return "a number with decimals" if isinstance(value, float) else "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
