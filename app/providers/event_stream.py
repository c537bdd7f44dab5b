"""Amazon's event stream (application/vnd.amazon.eventstream): bytes in, messages out.

A message is its length, the length of its headers and a CRC-32 of the two; the headers; the payload; and a CRC-32 of
all before. Numbers are big-endian.
"""

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

_PRELUDE = struct.Struct(">III")
_CHECKSUM = struct.Struct(">I")
_LENGTH = struct.Struct(">H")
_LEAST_BYTES = _PRELUDE.size + _CHECKSUM.size
_MOST_BYTES = 2**25
"""Above what AWS allows a message to hold (24 MiB)."""
_HEADERS_MOST_BYTES = 2**17
_SIZES = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Of a header's value by its type: true, false, the integers, a time, a UUID."""
_BYTES, _TEXT = 6, 7


class Message(NamedTuple):
    """``headers`` are those whose value is text."""

    headers: Mapping[str, str]
    payload: bytes


class EventStreamDecoder:
    """Reads one stream, split at any byte. ``failure`` says why nothing more can be read, None while all is well."""

    def __init__(self) -> None:
        self._held = b""
        self.failure: str | None = None

    @property
    def at_boundary(self) -> bool:
        """Whether the last message is whole."""
        return not self._held

    def feed(self, chunk: bytes) -> list[Message]:
        """The messages that are whole now. Those before an unreadable one are returned; ``failure`` is set then."""
        if self.failure is not None:
            return []
        data = self._held + chunk if self._held else chunk
        at, end = 0, len(data)
        messages: list[Message] = []
        while end - at >= _LEAST_BYTES:
            length, headers_length, checksum = _PRELUDE.unpack_from(data, at)
            if not self._plausible(data[at : at + 8], length, headers_length, checksum):
                break
            if end - at < length:
                break
            message = self._read(data[at : at + length], headers_length)
            if message is None:
                break
            messages.append(message)
            at += length
        self._held = data[at:]
        return messages

    def _plausible(self, lengths: bytes, length: int, headers_length: int, checksum: int) -> bool:
        """Checked before the length is believed, which is how much would be waited for."""
        if crc32(lengths) != checksum:
            self.failure = "the checksum of a message's lengths is wrong"
        elif not _LEAST_BYTES + headers_length <= length <= _MOST_BYTES or headers_length > _HEADERS_MOST_BYTES:
            self.failure = "a message's lengths make no sense"
        return self.failure is None

    def _read(self, data: bytes, headers_length: int) -> Message | None:
        if crc32(data[: -_CHECKSUM.size]) != _CHECKSUM.unpack_from(data, len(data) - _CHECKSUM.size)[0]:
            self.failure = "a message's checksum is wrong"
            return None
        headers_end = _PRELUDE.size + headers_length
        headers = _parse_headers(data[_PRELUDE.size : headers_end])
        if headers is None:
            self.failure = "a message's headers cannot be read"
            return None
        return Message(headers, data[headers_end : -_CHECKSUM.size])


@lru_cache(maxsize=64)
def _parse_headers(data: bytes) -> Mapping[str, str] | None:
    """None for what are no headers. All messages of one kind bear the same ones, byte for byte."""
    headers: dict[str, str] = {}
    at = 0
    try:
        while at < len(data):
            name_end = at + 1 + data[at]
            name, kind = data[at + 1 : name_end].decode(), data[name_end]
            at = name_end + 1
            size = _SIZES.get(kind)
            if size is None:
                if kind not in {_BYTES, _TEXT}:
                    return None
                (size,) = _LENGTH.unpack_from(data, at)
                at += _LENGTH.size
            if kind == _TEXT:
                headers[name] = data[at : at + size].decode()
            at += size
    except (IndexError, struct.error, UnicodeDecodeError):
        return None
    return headers if at == len(data) else None
