"""Server-sent events as bytes: where each frame ends, and the data that a frame carries."""

import re

FRAME_LIMIT_BYTES = 64 * 1024 * 1024

# Two line ends in a row, each LF, CR or CR LF; a CR LF does not count as two.
_blank_line = re.compile(rb"\n(?:\n|\r\n?)|\r\n(?:\n|\r\n?)|\r\r\n?").search
_LONGEST_BLANK_LINE = 4
_line_end = re.compile(rb"\r\n|\n|\r").split


class FrameSplitter:
    """Cuts a stream into frames, each with the blank line that ends it, wherever the chunks were split.

    Joined, the frames are the very bytes that were fed. A frame beyond ``limit_bytes`` sets ``overflowed``: from then
    on the caller should not feed any more; ``take_rest`` has what was held.
    """

    __slots__ = ("_after_cr", "_held", "_limit_bytes", "_seen_cr", "overflowed")

    def __init__(self, limit_bytes: int = FRAME_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._held = bytearray()
        self._after_cr = False
        self._seen_cr = False
        self.overflowed = False

    @property
    def at_boundary(self) -> bool:
        """Whether all that was fed is whole frames."""
        return not self._held and not self.overflowed

    def feed(self, chunk: bytes) -> list[bytes]:
        """The frames that ``chunk`` completes. A line feed that belongs to the end of the last frame comes alone."""
        if self._held or self._seen_cr or b"\r" in chunk:
            return self._feed_slowly(chunk)
        end = chunk.find(b"\n\n") + 2
        if end == len(chunk) and end > 1:
            return [chunk]
        frames: list[bytes] = []
        start = 0
        while end > 1:
            frames.append(chunk[start:end])
            start = end
            end = chunk.find(b"\n\n", start) + 2
        if start < len(chunk):
            self._hold(chunk[start:])
        return frames

    def take_rest(self) -> bytes:
        """What is held of a frame that did not end; nothing is held after."""
        rest = bytes(self._held)
        self._held.clear()
        return rest

    def _feed_slowly(self, chunk: bytes) -> list[bytes]:
        self._seen_cr = self._seen_cr or b"\r" in chunk
        frames: list[bytes] = []
        if self._after_cr and chunk:
            self._after_cr = False
            if chunk.startswith(b"\n"):
                frames.append(b"\n")
                chunk = chunk[1:]
        held = self._held
        # The blank line may have begun in what is held.
        search_from = max(0, len(held) - _LONGEST_BLANK_LINE + 1)
        self._hold(chunk)
        start = 0
        while end := self._frame_end(search_from):
            frames.append(bytes(held[start:end]))
            start = search_from = end
        if start:
            self._after_cr = start == len(held) and held.endswith(b"\r")
            del held[:start]
            self.overflowed = len(held) > self._limit_bytes
        return frames

    def _hold(self, part: bytes) -> None:
        self._held += part
        self.overflowed = len(self._held) > self._limit_bytes

    def _frame_end(self, search_from: int) -> int:
        """Where the next frame in what is held ends; 0 where it does not."""
        if not self._seen_cr:
            end = self._held.find(b"\n\n", search_from)
            return end + 2 if end >= 0 else 0
        match = _blank_line(self._held, search_from)
        return 0 if match is None else match.end()


def data_of(frame: bytes) -> bytes:
    """The frame's ``data``, its lines joined; empty where there is none (a comment, say)."""
    start = 0 if frame.startswith(b"data:") else frame.find(b"\ndata:") + 1
    end = frame.find(b"\n", start + 5)
    # The usual case: one data line, and it is the last.
    if frame.startswith(b"data:", start) and end >= 0 and end >= len(frame) - 2:
        return frame[start + 5 : end]
    lines = (line for line in _line_end(frame) if line.startswith(b"data:"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines)
