"""One OTLP export over HTTP: its encoding, its body unpacked, and what it is answered.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import zlib
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Literal

import msgspec

from app.base.errors import GatewayError, TooLarge, UnsupportedMediaType
from app.protocols.codec import Header
from app.protocols.otlp import json_form, protobuf
from app.protocols.otlp.points import Names, Point, Unreadable

Signal = Literal["metrics", "logs", "traces"]
Encoding = Literal["protobuf", "json"]
MEDIA_TYPES: Mapping[Encoding, bytes] = {"protobuf": b"application/x-protobuf", "json": b"application/json"}
_ENCODINGS: Mapping[bytes, Encoding] = {b"application/x-protobuf": "protobuf", b"application/json": "json"}
# Of google.rpc.Code; any other status of the 400s is an invalid argument, of the 500s internal.
_CODES = {401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 8, 429: 8, 503: 14}
_INVALID_ARGUMENT, _INTERNAL = 3, 13
_FIELDS_LOOKED_AT = 1_000
_GZIP = 16 + zlib.MAX_WBITS


def encoding_of(headers: Iterable[Header]) -> Encoding | None:
    """As the content type says; None for any other."""
    value = next((value for name, value in headers if name == b"content-type"), b"")
    return _ENCODINGS.get(value.partition(b";")[0].strip().lower())


def require_encoding(headers: Iterable[Header]) -> Encoding:
    """Raises UnsupportedMediaType."""
    found = encoding_of(headers)
    if found is None:
        raise UnsupportedMediaType(
            "telemetry is taken as application/x-protobuf or application/json; set OTEL_EXPORTER_OTLP_PROTOCOL to "
            "http/protobuf or http/json"
        )
    return found


def unpack(body: bytes, headers: Iterable[Header], most_bytes: int) -> bytes:
    """The body without its content encoding. Raises UnsupportedMediaType, Unreadable, TooLarge."""
    coding = next((value for name, value in headers if name == b"content-encoding"), b"").strip().lower()
    if coding in (b"", b"identity"):
        return body
    if coding != b"gzip":
        error = UnsupportedMediaType(f'the content encoding "{coding.decode("latin-1")[:50]}" is not known; send gzip')
        error.headers = [(b"accept-encoding", b"gzip, identity")]  # RFC 9110 15.5.16
        raise error
    packed = zlib.decompressobj(_GZIP)
    try:
        whole = packed.decompress(body, most_bytes + 1)
    except zlib.error as error:
        raise Unreadable(f"the body is not what gzip makes: {error}") from error
    if len(whole) > most_bytes:
        raise TooLarge(f"the body is larger than {most_bytes} bytes when unpacked; export in smaller batches")
    if not packed.eof or packed.unused_data:
        raise Unreadable("the body is not what gzip makes: it ends too early, or goes on after its end")
    return whole


def read_points(encoding: Encoding, body: bytes, names: Names) -> list[Point]:
    """Raises Unreadable."""
    if encoding == "json":
        return json_form.read_points(body, names)
    return protobuf.read_points(body, names)


def check_form(encoding: Encoding, body: bytes) -> None:
    """That a body of which nothing is read is a message at all. Raises Unreadable."""
    if encoding == "json":
        json_form.check_object(body)
        return
    for _ in islice(protobuf.read_fields(body), _FIELDS_LOOKED_AT):
        pass


def render_taken(encoding: Encoding, refused: int = 0, reason: str = "") -> bytes:
    """The answer to an export: whole, or all but ``refused`` data points."""
    if not refused:
        return b"{}" if encoding == "json" else b""
    if encoding == "json":
        return msgspec.json.encode({"partialSuccess": {"rejectedDataPoints": str(refused), "errorMessage": reason}})
    return _field(1, b"\x08" + _varint(refused) + _field(2, reason.encode()))


def render_status(encoding: Encoding, error: GatewayError) -> bytes:
    """A google.rpc.Status."""
    code = _CODES.get(error.status, _INVALID_ARGUMENT if error.status < 500 else _INTERNAL)
    if encoding == "json":
        return msgspec.json.encode({"code": code, "message": error.message})
    return b"\x08" + _varint(code) + _field(2, error.message.encode("utf-8", "replace"))


def _field(number: int, value: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
