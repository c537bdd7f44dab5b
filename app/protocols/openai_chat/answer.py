"""An answer of a host's, whole or chunk by chunk, as events."""

from typing import Any, Literal

import msgspec

from app.protocols.codec import Reading
from app.protocols.conversation import Base64Source, Citation, Image, Refusal, Text, Thinking, UrlSource
from app.protocols.events import (
    BlockDelta,
    BlockOrder,
    CitationAdded,
    Ended,
    Event,
    Failed,
    FinishReason,
    SealAdded,
    Started,
    UsageReported,
)
from app.protocols.opaque import Seal
from app.protocols.openai_chat.calls import Calls
from app.protocols.openai_chat.dialect import dialect_of
from app.protocols.openai_chat.thoughts import Details, shown_text
from app.protocols.openai_rejections import failure_of
from app.protocols.openai_usage import cost_of, exact_number, usage_of
from app.protocols.scanning import lenient_reader

_Kind = Literal["text", "thinking", "refusal"]


class Speech(msgspec.Struct, gc=False):
    """A message, or a delta of one."""

    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking: Any = None
    reasoning_details: Any = None
    tool_calls: Any = None
    function_call: Any = None
    images: Any = None
    annotations: Any = None


class Choice(msgspec.Struct, gc=False):
    index: Any = None
    delta: Speech | None = None
    message: Speech | None = None
    finish_reason: Any = None
    error: Any = None


class Completion(msgspec.Struct, gc=False):
    """A whole answer or a chunk of one."""

    id: Any = None
    model: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    error: Any = None
    service_tier: Any = None


decode_completion = msgspec.json.Decoder(Completion, float_hook=exact_number).decode
read_completion = lenient_reader(Completion, kept=("usage", "error", "service_tier"), float_hook=exact_number)
_encode = msgspec.json.Encoder(decimal_format="number").encode

_NEW_BLOCKS: dict[_Kind, Text | Thinking | Refusal] = {
    "text": Text(""),
    "thinking": Thinking(""),
    "refusal": Refusal(""),
}
_FINISHES: dict[str, FinishReason] = {
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "content_filter",
}
_THOUGHTS_FIELDS = ("reasoning_content", "reasoning", "thinking")


class AnswerReader:
    """Tells one answer's events. ``finished``: the host has given its reason to end; ``done``: nothing may follow."""

    def __init__(self, reading: Reading) -> None:
        dialect = dialect_of(reading.dialect)
        own = dialect.thoughts_field
        self._issuer = dialect.issuer
        self._thoughts_fields = tuple(dict.fromkeys(name for name in (own, *_THOUGHTS_FIELDS) if name in _FIELDS))
        self._order = BlockOrder()
        self._calls = Calls(self._order, reading.names)
        self._details = Details()
        self._open: _Kind | None = None
        self._open_key = -1
        self._blocks = 0
        self._started = False
        self._finish: str | None = None
        self._service_tier: Any = None
        self.done = False

    @property
    def started(self) -> bool:
        return self._started

    @property
    def finished(self) -> bool:
        return self._finish is not None

    def take(self, completion: Completion) -> list[Event]:
        """What a chunk tells, but for the end."""
        events: list[Event] = []
        if completion.error is not None:
            self._fail(completion.error, events)
            return events
        if not self._started:
            self._start(completion, events)
        if completion.service_tier is not None:
            self._service_tier = completion.service_tier
        for choice in completion.choices or ():
            if not choice.index:  # there is no more than one
                self._take_choice(choice, events)
        if completion.usage is not None and not self.done:
            usage = usage_of(completion.usage, self._service_tier)
            if usage is not None:
                events.append(UsageReported(usage, cost_of(completion.usage)))
        return events

    def end(self) -> list[Event]:
        """The open blocks end, and so does the answer."""
        events: list[Event] = []
        self._close(events)
        events += self._calls.end()
        events += self._order.end_all()
        called = bool(self._calls.count)
        finish = _FINISHES.get(self._finish or "", "tool_calls" if called else "stop")
        events.append(Ended(finish))
        self.done = True
        return events

    def _start(self, completion: Completion, events: list[Event]) -> None:
        self._started = True
        generation_id = _text(completion.id)
        self._calls.seed = generation_id
        events.append(Started(generation_id, _text(completion.model)))

    def _fail(self, error: object, events: list[Event]) -> None:
        events.append(Failed(*failure_of(error)))
        self.done = True

    def _take_choice(self, choice: Choice, events: list[Event]) -> None:
        speech = choice.delta or choice.message
        if speech is not None:
            self._take_speech(speech, events, whole=choice.delta is None)
        reason = choice.finish_reason
        if choice.error is not None or reason == "error":
            self._fail(choice.error, events)
        elif isinstance(reason, str) and reason:
            self._finish = reason

    def _take_speech(self, speech: Speech, events: list[Event], *, whole: bool) -> None:
        self._take_thoughts(speech, events)
        content = speech.content
        if content:
            if type(content) is str:
                self._say("text", content, events)
            else:
                self._take_parts(content, events)
        if speech.annotations:
            self._take_annotations(speech.annotations, events)
        if speech.refusal and isinstance(speech.refusal, str):
            self._say("refusal", speech.refusal, events)
        if speech.images:
            self._take_images(speech.images, events)
        if speech.tool_calls or speech.function_call:
            self._close(events)
            events += self._calls.take(speech.tool_calls, speech.function_call, whole=whole)

    def _take_thoughts(self, speech: Speech, events: list[Event]) -> None:
        shown = ""
        for name in self._thoughts_fields:
            value = getattr(speech, name)
            if value and isinstance(value, str):
                shown = value  # hosts that write several write the same text into each
                break
        details = speech.reasoning_details
        if details and isinstance(details, list):
            if self._open != "thinking":
                self._open_block("thinking", events)
            shown = shown or shown_text(details)
            self._details.add(details)
        if shown:
            self._say("thinking", shown, events)

    def _take_parts(self, parts: object, events: list[Event]) -> None:
        """Content as a list: Mistral's thoughts stand in there as well."""
        for part in parts if isinstance(parts, list) else ():
            if not isinstance(part, dict):
                continue
            if text := _text(part.get("text")):
                self._say("text", text, events)
            thoughts = part.get("thinking")
            for thought in thoughts if isinstance(thoughts, list) else (thoughts,):
                if text := _text(thought.get("text") if isinstance(thought, dict) else thought):
                    self._say("thinking", text, events)

    def _take_annotations(self, annotations: object, events: list[Event]) -> None:
        for annotation in annotations if isinstance(annotations, list) else ():
            citation = _citation_of(annotation)
            if citation is None:
                continue
            if self._open != "text":
                self._open_block("text", events)
            events += self._order.add(self._open_key, CitationAdded(citation))

    def _take_images(self, images: object, events: list[Event]) -> None:
        for image in images if isinstance(images, list) else ():
            block = _image_of(image)
            if block is not None:
                self._close(events)
                key = self._next_key()
                events += self._order.start(key, block)
                events += self._order.end(key)

    def _say(self, kind: _Kind, text: str, events: list[Event]) -> None:
        if self._open != kind:
            self._open_block(kind, events)
        if self._calls.count:
            events += self._order.add(self._open_key, BlockDelta(text))
        else:
            events.append(BlockDelta(text))

    def _open_block(self, kind: _Kind, events: list[Event]) -> None:
        self._close(events)
        self._open = kind
        self._open_key = self._next_key()
        events += self._order.start(self._open_key, _NEW_BLOCKS[kind])

    def _close(self, events: list[Event]) -> None:
        if self._open is None:
            return
        if self._open == "thinking":
            events += self._order.add(self._open_key, SealAdded(Seal(self._issuer, self._details.written())))
            self._details = Details()
        events += self._order.end(self._open_key)
        self._open = None

    def _next_key(self) -> int:
        self._blocks += 1
        return self._blocks


_FIELDS = frozenset(Speech.__struct_fields__)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _citation_of(annotation: object) -> Citation | None:
    cited = annotation.get("url_citation") if isinstance(annotation, dict) else None
    if not isinstance(cited, dict):
        return None
    places = [place if type(place) is int else None for place in (cited.get("start_index"), cited.get("end_index"))]
    return Citation(
        "openai_chat",
        _encode(annotation).decode(),
        url=_text(cited.get("url")) or None,
        title=_text(cited.get("title")) or None,
        cited_text=_text(cited.get("content")) or None,
        start=places[0],
        end=places[1],
    )


def _image_of(image: object) -> Image | None:
    written = image.get("image_url") if isinstance(image, dict) else None
    url = _text(written.get("url") if isinstance(written, dict) else written)
    head, _, data = url.partition(";base64,")
    if data and head.startswith("data:"):
        return Image(Base64Source(head.removeprefix("data:") or "image/png", data))
    return Image(UrlSource(url)) if url else None
