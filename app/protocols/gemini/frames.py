"""Where the answers in a stream end: server-sent events, or (without alt=sse) the elements of a JSON array."""

import re

from app.protocols.sse import FRAME_LIMIT_BYTES, FrameSplitter, data_of

_outside = re.compile(rb'[{}"]').search
_inside = re.compile(rb'["\\]').search
_END = b"\r\n\r\n"
_BETWEEN = b" \t\r\n,[]"


class AnswerSplitter(FrameSplitter):
    """Cuts either kind of stream into frames of one answer each; the first byte that says something tells which.

    A JSON error that stands bare in a stream of events is a frame too, once the stream has ended.
    """

    __slots__ = ("_depth", "_in_string", "_is_array", "_scanned")

    def __init__(self, limit_bytes: int = FRAME_LIMIT_BYTES) -> None:
        super().__init__(limit_bytes)
        self._is_array: bool | None = None
        self._scanned = 0
        self._depth = 0
        self._in_string = False

    @property
    def at_boundary(self) -> bool:
        """Never in an array: what would be written there is no part of it."""
        return not self._is_array and not self._held and not self.overflowed

    def feed(self, chunk: bytes) -> list[bytes]:
        if self._is_array is None:
            self._decide(chunk)
        if self._is_array:
            return self._feed_array(chunk)
        if chunk.endswith(_END) and not self._held and not self._after_cr:
            if chunk.find(b"\r") == len(chunk) - 4 and chunk.find(b"\n") == len(chunk) - 3:
                self._seen_cr = True
                return [chunk]
            frames = chunk.split(_END)
            ends = 2 * (len(frames) - 1)
            if chunk.count(b"\n") == ends and chunk.count(b"\r") == ends:
                self._seen_cr = True
                return [frame + _END for frame in frames[:-1]]
        return super().feed(chunk)

    def answer_in(self, frame: bytes) -> bytes:
        """The JSON that a frame carries; empty where there is none."""
        if not self._is_array:
            # The usual case: Google ends its one line with CR LF.
            if frame.startswith(b"data:") and frame.endswith(_END) and frame.find(b"\n") == len(frame) - 3:
                return frame[5:-4]
            data = data_of(frame)
            if data:
                return data
        bare = frame.strip(_BETWEEN)
        return bare if bare.startswith(b"{") else b""

    def _decide(self, chunk: bytes) -> None:
        start = chunk.lstrip()
        if start:
            self._is_array = start.startswith((b"[", b"{"))

    def _feed_array(self, chunk: bytes) -> list[bytes]:
        held = self._held
        held += chunk
        frames: list[bytes] = []
        while end := self._object_end():
            frames.append(bytes(held[:end]))
            del held[:end]
            self._scanned = 0
        self.overflowed = len(held) > self._limit_bytes
        return frames

    def _object_end(self) -> int:
        """Where the outermost object in what is held ends; 0 where it does not."""
        held = self._held
        while found := (_inside if self._in_string else _outside)(held, self._scanned):
            mark = found[0]
            if mark == b"\\" and found.end() == len(held):
                return 0  # what is escaped has yet to come
            self._scanned = found.end() + (mark == b"\\")
            if mark == b'"':
                self._in_string = not self._in_string
            elif mark == b"{":
                self._depth += 1
            elif mark == b"}":
                self._depth = max(0, self._depth - 1)
                if not self._depth:
                    return self._scanned
        self._scanned = len(held)
        return 0
