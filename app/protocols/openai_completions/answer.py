"""A text completion's answer, read of hosts and written for clients: whole and in chunks."""

from collections.abc import Sequence
from typing import Any

from app.base.errors import UpstreamUnreadable
from app.domain.usage import Usage
from app.protocols.codec import Asked, Reading
from app.protocols.conversation import Foreign, Image, Refusal, Text, UrlSource
from app.protocols.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Ended,
    Event,
    Failed,
    FinishReason,
    Generation,
    Started,
    UsageReported,
    fold,
)
from app.protocols.openai_completions.request import wants_usage
from app.protocols.openai_completions.wire import Completion, encode, read_completion, wire_usage
from app.protocols.openai_usage import usage_of
from app.protocols.sse import FrameSplitter, data_of

_FINISHES: dict[object, FinishReason] = {"stop": "stop", "length": "length", "content_filter": "content_filter"}
_FAILURE_STATUS = 500
_LONGEST_MESSAGE = 4000
_DONE = b"data: [DONE]\n\n"


def parse_response(body: bytes, reading: Reading) -> Generation:
    """A whole answer has the shape of a chunk. Raises UpstreamUnreadable."""
    completion = read_completion(body)
    if completion is None or completion.error is not None or not completion.choices:
        raise UpstreamUnreadable("the host answered with what is no text completion", provider=reading.dialect.issuer)
    parser = CompletionsStreamParser()
    return fold([*parser.take(completion), *parser.finish()])


class CompletionsStreamParser:
    """One text, its usage wherever the host tells it; the end is [DONE], or a finish reason at the end."""

    __slots__ = ("_finish", "_open", "_over", "_splitter", "_started")

    def __init__(self) -> None:
        self._splitter = FrameSplitter()
        self._started = False
        self._open = False
        self._over = False
        self._finish: FinishReason | None = None

    def feed(self, chunk: bytes) -> Sequence[Event]:
        if self._over:
            return ()
        frames = self._splitter.feed(chunk)
        if len(frames) == 1:
            return self._read(frames[0])
        events = [event for frame in frames for event in self._read(frame)]
        if self._splitter.overflowed:
            self._over = True
            events.append(Failed(_FAILURE_STATUS, "the host sent an event without end"))
        return events

    def end(self) -> Sequence[Event]:
        events = list(self._read(self._splitter.take_rest()))
        if not self._over and self._finish is not None:
            events += self.finish()
        return events

    def take(self, completion: Completion) -> list[Event]:
        if completion.error is not None:
            self._over = True
            return [Failed(_FAILURE_STATUS, _message_of(completion.error))]
        events: list[Event] = []
        if not self._started:
            self._started = True
            events.append(Started(_as_text(completion.id), _as_text(completion.model)))
        for choice in completion.choices or ():
            if choice.index not in {None, 0}:
                continue
            if choice.text:
                if not self._open:
                    self._open = True
                    events.append(BlockStarted(Text("")))
                events.append(BlockDelta(choice.text))
            if isinstance(choice.finish_reason, str):
                self._finish = _FINISHES.get(choice.finish_reason, "stop")
        if completion.usage is not None and (usage := usage_of(completion.usage)) is not None:
            events.append(UsageReported(usage))
        return events

    def finish(self) -> list[Event]:
        """The host has said all."""
        self._over = True
        closed: list[Event] = [BlockEnded()] if self._open else []
        return [*closed, Ended(self._finish or "stop")]

    def _read(self, frame: bytes) -> Sequence[Event]:
        if self._over:
            return ()
        data = data_of(frame)
        if not data:
            return ()
        completion = read_completion(data)
        if completion is not None:
            return self.take(completion)
        return self.finish() if data.strip() == b"[DONE]" and self._started else ()


def render_response(generation: Generation, asked: Asked) -> bytes:
    """Thoughts have no place here, and calls cannot have been asked for."""
    text = "".join(_spoken(block) or "" for block in generation.blocks)
    answer = {**_head(asked, generation.generation_id), "choices": [_choice(text, _word_of(generation.finish))]}
    if generation.usage is not None:
        answer["usage"] = wire_usage(generation.usage)
    return encode(answer)


class CompletionsStreamRenderer:
    """A chunk for each piece of text, one with the finish reason, and one with the usage where it was asked for."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._shows_usage = wants_usage(asked.envelope.fields)
        self._head = _head(asked, "")
        self._start = self._start_of_text()
        self._speaking = False
        self._usage: Usage | None = None

    def feed(self, event: Event) -> bytes:
        if type(event) is BlockDelta:
            return self._text(event.text) if self._speaking else b""
        match event:
            case BlockStarted(block):
                text = _spoken(block)
                self._speaking = text is not None
                return self._text(text or "")
            case Started(generation_id):
                self._head = _head(self._asked, generation_id)
                self._start = self._start_of_text()
                return b""
            case UsageReported(usage):
                self._usage = usage
                return b""
            case Ended(finish):
                return self._end(finish)
            case Failed(status, message):
                error = {"message": message, "type": "server_error", "param": None, "code": status}
                return b"data: " + encode({"error": error}) + b"\n\n"
            case _:
                return b""

    def _start_of_text(self) -> bytes:
        return (
            b"data: " + encode(self._head)[:-1] + b',"choices":[{"index":0,"logprobs":null,"finish_reason":null,"text":'
        )

    def _text(self, text: str) -> bytes:
        return self._start + encode(text) + b"}]}\n\n" if text else b""

    def _end(self, finish: FinishReason) -> bytes:
        last = self._frame({"choices": [_choice("", _word_of(finish))]})
        if not self._shows_usage or self._usage is None:
            return last + _DONE
        return last + self._frame({"choices": [], "usage": wire_usage(self._usage)}) + _DONE

    def _frame(self, members: dict[str, Any]) -> bytes:
        return b"data: " + encode({**self._head, **members}) + b"\n\n"


def _head(asked: Asked, generation_id: str) -> dict[str, Any]:
    own = generation_id if generation_id.startswith("cmpl-") else f"cmpl-{generation_id or asked.request_id}"
    return {"id": own, "object": "text_completion", "created": asked.created_unix, "model": asked.model}


def _choice(text: str, finish_reason: str) -> dict[str, Any]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}


def _word_of(finish: FinishReason) -> str:
    return finish if finish in {"length", "content_filter"} else "stop"


def _spoken(block: object) -> str | None:
    """What a block says in text; None for one that says nothing here."""
    match block:
        case Text(text) | Refusal(text) | Foreign(text=str(text)):
            return text
        case Image(UrlSource(url)):
            return url
        case _:
            return None


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _message_of(error: object) -> str:
    said = error.get("message") if isinstance(error, dict) else error
    return said[:_LONGEST_MESSAGE] if isinstance(said, str) and said else "the host reports an error"
