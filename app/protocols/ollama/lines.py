"""Lines of JSON as bytes: where each ends, wherever the chunks were split."""

from app.protocols.sse import FrameSplitter


class LineSplitter(FrameSplitter):
    """Cuts a stream into lines, each with its line feed. Joined, the lines are the very bytes that were fed."""

    __slots__ = ()

    def feed(self, chunk: bytes) -> list[bytes]:
        end = chunk.find(b"\n") + 1
        if not end:
            self._hold(chunk)
            return []
        if self._held:
            self._held += chunk[:end]
            lines = [bytes(self._held)]
            self._held.clear()
        else:
            if end == len(chunk):
                return [chunk]
            lines = [chunk[:end]]
        start = end
        while end := chunk.find(b"\n", start) + 1:
            lines.append(chunk[start:end])
            start = end
        if start < len(chunk):
            self._hold(chunk[start:])
        return lines
