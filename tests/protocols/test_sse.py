"""Frames end where they end, however the stream was cut on its way."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.protocols.sse import FrameSplitter, data_of

STREAM = b"event: a\ndata: 1\n\n: comment\n\ndata: 2\ndata: 3\n\ndata: 4"


def split(*chunks: bytes) -> tuple[list[bytes], bytes]:
    splitter = FrameSplitter()
    frames = [frame for chunk in chunks for frame in splitter.feed(chunk)]
    return frames, splitter.take_rest()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_kind_of_line_end_ends_frames(end: bytes) -> None:
    stream = STREAM.replace(b"\n", end)
    frames, rest = split(stream)
    assert [data_of(frame).strip() for frame in frames] == [b"1", b"", b"2\n3"]
    assert rest == b"data: 4"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_frames_are_the_same_wherever_the_stream_is_split(end: bytes) -> None:
    stream = STREAM.replace(b"\n", end)
    whole = [data_of(frame).strip() for frame in split(stream)[0]]
    for at in range(len(stream) + 1):
        frames, rest = split(stream[:at], stream[at:])
        assert [data_of(frame).strip() for frame in frames if frame != b"\n"] == whole
        assert b"".join(frames) + rest == stream


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"x", b"data: y"]), max_size=20), st.data())
def test_no_byte_is_lost_or_moved(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    frames, rest = split(*(stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])))
    assert b"".join(frames) + rest == stream


def test_a_chunk_that_is_one_whole_frame_is_passed_on_without_a_copy() -> None:
    chunk = b"event: ping\ndata: {}\n\n"
    assert FrameSplitter().feed(chunk)[0] is chunk


def test_a_boundary_is_where_whole_frames_end() -> None:
    splitter = FrameSplitter()
    assert splitter.at_boundary
    for chunk, at_boundary in ((b"data: 1\n", False), (b"\n", True), (b"data: 2\r\n\r", True), (b"\nd", False)):
        splitter.feed(chunk)
        assert splitter.at_boundary is at_boundary


def test_a_frame_beyond_the_limit_is_given_up() -> None:
    splitter = FrameSplitter(limit_bytes=100)
    assert splitter.feed(b"data: 1\n\n" + b"x" * 99) == [b"data: 1\n\n"]
    assert not splitter.overflowed
    assert splitter.feed(b"xx") == []
    assert splitter.overflowed
    assert not splitter.at_boundary
    assert splitter.take_rest() == b"x" * 101


def test_large_chunks_of_small_frames_are_within_the_limit() -> None:
    for end in (b"\n\n", b"\r\n\r\n"):
        splitter = FrameSplitter(limit_bytes=20)
        frame = b"data: 1" + end
        assert splitter.feed(frame[:3]) == []
        assert splitter.feed(frame[3:] + frame * 10) == [frame] * 11
        assert not splitter.overflowed


@pytest.mark.parametrize(
    ("frame", "data"),
    [
        (b"data: {}\n\n", b" {}"),
        (b"data:{}\n\n", b"{}"),
        (b"id: 7\ndata: {}\n\n", b" {}"),
        (b"data: {}\nid: 7\n\n", b"{}"),
        (b"data: a\r\n\r\n", b"a"),
        (b"data: a\r\r", b"a"),
        (b"data", b""),
        (b": data: x\n\n", b""),
        (b"\n\n", b""),
        (b"", b""),
        (b"data: [DONE]", b"[DONE]"),
        (b'event: x\ndata: {"t":"data: y"}\n\n', b' {"t":"data: y"}'),
    ],
)
def test_the_data_of_a_frame(frame: bytes, data: bytes) -> None:
    assert data_of(frame).strip() == data.strip()
