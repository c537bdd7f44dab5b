"""A Gemini client's contents into turns."""

import base64
import binascii
import hashlib
from collections import deque
from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
    Document,
    FileSource,
    Foreign,
    Image,
    Role,
    Text,
    TextSource,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    UrlSource,
)
from app.protocols.gemini import seals
from app.protocols.gemini.proto import NULL, UNREADABLE, as_elements, as_members, camel, find, find_members, find_text
from app.protocols.opaque import Seal
from app.protocols.raw_json import is_null, unreadable

PROTOCOL = "gemini"
_ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "user", "tool": "user", "system": "system"}
_UPLOADED = ("https://generativelanguage.googleapis.com/", "files/")
_DETAILS = {"MEDIA_RESOLUTION_LOW": "low", "MEDIA_RESOLUTION_HIGH": "high"}
_BESIDE = frozenset({"thought", "thoughtSignature", "mediaResolution", "partMetadata"})
_RESULT_FIELDS = ("result", "output")


Place = tuple[int, int]
"""Of a part: which content, and which part of it."""


class Call(msgspec.Struct, gc=False):
    name: str | None = None
    id: str | None = None
    args: msgspec.Raw = NULL


class Response(msgspec.Struct, gc=False):
    """``response`` is read at once: what a tool said is long, and mostly one text."""

    name: str | None = None
    id: str | None = None
    response: Any = None
    parts: msgspec.Raw = NULL


class Part(msgspec.Struct, gc=False):
    """Each field by both of its names; what is none of these makes the whole part a foreign block."""

    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None  # noqa: N815
    thought_signature: str | None = None
    functionCall: Call | None = None  # noqa: N815
    function_call: Call | None = None
    functionResponse: Response | None = None  # noqa: N815
    function_response: Response | None = None
    inlineData: dict[str, Any] | None = None  # noqa: N815
    inline_data: dict[str, Any] | None = None
    fileData: dict[str, Any] | None = None  # noqa: N815
    file_data: dict[str, Any] | None = None
    mediaResolution: Any = None  # noqa: N815
    media_resolution: Any = None
    videoMetadata: Any = None  # noqa: N815
    video_metadata: Any = None


class Content(msgspec.Struct, gc=False):
    """Google's parser takes a lone object for an array of one."""

    role: str | None = None
    parts: list[Part] | Part | None = None


_decode_contents = msgspec.json.Decoder(list[Content] | Content).decode


def parse_contents(raw: msgspec.Raw, param: str = "contents") -> tuple[Turn, ...]:
    try:
        read = _decode_contents(raw)
    except UNREADABLE as error:
        raise unreadable(error, param) from error
    contents = read if isinstance(read, list) else [read]
    parsing = _Parsing(raw, param)
    for index, content in enumerate(contents):
        parsing.take(index, content)
    return tuple(Turn(role, _whole(blocks)) for role, blocks in parsing.turns if blocks)


class _Said:
    """A text or a thought while its pieces are gathered."""

    __slots__ = ("is_thought", "redacted", "seal", "texts")

    def __init__(self, text: str, *, is_thought: bool = False) -> None:
        self.texts = [text]
        self.is_thought = is_thought
        self.seal: Seal | None = None
        self.redacted = False

    def whole(self) -> Text | Thinking:
        text = "".join(self.texts)
        return Thinking(text, self.seal, self.redacted) if self.is_thought else Text(text)


Blocks = list[Block | _Said]


def _whole(blocks: Blocks) -> tuple[Block, ...]:
    return tuple([block.whole() if isinstance(block, _Said) else block for block in blocks])


class _Parsing:
    """Goes through the contents once; remembers which calls have had no response yet."""

    def __init__(self, raw: msgspec.Raw, param: str) -> None:
        self._raw = raw
        self._param = param
        self._contents: list[msgspec.Raw] | None = None
        self._raw_parts: tuple[int, list[msgspec.Raw]] = (-1, [])
        self._waiting: dict[str | None, deque[str]] = {}
        self._known: set[str] = set()
        self._done: set[str] = set()
        self.turns: list[tuple[Role, Blocks]] = []

    def take(self, index: int, content: Content) -> None:
        role = _ROLES.get(content.role or "user")
        if role is None:
            raise InvalidRequest(
                f'"{self._param}.{index}.role" must be "user" or "model"', param=f"{self._param}.{index}.role"
            )
        parts = content.parts
        # A client that kept a stream sends the pieces of one turn as contents of their own.
        if role != "assistant" or not self.turns or self.turns[-1][0] != role:
            self.turns.append((role, []))
        blocks = self.turns[-1][1]
        for number, part in enumerate(parts if isinstance(parts, list) else [] if parts is None else [parts]):
            self._add(blocks, part, (index, number))

    def _add(self, blocks: Blocks, part: Part, place: Place) -> None:
        written = part.thoughtSignature or part.thought_signature
        signature = None if written == seals.DUMMY else written
        only_text = part.functionCall is None and part.function_call is None and part.text is not None
        if part.thought and only_text:
            _add_thought(blocks, part.text or "", signature)
            return
        if signature is not None:
            _add_thought(blocks, "", signature)
        if only_text:
            _add_text(blocks, part.text or "", join=self.turns[-1][0] == "assistant")
            return
        block = self._block(part, place) or self._foreign(place)
        if block is not None:
            blocks.append(block)

    def _block(self, part: Part, place: Place) -> Block | None:
        """The one thing that the part holds besides a text; None where it is nothing known here."""
        call = part.functionCall if part.functionCall is not None else part.function_call
        if call is not None:
            return self._call(call, place)
        response = part.functionResponse if part.functionResponse is not None else part.function_response
        if response is not None:
            return self._response(response, place)
        path = self._path(place)
        if part.videoMetadata is not None or part.video_metadata is not None:
            return None
        detail = _detail_in(part.mediaResolution if part.mediaResolution is not None else part.media_resolution)
        inline = part.inlineData if part.inlineData is not None else part.inline_data
        if inline is not None:
            return _inline_block(inline, detail, path)
        file = part.fileData if part.fileData is not None else part.file_data
        return None if file is None else _file_block(file, detail, path)

    def _path(self, place: Place) -> str:
        return f"{self._param}.{place[0]}.parts.{place[1]}"

    def _call(self, call: Call, place: Place) -> ToolCall:
        if not call.name:
            path = f"{self._path(place)}.functionCall.name"
            raise InvalidRequest(f'"{path}" is missing', param=path)
        arguments = bytes(call.args).decode()
        if arguments == "null":
            arguments = "{}"
        if not arguments.startswith("{"):
            path = f"{self._path(place)}.functionCall.args"
            raise InvalidRequest(f'"{path}" must be an object', param=path)
        call_id = call.id or _made_up_id(place, call.name)
        waiting = self._waiting.get(call.name)
        if waiting is None:
            waiting = self._waiting[call.name] = deque()
        waiting.append(call_id)
        self._known.add(call_id)
        return ToolCall(call_id, call.name, arguments)

    def _response(self, response: Response, place: Place) -> ToolResult:
        call_id = self._answered(response.id, response.name, place)
        text, is_error = self._said(response.response, place)
        if response.parts is NULL:
            return ToolResult(call_id, (Text(text),) if text else (), is_error)
        blocks: list[Text | Image | Document | Foreign] = []
        if text:
            blocks.append(Text(text))
        if not is_null(response.parts):
            path = f"{self._path(place)}.functionResponse"
            for number, element in enumerate(as_elements(response.parts, f"{path}.parts")):
                media = _response_media(element, f"{path}.parts.{number}")
                if media is not None:
                    blocks.append(media)
        return ToolResult(call_id, tuple(blocks), is_error)

    def _said(self, said: object, place: Place) -> tuple[str, bool]:
        """(text, whether it is an error) of a function's response: the text within where there is just that."""
        if said is None:
            return "", False
        if not isinstance(said, dict):
            path = f"{self._path(place)}.functionResponse.response"
            raise InvalidRequest(f'"{path}" must be an object', param=path)
        name, value = next(iter(said.items())) if len(said) == 1 else ("", None)
        if isinstance(value, str) and (name in _RESULT_FIELDS or name == "error"):
            return value, name == "error"
        written = find(find_members(as_members(self._raw_part(place), self._param), "functionResponse"), "response")
        return "{}" if written is None else bytes(written).decode(), name == "error"

    def _answered(self, call_id: str | None, name: str | None, place: Place) -> str:
        """The id of the call that is answered: the one given, else the first call of the name that waits."""
        if call_id and call_id in self._known:
            self._done.add(call_id)
            return call_id
        waiting = self._waiting.get(name)
        while waiting:
            waiting_id = waiting.popleft()
            if waiting_id not in self._done:
                return waiting_id
        path = f"{self._path(place)}.functionResponse"
        raise InvalidRequest(
            f'"{path}" answers no functionCall before it; send the model\'s turn with the call too',
            param=path,
        )

    def _foreign(self, place: Place) -> Foreign | None:
        raw = self._raw_part(place)
        return foreign_part(as_members(raw, self._param), bytes(raw).decode())

    def _raw_part(self, place: Place) -> msgspec.Raw:
        if self._contents is None:
            self._contents = as_elements(self._raw, self._param)
        if self._raw_parts[0] != place[0]:
            content = as_members(self._contents[place[0]], self._param)
            self._raw_parts = (place[0], as_elements(content["parts"], self._param))
        return self._raw_parts[1][place[1]]


def _add_thought(blocks: Blocks, text: str, signature: str | None) -> None:
    """A thought, or its signature alone: both belong to a thought directly before that has had none yet."""
    before = blocks[-1] if blocks else None
    if isinstance(before, _Said) and before.is_thought and before.seal is None:
        thought = before
        thought.texts.append(text)
    else:
        thought = _Said(text, is_thought=True)
        if not text and signature is None:
            return
        blocks.append(thought)
    if signature is not None:
        thought.seal, thought.redacted = seals.read(signature)


def _add_text(blocks: Blocks, text: str, *, join: bool) -> None:
    if not join:
        if text:
            blocks.append(Text(text))
        return
    before = blocks[-1] if blocks else None
    if isinstance(before, _Said) and not before.is_thought:
        before.texts.append(text)
    elif text:
        blocks.append(_Said(text))


def foreign_part(members: dict[str, msgspec.Raw], raw: str) -> Foreign | None:
    """A part of a kind that only Gemini has. Code that ran can be read by others; most nobody can do without."""
    for name, heading in (("executableCode", "code"), ("codeExecutionResult", "output")):
        inner = find(members, name)
        if inner is not None:
            text = find_text(as_members(inner, name), heading)
            return Foreign(PROTOCOL, name, raw, f"```\n{text or ''}\n```")
    for name in ("toolCall", "toolResponse"):
        if find(members, name) is not None:
            return Foreign(PROTOCOL, name, raw)
    kind = next((name for name in members if camel(name) not in _BESIDE and find(members, camel(name))), None)
    return None if kind is None else Foreign(PROTOCOL, camel(kind), raw, essential=True)


def _made_up_id(place: Place, name: str) -> str:
    digest = hashlib.sha256(f"{place[0]}.{place[1]}.{name}".encode()).hexdigest()
    return f"call_{digest[:24]}"


def _detail_in(resolution: object) -> str | None:
    level = resolution.get("level") if isinstance(resolution, dict) else resolution
    return _DETAILS.get(level) if isinstance(level, str) else None


def _texts_of(data: dict[str, Any], path: str, *names: str) -> str:
    for name in names:
        value = data.get(name)
        if value is not None:
            if isinstance(value, str):
                return value
            raise InvalidRequest(f'"{path}.{name}" must be a string', param=f"{path}.{name}")
    return ""


def _inline_block(inline: dict[str, Any], detail: str | None, path: str) -> Block | None:
    path += ".inlineData"
    kind = _texts_of(inline, path, "mimeType", "mime_type")
    data = _texts_of(inline, path, "data")
    title = _texts_of(inline, path, "displayName", "display_name") or None
    if not kind or not data:
        raise InvalidRequest(f'"{path}" needs "mimeType" and "data"', param=path)
    data = data.replace("-", "+").replace("_", "/")  # Google takes both alphabets, others only this one
    data += "=" * (-len(data) % 4)
    bare, _, _ = kind.partition(";")
    family = bare.partition("/")[0]
    if family == "image":
        return Image(Base64Source(kind, data), detail)
    if family == "audio":
        return Audio(Base64Source(kind, data))
    if family == "video":
        return None
    if family == "text":
        return Document(TextSource(_decoded(data, path)), title)
    return Document(Base64Source(bare, data), title)


def _decoded(data: str, path: str) -> str:
    try:
        return base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise InvalidRequest(f'"{path}.data" is no UTF-8 text in base64', param=f"{path}.data") from error


def _file_block(file: dict[str, Any], detail: str | None, path: str) -> Block | None:
    path += ".fileData"
    url = _texts_of(file, path, "fileUri", "file_uri")
    kind = _texts_of(file, path, "mimeType", "mime_type")
    title = _texts_of(file, path, "displayName", "display_name") or None
    if not url:
        raise InvalidRequest(f'"{path}.fileUri" is missing', param=f"{path}.fileUri")
    family = kind.partition("/")[0]
    if family in ("video", "audio"):
        return None
    source = FileSource(url) if url.startswith(_UPLOADED) else UrlSource(url, kind or None)
    return Image(source, detail) if family == "image" else Document(source, title)


def _response_media(element: msgspec.Raw, path: str) -> Image | Document | Foreign | None:
    members = as_members(element, path)
    for name, reading in (("inlineData", _inline_block), ("fileData", _file_block)):
        inner = find_members(members, name, path + ".")
        if inner:
            plain = {key: find_text(inner, key, f"{path}.{name}.") for key in inner}
            block = reading(plain, None, path)
            if isinstance(block, Image | Document):
                return block
    return foreign_part(members, bytes(element).decode())
