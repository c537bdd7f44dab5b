"""Answers for Gemini's clients: as a stream of GenerateContentResponses, and whole."""

import msgspec

from app.domain.usage import Usage
from app.protocols.codec import Asked
from app.protocols.conversation import (
    Base64Source,
    Block,
    Citation,
    Foreign,
    Image,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    UrlSource,
)
from app.protocols.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    CitationAdded,
    Ended,
    Event,
    Failed,
    FinishReason,
    Generation,
    SealAdded,
    Started,
    UsageReported,
)
from app.protocols.gemini import seals
from app.protocols.gemini.errors import render_failure
from app.protocols.gemini.grounding import GroundingRendering

PROTOCOL = "gemini"
_FINISHES: dict[FinishReason, str] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "pause": "CONTINUATION",
}
_encode = msgspec.json.encode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_TEXT_HEAD = b'data: {"candidates":[{"content":{"parts":[{"text":'
_THOUGHT_TAIL = b',"thought":true'
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Part = dict[str, object]


def render_response(generation: Generation, asked: Asked) -> bytes:
    grounding = GroundingRendering()
    parts = _Parts()
    for block in generation.blocks:
        if isinstance(block, Text):
            grounding.add(block.text, list(block.citations))
        parts.add(block)
    content = {"parts": [*parts.taken(), *parts.rest()] or [{"text": ""}], "role": "model"}
    candidate: Part = {
        "content": content,
        "finishReason": _FINISHES[generation.finish],
        "index": 0,
        **grounding.rendered(),
    }
    answer: Part = {"candidates": [candidate]}
    if generation.usage is not None:
        answer["usageMetadata"] = usage_metadata(generation.usage)
    return _encode(answer | _identity(generation.generation_id, asked))


def usage_metadata(usage: Usage) -> dict[str, object]:
    """Zeros are left out, as proto-JSON has it, but for the three counts that clients rely on."""
    spoken = usage.output - usage.reasoning + usage.audio_output
    metadata: dict[str, object] = {
        "promptTokenCount": usage.prompt_tokens,
        "candidatesTokenCount": spoken,
        "totalTokenCount": usage.prompt_tokens + spoken + usage.reasoning,
    }
    if usage.cache_read:
        metadata["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        metadata["thoughtsTokenCount"] = usage.reasoning
    if usage.audio_input:
        metadata["promptTokensDetails"] = _by_modality(usage.prompt_tokens - usage.audio_input, usage.audio_input)
    if usage.audio_output:
        metadata["candidatesTokensDetails"] = _by_modality(spoken - usage.audio_output, usage.audio_output)
    return metadata


def _by_modality(text: int, audio: int) -> list[dict[str, object]]:
    return [{"modality": "TEXT", "tokenCount": text}, {"modality": "AUDIO", "tokenCount": audio}]


def _identity(generation_id: str, asked: Asked) -> Part:
    return {"modelVersion": asked.model, "responseId": generation_id or asked.request_id}


class _Parts:
    """Blocks as parts. A signature goes on the part that follows its thought, or on one of its own."""

    def __init__(self) -> None:
        self._signature: str | None = None
        self._ready: list[Part | msgspec.Raw] = []

    @property
    def signature_waits(self) -> bool:
        return self._signature is not None

    def taken(self) -> list[Part | msgspec.Raw]:
        ready, self._ready = self._ready, []
        return ready

    def rest(self) -> list[Part | msgspec.Raw]:
        """The signature that nothing followed, on a thought without words."""
        if self._signature is None:
            return []
        return [self.signed({"text": "", "thought": True})]

    def signed(self, part: Part) -> Part:
        if self._signature is not None:
            part["thoughtSignature"] = self._signature
            self._signature = None
        return part

    def start_thinking(self) -> None:
        self._ready += self.rest()

    def seal(self, thinking: Thinking) -> None:
        self._signature = seals.write(thinking)

    def add(self, block: Block) -> None:
        match block:
            case Text(text) | Refusal(text):
                if text:
                    self._ready.append(self.signed({"text": text}))
            case Thinking(text):
                self.start_thinking()
                if text and not block.redacted:
                    self._ready.append({"text": text, "thought": True})
                self.seal(block)
            case ToolCall():
                self._ready.append(self.signed({"functionCall": _call(block)}))
            case Image(Base64Source(media_type, data)):
                self._ready.append(self.signed({"inlineData": {"mimeType": media_type, "data": data}}))
            case Image(UrlSource(url, kind)):
                self._ready.append(self.signed({"fileData": {"fileUri": url, "mimeType": kind or "image/png"}}))
            case Foreign():
                self._foreign(block)
            case _:  # no answer holds any other
                pass

    def _foreign(self, block: Foreign) -> None:
        if block.protocol == PROTOCOL:
            self._ready.append(msgspec.Raw(block.raw.encode()))
        elif block.text:
            self._ready.append(self.signed({"text": block.text}))


def _call(block: ToolCall) -> Part:
    """Arguments that a model broke off go whole, as a text in an object."""
    call: Part = {"name": block.name}
    try:
        _decode_object(block.arguments or "{}")
        call["args"] = msgspec.Raw((block.arguments.strip() or "{}").encode())
    except _UNREADABLE:
        call["args"] = {"arguments": block.arguments}
    if block.call_id:
        call["id"] = block.call_id
    return call


class GeminiRenderer:
    """The StreamRenderer: texts and thoughts as they come, calls whole; the last answer has the finish and usage."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._parts = _Parts()
        self._grounding = GroundingRendering()
        self._usage: Usage | None = None
        self._block: Block | None = None
        self._pieces: list[str] = []
        self._citations: list[Citation] = []
        self._tail = b""
        self._identify(Started("", asked.model))

    def feed(self, event: Event) -> bytes:
        if type(event) is BlockDelta:
            return self._more(event.text)
        match event:
            case BlockStarted(block):
                return self._begin(block)
            case BlockEnded():
                return self._finish_block()
            case Ended(finish):
                return self._end(finish)
            case Failed(status, message):
                return render_failure(status, message)
            case _:
                self._note(event)
                return b""

    def _note(self, event: Event) -> None:
        match event:
            case SealAdded(seal):
                if isinstance(self._block, Thinking):
                    self._block = Thinking("", seal, self._block.redacted)
            case CitationAdded(citation):
                self._citations.append(citation)
            case UsageReported(usage):
                self._usage = usage
            case Started():
                self._identify(event)
            case _:
                pass

    def _identify(self, started: Started) -> None:
        self._who = _identity(started.generation_id, self._asked)
        self._tail = b'}],"role":"model"},"index":0}],%b\r\n\r\n' % _encode(self._who)[1:]

    def _begin(self, block: Block) -> bytes:
        self._block, self._pieces, self._citations = block, [], []
        match block:
            case Text(text, citations):
                self._citations += citations
                return self._more(text)
            case Refusal(text):
                return self._more(text)
            case Thinking(text):
                self._parts.start_thinking()
                return self._flush() + self._more(text)
            case ToolCall(arguments=arguments):
                self._pieces.append(arguments)
            case _:
                pass
        return b""

    def _more(self, text: str) -> bytes:
        if not text:
            return b""
        self._pieces.append(text)
        block = self._block
        if isinstance(block, Text | Refusal):
            if self._parts.signature_waits:
                return self._frame([self._parts.signed({"text": text})])
            return b"%b%b%b" % (_TEXT_HEAD, _encode(text), self._tail)
        if isinstance(block, Thinking) and not block.redacted:
            return b"%b%b%b%b" % (_TEXT_HEAD, _encode(text), _THOUGHT_TAIL, self._tail)
        return b""

    def _finish_block(self) -> bytes:
        block, self._block = self._block, None
        match block:
            case Text():
                self._grounding.add("".join(self._pieces), self._citations)
            case Thinking():
                self._parts.seal(block)
            case ToolCall(call_id, name):
                self._parts.add(ToolCall(call_id, name, "".join(self._pieces)))
            case Image() | Foreign():
                self._parts.add(block)
            case _:
                pass
        return self._flush()

    def _flush(self) -> bytes:
        ready = self._parts.taken()
        return self._frame(ready) if ready else b""

    def _frame(self, parts: list[Part | msgspec.Raw]) -> bytes:
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
        return b"data: %b\r\n\r\n" % _encode({"candidates": [candidate]} | self._who)

    def _end(self, finish: FinishReason) -> bytes:
        candidate: Part = {
            "content": {"parts": self._parts.rest() or [{"text": ""}], "role": "model"},
            "finishReason": _FINISHES[finish],
            "index": 0,
            **self._grounding.rendered(),
        }
        answer: Part = {"candidates": [candidate]}
        if self._usage is not None:
            answer["usageMetadata"] = usage_metadata(self._usage)
        return b"data: %b\r\n\r\n" % _encode(answer | self._who)
