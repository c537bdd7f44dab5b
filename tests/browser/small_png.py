"""A picture of a page in a few colors: a PNG with a palette weighs a third of what a browser writes."""

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MOST_COLORS = 256
Color = bytes


def with_palette(png: bytes) -> bytes:
    """Of a PNG with eight bits a channel and no interlacing, as Chromium writes; without its transparency."""
    chunks = dict(_grouped(png))
    width, height, depth, kind = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
    assert depth == 8
    size = {2: 3, 6: 4}[kind]
    rows = list(_rows(zlib.decompress(chunks[b"IDAT"]), width * size, size))
    pixels = [[bytes(row[at : at + 3]) for at in range(0, len(row), size)] for row in rows]
    palette = _palette(pixels)
    places = _places(pixels, palette)
    lines = b"".join(b"\0" + bytes([places[color] for color in row]) for row in pixels)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", b"".join(palette)), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(*part) for part in parts)


def _grouped(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at, data = len(_SIGNATURE), bytearray()
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            data += content
        else:
            yield kind, content
        at += length + 12
    yield b"IDAT", bytes(data)


def _rows(data: bytes, length: int, size: int) -> Iterator[bytearray]:
    """The filters of PNG taken off."""
    before = bytearray(length)
    for start in range(0, len(data), length + 1):
        kind, row = data[start], bytearray(data[start + 1 : start + 1 + length])
        for place in range(length) if kind else ():
            left = row[place - size] if place >= size else 0
            up, corner = before[place], before[place - size] if place >= size else 0
            row[place] = (row[place] + _guess(kind, left, up, corner)) & 255
        yield row
        before = row


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return (left + up) // 2
    near = left + up - corner
    return min((left, up, corner), key=lambda one: abs(near - one))


def _palette(pixels: list[list[Color]]) -> list[Color]:
    """The colors that are used most, of those that differ visibly."""
    counts: Counter[Color] = Counter()
    for row in pixels:
        counts.update(row)
    kept: dict[tuple[int, ...], Color] = {}
    for color, _ in counts.most_common():
        kept.setdefault(tuple(channel >> 3 for channel in color), color)
        if len(kept) == _MOST_COLORS:
            break
    return list(kept.values())


def _places(pixels: list[list[Color]], palette: list[Color]) -> dict[Color, int]:
    def nearest(color: Color) -> int:
        return min(
            range(len(palette)), key=lambda place: sum((a - b) ** 2 for a, b in zip(color, palette[place], strict=True))
        )

    return {color: nearest(color) for color in {color for row in pixels for color in row}}


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
