"""Content blocks of a Messages request, into canonical ones."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.wire import NATIVE, PROTOCOL, WireCache, as_mark, decode_anything
from app.protocols.conversation import (
    Base64Source,
    Block,
    Citation,
    Document,
    FileSource,
    Foreign,
    Image,
    Source,
    Text,
    TextSource,
    Thinking,
    ToolCall,
    ToolResult,
    UrlSource,
)
from app.protocols.opaque import unseal
from app.protocols.raw_json import read, text_of

_READABLE_KEYS = ("title", "url", "source", "text", "stdout", "stderr", "content")
_READABLE_DEPTH = 5
_HOST_BLOCKS = frozenset({"server_tool_use", "mcp_tool_use"})


class _Head(msgspec.Struct):
    type: str
    cache_control: WireCache | None = None


class _Text(msgspec.Struct, tag="text"):
    text: str
    citations: list[msgspec.Raw] | None = None
    cache_control: WireCache | None = None


class _Source(msgspec.Struct, omit_defaults=True):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Image(msgspec.Struct, tag="image"):
    source: _Source
    cache_control: WireCache | None = None


class _Cite(msgspec.Struct):
    enabled: bool | None = None


class _Document(msgspec.Struct, tag="document", omit_defaults=True):
    source: _Source
    title: str | None = None
    context: str | None = None
    citations: _Cite | None = None
    cache_control: WireCache | None = None


class _Thinking(msgspec.Struct, tag="thinking"):
    thinking: str = ""
    signature: str | None = None


class _Redacted(msgspec.Struct, tag="redacted_thinking"):
    data: str


class _ToolUse(msgspec.Struct, tag="tool_use"):
    id: str
    name: str
    input: msgspec.Raw = msgspec.Raw(b"{}")
    cache_control: WireCache | None = None


class _ToolResult(msgspec.Struct, tag="tool_result"):
    tool_use_id: str
    content: msgspec.Raw = msgspec.Raw(b"null")
    is_error: bool | None = None
    cache_control: WireCache | None = None


class _PlainToolResult(msgspec.Struct, tag="tool_result"):
    tool_use_id: str
    content: str | list[_Text | _Image | _Document] | None = None
    is_error: bool | None = None
    cache_control: WireCache | None = None


class _Citation(msgspec.Struct):
    """Only what others have too; all of it stays in ``raw``."""

    url: Any = None
    title: Any = None
    document_title: Any = None
    cited_text: Any = None


_Wire = _Text | _Image | _Document | _Thinking | _Redacted | _ToolUse | _ToolResult | _PlainToolResult

PlainContent = str | list[_Text | _Image | _Document | _Thinking | _Redacted | _ToolUse | _PlainToolResult] | None
"""Content all of whose blocks are of a kind that is canonical."""

_decode_content = msgspec.json.Decoder(str | list[msgspec.Raw] | None).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_citation = msgspec.json.Decoder(_Citation).decode


def parse_content(raw: msgspec.Raw, role: str, place: str) -> tuple[Block, ...]:
    """A text or a list of blocks; empty texts are left out, since nobody can say them."""
    content = read(_decode_content, raw, place)
    if content is None or isinstance(content, str):
        return _as_texts(content)
    found = [_parse_block(block, role, f"{place}.{number}") for number, block in enumerate(content)]
    return tuple([block for block in found if block is not None])


def plain_blocks(content: PlainContent, role: str, place: str) -> tuple[Block, ...]:
    """As parse_content, of what is decoded already."""
    if content is None or isinstance(content, str):
        return _as_texts(content)
    found = [_as_block(block, role, f"{place}.{number}") for number, block in enumerate(content)]
    return tuple([block for block in found if block is not None])


def _as_texts(content: str | None) -> tuple[Text, ...]:
    return (Text(content),) if content else ()


def parse_citation(raw: msgspec.Raw | bytes) -> Citation:
    """Raises msgspec.DecodeError for what is no object."""
    citation = _decode_citation(raw)
    return Citation(
        protocol=PROTOCOL,
        raw=bytes(raw).decode(),
        url=_as_word(citation.url),
        title=_as_word(citation.title) or _as_word(citation.document_title),
        cited_text=_as_word(citation.cited_text),
    )


def _as_word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _parse_block(raw: msgspec.Raw, role: str, place: str) -> Block | None:
    decode = _DECODERS.get(read(_decode_head, raw, place).type)
    if decode is None:
        return _parse_foreign(raw, role, place)
    return _as_block(read(decode, raw, place), role, place, raw)


def _as_block(block: _Wire, role: str, place: str, raw: msgspec.Raw | None = None) -> Block | None:
    kind = type(block)
    if _ROLES.get(kind, role) != role:
        raise InvalidRequest(f'this block belongs into a message of role "{_ROLES[kind]}"', param=place)
    match block:
        case _Text():
            return _as_text(block, place)
        case _PlainToolResult() | _ToolResult():
            return _as_result(block, place)
        case _ToolUse():
            return _as_call(block, place)
        case _Thinking(text, signature):
            return Thinking(text, unseal(signature, NATIVE) if signature else None)
        case _Redacted(data):
            return Thinking("", unseal(data, NATIVE), redacted=True)
        case _Image():
            return _as_image(block, place)
        case _Document():
            return _as_document(block, place, raw)


def _as_text(block: _Text, place: str) -> Text | None:
    if not block.text:
        return None
    if block.citations is None:
        return Text(block.text, (), as_mark(block.cache_control))
    citations = tuple(
        read(parse_citation, citation, f"{place}.citations.{number}") for number, citation in enumerate(block.citations)
    )
    return Text(block.text, citations, as_mark(block.cache_control))


def _as_image(block: _Image, place: str) -> Image:
    source = _parse_source(block.source, f"{place}.source")
    if source is None or isinstance(source, TextSource):
        raise _unknown_source(block.source, place)
    return Image(source, cache=as_mark(block.cache_control))


def _as_document(block: _Document, place: str, raw: msgspec.Raw | None) -> Document | Foreign:
    source = _parse_source(block.source, f"{place}.source")
    mark = as_mark(block.cache_control)
    if source is None:
        # Content that is itself blocks: the text of it is what another model can read.
        text = _readable(read(decode_anything, block.source.content, f"{place}.source.content"))
        if text is None:
            raise _unknown_source(block.source, place)
        written = msgspec.json.encode(block).decode() if raw is None else text_of(raw)
        return Foreign(PROTOCOL, "document", written, text, essential=True, cache=mark)
    return Document(
        source,
        title=block.title,
        context=block.context,
        cite=block.citations is not None and bool(block.citations.enabled),
        cache=mark,
    )


def _as_call(block: _ToolUse, place: str) -> ToolCall:
    arguments = text_of(block.input)
    if not arguments.startswith("{"):
        raise InvalidRequest(f'"{place}.input" must be an object', param=f"{place}.input")
    return ToolCall(block.id, block.name, arguments, as_mark(block.cache_control))


def _as_result(block: _ToolResult | _PlainToolResult, place: str) -> ToolResult:
    place = f"{place}.content"
    found: Iterable[Block | None]
    if isinstance(block, _ToolResult):
        found = parse_content(block.content, "result", place)
    elif block.content is None or isinstance(block.content, str):
        found = _as_texts(block.content)
    else:
        found = [_as_block(inner, "result", f"{place}.{number}") for number, inner in enumerate(block.content)]
    blocks = tuple([inner for inner in found if isinstance(inner, Text | Image | Document | Foreign)])
    return ToolResult(block.tool_use_id, blocks, bool(block.is_error), as_mark(block.cache_control))


def _parse_source(source: _Source, place: str) -> Source | None:
    """None for content that is given as blocks, and for kinds unknown."""
    match source.type:
        case "base64":
            return Base64Source(_given(source.media_type, place, "media_type"), _given(source.data, place, "data"))
        case "url":
            return UrlSource(_given(source.url, place, "url"))
        case "file":
            return FileSource(_given(source.file_id, place, "file_id"))
        case "text":
            return TextSource(_given(source.data, place, "data"))
        case "content":
            content = read(decode_anything, source.content, f"{place}.content")
            return TextSource(content) if isinstance(content, str) else None
        case _:
            return None


def _given(value: str | None, place: str, name: str) -> str:
    if value is None:
        raise InvalidRequest(f'"{place}.{name}" is missing', param=f"{place}.{name}")
    return value


def _unknown_source(source: _Source, place: str) -> InvalidRequest:
    param = f"{place}.source.type"
    return InvalidRequest(
        f'"{param}" {source.type[:64]!r} is unknown here; send base64, url, text or file', param=param
    )


def _parse_foreign(raw: msgspec.Raw, role: str, place: str) -> Foreign:
    """A block that others have no word for. What a user gave, and nobody else can read, is essential."""
    head = read(_decode_head, raw, place)
    text = None if head.type in _HOST_BLOCKS else _text_in_place_of(read(decode_anything, raw, place))
    return Foreign(
        PROTOCOL,
        head.type,
        text_of(raw),
        text,
        essential=role in {"user", "result"} and text is None,
        cache=as_mark(head.cache_control),
    )


def _text_in_place_of(block: object) -> str | None:
    if isinstance(block, dict) and isinstance(name := block.get("tool_name"), str):
        return f"The tool {name} is loaded."
    return _readable(block)


def _readable(value: object, depth: int = _READABLE_DEPTH) -> str | None:
    """The texts that a person would read, one to a line; None where there are none."""
    if isinstance(value, str):
        return value.strip() or None
    if depth and isinstance(value, list):
        lines = [_readable(part, depth - 1) for part in value]
    elif depth and isinstance(value, dict):
        lines = [_readable(value.get(key), depth - 1) for key in _READABLE_KEYS]
        if value.get("media_type") == "text/plain":
            lines.append(_readable(value.get("data"), 0))
    else:
        return None
    return "\n".join(line for line in lines if line is not None) or None


_DECODERS: dict[str, Callable[[msgspec.Raw | bytes], _Wire]] = {
    "text": msgspec.json.Decoder(_Text).decode,
    "image": msgspec.json.Decoder(_Image).decode,
    "document": msgspec.json.Decoder(_Document).decode,
    "thinking": msgspec.json.Decoder(_Thinking).decode,
    "redacted_thinking": msgspec.json.Decoder(_Redacted).decode,
    "tool_use": msgspec.json.Decoder(_ToolUse).decode,
    "tool_result": msgspec.json.Decoder(_ToolResult).decode,
}
_ROLES: dict[type, str] = {
    _Thinking: "assistant",
    _Redacted: "assistant",
    _ToolUse: "assistant",
    _ToolResult: "user",
    _PlainToolResult: "user",
}
