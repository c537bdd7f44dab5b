"""A host's streamed answer as events. Items may overlap; they are told one after the other."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from app.protocols.codec import Reading
from app.protocols.conversation import Foreign, Image, Refusal, Text, Thinking, ToolCall
from app.protocols.events import (
    BlockDelta,
    BlockOrder,
    CitationAdded,
    Ended,
    Event,
    Failed,
    Heartbeat,
    SealAdded,
    Started,
    UsageReported,
)
from app.protocols.openai_responses.errors import failure_status
from app.protocols.openai_responses.response_parse import (
    OutputItem,
    OutputPart,
    WireResponse,
    arguments_of,
    as_text,
    block_of,
    blocks_of,
    call_of,
    decode_response,
    error_code,
    error_message,
    extras_of,
    finish_of,
    read_item,
    seal_of,
    thoughts_of,
)
from app.protocols.openai_responses.usage import usage_of
from app.protocols.openai_responses.wire import NO_RAW, citation_of, encode
from app.protocols.scanning import UNREADABLE
from app.protocols.sse import FrameSplitter, data_of

_CALLS = frozenset({"function_call", "custom_tool_call"})
_CUSTOM_HEAD, _CUSTOM_TAIL = '{"input":"', '"}'
_HEARTBEATS = (Heartbeat(),)


class _Frame(msgspec.Struct, gc=False):
    type: str = ""
    delta: str | None = None
    output_index: int = 0
    content_index: int = 0
    summary_index: int = 0
    item: msgspec.Raw = NO_RAW
    part: msgspec.Raw = NO_RAW
    annotation: msgspec.Raw = NO_RAW
    response: msgspec.Raw = NO_RAW
    error: msgspec.Raw = NO_RAW
    message: str | None = None
    code: Any = None


class _Told(msgspec.Struct, gc=False):
    """What has been told of a block: whether any text, and how many citations. ``index`` is that of the last piece."""

    kind: str
    text: bool = False
    citations: int = 0
    index: int = 0


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_part = msgspec.json.Decoder(OutputPart).decode
_decode_anything = msgspec.json.Decoder().decode

_Key = tuple[int, int]


class ResponsesParser:
    """Key of a block: its output index, and its content index or -1 where the item is one block."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._splitter = FrameSplitter()
        self._order = BlockOrder()
        self._open: dict[_Key, _Told] = {}
        self._seen: set[int] = set()
        self._ended: set[_Key] = set()
        self._called = False
        self._over = False
        self._handlers: dict[str, Callable[[_Frame], Sequence[Event]]] = {
            "response.output_text.delta": self._text_delta,
            "response.function_call_arguments.delta": self._arguments_delta,
            "response.reasoning_summary_text.delta": self._summary_delta,
            "response.reasoning_text.delta": self._thought_delta,
            "response.refusal.delta": self._refusal_delta,
            "response.custom_tool_call_input.delta": self._input_delta,
            "response.output_text.annotation.added": self._annotation,
            "response.output_item.added": self._item_added,
            "response.output_item.done": self._item_done,
            "response.content_part.done": self._part_done,
            "response.created": self._created,
            "response.completed": self._completed,
            "response.incomplete": self._completed,
            "response.failed": self._failed,
            "error": self._error,
        }

    def feed(self, chunk: bytes) -> Sequence[Event]:
        frames = self._splitter.feed(chunk)
        if len(frames) == 1:
            return self._take(frames[0])
        return [event for frame in frames for event in self._take(frame)]

    def end(self) -> Sequence[Event]:
        rest = self._splitter.take_rest()
        told = list(self._take(rest)) if rest else []
        return told if self._over else [*told, *self._order.end_all()]

    def _take(self, frame: bytes) -> Sequence[Event]:
        if self._over:
            return ()
        data = data_of(frame)
        if not data:
            return _HEARTBEATS if frame.startswith(b":") else ()
        try:
            event = _decode_frame(data)
        except UNREADABLE:
            return ()
        handle = self._handlers.get(event.type)
        return () if handle is None else handle(event)

    def _created(self, event: _Frame) -> Sequence[Event]:
        response = _read_response(event.response)
        return (Started(as_text(response.id), as_text(response.model)),)

    # Deltas

    def _text_delta(self, event: _Frame) -> Sequence[Event]:
        return self._delta((event.output_index, event.content_index), "text", event)

    def _refusal_delta(self, event: _Frame) -> Sequence[Event]:
        return self._delta((event.output_index, event.content_index), "refusal", event)

    def _arguments_delta(self, event: _Frame) -> Sequence[Event]:
        return self._delta((event.output_index, -1), "call", event)

    def _input_delta(self, event: _Frame) -> Sequence[Event]:
        if event.delta:
            event.delta = encode(event.delta)[1:-1].decode()
        return self._delta((event.output_index, -1), "custom", event)

    def _summary_delta(self, event: _Frame) -> Sequence[Event]:
        return self._thinking_delta("summary", event.summary_index, event)

    def _thought_delta(self, event: _Frame) -> Sequence[Event]:
        return self._thinking_delta("thoughts", event.content_index, event)

    def _thinking_delta(self, kind: str, index: int, event: _Frame) -> Sequence[Event]:
        told = self._open.get((event.output_index, -1))
        if told is not None and told.text and told.index != index and event.delta:
            event.delta = f"\n\n{event.delta}"
        events = self._delta((event.output_index, -1), kind, event)
        if event.delta and (told := self._open.get((event.output_index, -1))) is not None:
            told.index = index
        return events

    def _delta(self, key: _Key, kind: str, event: _Frame) -> Sequence[Event]:
        """More of a block. It begins here where the host did not say so before; a call cannot, without its name."""
        text = event.delta
        if not text:
            return ()
        told = self._open.get(key)
        begun: list[Event] = []
        if told is None:
            if key in self._ended or kind in {"call", "custom"}:
                return ()
            begun = self._start(key, kind)
            told = self._open[key]
        elif told.kind != kind:
            return ()
        head = _CUSTOM_HEAD if kind == "custom" and not told.text else ""
        told.text = True
        delta = self._order.add(key, BlockDelta(head + text))
        return [*begun, *delta] if begun else delta

    def _start(self, key: _Key, kind: str) -> list[Event]:
        block = Text("") if kind == "text" else Refusal("") if kind == "refusal" else Thinking("")
        self._seen.add(key[0])
        self._open[key] = _Told(kind)
        return self._order.start(key, block)

    def _end(self, key: _Key) -> list[Event]:
        self._ended.add(key)
        return self._order.end(key)

    def _start_call(self, key: _Key, kind: str, call: ToolCall) -> list[Event]:
        self._called = True
        self._seen.add(key[0])
        self._open[key] = _Told(kind)
        return self._order.start(key, call)

    def _annotation(self, event: _Frame) -> Sequence[Event]:
        key = (event.output_index, event.content_index)
        told = self._open.get(key)
        citation = citation_of(event.annotation)
        if told is None or told.kind != "text" or citation is None:
            return ()
        told.citations += 1
        return self._order.add(key, CitationAdded(citation))

    # Items

    def _item_added(self, event: _Frame) -> Sequence[Event]:
        item = read_item(event.item)
        if item is None or item.type not in _CALLS or event.output_index in self._seen:
            return ()
        kind = "call" if item.type == "function_call" else "custom"
        return self._start_call((event.output_index, -1), kind, call_of(item, self._reading, ""))

    def _part_done(self, event: _Frame) -> Sequence[Event]:
        try:
            part = _decode_part(event.part)
        except UNREADABLE:
            return ()
        return self._end_part((event.output_index, event.content_index), part)

    def _end_part(self, key: _Key, part: OutputPart) -> list[Event]:
        """The rest of a part of a message: all of it where nothing of it was told."""
        block = block_of(part)
        if block is None or key in self._ended:
            return []
        events: list[Event] = []
        if key not in self._open:
            events += self._start(key, "text" if isinstance(block, Text) else "refusal")
        told = self._open.pop(key)
        if not told.text and block.text:
            events += self._order.add(key, BlockDelta(block.text))
        if isinstance(block, Text):
            for citation in block.citations[told.citations :]:
                events += self._order.add(key, CitationAdded(citation))
        return [*events, *self._end(key)]

    def _item_done(self, event: _Frame) -> Sequence[Event]:
        index = event.output_index
        item = read_item(event.item)
        if item is None:
            return ()
        if item.type == "message":
            return self._end_message(index, item)
        if item.type == "reasoning":
            return self._end_reasoning((index, -1), item)
        if item.type in _CALLS:
            return self._end_call((index, -1), item)
        return self._tell_whole(index, event.item)

    def _end_message(self, index: int, item: OutputItem) -> list[Event]:
        """Parts that were not ended, and those that were never begun where the host sends messages whole."""
        begun = index in self._seen
        self._seen.add(index)
        events: list[Event] = []
        for number, part in enumerate(item.content or ()):
            if (index, number) in self._open or not begun:
                events += self._end_part((index, number), part)
        for key in [key for key in self._open if key[0] == index]:
            del self._open[key]
            events += self._end(key)
        return events

    def _end_reasoning(self, key: _Key, item: OutputItem) -> list[Event]:
        text, seal = thoughts_of(item), seal_of(item, self._reading)
        events: list[Event] = []
        if key not in self._open:
            if key[0] in self._seen or not (text or seal):
                return []
            events += self._start(key, "summary")
        told = self._open.pop(key)
        if not told.text and text:
            events += self._order.add(key, BlockDelta(text))
        if seal is not None:
            events += self._order.add(key, SealAdded(seal))
        return [*events, *self._end(key)]

    def _end_call(self, key: _Key, item: OutputItem) -> list[Event]:
        events: list[Event] = []
        if key not in self._open:
            if key[0] in self._seen:
                return []
            kind = "call" if item.type == "function_call" else "custom"
            events += self._start_call(key, kind, call_of(item, self._reading, ""))
        told = self._open.pop(key)
        rest = _CUSTOM_TAIL if told.kind == "custom" else ""
        if not told.text:
            rest = arguments_of(item) or ""
        if rest:
            events += self._order.add(key, BlockDelta(rest))
        return [*events, *self._end(key)]

    def _tell_whole(self, index: int, raw: msgspec.Raw) -> list[Event]:
        events: list[Event] = []
        if index in self._seen:
            return events
        self._seen.add(index)
        for block in blocks_of(raw, self._reading):
            if isinstance(block, Foreign | Image):
                events += self._order.start((index, -1), block)
                events += self._order.end((index, -1))
        return events

    # The end

    def _completed(self, event: _Frame) -> Sequence[Event]:
        response = _read_response(event.response)
        if response.status not in {"completed", "incomplete"}:
            response.status = event.type.removeprefix("response.")
        events: list[Event] = []
        if not self._seen:
            for index, raw in enumerate(response.output or ()):
                events += self._item_done(_Frame(output_index=index, item=raw))
        events += self._order.end_all()
        events += _usage_events(response)
        self._over = True
        return [*events, Ended(finish_of(response, called=self._called), extras=extras_of(response))]

    def _failed(self, event: _Frame) -> Sequence[Event]:
        response = _read_response(event.response)
        return self._fail(response.error, _usage_events(response))

    def _error(self, event: _Frame) -> Sequence[Event]:
        try:
            nested = _decode_anything(event.error)
        except UNREADABLE:
            nested = None
        return self._fail(nested if isinstance(nested, dict) else {"message": event.message, "code": event.code}, [])

    def _fail(self, error: object, before: list[Event]) -> list[Event]:
        self._over = True
        message = error_message(error) or "the host broke off its answer without saying why"
        return [*self._order.end_all(), *before, Failed(failure_status(error_code(error)), message)]


def _read_response(raw: msgspec.Raw) -> WireResponse:
    try:
        return decode_response(raw)
    except UNREADABLE:
        return WireResponse()


def _usage_events(response: WireResponse) -> list[Event]:
    usage = usage_of(response.usage, response.tool_usage, response.service_tier)
    return [] if usage is None else [UsageReported(usage)]
