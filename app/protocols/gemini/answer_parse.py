"""Gemini's answers: streamed as events, and whole."""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from app.base.errors import UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols.codec import Reading
from app.protocols.conversation import Base64Source, Citation, Foreign, Image, Text, Thinking, ToolCall
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
    GenerationFailed,
    Incomplete,
    SealAdded,
    Started,
    UsageReported,
    fold,
)
from app.protocols.gemini.errors import failure_of
from app.protocols.gemini.frames import AnswerSplitter
from app.protocols.gemini.grounding import citations_in
from app.protocols.gemini.usage import is_image, searches_in, usage_of
from app.protocols.opaque import Seal
from app.protocols.scanning import lenient_reader

PROTOCOL = "gemini"
_FINISHES: dict[str, FinishReason] = {
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    **dict.fromkeys(
        (
            "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
            "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "ESCALATION",
        ),
        "content_filter",
    ),
}  # fmt: skip
_CODE = {"executableCode": "code", "codeExecutionResult": "output"}


class _Call(msgspec.Struct, gc=False):
    name: str = ""
    args: msgspec.Raw = msgspec.Raw(b"")
    id: str | None = None


class _Part(msgspec.Struct, gc=False):
    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None  # noqa: N815
    functionCall: _Call | None = None  # noqa: N815
    inlineData: Any = None  # noqa: N815
    executableCode: Any = None  # noqa: N815
    codeExecutionResult: Any = None  # noqa: N815


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, gc=False):
    content: _Content | None = None
    finishReason: str | None = None  # noqa: N815
    finishMessage: Any = None  # noqa: N815
    index: int | None = None
    groundingMetadata: Any = None  # noqa: N815
    citationMetadata: Any = None  # noqa: N815


class _Answer(msgspec.Struct, gc=False):
    candidates: list[_Candidate] | None = None
    usageMetadata: Any = None  # noqa: N815
    promptFeedback: Any = None  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    responseId: str | None = None  # noqa: N815
    error: Any = None


_read = lenient_reader(_Answer, kept=("usageMetadata", "error"))
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_TEXT_ENDED: tuple[Event, ...] = (BlockEnded(),)


def parse_response(body: bytes, reading: Reading, provider: str = "the provider") -> Generation:
    parsing = AnswerParsing(reading)
    answer = _read(body)
    if answer is None or (answer.candidates is None and answer.promptFeedback is None and answer.error is None):
        raise UpstreamUnreadable("the answer is no GenerateContentResponse", provider=provider)
    events = parsing.take(answer)
    if any(candidate.content is not None for candidate in answer.candidates or ()):
        parsing.assume_finished()
    try:
        return fold([*events, *parsing.end()])
    except GenerationFailed as failure:
        raise UpstreamUnreadable(f"the answer is an error: {failure.failed.message}", provider=provider) from failure
    except Incomplete as incomplete:
        raise UpstreamUnreadable("the answer has no finish reason", provider=provider) from incomplete


class GeminiParser:
    """The StreamParser. The answer is over when a finish reason and usage were seen, or at the end of the stream."""

    def __init__(self, reading: Reading) -> None:
        self._splitter = AnswerSplitter()
        self._parsing = AnswerParsing(reading)

    def feed(self, chunk: bytes) -> Sequence[Event]:
        splitter, parsing = self._splitter, self._parsing
        if parsing.over or splitter.overflowed:
            return ()
        events: list[Event] = []
        for frame in splitter.feed(chunk):
            data = splitter.answer_in(frame)
            if data and (answer := _read(data)) is not None:
                events += parsing.take(answer)
        if splitter.overflowed:
            splitter.take_rest()
            events += parsing.fail(502, "an event of the provider's stream is too large")
        elif parsing.finished and parsing.counted:
            events += parsing.end()
        return events

    def end(self) -> Sequence[Event]:
        events: list[Event] = []
        rest = self._splitter.answer_in(self._splitter.take_rest())
        if rest and (answer := _read(rest)) is not None:
            events += self._parsing.take(answer)
        return [*events, *self._parsing.end()]


class AnswerParsing:
    """Puts the answers of one stream together, each of which has only what is new."""

    def __init__(self, reading: Reading) -> None:
        self._issuer = reading.dialect.issuer
        self._names = reading.names
        self.over = False
        self.counted = False
        self._started = False
        self._open: type[Text | Thinking] | None = None
        self._texts: list[str] = []
        self._cited: set[Citation] = set()
        self._late_seal: str | None = None
        self._calls = 0
        self._images = 0
        self._searches = 0
        self._response_id = ""
        self._model = ""
        self._usage: Usage | None = None
        self._finish: FinishReason | None = None
        self._extras: dict[str, str] = {}

    @property
    def finished(self) -> bool:
        return self._finish is not None

    def assume_finished(self) -> None:
        """A whole answer is finished even where the host does not say so."""
        self._finish = self._finish or "stop"

    def take(self, answer: _Answer) -> list[Event]:
        if self.over:
            return []
        if answer.error is not None:
            return self.fail(*failure_of(answer.error))
        events: list[Event] = []
        if not self._started:
            self._started = True
            self._response_id, self._model = answer.responseId or "", answer.modelVersion or ""
            events.append(Started(self._response_id, self._model))
        for candidate in answer.candidates or ():
            if not candidate.index:  # a second candidate was not asked for
                self._candidate(events, candidate)
        feedback = answer.promptFeedback
        if isinstance(feedback, dict) and feedback.get("blockReason") and not self._finish:
            self._finish = "content_filter"
            self._note("promptFeedback", feedback)
        if answer.usageMetadata is not None:
            self._count(events, answer.usageMetadata)
        return events

    def fail(self, status: int, message: str) -> list[Event]:
        self.over = True
        return [Failed(status, message)]

    def end(self) -> list[Event]:
        """The end of the answer, where it has been reached; else nothing."""
        if self.over or self._finish is None:
            return []
        self.over = True
        events: list[Event] = []
        self._close(events)
        finish = "tool_calls" if self._calls and self._finish == "stop" else self._finish
        events.append(Ended(finish, extras=self._extras))
        return events

    def _candidate(self, events: list[Event], candidate: _Candidate) -> None:
        content = candidate.content
        if content is not None and content.parts:
            for part in content.parts:
                self._part(events, part)
        if candidate.groundingMetadata is not None or candidate.citationMetadata is not None:
            self._cite(events, candidate)
        reason = candidate.finishReason
        if reason is not None and reason != "FINISH_REASON_UNSPECIFIED":
            self._finish = _FINISHES.get(reason, "stop")
            if candidate.finishMessage is not None:
                self._note("finishMessage", candidate.finishMessage)

    def _part(self, events: list[Event], part: _Part) -> None:
        text, signature = part.text, part.thoughtSignature
        if part.functionCall is not None:
            self._call(events, part.functionCall, signature)
        elif text is None:
            self._whole(events, part)
        elif text and not signature:
            self._speak(events, Thinking if part.thought else Text, text)
        elif part.thought:
            self._think(events, text, signature)
        elif signature:
            self._say_signed(events, text, signature)

    def _think(self, events: list[Event], text: str, signature: str | None) -> None:
        if text or signature:
            self._speak(events, Thinking, text)
        if signature:
            self._seal(events, signature)

    def _say_signed(self, events: list[Event], text: str, signature: str) -> None:
        if self._open is Text and self._late_seal is None:
            # The proof of what was said comes with its last words. More of the text's citations may follow.
            if text:
                self._speak(events, Text, text)
            self._late_seal = signature
            return
        self._seal(events, signature)
        if text:
            self._speak(events, Text, text)

    def _speak(self, events: list[Event], kind: type[Text | Thinking], text: str) -> None:
        if self._open is not kind or self._late_seal is not None:
            self._close(events)
            self._open = kind
            events.append(BlockStarted(kind("")))
        self._texts.append(text)
        if text:
            events.append(BlockDelta(text))

    def _seal(self, events: list[Event], signature: str) -> None:
        """The proof of the open thought, or of one that is not shown."""
        if self._open is not Thinking:
            self._close(events)
            events.append(BlockStarted(Thinking("")))
        events += (SealAdded(Seal(self._issuer, signature)), BlockEnded())
        self._open = None

    def _close(self, events: list[Event]) -> None:
        if self._open is not None:
            events.append(BlockEnded())
            self._open = None
        self._texts.clear()
        if self._late_seal is not None:
            late, self._late_seal = self._late_seal, None
            self._seal(events, late)

    def _call(self, events: list[Event], call: _Call, signature: str | None) -> None:
        if not call.name:
            return
        if signature:
            self._seal(events, signature)
        self._close(events)
        raw = bytes(call.args)
        arguments = raw.decode(errors="replace") if raw.startswith(b"{") else "{}"
        call_id = call.id or self._made_up_id(call.name, arguments)
        self._calls += 1
        name = self._names.get(call.name, call.name)
        events += (BlockStarted(ToolCall(call_id, name, "")), BlockDelta(arguments), BlockEnded())

    def _made_up_id(self, name: str, arguments: str) -> str:
        """Another one for each call of each answer; an answer without an id is told apart by what it calls."""
        told = self._response_id or f"{name} {arguments}"
        return "call_" + hashlib.sha256(f"{told} {self._calls}".encode()).hexdigest()[:24]

    def _whole(self, events: list[Event], part: _Part) -> None:
        """A part that comes in one piece; one of a kind unknown here is skipped."""
        block: Image | Foreign | None = None
        inline = part.inlineData
        if isinstance(inline, dict):
            data, kind = inline.get("data"), inline.get("mimeType")
            if is_image(inline) and isinstance(data, str) and isinstance(kind, str):
                block = Image(Base64Source(kind, data))
                self._images += 1
            else:
                block = Foreign(PROTOCOL, "inlineData", _encoded({"inlineData": inline}))
        for name, field in _CODE.items():
            code = getattr(part, name)
            if isinstance(code, dict):
                block = Foreign(PROTOCOL, name, _encoded({name: code}), f"```\n{code.get(field) or ''}\n```")
        if part.thoughtSignature:
            self._seal(events, part.thoughtSignature)
        if block is not None:
            self._close(events)
            events += (BlockStarted(block), BlockEnded())

    def _cite(self, events: list[Event], candidate: _Candidate) -> None:
        grounding = candidate.groundingMetadata
        if grounding is not None:
            self._searches = max(self._searches, searches_in(grounding, self._model))
            self._note("groundingMetadata", grounding)
        if self._open is not Text:
            return
        for citation in citations_in(grounding, candidate.citationMetadata, "".join(self._texts)):
            if citation not in self._cited:
                self._cited.add(citation)
                events.append(CitationAdded(citation))

    def _count(self, events: list[Event], metadata: object) -> None:
        usage = usage_of(metadata, images=self._images, web_searches=self._searches)
        if usage is not None and usage != self._usage:
            events.append(UsageReported(usage))
            self._usage = usage
        self.counted = self.counted or (usage is not None and self._finish is not None)

    def _note(self, name: str, value: object) -> None:
        self._extras[name] = _encoded(value)


def _encoded(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (OverflowError, RecursionError):
        return "{}"
