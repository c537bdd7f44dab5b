"""The event stream of a Messages answer into canonical events."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from app.protocols.anthropic_messages.answer import (
    ERROR_STATUSES,
    KNOWN_KINDS,
    AnswerBlock,
    extras_of,
    finish_of,
    read_block,
    read_citations,
    tier_of,
    word_of,
)
from app.protocols.anthropic_messages.usage import Tally, usage_of
from app.protocols.anthropic_messages.wire import PROTOCOL, UNREADABLE, decode_anything, decode_members
from app.protocols.codec import Reading
from app.protocols.conversation import Foreign, Text, Thinking, ToolCall
from app.protocols.envelope import encode_fields
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
from app.protocols.opaque import Seal
from app.protocols.raw_json import text_of
from app.protocols.sse import FrameSplitter, data_of

_NULL = msgspec.Raw(b"null")
_NOTHING: Sequence[Event] = ()


class _Delta(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    content: str | None = None
    citation: msgspec.Raw = _NULL


class _Frame(msgspec.Struct, gc=False):
    type: str = ""
    index: int = 0
    delta: _Delta | None = None


class _Start(msgspec.Struct):
    content_block: msgspec.Raw
    index: int = 0


class _Error(msgspec.Struct):
    error: Any = None


class _Open(msgspec.Struct):
    """A block under way. ``key`` is its own even where an index comes twice. ``written``: its arguments, or what else
    is put together before it is told."""

    key: int
    block: AnswerBlock
    raw: msgspec.Raw
    told: bool
    json_text: bool = False
    written: list[str] = []


_decode_frame = msgspec.json.Decoder(_Frame).decode
_decode_start = msgspec.json.Decoder(_Start).decode
_decode_error = msgspec.json.Decoder(_Error).decode


class MessagesStreamParser:
    """Blocks do not overlap in this protocol; those of a host that lets them are put in order."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._splitter = FrameSplitter()
        self._order = BlockOrder()
        self._open: dict[int, _Open] = {}
        self._tally = Tally()
        self._stop_reason: str | None = None
        self._stop_sequence: str | None = None
        self._extras: dict[str, str] = {}
        self._count = 0
        self._called = False
        self._over = False
        self._handlers: dict[str, Callable[[bytes], Sequence[Event]]] = {
            "message_start": self._start_message,
            "content_block_start": self._start_block,
            "message_delta": self._take_message_delta,
            "message_stop": self._stop_message,
            "error": self._fail,
        }

    def feed(self, chunk: bytes) -> Sequence[Event]:
        frames = self._splitter.feed(chunk)
        if self._splitter.overflowed:
            self._splitter = FrameSplitter()
            self._over = True
            return [Failed(502, "the provider sent an event beyond all measure")]
        if len(frames) == 1:
            return self._see(frames[0])
        return [event for frame in frames for event in self._see(frame)]

    def end(self) -> Sequence[Event]:
        """A last event may lack its blank line; without message_stop the answer is not whole."""
        rest = self._splitter.take_rest()
        return self._see(rest) if rest else _NOTHING

    def _see(self, frame: bytes) -> Sequence[Event]:
        if self._over:
            return _NOTHING
        data = data_of(frame)
        if not data:
            return _NOTHING
        try:
            event = _decode_frame(data)
            kind = event.type
            if kind == "content_block_delta":
                return _NOTHING if event.delta is None else self._take_delta(event.index, event.delta)
            if kind == "content_block_stop":
                return self._stop_block(event.index)
            if kind == "ping":
                return (Heartbeat(),)
        except UNREADABLE:
            # Of another shape than the common one, such as message_delta's delta: its handler reads it anew.
            kind = ""
        kind = kind or _kind_of(data)
        handler = self._handlers.get(kind)
        try:
            return _NOTHING if handler is None else handler(data)
        except UNREADABLE:
            return _NOTHING

    def _take_delta(self, index: int, delta: _Delta) -> Sequence[Event]:
        open_block = self._open.get(index)
        if open_block is None:
            return _NOTHING
        kind, block_kind = delta.type, open_block.block.type
        if kind == "text_delta" and block_kind == "text":
            return self._order.add(open_block.key, BlockDelta(delta.text)) if delta.text else _NOTHING
        if kind == "input_json_delta":
            return self._take_arguments(open_block, delta.partial_json)
        if block_kind == "thinking":
            return self._take_thinking(open_block, delta)
        if kind == "citations_delta" and block_kind == "text":
            return self._add_all(open_block.key, None, map(CitationAdded, read_citations((delta.citation,))))
        if kind == "compaction_delta" and delta.content:
            open_block.written.append(delta.content)
        return _NOTHING

    def _take_arguments(self, open_block: _Open, text: str | None) -> Sequence[Event]:
        if not text or (open_block.told and open_block.block.type != "tool_use"):
            return _NOTHING
        open_block.written.append(text)
        return self._order.add(open_block.key, BlockDelta(text)) if open_block.told else _NOTHING

    def _take_thinking(self, open_block: _Open, delta: _Delta) -> Sequence[Event]:
        if delta.type == "thinking_delta" and delta.thinking:
            return self._order.add(open_block.key, BlockDelta(delta.thinking))
        if delta.type == "signature_delta" and delta.signature:
            return self._order.add(open_block.key, SealAdded(Seal(self._reading.dialect.issuer, delta.signature)))
        return _NOTHING

    def _start_block(self, data: bytes) -> Sequence[Event]:
        started = _decode_start(data)
        text_of(started.content_block)
        block = read_block(started.content_block)
        if block is None:
            return _NOTHING
        index = started.index
        before = self._stop_block(index) if index in self._open else _NOTHING
        self._count += 1
        opened = _Open(self._count, block, started.content_block, told=block.type in KNOWN_KINDS)
        self._open[index] = opened
        if opened.told:
            return [*before, *self._tell_start(opened)]
        return before

    def _tell_start(self, opened: _Open) -> list[Event]:
        """Some hosts give a block whole at its start."""
        block, key, issuer = opened.block, opened.key, self._reading.dialect.issuer
        match block.type:
            case "text":
                events = self._order.start(key, Text(""))
                return events + self._add_all(
                    key, block.text, map(CitationAdded, read_citations(block.citations or ()))
                )
            case "thinking":
                events = self._order.start(key, Thinking(""))
                seals = (SealAdded(Seal(issuer, block.signature)),) if block.signature else ()
                return events + self._add_all(key, block.thinking, seals)
            case "redacted_thinking":
                return self._order.start(key, Thinking("", Seal(issuer, block.data), redacted=True))
            case _:
                return self._start_call(opened)

    def _add_all(self, key: int, text: str | None, events: Iterable[Event]) -> list[Event]:
        told = self._order.add(key, BlockDelta(text)) if text else []
        for event in events:
            told += self._order.add(key, event)
        return told

    def _start_call(self, opened: _Open) -> list[Event]:
        block, reading = opened.block, self._reading
        if block.name == reading.json_tool:
            opened.json_text = True
            return self._order.start(opened.key, Text(""))
        self._called = True
        return self._order.start(opened.key, ToolCall(block.id, reading.names.get(block.name, block.name), ""))

    def _stop_block(self, index: int) -> Sequence[Event]:
        opened = self._open.pop(index, None)
        if opened is None:
            return _NOTHING
        events: list[Event] = []
        if not opened.told:
            events += self._order.start(opened.key, Foreign(PROTOCOL, opened.block.type, _assembled(opened)))
        elif opened.block.type == "tool_use" and not opened.written:
            whole = text_of(opened.block.input)
            if opened.json_text or whole != "{}":
                events += self._order.add(opened.key, BlockDelta(whole))
        return [*events, *self._order.end(opened.key)]

    def _start_message(self, data: bytes) -> Sequence[Event]:
        message = decode_members(decode_members(data).get("message", b"{}"))
        self._extras |= extras_of(message)
        events: list[Event] = [Started(word_of(message.get("id")) or "", word_of(message.get("model")) or "")]
        return events + self._take_usage(message.get("usage", _NULL))

    def _take_message_delta(self, data: bytes) -> Sequence[Event]:
        members = decode_members(data)
        delta = decode_members(members.get("delta", b"{}"))
        self._stop_reason = word_of(delta.get("stop_reason")) or self._stop_reason
        self._stop_sequence = word_of(delta.get("stop_sequence")) or self._stop_sequence
        self._extras |= extras_of(members) | extras_of(delta)
        return self._take_usage(members.get("usage", _NULL))

    def _take_usage(self, raw: msgspec.Raw) -> list[Event]:
        usage = decode_anything(raw)
        if usage_of(usage) is None:
            return []
        self._extras |= tier_of(raw)
        self._tally.take(usage)
        return [UsageReported(self._tally.usage())]

    def _stop_message(self, data: bytes) -> Sequence[Event]:
        del data
        self._over = True
        events = [event for index in list(self._open) for event in self._stop_block(index)]
        finish = finish_of(self._stop_reason, called=self._called)
        return [*events, Ended(finish, self._stop_sequence, self._extras)]

    def _fail(self, data: bytes) -> Sequence[Event]:
        self._over = True
        error = _decode_error(data).error
        kind = error.get("type") if isinstance(error, dict) else None
        message = error.get("message") if isinstance(error, dict) else error
        status = ERROR_STATUSES.get(kind, 500) if isinstance(kind, str) else 500
        said = message if isinstance(message, str) and message else "the provider reported an error without a text"
        return (Failed(status, said),)


def _kind_of(data: bytes) -> str:
    try:
        members = decode_members(data)
    except UNREADABLE:
        return ""
    return word_of(members.get("type")) or ("error" if "error" in members else "")


def _assembled(opened: _Open) -> str:
    """The block as it would stand in a whole answer."""
    if not opened.written:
        return text_of(opened.raw)
    text = "".join(opened.written)
    members = decode_members(opened.raw)
    if opened.block.type == "compaction":
        return encode_fields(members, {"content": msgspec.json.encode(text)}).decode()
    try:
        decode_members(text.encode())
    except UNREADABLE:
        return text_of(opened.raw)
    return encode_fields(members, {"input": text.encode()}).decode()
