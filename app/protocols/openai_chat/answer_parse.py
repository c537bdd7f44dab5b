"""Answers of hosts: the whole one, and the stream of chunks."""

from collections.abc import Sequence

from app.base.errors import UpstreamRejected, UpstreamUnreadable
from app.protocols.codec import Reading
from app.protocols.events import Event, Failed, Generation, GenerationFailed, Heartbeat, fold
from app.protocols.openai_chat.answer import AnswerReader, decode_completion, read_completion
from app.protocols.openai_chat.halves import Halves
from app.protocols.scanning import UNREADABLE
from app.protocols.sse import FrameSplitter, data_of


def parse_response(body: bytes, reading: Reading) -> Generation:
    """Raises UpstreamUnreadable, or UpstreamRejected for an error that stands in a success."""
    provider = reading.dialect.issuer
    events = _whole(body, reading)
    if events is None:
        raise UpstreamUnreadable(f"the answer of {provider} is no chat completion", provider=provider)
    try:
        return fold(events)
    except GenerationFailed as error:
        raise UpstreamRejected(error.failed.message, provider=provider, status=error.failed.status) from error


def _whole(body: bytes, reading: Reading) -> list[Event] | None:
    try:
        completion = decode_completion(body)
    except UNREADABLE:
        try:
            completion = decode_completion(Halves().joined(body))
        except UNREADABLE:
            return None
    reader = AnswerReader(reading)
    events = reader.take(completion)
    if reader.done:
        return events
    if not completion.choices:
        return None
    return events + reader.end()


class ChatStreamParser:
    """Reads the chunks of one streamed answer.

    The end is told when usage has followed the reason to end, at [DONE], or when the stream is over; a stream with
    neither a reason nor [DONE] is broken off and has no end.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._reader = AnswerReader(reading)
        self._splitter = FrameSplitter()
        self._halves = Halves()

    def feed(self, chunk: bytes) -> Sequence[Event]:
        reader = self._reader
        if reader.done:
            return ()
        frames = self._splitter.feed(chunk)
        if len(frames) == 1:
            events = self._take(frames[0])
        else:
            events = [event for frame in frames for event in self._take(frame)]
        if self._splitter.overflowed and not reader.done:
            reader.done = True
            events.append(Failed(502, "the host sent a frame that is too large to be read"))
        return events

    def end(self) -> Sequence[Event]:
        if self._reader.done:
            return ()
        rest = self._splitter.take_rest()
        if not self._reader.started and rest.lstrip().startswith(b"{"):
            # A host that knows no streams has sent its answer whole.
            self._reader.done = True
            return _whole(rest, self._reading) or ()
        events = self._take(rest) if rest.strip() else []
        if not self._reader.done and self._reader.finished:
            events += self._reader.end()
        return events

    def _take(self, frame: bytes) -> list[Event]:
        reader = self._reader
        if reader.done:
            return []
        data = data_of(frame)
        try:
            completion = decode_completion(data)
        except UNREADABLE:
            return self._take_oddity(frame, data)
        events = reader.take(completion)
        if completion.usage is not None and reader.finished and not reader.done:
            events += reader.end()
        return events

    def _take_oddity(self, frame: bytes, data: bytes) -> list[Event]:
        data = data.strip()
        if data == b"[DONE]":
            return self._reader.end()
        if not data:
            return [Heartbeat()] if frame.startswith(b":") else []
        completion = read_completion(data) or read_completion(self._halves.joined(data))
        return [] if completion is None else self._reader.take(completion)
