"""The output items of an answer to a client, each with the events that tell it.

A renderer of an item writes frames while its block grows, and has the whole item at the end: a streamed answer and a
whole one are made by the same code.
"""

from typing import Protocol

import msgspec

from app.protocols.conversation import Citation, Thinking, ToolCall
from app.protocols.opaque import Seal
from app.protocols.openai_responses import seals
from app.protocols.openai_responses.tools_parse import ClientTool
from app.protocols.openai_responses.wire import annotation_of, encode
from app.protocols.scanning import UNREADABLE

Fields = dict[str, object]


class _CustomInput(msgspec.Struct, gc=False):
    input: str


_decode_custom = msgspec.json.Decoder(_CustomInput).decode


class Frames:
    """Writes events, each with the next number."""

    __slots__ = ("_number",)

    def __init__(self) -> None:
        self._number = 0

    def write(self, kind: str, fields: Fields) -> bytes:
        number = self._number
        self._number += 1
        data = encode({"type": kind, "sequence_number": number, **fields})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)

    def write_delta(self, head: bytes, text: str, tail: bytes) -> bytes:
        """The most frequent of them, of which ``delta_head`` was written before."""
        number = self._number
        self._number += 1
        return b'%b%b,"sequence_number":%d%b' % (head, encode(text), number, tail)


def delta_head(kind: str, fields: Fields) -> bytes:
    """An event up to its delta."""
    return b'event: %b\ndata: %b,"delta":' % (kind.encode(), encode({"type": kind, **fields})[:-1])


_TEXT_TAIL = b',"logprobs":[]}\n\n'
_TAIL = b"}\n\n"


class ItemRenderer(Protocol):
    """One output item."""

    def delta(self, text: str) -> bytes: ...

    def end(self) -> tuple[bytes, Fields]:
        """(the last frames, the whole item)"""


class MessageRenderer:
    """A message grows by parts: neighbouring texts and refusals are one message."""

    def __init__(self, frames: Frames, index: int, item_id: str) -> None:
        self._frames = frames
        self._place: Fields = {"item_id": item_id, "output_index": index}
        self._index = index
        self._id = item_id
        self._parts: list[Fields] = []
        self._texts: list[str] = []
        self._annotations: list[msgspec.Raw] = []
        self._head = b""
        self._tail = _TAIL
        self._kind = ""

    def begin(self) -> bytes:
        return self._frames.write(
            "response.output_item.added", {"output_index": self._index, "item": self._item("in_progress")}
        )

    def begin_part(self, kind: str) -> bytes:
        """``kind`` is output_text or refusal."""
        self._kind, self._texts, self._annotations = kind, [], []
        place = self._part_place()
        text = kind == "output_text"
        self._head = delta_head(f"response.{kind}.delta", place)
        self._tail = _TEXT_TAIL if text else _TAIL
        return self._frames.write("response.content_part.added", {**place, "part": self._part()})

    def delta(self, text: str) -> bytes:
        if not text:
            return b""
        self._texts.append(text)
        return self._frames.write_delta(self._head, text, self._tail)

    def cite(self, citation: Citation) -> bytes:
        """Nothing for a citation that has no address: there is no annotation for it."""
        annotation = annotation_of(citation, sum(map(len, self._texts)))
        if annotation is None or self._kind != "output_text":
            return b""
        self._annotations.append(annotation)
        return self._frames.write(
            "response.output_text.annotation.added",
            {**self._part_place(), "annotation_index": len(self._annotations) - 1, "annotation": annotation},
        )

    def end_part(self) -> bytes:
        place, part = self._part_place(), self._part()
        self._parts.append(part)
        said: Fields = {name: value for name, value in part.items() if name not in {"type", "annotations"}}
        done = self._frames.write(f"response.{self._kind}.done", {**place, **said})
        return done + self._frames.write("response.content_part.done", {**place, "part": part})

    def end(self, status: str = "completed") -> tuple[bytes, Fields]:
        item = self._item(status)
        return self._frames.write("response.output_item.done", {"output_index": self._index, "item": item}), item

    def _part_place(self) -> Fields:
        return {**self._place, "content_index": len(self._parts)}

    def _part(self) -> Fields:
        text = "".join(self._texts)
        if self._kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "text": text, "annotations": list(self._annotations), "logprobs": []}

    def _item(self, status: str) -> Fields:
        return {"id": self._id, "type": "message", "status": status, "role": "assistant", "content": list(self._parts)}


class ReasoningRenderer:
    """A summary of one part, which begins with its first text; a proof may be all there is."""

    def __init__(self, frames: Frames, index: int, item_id: str, thinking: Thinking) -> None:
        self._frames = frames
        self._index = index
        self._id = item_id
        self._redacted = thinking.redacted
        self._seal = thinking.seal
        self._texts: list[str] = []
        self._head = b""

    def begin(self) -> bytes:
        item: Fields = {"id": self._id, "type": "reasoning", "summary": []}
        return self._frames.write("response.output_item.added", {"output_index": self._index, "item": item})

    def delta(self, text: str) -> bytes:
        if not text:
            return b""
        begun = b"" if self._texts else self._begin_summary()
        self._texts.append(text)
        written = self._frames.write_delta(self._head, text, _TAIL)
        return begun + written if begun else written

    def seal(self, seal: Seal) -> None:
        self._seal = seal

    def end(self) -> tuple[bytes, Fields]:
        summary: list[Fields] = []
        written = b""
        if self._texts:
            text = "".join(self._texts)
            place = self._place()
            part: Fields = {"type": "summary_text", "text": text}
            summary.append(part)
            written = self._frames.write("response.reasoning_summary_text.done", {**place, "text": text})
            written += self._frames.write("response.reasoning_summary_part.done", {**place, "part": part})
        item: Fields = {"id": self._id, "type": "reasoning", "summary": summary}
        if self._seal is not None:
            item["encrypted_content"] = seals.written(self._seal, redacted=self._redacted)
        done = self._frames.write("response.output_item.done", {"output_index": self._index, "item": item})
        return written + done, item

    def _begin_summary(self) -> bytes:
        place = self._place()
        self._head = delta_head("response.reasoning_summary_text.delta", place)
        part = {"type": "summary_text", "text": ""}
        return self._frames.write("response.reasoning_summary_part.added", {**place, "part": part})

    def _place(self) -> Fields:
        return {"item_id": self._id, "output_index": self._index, "summary_index": 0}


class CallRenderer:
    """A function call, by the name and in the namespace that the client gave the tool."""

    def __init__(self, frames: Frames, index: int, item_id: str, call: ToolCall, tool: ClientTool) -> None:
        self._frames = frames
        self._index = index
        self._texts = [call.arguments] if call.arguments else []
        self._place: Fields = {"item_id": item_id, "output_index": index}
        self._head = delta_head("response.function_call_arguments.delta", self._place)
        self._item: Fields = {"id": item_id, "type": "function_call", "call_id": call.call_id, "name": tool.name}
        if tool.namespace is not None:
            self._item["namespace"] = tool.namespace

    def begin(self) -> bytes:
        item = {**self._item, "status": "in_progress", "arguments": ""}
        return self._frames.write("response.output_item.added", {"output_index": self._index, "item": item})

    def delta(self, text: str) -> bytes:
        if not text:
            return b""
        self._texts.append(text)
        return self._frames.write_delta(self._head, text, _TAIL)

    def end(self) -> tuple[bytes, Fields]:
        arguments = "".join(self._texts)
        written = b""
        if not arguments.strip():
            written, arguments = self.delta("{}"), arguments + "{}"
        item: Fields = {**self._item, "status": "completed", "arguments": arguments}
        fields = {**self._place, "name": self._item["name"], "arguments": arguments}
        written += self._frames.write("response.function_call_arguments.done", fields)
        done = self._frames.write("response.output_item.done", {"output_index": self._index, "item": item})
        return written + done, item


class CustomCallRenderer:
    """A call of a custom tool: its input stands in the JSON of the arguments, so it is told when they are whole."""

    def __init__(self, frames: Frames, index: int, item_id: str, call: ToolCall, tool: ClientTool) -> None:
        self._frames = frames
        self._index = index
        self._texts = [call.arguments] if call.arguments else []
        self._place: Fields = {"item_id": item_id, "output_index": index}
        self._item: Fields = {"id": item_id, "type": "custom_tool_call", "call_id": call.call_id, "name": tool.name}
        if tool.namespace is not None:
            self._item["namespace"] = tool.namespace

    def begin(self) -> bytes:
        item = {**self._item, "input": ""}
        return self._frames.write("response.output_item.added", {"output_index": self._index, "item": item})

    def delta(self, text: str) -> bytes:
        self._texts.append(text)
        return b""

    def end(self) -> tuple[bytes, Fields]:
        said = _custom_input("".join(self._texts))
        written = b""
        if said:
            written = self._frames.write("response.custom_tool_call_input.delta", {**self._place, "delta": said})
        written += self._frames.write("response.custom_tool_call_input.done", {**self._place, "input": said})
        item: Fields = {**self._item, "input": said}
        done = self._frames.write("response.output_item.done", {"output_index": self._index, "item": item})
        return written + done, item


def _custom_input(arguments: str) -> str:
    """A model that gave other arguments than asked for is shown as it wrote them."""
    try:
        return _decode_custom(arguments).input
    except UNREADABLE:
        return arguments
