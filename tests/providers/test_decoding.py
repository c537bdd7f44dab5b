"""Compressed answers become plain bytes, however they are split, and never silently shorter."""

import contextlib
import gzip
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.base.errors import UpstreamBroken
from app.providers.decoding import decoded
from app.providers.upstream import HttpUpstream
from tests.providers.loopback import Pieces, loopback, read, request_to

TEXT = b'event: message_start\ndata: {"type":"message_start"}\n\n' * 20


def _raw_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


CODED = {
    "gzip": (b"gzip", gzip.compress(TEXT)),
    "gzip by its old name": (b"x-gzip", gzip.compress(TEXT)),
    "gzip in two members": (b"GZIP", gzip.compress(TEXT[:99]) + gzip.compress(TEXT[99:])),
    "gzip with padding behind it": (b"gzip", gzip.compress(TEXT) + bytes(8)),
    "deflate with a header": (b"deflate", zlib.compress(TEXT)),
    "deflate without one": (b"deflate", _raw_deflate(TEXT)),
}


@pytest.mark.parametrize("name", CODED)
async def test_a_compressed_answer_is_read_split_at_every_byte(name: str) -> None:
    coding, body = CODED[name]
    for split in range(1, len(body)):
        reply = decoded(Pieces([body[:split], body[split:]], (b"content-encoding", coding)), "p")
        assert await read(reply) == TEXT


@pytest.mark.parametrize("name", CODED)
async def test_a_compressed_answer_that_is_cut_is_broken_and_never_an_end(name: str) -> None:
    coding, body = CODED[name]
    whole = len(body) - (8 if "padding" in name else 0)
    second = len(gzip.compress(TEXT[:99])) if "two members" in name else 0
    for end in range(1, whole):
        if end == second:
            continue  # where the first of two members ends, nothing says that another follows
        reply = decoded(Pieces([body[:end]], (b"content-encoding", coding)), "p")
        with pytest.raises(UpstreamBroken, match="too early"):
            await read(reply)


async def test_events_are_passed_on_as_soon_as_they_were_flushed() -> None:
    deflater = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    first = deflater.compress(b"data: 1\n\n") + deflater.flush(zlib.Z_SYNC_FLUSH)
    second = deflater.compress(b"data: 2\n\n") + deflater.flush()
    reply = decoded(Pieces([first, second], (b"content-encoding", b"gzip")), "p")
    assert await reply.next_chunk(1) == b"data: 1\n\n"
    assert await reply.next_chunk(1) == b"data: 2\n\n"
    assert await reply.next_chunk(1) == b""


async def test_what_swells_a_thousandfold_comes_in_bounded_pieces() -> None:
    size = 50 * 2**20
    reply = decoded(Pieces([gzip.compress(bytes(size))], (b"content-encoding", b"gzip")), "p")
    lengths = []
    while piece := await reply.next_chunk(1):
        lengths.append(len(piece))
    assert sum(lengths) == size
    assert max(lengths) <= 2**18


@pytest.mark.parametrize("headers", [(), ((b"content-encoding", b"identity"),), ((b"content-encoding", b"br"),)])
def test_a_plain_answer_and_an_unknown_coding_are_left_as_they_are(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    reply = Pieces([b"x"], *headers)
    assert decoded(reply, "p") is reply


def test_headers_that_would_lie_are_dropped() -> None:
    reply = decoded(Pieces([], (b"content-encoding", b"gzip"), (b"content-length", b"9"), (b"x", b"y")), "p")
    assert list(reply.headers) == [(b"x", b"y")]


async def test_no_body_at_all_is_whole() -> None:
    assert await read(decoded(Pieces([], (b"content-encoding", b"gzip")), "p")) == b""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1), max_size=5), st.sampled_from([b"gzip", b"deflate"]))
async def test_no_bytes_raise_anything_but_a_broken_answer(pieces: list[bytes], coding: bytes) -> None:
    reply = decoded(Pieces(pieces, (b"content-encoding", coding)), "p")
    with contextlib.suppress(UpstreamBroken):
        await read(reply)


async def test_the_client_of_all_hosts_decodes_what_came_compressed() -> None:
    http = HttpUpstream()
    async with loopback() as host:
        host.answer(gzip.compress(TEXT), headers={"content-encoding": "gzip"})
        reply = await http.send(request_to(host.url))
        assert b"content-encoding" not in {name for name, _ in reply.headers}
        assert await read(reply) == TEXT
    await http.close()
