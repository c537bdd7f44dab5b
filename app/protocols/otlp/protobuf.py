"""OTLP metrics in protobuf: the few messages and fields that are needed, read by hand (decision 0021).

Unknown fields are passed over, and so are known ones of another wire type, as every protobuf reader does.
https://protobuf.dev/programming-guides/encoding/
"""

import struct
from collections.abc import Iterator

from app.protocols.otlp.points import Names, Point, Unreadable

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
_NO_RECORDED_VALUE = 1
_LONGEST_VARINT_BITS = 64


def read_fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Number, wire type and value of each field: a whole number, or bytes of all that is no varint.

    Raises Unreadable.
    """
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        if tag < 0x80:  # nearly always
            at += 1
        else:
            tag, at = _read_varint(data, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise Unreadable(f"the protobuf has a field 0, before byte {at}")
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield number, kind, value
            continue
        if kind == _BYTES:
            length, at = _read_varint(data, at)
        elif kind in (_FIXED_64, _FIXED_32):
            length = 8 if kind == _FIXED_64 else 4
        else:
            raise Unreadable(f"the protobuf has a field of wire type {kind}, before byte {at}")
        if length > end - at:
            raise Unreadable(f"the protobuf ends within field {number}: {length} bytes from byte {at} on")
        yield number, kind, data[at : at + length]
        at += length


def read_points(body: bytes, names: Names) -> list[Point]:
    """The points of the sums of an ExportMetricsServiceRequest. Raises Unreadable."""
    points: list[Point] = []
    for resource_metrics in _messages(body, 1):
        resource = b"".join(sorted(one for part in _messages(resource_metrics, 1) for one in _messages(part, 1)))
        for scope_metrics in _messages(resource_metrics, 2):
            for metric in _messages(scope_metrics, 2):
                points += _points_of(metric, names, resource)
    return points


def _points_of(metric: bytes, names: Names, resource: bytes) -> Iterator[Point]:
    name, sums = "", []
    for number, kind, value in read_fields(metric):
        if (number, kind) == (1, _BYTES):
            name = _text(value)
        elif (number, kind) == (7, _BYTES):
            sums.append(value)
    if name not in names:
        return
    for one in sums:
        temporality, points = 0, []
        for number, kind, value in read_fields(_bytes(one)):
            if (number, kind) == (1, _BYTES):
                points.append(_bytes(value))
            elif (number, kind) == (2, _VARINT):
                temporality = _number(value)
        for point in points:
            yield _point(name, temporality, point, resource)


def _point(name: str, temporality: int, data: bytes, resource: bytes) -> Point:
    start_ns = time_ns = flags = 0
    recorded: int | float | None = None
    attributes: list[bytes] = []
    for number, kind, value in read_fields(data):
        match number, kind:
            case 2, 1:
                start_ns = _fixed(value)
            case 3, 1:
                time_ns = _fixed(value)
            case 4, 1:
                (recorded,) = struct.unpack("<d", _bytes(value))
            case 6, 1:
                recorded = int.from_bytes(_bytes(value), "little", signed=True)
            case 7, 2:
                attributes.append(_bytes(value))
            case 8, 0:
                flags = _number(value)
            case _:
                pass
    if flags & _NO_RECORDED_VALUE:
        recorded = None
    identity = b"".join((resource, b"\0", *sorted(attributes)))
    return Point(name, temporality, start_ns, time_ns, recorded, _labels(attributes), identity)


def _labels(attributes: list[bytes]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for attribute in attributes:
        key, text = "", None
        for number, kind, value in read_fields(attribute):
            if (number, kind) == (1, _BYTES):
                key = _text(value)
            elif (number, kind) == (2, _BYTES):
                texts = [one for of, how, one in read_fields(_bytes(value)) if (of, how) == (1, _BYTES)]
                text = _text(texts[-1]) if texts else None
        if text is not None:
            labels[key] = text
    return labels


def _messages(data: bytes, wanted: int) -> list[bytes]:
    return [_bytes(value) for number, kind, value in read_fields(data) if (number, kind) == (wanted, _BYTES)]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number, of which 64 bits count, and where it ends."""
    value = shift = 0
    while True:
        if at >= len(data) or shift >= _LONGEST_VARINT_BITS + 6:
            raise Unreadable(f"the protobuf has a number without an end, before byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError as error:
        raise Unreadable("the protobuf has a text that is not UTF-8") from error


def _fixed(value: int | bytes) -> int:
    return int.from_bytes(_bytes(value), "little")


def _bytes(value: int | bytes) -> bytes:
    assert isinstance(value, bytes)
    return value


def _number(value: int | bytes) -> int:
    assert isinstance(value, int)
    return value
