"""A streamed answer for a client of chat completions.

Each entry of a list in a delta has an ``index``: OpenAI's own SDK puts them together by it, and stops at one without.
"""

from typing import Any

import msgspec

from app.base.errors import UpstreamRejected
from app.domain.usage import Usage
from app.protocols.codec import Asked
from app.protocols.conversation import Citation, Foreign, Image, Refusal, Text, Thinking, ToolCall
from app.protocols.envelope import read_loosely
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
from app.protocols.opaque import Seal
from app.protocols.openai_chat.answer_words import (
    Supplement,
    completion_id,
    custom_input,
    finish_word,
    image_words,
    thinking_block,
    usage_words,
)
from app.protocols.openai_chat.errors import render_stream_error
from app.protocols.openai_chat.tools_parse import custom_names

_encode = msgspec.json.encode
_PING = b": keep-alive\n\n"
_DONE = b"data: [DONE]\n\n"
_TEXT_FIELDS: dict[type, bytes] = {Text: b"content", Thinking: b"reasoning_content", Refusal: b"refusal"}


class ChatStreamRenderer:
    """``usage`` goes out in a chunk of its own where the client asked for it."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        options = read_loosely(asked.envelope.fields, "stream_options")
        self._counts = isinstance(options, dict) and options.get("include_usage") is True
        self._custom = custom_names(asked.envelope.fields)
        self._held = False
        self._head = b""
        self._delta_head = b""
        self._delta_tail = b',"logprobs":null,"finish_reason":null}]%b}\n\n' % self._no_usage()
        self._usage: Usage | None = None
        self._supplement = Supplement()
        self._calls = 0
        self._thoughts = 0
        self._images = 0
        self._block: Text | Thinking | ToolCall | Refusal | Foreign | Image | None = None
        self._before_text = b""
        self._after_text = b""
        self._seal: Seal | None = None
        self._length = 0
        self._texts: list[str] = []
        self._citations: list[Citation] = []
        self._name("")

    def feed(self, event: Event) -> bytes:
        match event:
            case BlockDelta(text):
                return self._text(text) if text else b""
            case BlockStarted(block):
                return self._start_block(block)
            case BlockEnded():
                return self._end_block()
            case SealAdded(seal):
                self._seal = seal
                return b""
            case CitationAdded(citation):
                self._citations.append(citation)
                return b""
            case Heartbeat():
                return _PING
            case _:
                return self._frame(event)

    def _frame(self, event: Event) -> bytes:
        match event:
            case Started(generation_id):
                self._name(generation_id)
                return self._delta(b'{"role":"assistant","content":""}')
            case UsageReported(usage):
                self._usage = usage
                return b""
            case Ended():
                return self._end(event)
            case Failed(status, message):
                return render_stream_error(UpstreamRejected(message, provider="", status=status))
            case _:
                return b""

    def _name(self, generation_id: str) -> None:
        asked = self._asked
        self._head = (
            b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"system_fingerprint":null,'
            b'"choices":' % (_encode(completion_id(generation_id, asked)), asked.created_unix, _encode(asked.model))
        )
        self._delta_head = self._head + b'[{"index":0,"delta":'

    def _no_usage(self) -> bytes:
        return b',"usage":null' if self._counts else b""

    def _delta(self, delta: bytes) -> bytes:
        return b"%b%b%b" % (self._delta_head, delta, self._delta_tail)

    def _start_block(self, block: Text | Thinking | ToolCall | Refusal | Foreign | Image) -> bytes:
        self._block = block
        self._length = 0
        self._texts = []
        self._seal = None
        self._citations = []
        self._held = isinstance(block, ToolCall) and block.name in self._custom
        match block:
            case ToolCall(call_id, name, arguments):
                start = self._start_call(call_id, name)
                return start + self._text(arguments) if arguments else start
            case Image():
                return self._image(block)
            case Foreign(text=text, raw=raw):
                self._frame_texts(b'{"content":', b"}")
                if text is None:
                    self._supplement.add_foreign(raw)
                return self._text(text) if text else b""
            case _:
                self._frame_texts(b'{"%b":' % _TEXT_FIELDS[type(block)], b"}")
                if isinstance(block, Thinking):
                    self._seal = block.seal
                elif isinstance(block, Text):
                    self._citations = list(block.citations)
                return self._text(block.text) if block.text else b""

    def _frame_texts(self, before: bytes, after: bytes) -> None:
        self._before_text = self._delta_head + before
        self._after_text = after + self._delta_tail

    def _text(self, text: str) -> bytes:
        self._length += len(text)
        if self._held or type(self._block) is Thinking:
            self._texts.append(text)
            if self._held:
                return b""
        return b"%b%b%b" % (self._before_text, _encode(text), self._after_text)

    def _start_call(self, call_id: str, name: str) -> bytes:
        index, self._calls = self._calls, self._calls + 1
        self._frame_texts(b'{"tool_calls":[{"index":%d,"function":{"arguments":' % index, b"}}]}")
        call: dict[str, Any] = {"index": index, "id": call_id}
        if self._held:
            # The text stands inside of the arguments' JSON: it is told once that is whole.
            call |= {"type": "custom", "custom": {"name": name, "input": ""}}
        else:
            call |= {"type": "function", "function": {"name": name, "arguments": ""}}
        return self._delta(_encode({"tool_calls": [call]}))

    def _image(self, image: Image) -> bytes:
        words = image_words(image)
        if words is None:
            return b""
        index, self._images = self._images, self._images + 1
        return self._delta(_encode({"images": [{"index": index, **words}]}))

    def _end_block(self) -> bytes:
        block, self._block = self._block, None
        match block:
            case ToolCall() if self._held:
                custom = {"input": custom_input("".join(self._texts))}
                return self._delta(_encode({"tool_calls": [{"index": self._calls - 1, "custom": custom}]}))
            case ToolCall() if not self._length:
                return b"%b%b%b" % (self._before_text, b'"{}"', self._after_text)
            case Thinking(redacted=redacted):
                thought = Thinking("".join(self._texts), self._seal, redacted)
                index, self._thoughts = self._thoughts, self._thoughts + 1
                return self._delta(_encode({"thinking_blocks": [{"index": index, **thinking_block(thought)}]}))
            case Text() | Foreign():
                self._supplement.add_text(self._length, self._citations)
            case _:
                pass
        return b""

    def _end(self, ended: Ended) -> bytes:
        parts: list[bytes] = []
        delta: dict[str, Any] = {}
        annotations = self._supplement.annotations()
        if annotations:
            delta["annotations"] = [{"index": index, **words} for index, words in enumerate(annotations)]
        if specific := self._supplement.specific_fields(ended.extras):
            delta["provider_specific_fields"] = specific
        if delta:
            parts.append(self._delta(_encode(delta)))
        word = finish_word(ended.finish, called=self._calls > 0)
        parts.append(
            b'%b{},"logprobs":null,"finish_reason":%b}]%b}\n\n' % (self._delta_head, _encode(word), self._no_usage())
        )
        if self._counts:
            usage = usage_words(self._usage or Usage())
            parts.append(b'%b[],"usage":%b}\n\n' % (self._head, _encode(usage)))
        parts.append(_DONE)
        return b"".join(parts)
