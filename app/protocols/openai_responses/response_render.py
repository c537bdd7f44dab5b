"""An answer to a client: as the events of a stream, and as one whole response object."""

import msgspec

from app.domain.usage import Usage
from app.protocols.codec import Asked
from app.protocols.conversation import Base64Source, Foreign, Image, Refusal, Text, Thinking, ToolCall
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
    unfold,
)
from app.protocols.openai_responses.errors import failure_code, failure_type, plain, response_id
from app.protocols.openai_responses.items_render import (
    CallRenderer,
    CustomCallRenderer,
    Fields,
    Frames,
    ItemRenderer,
    MessageRenderer,
    ReasoningRenderer,
)
from app.protocols.openai_responses.tools_parse import ClientTool, client_tools
from app.protocols.openai_responses.usage import usage_fields
from app.protocols.openai_responses.wire import PROTOCOL, encode, is_given

_INCOMPLETE: dict[FinishReason, str] = {"length": "max_output_tokens", "content_filter": "content_filter"}

# What a response says of its request: as the client wrote it, else the API's default.
_ECHOED: dict[str, msgspec.Raw] = {
    name: msgspec.Raw(default)
    for name, default in (
        ("instructions", b"null"),
        ("max_output_tokens", b"null"),
        ("max_tool_calls", b"null"),
        ("metadata", b"{}"),
        ("parallel_tool_calls", b"true"),
        ("prompt_cache_key", b"null"),
        ("reasoning", b'{"effort":null,"summary":null}'),
        ("safety_identifier", b"null"),
        ("temperature", b"1.0"),
        ("text", b'{"format":{"type":"text"}}'),
        ("tool_choice", b'"auto"'),
        ("tools", b"[]"),
        ("top_logprobs", b"0"),
        ("top_p", b"1.0"),
        ("truncation", b'"disabled"'),
        ("user", b"null"),
    )
}


def render_response(generation: Generation, asked: Asked) -> bytes:
    renderer = ResponsesRenderer(asked)
    for event in unfold(generation):
        renderer.feed(event)
    return encode(renderer.response)


class ResponsesRenderer:
    """``response`` is the response object as it was last told."""

    def __init__(self, asked: Asked) -> None:
        self.response: Fields = {}
        self._asked = asked
        self._frames = Frames()
        self._suffix = plain(asked.request_id)
        self._tools: dict[str, ClientTool] | None = None
        self._output: list[Fields | msgspec.Raw] = []
        self._message: MessageRenderer | None = None
        self._open: ItemRenderer | None = None
        self._usage: Usage | None = None
        self._begun = False

    def feed(self, event: Event) -> bytes:
        match event:
            case BlockDelta(text):
                return self._open.delta(text) if self._open is not None else b""
            case BlockStarted(block):
                return self._begin() + self._start(block)
            case BlockEnded():
                return self._end_block()
            case Started():
                return self._begin()
            case Ended(finish):
                return self._begin() + self._finish(finish)
            case Failed(status, message):
                return self._begin() + self._fail(status, message)
            case _:
                return self._note(event)

    def _note(self, event: Event) -> bytes:
        match event:
            case SealAdded(seal):
                if isinstance(self._open, ReasoningRenderer):
                    self._open.seal(seal)
            case CitationAdded(citation):
                if isinstance(self._open, MessageRenderer):
                    return self._open.cite(citation)
            case UsageReported(usage):
                self._usage = usage
            case _:
                pass
        return b""

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        response = self._snapshot("in_progress")
        return self._frames.write("response.created", {"response": response}) + self._frames.write(
            "response.in_progress", {"response": response}
        )

    def _start(self, block: Text | Thinking | ToolCall | Refusal | Foreign | Image) -> bytes:
        match block:
            case Text(text, citations):
                written = self._start_part("output_text", text)
                return written + b"".join(map(self._message.cite, citations)) if self._message else written
            case Refusal(text):
                return self._start_part("refusal", text)
            case Thinking():
                ended = self._end_message()
                reasoning = ReasoningRenderer(self._frames, len(self._output), self._item_id("rs"), block)
                self._open = reasoning
                return ended + reasoning.begin() + reasoning.delta(block.text)
            case ToolCall():
                return self._end_message() + self._start_call(block)
            case Image() | Foreign():
                return self._tell_whole(block)

    def _start_part(self, kind: str, text: str) -> bytes:
        written = b""
        message = self._message
        if message is None:
            message = MessageRenderer(self._frames, len(self._output), self._item_id("msg"))
            written = message.begin()
        self._open = self._message = message
        return written + message.begin_part(kind) + message.delta(text)

    def _start_call(self, call: ToolCall) -> bytes:
        if self._tools is None:
            self._tools = client_tools(self._asked.envelope.fields.get("tools"))
        tool = self._tools.get(call.name) or ClientTool(call.name)
        kind, prefix = (CustomCallRenderer, "ctc") if tool.custom else (CallRenderer, "fc")
        renderer = kind(self._frames, len(self._output), self._item_id(prefix), call, tool)
        self._open = renderer
        return renderer.begin()

    def _tell_whole(self, block: Image | Foreign) -> bytes:
        """Blocks of other protocols' own have no place here; what they led to stands in the text."""
        item: Fields | msgspec.Raw
        if isinstance(block, Image) and isinstance(block.source, Base64Source):
            item = {
                "id": self._item_id("ig"),
                "type": "image_generation_call",
                "status": "completed",
                "output_format": block.source.media_type.rpartition("/")[2],
                "result": block.source.data,
            }
        elif isinstance(block, Foreign) and block.protocol == PROTOCOL:
            item = msgspec.Raw(block.raw.encode())
        else:
            return b""
        ended = self._end_message()
        place: Fields = {"output_index": len(self._output), "item": item}
        self._output.append(item)
        added = self._frames.write("response.output_item.added", place)
        return ended + added + self._frames.write("response.output_item.done", place)

    def _end_block(self) -> bytes:
        renderer, self._open = self._open, None
        if renderer is None:
            return b""
        if isinstance(renderer, MessageRenderer):
            return renderer.end_part()
        written, item = renderer.end()
        self._output.append(item)
        return written

    def _end_message(self, status: str = "completed") -> bytes:
        message, self._message = self._message, None
        if message is None:
            return b""
        written, item = message.end(status)
        self._output.append(item)
        return written

    def _finish(self, finish: FinishReason) -> bytes:
        reason = _INCOMPLETE.get(finish)
        status = "incomplete" if reason else "completed"
        written = self._end_message(status)
        response = self._snapshot(status)
        if reason:
            response["incomplete_details"] = {"reason": reason}
        return written + self._frames.write(f"response.{status}", {"response": response})

    def _fail(self, status: int, message: str) -> bytes:
        """Two events, as of a failure of ours: with the second alone OpenAI's SDK tells of nothing but the cut."""
        response = self._snapshot("failed")
        said = {"code": failure_code(status, message), "message": message}
        response["error"] = said
        shape = {**said, "type": failure_type(status), "param": None}
        written = self._frames.write("error", {**said, "param": None, "error": shape})
        return written + self._frames.write("response.failed", {"response": response})

    def _item_id(self, prefix: str) -> str:
        return f"{prefix}_{self._suffix}_{len(self._output)}"

    def _snapshot(self, status: str) -> Fields:
        asked = self._asked
        fields = asked.envelope.fields
        echoed = {name: fields[name] if is_given(fields.get(name)) else default for name, default in _ECHOED.items()}
        self.response = {
            "id": response_id(asked.request_id),
            "object": "response",
            "created_at": asked.created_unix,
            "status": status,
            "background": False,
            "error": None,
            "incomplete_details": None,
            "model": asked.model,
            "output": list(self._output),
            "previous_response_id": None,
            "service_tier": "default",
            "store": False,
            "usage": usage_fields(self._usage) if self._usage is not None and status != "in_progress" else None,
            **echoed,
        }
        return self.response
