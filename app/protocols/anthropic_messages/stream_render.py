"""Canonical events as the event stream of a Messages answer, for clients of this protocol."""

from typing import Any

import msgspec

from app.domain.usage import Usage
from app.protocols.anthropic_messages.answer import ERROR_STATUSES
from app.protocols.anthropic_messages.block_render import RAW_ARGUMENTS
from app.protocols.anthropic_messages.response_render import (
    image_note,
    message_id,
    render_citation,
    render_foreign,
    render_usage,
    sealed,
    stop_reason,
)
from app.protocols.anthropic_messages.wire import decode_members
from app.protocols.codec import Asked
from app.protocols.conversation import Block, Foreign, Image, Refusal, Text, Thinking, ToolCall
from app.protocols.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    CitationAdded,
    Ended,
    Event,
    Failed,
    Heartbeat,
    SealAdded,
    Started,
    UsageReported,
)
from app.protocols.naming import fitting_id
from app.protocols.opaque import Seal

_PING = b'event: ping\ndata: {"type":"ping"}\n\n'
_DELTA_HEAD = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":'
_TEXT = _DELTA_HEAD + b'{"type":"text_delta","text":%b}}\n\n'
_THINKING = _DELTA_HEAD + b'{"type":"thinking_delta","thinking":%b}}\n\n'
_SIGNATURE = _DELTA_HEAD + b'{"type":"signature_delta","signature":%b}}\n\n'
_ARGUMENTS = _DELTA_HEAD + b'{"type":"input_json_delta","partial_json":%b}}\n\n'
_CITATION = _DELTA_HEAD + b'{"type":"citations_delta","citation":%b}}\n\n'
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_END = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_TRUNCATED = "Input data was truncated"

_ERROR_TYPES = {status: kind for kind, status in ERROR_STATUSES.items() if status not in {401, 403}} | {
    503: "overloaded_error"
}

_encode = msgspec.json.encode


class MessagesStreamRenderer:
    """A block is begun with its first content: clients send an empty text back, and hosts refuse it. A call is begun at
    once, since it may have no arguments."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._started = False
        self._over = False
        self._index = 0
        self._block: Block | None = None
        self._begun = False
        self._delta = _TEXT
        self._seal: Seal | None = None
        self._arguments: list[str] = []
        self._called = False
        self._refused = False
        self._usage = Usage()

    def feed(self, event: Event) -> bytes:
        if self._over:
            return b""
        if type(event) is BlockDelta:
            return self._write_delta(event.text)
        return self._write(event)

    def _write(self, event: Event) -> bytes:
        match event:
            case BlockStarted(block):
                return self._start() + self._start_block(block)
            case BlockEnded():
                return self._end_block()
            case SealAdded(seal):
                self._seal = seal
                return b""
            case CitationAdded(citation):
                written = render_citation(citation)
                return b"" if written is None else self._begin() + _CITATION % (self._index, _encode(written))
            case UsageReported(usage):
                self._usage = usage
                return b""
            case Heartbeat():
                return self._start() + _PING
            case _:
                return self._write_edge(event)

    def _write_edge(self, event: Event) -> bytes:
        match event:
            case Started(generation_id):
                return self._start(generation_id)
            case Ended():
                return self._start() + self._end_block() + self._end(event)
            case Failed(status, message):
                return self._fail(status, message)
            case _:
                return b""

    def _start(self, generation_id: str = "") -> bytes:
        """At once, so that the client knows that it is heard: the counts follow at the end."""
        if self._started:
            return b""
        self._started = True
        message: dict[str, Any] = {
            "id": message_id(generation_id, self._asked),
            "type": "message",
            "role": "assistant",
            "model": self._asked.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": render_usage(Usage()),
        }
        return _frame(b"message_start", {"type": "message_start", "message": message})

    def _start_block(self, block: Block) -> bytes:
        self._block, self._begun, self._seal, self._arguments = block, False, None, []
        match block:
            case Text(text) | Refusal(text):
                self._delta = _TEXT
                self._refused = self._refused or isinstance(block, Refusal)
                return self._write_delta(text)
            case Thinking(text, seal):
                self._delta, self._seal = _THINKING, seal
                return self._write_delta(text)
            case ToolCall(call_id, name, arguments):
                self._delta, self._called = _ARGUMENTS, True
                start = {"type": "tool_use", "id": fitting_id(call_id), "name": name, "input": {}}
                return self._begin(start) + self._write_delta(arguments)
            case Image():
                self._delta = _TEXT
                return self._write_delta(image_note(block))
            case Foreign():
                return self._start_foreign(block)
            case _:
                return b""

    def _start_foreign(self, block: Foreign) -> bytes:
        written = render_foreign(block)
        self._delta = _TEXT
        if isinstance(written, msgspec.Raw):
            return self._begin(written)
        return b"" if written is None else self._write_delta(written["text"])

    def _begin(self, start: Any = None) -> bytes:  # noqa: ANN401 - a dict or a msgspec.Raw
        if self._begun or self._block is None:
            return b""
        self._begun = True
        if start is None:
            thinks = isinstance(self._block, Thinking)
            start = {"type": "thinking", "thinking": "", "signature": ""} if thinks else {"type": "text", "text": ""}
        frame = {"type": "content_block_start", "index": self._index, "content_block": start}
        return _frame(b"content_block_start", frame)

    def _write_delta(self, text: str) -> bytes:
        if not text or self._block is None:
            return b""
        if self._delta is _ARGUMENTS:
            return self._write_arguments(text)
        frame = self._delta % (self._index, _encode(text))
        return frame if self._begun else self._begin() + frame

    def _write_arguments(self, text: str) -> bytes:
        """What does not begin as an object waits, to be told as one at the end."""
        arguments = self._arguments
        arguments.append(text)
        if not arguments[0].lstrip().startswith("{"):
            joined = "".join(arguments)
            if not joined.lstrip().startswith("{"):
                return b""
            text = arguments[0] = joined
            del arguments[1:]
        return _ARGUMENTS % (self._index, _encode(text))

    def _end_block(self) -> bytes:
        if self._block is None:
            return b""
        written = self._last_words(self._block)
        self._block = None
        if self._begun and not self._over:
            written += _STOP % self._index
            self._index += 1
        return written

    def _last_words(self, block: Block) -> bytes:
        if isinstance(block, ToolCall):
            return self._close_arguments()
        if not isinstance(block, Thinking):
            return b""
        signature = sealed(self._seal)
        if block.redacted:
            return self._begin({"type": "redacted_thinking", "data": signature}) if signature else b""
        if not signature:
            return b""
        return self._begin() + _SIGNATURE % (self._index, _encode(signature))

    def _close_arguments(self) -> bytes:
        written = "".join(self._arguments).strip()
        if written in {"", "null"}:
            return b""
        if not written.startswith("{"):
            return _ARGUMENTS % (self._index, _encode(_encode({RAW_ARGUMENTS: written}).decode()))
        try:
            decode_members(written.encode())
        except msgspec.DecodeError as error:
            # A call that was cut at the limit is what this protocol's own hosts send too; clients mend it.
            if str(error) != _TRUNCATED:
                return self._fail(502, "the model wrote arguments for a tool that are not JSON; try again")
        except RecursionError:
            return self._fail(502, "the model wrote arguments for a tool that are nested too deeply; try again")
        return b""

    def _end(self, ended: Ended) -> bytes:
        if self._over:
            return b""
        self._over = True
        delta = {
            "stop_reason": stop_reason(ended.finish, called=self._called, refused=self._refused),
            "stop_sequence": ended.stop_sequence,
        }
        frame = {"type": "message_delta", "delta": delta, "usage": render_usage(self._usage)}
        return _frame(b"message_delta", frame) + _END

    def _fail(self, status: int, message: str) -> bytes:
        self._over = True
        error = {"type": _ERROR_TYPES.get(status, "api_error"), "message": message}
        return _frame(b"error", {"type": "error", "error": error})


def _frame(name: bytes, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, _encode(data))
