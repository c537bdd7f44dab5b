"""Turns as Gemini's contents."""

import base64
import re
from collections.abc import Iterable, Sequence

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
    Refusal,
    Source,
    Text,
    TextSource,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
    UrlSource,
)
from app.protocols.gemini import seals
from app.protocols.gemini.dialect import GeminiDialect
from app.protocols.gemini.models import ModelFacts
from app.protocols.gemini.tools_render import tool_name
from app.protocols.losses import Losses, refusal

PROTOCOL = "gemini"
_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
}
_UPLOADED = ("https://", "gs://", "files/")
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_opens_object = re.compile(r"\s*\{").match
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

Part = dict[str, object]


class _Content:
    """One content while it is built: responses of functions stand first in it."""

    __slots__ = ("parts", "responses", "role")

    def __init__(self, role: str) -> None:
        self.role = role
        self.responses: list[Part] = []
        self.parts: list[object] = []


def _think(blocks: Sequence[Block]) -> bool:
    for block in blocks:  # noqa: SIM110  a generator costs more than the few blocks
        if type(block) is Thinking:
            return True
    return False


def _calls_follow(blocks: Sequence[Block]) -> list[bool]:
    """For each block whether a call comes after it, before any other proof."""
    follows, found = False, []
    for block in reversed(blocks):
        found.append(follows)
        if isinstance(block, ToolCall):
            follows = True
        elif isinstance(block, Thinking) and block.seal is not None and block.seal.data:
            follows = False
    return found[::-1]


class ContentsRendering:
    def __init__(self, dialect: GeminiDialect, facts: ModelFacts, losses: Losses) -> None:
        self._dialect = dialect
        self._facts = facts
        self._losses = losses
        self._names: dict[str, str] = {}
        self._contents: list[_Content] = []
        self._signature: str | None = None
        self._call_follows = False

    def render(self, turns: Iterable[Turn]) -> list[Part]:
        for number, turn in enumerate(turns):
            if turn.role == "system":
                self._losses.approximate(f"messages.{number}")
            self._turn(turn)
        self._end_content()
        contents = [content for content in self._contents if content.parts or content.responses]
        if self._facts.signed_calls:
            _sign_calls(contents)
        return [{"role": content.role, "parts": [*content.responses, *content.parts]} for content in contents]

    def _turn(self, turn: Turn) -> None:
        # Gemini knows no system text but the first: the client's words for it go where the user speaks.
        role = "model" if turn.role == "assistant" else "user"
        content = self._contents[-1] if self._contents else None
        if content is None or content.role != role:
            self._end_content()
            content = _Content(role)
            self._contents.append(content)
        if self._signature is None and not _think(turn.blocks):  # most turns: there is no proof to place
            self._call_follows = False
            for block in turn.blocks:
                self._block(content, block)
            return
        for block, self._call_follows in zip(turn.blocks, _calls_follow(turn.blocks), strict=True):
            self._block(content, block)

    def _end_content(self) -> None:
        """A signature that nothing followed stands alone."""
        if self._signature is not None:
            self._contents[-1].parts.append(self._signed({"text": ""}))

    def _block(self, content: _Content, block: Block) -> None:
        if getattr(block, "cache", None) is not None:
            self._losses.drop("cache_control")
        match block:
            case Text(text, citations):
                if citations:
                    self._losses.drop("citations")
                self._add_text(content, text)
            case Refusal(text):
                self._add_text(content, text)
            case Thinking():
                self._think(content, block)
            case ToolCall():
                self._call(content, block)
            case ToolResult():
                self._respond(content, block)
            case _:
                content.parts += self._media(block)

    def _add_text(self, content: _Content, text: str) -> None:
        """A proof waits for the call behind the text: Gemini demands it there, and clients of chat completions, who
        keep thoughts, text and calls apart, have lost where it stood."""
        if text:
            part: Part = {"text": text}
            content.parts.append(part if self._call_follows else self._signed(part))

    def _signed(self, part: Part) -> Part:
        if self._signature is not None:
            part["thoughtSignature"] = self._signature
            self._signature = None
        return part

    def _think(self, content: _Content, block: Thinking) -> None:
        """The signature waits for what follows; the thoughts themselves are not given back."""
        seal = block.seal
        if seal is None or seal.issuer != self._dialect.issuer or not seal.data:
            self._losses.drop("thinking")
            return
        if self._signature is not None:
            content.parts.append(self._signed({"text": ""}))
        self._signature = seal.data

    def _call(self, content: _Content, block: ToolCall) -> None:
        name = tool_name(block.name)
        self._names[block.call_id] = name
        arguments: object
        try:
            _decode_object(block.arguments)
            arguments = msgspec.Raw(block.arguments.encode())
        except _UNREADABLE:
            arguments = {"arguments": block.arguments}
            self._losses.approximate("tool_calls.arguments")
        call: Part = {"name": name, "args": arguments}
        if block.call_id:
            call["id"] = block.call_id
        content.parts.append(self._signed({"functionCall": call}))

    def _respond(self, content: _Content, block: ToolResult) -> None:
        name = self._names.get(block.call_id)
        if name is None:
            raise InvalidRequest(
                f'the tool result "{block.call_id[:64]}" answers no call before it; send the turn with the call too',
                param="messages",
            )
        texts: list[str] = []
        media: list[object] = []
        for inner in block.blocks:
            if getattr(inner, "cache", None) is not None:
                self._losses.drop("cache_control")
            for part in [{"text": inner.text}] if isinstance(inner, Text) else self._media(inner):
                if isinstance(part, dict) and isinstance(text := part.get("text"), str):
                    texts.append(text)
                else:
                    media.append(part)
        response: Part = {"name": name, "response": _said("\n".join(texts), is_error=block.is_error)}
        if block.call_id:
            response["id"] = block.call_id
        inline = [part for part in media if self._facts.response_parts and _is_inline(part)]
        if inline:
            response["parts"] = inline
        content.responses.append({"functionResponse": response})
        content.parts += [part for part in media if part not in inline] if inline else media
        if block.cache is not None:
            self._losses.drop("cache_control")

    def _media(self, block: Block) -> Sequence[object]:
        match block:
            case Image(source, detail):
                if detail not in (None, "auto"):
                    self._losses.drop("detail")
                return [self._source(source, "an image", "image/jpeg")]
            case Document():
                return self._document(block)
            case Audio(source):
                return [_inline(source)]
            case Foreign():
                return self._foreign(block)
            case _:
                raise refusal("this block", "Gemini", "leave it out", param="messages")

    def _document(self, block: Document) -> Sequence[object]:
        if block.cite:
            self._losses.drop("citations")
        heading = "\n".join(words for words in (block.title, block.context) if words)
        if isinstance(block.source, TextSource):
            text = f"{heading}\n\n{block.source.text}" if heading else block.source.text
            return [{"text": text}] if text else []
        part = self._source(block.source, "a document", "application/pdf")
        if not heading:
            return [part]
        self._losses.approximate("document.title")
        return [{"text": heading}, part]

    def _source(self, source: Source, thing: str, usual_type: str) -> Part:
        match source:
            case Base64Source():
                return _inline(source)
            case UrlSource(url, media_type):
                if url.startswith("gs://") and not self._dialect.vertex:
                    raise refusal(f"{thing} at a gs:// address", "the Gemini API", "send its bytes", param="messages")
                kind = media_type or _TYPES.get(url.partition("?")[0].rpartition(".")[2].lower(), usual_type)
                return {"fileData": {"fileUri": url, "mimeType": kind}}
            case FileSource(file_id):
                if not file_id.startswith(_UPLOADED):
                    raise refusal(f'the file "{file_id[:64]}"', "Gemini", "send its bytes", param="messages")
                return {"fileData": {"fileUri": file_id}}
            case TextSource(text):
                data = base64.b64encode(text.encode()).decode()
                return {"inlineData": {"mimeType": "text/plain", "data": data}}

    def _foreign(self, block: Foreign) -> Sequence[object]:
        if block.protocol == PROTOCOL:
            return [msgspec.Raw(block.raw.encode())]
        if block.text:
            self._losses.approximate(block.kind)
            return [{"text": block.text}]
        if block.essential:
            raise refusal(f'a block "{block.kind}"', "Gemini", "leave it out", param="messages")
        self._losses.drop(block.kind)
        return []


def _inline(source: Base64Source) -> Part:
    return {"inlineData": {"mimeType": source.media_type, "data": source.data}}


def _is_inline(part: object) -> bool:
    return isinstance(part, dict) and "inlineData" in part


def _said(text: str, *, is_error: bool) -> object:
    """A function's response must be an object: one in JSON passes as it is, another text goes into one."""
    if is_error:
        return {"error": text}
    if _opens_object(text):
        try:
            _decode_object(text)
        except _UNREADABLE:
            pass
        else:
            return msgspec.Raw(text.strip().encode())
    return {"result": text}


def _sign_calls(contents: Sequence[_Content]) -> None:
    """In the current turn the first call of each step needs a signature; the host takes a dummy for one."""
    for content in reversed(contents):
        if content.role == "user":
            if not content.responses:
                return
            continue
        first = next((part for part in content.parts if isinstance(part, dict) and "functionCall" in part), None)
        if first is not None:
            first.setdefault("thoughtSignature", seals.DUMMY)
