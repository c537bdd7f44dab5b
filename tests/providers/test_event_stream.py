"""Amazon's event stream: what is read of it, split anywhere, and what is never taken for a message."""

import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers.event_stream import EventStreamDecoder, Message

Headers = dict[str, str]
KINDS: Headers = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}


def framed(payload: bytes, headers: Headers = KINDS, *, more_headers: bytes = b"") -> bytes:
    """One message as Amazon's specification lays it out."""
    head = more_headers
    for name, value in headers.items():
        head += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value.encode())) + value.encode()
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    message = prelude + struct.pack(">I", crc32(prelude)) + head + payload
    return message + struct.pack(">I", crc32(message))


STREAM = framed(b'{"bytes":"e30="}') + framed(b"", {}) + framed(b"\x00" * 300, {"name": "wert ü"})
MESSAGES = [Message(KINDS, b'{"bytes":"e30="}'), Message({}, b""), Message({"name": "wert ü"}, b"\x00" * 300)]


def test_a_stream_is_read_split_at_every_byte() -> None:
    for split in range(len(STREAM) + 1):
        decoder = EventStreamDecoder()
        assert [*decoder.feed(STREAM[:split]), *decoder.feed(STREAM[split:])] == MESSAGES
        assert decoder.at_boundary
        assert decoder.failure is None


def test_a_stream_that_is_cut_within_a_message_is_not_at_its_boundary() -> None:
    ends = {0, len(framed(b'{"bytes":"e30="}')), len(framed(b'{"bytes":"e30="}') + framed(b"", {})), len(STREAM)}
    for end in range(len(STREAM) + 1):
        decoder = EventStreamDecoder()
        decoder.feed(STREAM[:end])
        assert decoder.at_boundary is (end in ends)


def test_our_messages_are_those_that_botocore_reads() -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(STREAM)
    theirs = [Message(message.headers, message.payload) for message in buffer]
    assert EventStreamDecoder().feed(STREAM) == theirs


def test_headers_of_every_type_are_passed_over() -> None:
    values = [(0, b""), (1, b""), (2, b"\x01"), (3, bytes(2)), (4, bytes(4)), (5, bytes(8)), (6, b"\x00\x02ab")]
    values += [(8, bytes(8)), (9, bytes(16))]
    head = b"".join(b"\x01x" + bytes([kind]) + value for kind, value in values)
    decoder = EventStreamDecoder()
    assert decoder.feed(framed(b"p", more_headers=head)) == [Message(KINDS, b"p")]


@pytest.mark.parametrize("at", [0, 5, 9, 20, -6, -1])
def test_one_wrong_bit_ends_the_reading_and_keeps_what_came_before(at: int) -> None:
    wrong = bytearray(framed(b"payload"))
    wrong[at] ^= 1
    decoder = EventStreamDecoder()
    assert decoder.feed(framed(b"good") + bytes(wrong) + framed(b"good")) == [Message(KINDS, b"good")]
    assert decoder.failure is not None
    assert decoder.feed(framed(b"good")) == []


@pytest.mark.parametrize(("length", "headers_length"), [(15, 0), (2**31, 0), (16, 1), (2**24, 2**18)])
def test_lengths_that_make_no_sense_are_not_waited_for(length: int, headers_length: int) -> None:
    lengths = struct.pack(">II", length, headers_length)
    decoder = EventStreamDecoder()
    assert decoder.feed(lengths + struct.pack(">I", crc32(lengths)) + b"more") == []
    assert decoder.failure == "a message's lengths make no sense"


@pytest.mark.parametrize("head", [b"\x05ab", b"\x01x\x63", b"\x01x\x07\x00\x09ab", b"\x01\xff\x00", b"\x01x\x04\x00"])
def test_headers_that_are_none_end_the_reading(head: bytes) -> None:
    decoder = EventStreamDecoder()
    assert decoder.feed(framed(b"", {}, more_headers=head)) == []
    assert decoder.failure == "a message's headers cannot be read"


@settings(max_examples=100)
@given(st.lists(st.binary(), max_size=6))
def test_no_bytes_raise(chunks: list[bytes]) -> None:
    decoder = EventStreamDecoder()
    for chunk in chunks:
        decoder.feed(chunk)
