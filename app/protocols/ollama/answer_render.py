"""Any model's answer for a client of Ollama, whole and in lines."""

from datetime import UTC, datetime
from typing import Any

from app.domain.usage import Usage
from app.protocols.codec import Asked
from app.protocols.conversation import Base64Source, Foreign, Image, Refusal, Text, Thinking, ToolCall, UrlSource
from app.protocols.events import (
    BlockDelta,
    BlockEnded,
    BlockStarted,
    Ended,
    Event,
    Failed,
    FinishReason,
    Generation,
    UsageReported,
    unfold,
)
from app.protocols.ollama.request_parse import is_chat
from app.protocols.ollama.wire import as_object, encode

_Members = dict[str, Any]


def render_response(generation: Generation, asked: Asked) -> bytes:
    """One object with all that the lines of a stream would say."""
    said = _Said()
    for event in unfold(generation):
        said.take(event)
    chat = is_chat(asked.envelope.fields)
    return encode({**_head(asked), **said.members(chat=chat), **_tail(generation.finish, generation.usage)})


class OllamaStreamRenderer:
    """A line for each piece of text; a call and a picture are lines of their own."""

    def __init__(self, asked: Asked) -> None:
        self._chat = is_chat(asked.envelope.fields)
        self._start = encode(_head(asked))[:-1]
        text = b',"message":{"role":"assistant","content":' if self._chat else b',"response":'
        thought = (
            b',"message":{"role":"assistant","content":"","thinking":'
            if self._chat
            else (b',"response":"","thinking":')
        )
        tail = b'},"done":false}\n' if self._chat else b',"done":false}\n'
        self._text = (self._start + text, tail)
        self._thought = (self._start + thought, tail)
        self._frame: tuple[bytes, bytes] | None = None
        self._said = _Said()
        self._usage: Usage | None = None

    def feed(self, event: Event) -> bytes:
        if type(event) is BlockDelta and self._frame is not None:
            return self._frame[0] + encode(event.text) + self._frame[1] if event.text else b""
        match event:
            case BlockStarted(Text(text)) | BlockStarted(Refusal(text)):
                self._frame = self._text
                return self._piece(text)
            case BlockStarted(Thinking(text)):
                self._frame = self._thought
                return self._piece(text)
            case BlockEnded() if self._frame is not None:
                self._frame = None
                return b""
            case UsageReported(usage):
                self._usage = usage
                return b""
            case Ended(finish):
                members = {**_Said().members(chat=self._chat), **_tail(finish, self._usage)}
                return self._line(members)
            case Failed(_, message):
                return encode({"error": message}) + b"\n"
            case _:
                return self._take_whole(event)

    def _piece(self, text: str) -> bytes:
        assert self._frame is not None
        return self._frame[0] + encode(text) + self._frame[1] if text else b""

    def _take_whole(self, event: Event) -> bytes:
        """Blocks that are no use in pieces: told when they end."""
        self._said.take(event)
        if not isinstance(event, BlockEnded):
            return b""
        said, self._said = self._said, _Said()
        return b"" if said.is_empty(chat=self._chat) else self._line({**said.members(chat=self._chat), "done": False})

    def _line(self, members: _Members) -> bytes:
        return self._start + b"," + encode(members)[1:] + b"\n"


class _Said:
    """What an answer, or a line of it, holds."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: list[_Members] = []
        self._images: list[str] = []
        self._open: list[str] | None = None
        self._call: ToolCall | None = None

    def take(self, event: Event) -> None:
        match event:
            case BlockDelta(text) if self._open is not None:
                self._open.append(text)
            case BlockStarted(block):
                self._begin(block)
            case BlockEnded():
                self._end_call()
                self._open = None
            case _:
                pass

    def is_empty(self, *, chat: bool) -> bool:
        return not (self._texts or self._thoughts or self._images or (chat and self._calls))

    def members(self, *, chat: bool) -> _Members:
        """A completion has no place for a call; nobody could have offered it a tool."""
        text, thoughts = "".join(self._texts), "".join(self._thoughts)
        if not chat:
            members: _Members = {"response": text}
            if thoughts:
                members["thinking"] = thoughts
            if self._images:
                members["image"] = self._images[0]
            return members
        message: _Members = {"role": "assistant", "content": text}
        for name, value in (("thinking", thoughts), ("images", self._images), ("tool_calls", self._calls)):
            if value:
                message[name] = value
        return {"message": message}

    def _begin(self, block: object) -> None:
        match block:
            case Text(text) | Refusal(text):
                self._open = self._texts
                self._texts.append(text)
            case Thinking(text):
                self._open = self._thoughts
                self._thoughts.append(text)
            case ToolCall(_, _, arguments):
                self._call, self._open = block, [arguments]
            case Image(Base64Source(_, data)):
                self._images.append(data)
            case Image(UrlSource(url)):
                self._texts.append(url)
            case Foreign(text=text) if text:
                self._texts.append(text)
            case _:
                pass

    def _end_call(self) -> None:
        if self._call is None or self._open is None:
            return
        arguments = as_object("".join(self._open).strip() or "{}")
        self._calls.append({"function": {"name": self._call.name, "arguments": arguments}})
        self._call = None


def _head(asked: Asked) -> _Members:
    created = datetime.fromtimestamp(asked.created_unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"model": asked.model, "created_at": created}


def _tail(finish: FinishReason, usage: Usage | None) -> _Members:
    tail: _Members = {
        "done": True,
        "done_reason": "length" if finish == "length" else "stop",
        "total_duration": 0,
        "load_duration": 0,
        "prompt_eval_duration": 0,
        "eval_duration": 0,
    }
    if usage is not None:
        tail["prompt_eval_count"] = usage.prompt_tokens
        tail["eval_count"] = usage.output + usage.audio_output
    return tail
