"""Answers of a host that is Ollama, whole and in lines, of either endpoint."""

from collections.abc import Sequence

from app.base.errors import UpstreamUnreadable
from app.protocols.codec import Reading
from app.protocols.conversation import Base64Source, Image, Text, Thinking, ToolCall
from app.protocols.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Ended,
    Event,
    Failed,
    FinishReason,
    Generation,
    Heartbeat,
    SealAdded,
    Started,
    UsageReported,
    fold,
)
from app.protocols.naming import made_up_id
from app.protocols.ollama.json_tools import JsonCallReading, read_answer
from app.protocols.ollama.lines import LineSplitter
from app.protocols.ollama.usage import read_answer as read_line
from app.protocols.ollama.usage import usage_of
from app.protocols.ollama.wire import ISSUER, Answer, Call, as_object
from app.protocols.opaque import Seal
from app.protocols.raw_json import is_null, text_of

_UNSEALED = Seal(ISSUER, "")
_END = BlockEnded()
_SILENCE = Heartbeat()
_FAILURE_STATUS = 500
_LONGEST_MESSAGE = 4000


def parse_response(body: bytes, reading: Reading) -> Generation:
    """A whole answer is one line that says all at once. Raises UpstreamUnreadable."""
    answer = read_line(body)
    if answer is None or answer.error is not None or (answer.message is None and answer.response is None):
        raise UpstreamUnreadable("Ollama answered with what is no answer of its API", provider=ISSUER)
    answer.done = True
    parser = OllamaStreamParser(reading)
    return fold(parser.take(answer))


class OllamaStreamParser:
    """The thoughts, the text and each call are blocks; a call comes whole, and gets an id of its own."""

    __slots__ = ("_called", "_calls", "_held", "_open", "_over", "_reading", "_splitter", "_started", "_tools", "_when")

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._splitter = LineSplitter()
        self._started = False
        self._over = False
        self._called = False
        self._when = ""
        self._calls = 0
        self._open: type[Text | Thinking] | None = None
        self._tools = reading.tools if isinstance(reading, JsonCallReading) else None
        self._held: list[str] = []

    def feed(self, chunk: bytes) -> Sequence[Event]:
        if self._over:
            return ()
        lines = self._splitter.feed(chunk)
        if len(lines) == 1:
            return self._read(lines[0])
        events = [event for line in lines for event in self._read(line)]
        if self._splitter.overflowed:
            self._over = True
            events.append(Failed(_FAILURE_STATUS, "Ollama sent a line without end"))
        return events

    def end(self) -> Sequence[Event]:
        return () if self._over else self._read(self._splitter.take_rest())

    def take(self, answer: Answer) -> list[Event]:
        """The events of one line."""
        if answer.error is not None:
            return [self._fail(answer.error)]
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(Started("", answer.model if isinstance(answer.model, str) else ""))
        message = answer.message
        self._when = answer.created_at if isinstance(answer.created_at, str) else ""
        if answer.thinking:
            self._add(Thinking, answer.thinking, events)
        if answer.response:
            self._add(Text, answer.response, events)
        if message is not None:
            if message.thinking:
                self._add(Thinking, message.thinking, events)
            if message.content:
                self._add(Text, message.content, events)
            for call in message.tool_calls or ():
                self._call(call, events)
        self._show(answer, events)
        if answer.done:
            self._finish(answer, events)
        return events

    def _read(self, line: bytes) -> Sequence[Event]:
        if self._over:
            return ()
        answer = read_line(line)
        return () if answer is None else self.take(answer)

    def _add(self, kind: type[Text | Thinking], text: str, events: list[Event]) -> None:
        if kind is Text and self._tools is not None:
            # Only the whole text tells whether it is a call.
            self._held.append(text)
            events.append(_SILENCE)
            return
        if self._open is not kind:
            self._close(events)
            self._open = kind
            events.append(BlockStarted(kind("")))
        events.append(BlockDelta(text))

    def _close(self, events: list[Event]) -> None:
        if self._open is None:
            return
        if self._open is Thinking:
            events.append(SealAdded(_UNSEALED))
        events.append(_END)
        self._open = None

    def _call(self, call: Call, events: list[Event]) -> None:
        function = call.function
        if function is None or not isinstance(function.name, str):
            return
        arguments = "{}" if is_null(function.arguments) else text_of(as_object(text_of(function.arguments)))
        call_id = call.id if isinstance(call.id, str) and call.id else self._new_id(arguments)
        self._tell(ToolCall(call_id, function.name, arguments), events)

    def _new_id(self, arguments: str) -> str:
        """Ollama gives none; the time of the line, to the nanosecond, tells answers apart."""
        self._calls += 1
        return made_up_id(self._when, str(self._calls), arguments)

    def _tell(self, call: ToolCall, events: list[Event]) -> None:
        self._close(events)
        self._called = True
        events += (BlockStarted(ToolCall(call.call_id, call.name, "")), BlockDelta(call.arguments), _END)

    def _show(self, answer: Answer, events: list[Event]) -> None:
        """Pictures that a model has drawn."""
        drawn = answer.message.images if answer.message is not None else answer.image
        if drawn is None:
            return
        for data in drawn if isinstance(drawn, list) else [drawn]:
            if isinstance(data, str) and data:
                self._close(events)
                events += (BlockStarted(Image(Base64Source("image/png", data))), _END)

    def _finish(self, answer: Answer, events: list[Event]) -> None:
        self._tell_held(events)
        self._close(events)
        usage = usage_of(answer)
        if usage is not None:
            events.append(UsageReported(usage))
        events.append(Ended(self._finish_reason(answer)))
        self._over = True

    def _tell_held(self, events: list[Event]) -> None:
        if self._tools is None or not self._held:
            return
        meant = read_answer("".join(self._held), self._tools, self._new_id("".join(self._held)))
        self._tools = None
        if isinstance(meant, ToolCall):
            self._tell(meant, events)
        elif meant.text:
            self._add(Text, meant.text, events)

    def _finish_reason(self, answer: Answer) -> FinishReason:
        """Ollama says "stop" also of an answer that calls."""
        if self._called:
            return "tool_calls"
        return "length" if answer.done_reason == "length" else "stop"

    def _fail(self, error: object) -> Failed:
        self._over = True
        return Failed(
            _FAILURE_STATUS, error[:_LONGEST_MESSAGE] if isinstance(error, str) else "Ollama reports an error"
        )
