"""The messages of a chat request into turns: calls and results, which have no ids here, find one another by order."""

from collections import defaultdict, deque
from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Base64Source,
    Block,
    Image,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from app.protocols.ollama.wire import ISSUER, NULL
from app.protocols.opaque import Seal
from app.protocols.raw_json import is_null, read, text_of

# What the base64 of each kind of picture that models take begins with.
_IMAGE_HEADS = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}


class _Function(msgspec.Struct):
    name: str
    arguments: msgspec.Raw = NULL


class _Call(msgspec.Struct):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | None = None
    thinking: str | None = None
    images: msgspec.Raw = NULL
    tool_calls: list[_Call] | None = None
    tool_name: str | None = None
    name: Any = None
    tool_call_id: str | None = None


_decode_messages = msgspec.json.Decoder(list[_Message]).decode
_decode_images = msgspec.json.Decoder(list[str] | None).decode


def parse_messages(raw: msgspec.Raw) -> tuple[tuple[Text, ...], tuple[Turn, ...]]:
    """(instructions that lead the conversation, its turns)"""
    instructions: list[Text] = []
    turns: list[Turn] = []
    calls = _OpenCalls()
    for number, message in enumerate(read(_decode_messages, raw, "messages")):
        place = f"messages.{number}"
        role = "system" if message.role == "developer" else message.role
        if role == "system" and not turns and is_null(message.images):
            instructions += [Text(message.content)] if message.content else []
            continue
        turns.append(_parse_turn(message, role, place, calls))
    if not turns:
        raise InvalidRequest('"messages" holds nothing to answer; send at least one message', param="messages")
    return tuple(instructions), tuple(turns)


def parse_images(raw: msgspec.Raw, place: str) -> list[Image]:
    images: list[Image] = []
    for number, data in enumerate(read(_decode_images, raw, place) or ()):
        kind = next((kind for head, kind in _IMAGE_HEADS.items() if data.startswith(head)), None)
        if kind is None:
            param = f"{place}.{number}"
            raise InvalidRequest(f'"{param}" must be a PNG, JPEG, GIF or WebP in base64', param=param)
        images.append(Image(Base64Source(kind, data)))
    return images


class _OpenCalls:
    """The calls that no result has answered yet, in order; each is found at once, however many there are."""

    def __init__(self) -> None:
        self._count = 0
        self._open: dict[int, str] = {}
        self._in_order: deque[int] = deque()
        self._by_id: defaultdict[str, deque[int]] = defaultdict(deque)
        self._by_name: defaultdict[str, deque[int]] = defaultdict(deque)

    def add(self, call: _Call) -> str:
        """Its id: the client's, or one made of its place in the conversation, the same in every request."""
        self._count += 1
        number = self._count
        call_id = call.id or f"call_{number}"
        self._open[number] = call_id
        for places in (self._in_order, self._by_id[call_id], self._by_name[call.function.name]):
            places.append(number)
        return call_id

    def answer(self, message: _Message, place: str) -> str:
        name = message.tool_name or message.name
        wanted = [self._by_id.get(message.tool_call_id or "")]
        wanted += [self._by_name.get(name)] if isinstance(name, str) else []
        wanted += [self._in_order] if name is None and message.tool_call_id is None else []
        for places in wanted:
            while places:
                if (call_id := self._open.pop(places.popleft(), None)) is not None:
                    return call_id
        raise InvalidRequest(
            f'"{place}" is the result of no call before it; name the tool in "tool_name"', param=f"{place}.tool_name"
        )


def _parse_turn(message: _Message, role: str, place: str, calls: _OpenCalls) -> Turn:
    match role:
        case "user" | "system":
            return Turn(_role(role), _said(message, place))
        case "assistant":
            thinking = [Thinking(message.thinking, Seal(ISSUER, ""))] if message.thinking else []
            blocks: list[Block] = [*thinking, *_said(message, place), *_parse_calls(message, place, calls)]
            return Turn("assistant", tuple(blocks))
        case "tool":
            said = _said(message, place)
            return Turn("user", (ToolResult(calls.answer(message, place), said),))
        case _:
            param = f"{place}.role"
            raise InvalidRequest(f'"{param}" must be system, user, assistant or tool', param=param)


def _role(role: str) -> Role:
    return "system" if role == "system" else "user"


def _said(message: _Message, place: str) -> tuple[Text | Image, ...]:
    said: list[Text | Image] = [Text(message.content)] if message.content else []
    return (*said, *parse_images(message.images, f"{place}.images"))


def _parse_calls(message: _Message, place: str, calls: _OpenCalls) -> list[ToolCall]:
    parsed: list[ToolCall] = []
    for number, call in enumerate(message.tool_calls or ()):
        arguments = text_of(call.function.arguments)
        param = f"{place}.tool_calls.{number}.function.arguments"
        if arguments == "null":
            arguments = "{}"
        if not arguments.startswith("{"):
            raise InvalidRequest(f'"{param}" must be an object', param=param)
        parsed.append(ToolCall(calls.add(call), call.function.name, arguments))
    return parsed
