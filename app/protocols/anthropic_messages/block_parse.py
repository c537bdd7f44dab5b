"""Content blocks of a Messages request, into canonical ones."""

from collections.abc import Callable
from typing import Any

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.wire import (
    NATIVE,
    PROTOCOL,
    WireCache,
    as_mark,
    decode_anything,
    is_null,
    read,
    text_of,
)
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

_READABLE_KEYS = ("title", "url", "source", "text", "stdout", "stderr", "content")
_READABLE_DEPTH = 5
_HOST_BLOCKS = frozenset({"server_tool_use", "mcp_tool_use"})


class _Head(msgspec.Struct):
    type: str
    cache_control: WireCache | None = None


class _Text(msgspec.Struct):
    text: str
    citations: list[msgspec.Raw] | None = None
    cache_control: WireCache | None = None


class _Source(msgspec.Struct):
    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")


class _Image(msgspec.Struct):
    source: _Source
    cache_control: WireCache | None = None


class _Cite(msgspec.Struct):
    enabled: bool | None = None


class _Document(msgspec.Struct):
    source: _Source
    title: str | None = None
    context: str | None = None
    citations: _Cite | None = None
    cache_control: WireCache | None = None


class _Thinking(msgspec.Struct):
    thinking: str = ""
    signature: str | None = None


class _Redacted(msgspec.Struct):
    data: str


class _ToolUse(msgspec.Struct):
    id: str
    name: str
    input: msgspec.Raw = msgspec.Raw(b"{}")
    cache_control: WireCache | None = None


class _ToolResult(msgspec.Struct):
    tool_use_id: str
    content: msgspec.Raw = msgspec.Raw(b"null")
    is_error: bool | None = None
    cache_control: WireCache | None = None


class _Citation(msgspec.Struct):
    """Only what others have too; all of it stays in ``raw``."""

    url: Any = None
    title: Any = None
    document_title: Any = None
    cited_text: Any = None


_decode_content = msgspec.json.Decoder(str | list[msgspec.Raw] | None).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_text = msgspec.json.Decoder(_Text).decode
_decode_image = msgspec.json.Decoder(_Image).decode
_decode_document = msgspec.json.Decoder(_Document).decode
_decode_thinking = msgspec.json.Decoder(_Thinking).decode
_decode_redacted = msgspec.json.Decoder(_Redacted).decode
_decode_tool_use = msgspec.json.Decoder(_ToolUse).decode
_decode_tool_result = msgspec.json.Decoder(_ToolResult).decode
_decode_citation = msgspec.json.Decoder(_Citation).decode


def parse_content(raw: msgspec.Raw, role: str, place: str) -> tuple[Block, ...]:
    """A text or a list of blocks; empty texts are left out, since nobody can say them."""
    content = read(_decode_content, raw, place)
    if content is None:
        return ()
    if isinstance(content, str):
        return (Text(content),) if content else ()
    found = (_parse_block(block, role, f"{place}.{number}") for number, block in enumerate(content))
    return tuple(block for block in found if block is not None)


def parse_citation(raw: msgspec.Raw | bytes) -> Citation:
    """Raises msgspec.DecodeError for what is no object."""
    citation = _decode_citation(raw)
    return Citation(
        protocol=PROTOCOL,
        raw=bytes(raw).decode(),
        url=_as_text(citation.url),
        title=_as_text(citation.title) or _as_text(citation.document_title),
        cited_text=_as_text(citation.cited_text),
    )


def _as_text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _parse_block(raw: msgspec.Raw, role: str, place: str) -> Block | None:
    kind = read(_decode_head, raw, place).type
    parse = _PARSERS.get(kind)
    if parse is None:
        return _parse_foreign(raw, role, place)
    wanted = _ROLES.get(kind, role)
    if wanted != role:
        raise InvalidRequest(f'a "{kind}" block belongs into a message of role "{wanted}"', param=place)
    return parse(raw, place)


def _parse_text(raw: msgspec.Raw, place: str) -> Text | None:
    block = read(_decode_text, raw, place)
    if not block.text:
        return None
    citations = tuple(
        read(parse_citation, citation, f"{place}.citations.{number}")
        for number, citation in enumerate(block.citations or ())
    )
    return Text(block.text, citations, as_mark(block.cache_control))


def _parse_image(raw: msgspec.Raw, place: str) -> Image:
    block = read(_decode_image, raw, place)
    source = _parse_source(block.source, f"{place}.source")
    if source is None or isinstance(source, TextSource):
        raise _unknown_source(block.source, place)
    return Image(source, cache=as_mark(block.cache_control))


def _parse_document(raw: msgspec.Raw, place: str) -> Document | Foreign:
    block = read(_decode_document, raw, place)
    source = _parse_source(block.source, f"{place}.source")
    if source is None:
        # Content that is itself blocks: the text of it is what another model can read.
        text = _readable(read(decode_anything, block.source.content, f"{place}.source.content"))
        if text is None:
            raise _unknown_source(block.source, place)
        return Foreign(PROTOCOL, "document", text_of(raw), text, essential=True, cache=as_mark(block.cache_control))
    return Document(
        source,
        title=block.title,
        context=block.context,
        cite=block.citations is not None and bool(block.citations.enabled),
        cache=as_mark(block.cache_control),
    )


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


def _parse_thinking(raw: msgspec.Raw, place: str) -> Thinking:
    block = read(_decode_thinking, raw, place)
    return Thinking(block.thinking, unseal(block.signature, NATIVE) if block.signature else None)


def _parse_redacted(raw: msgspec.Raw, place: str) -> Thinking:
    return Thinking("", unseal(read(_decode_redacted, raw, place).data, NATIVE), redacted=True)


def _parse_tool_use(raw: msgspec.Raw, place: str) -> ToolCall:
    block = read(_decode_tool_use, raw, place)
    arguments = text_of(block.input)
    if not arguments.startswith("{"):
        raise InvalidRequest(f'"{place}.input" must be an object', param=f"{place}.input")
    return ToolCall(block.id, block.name, arguments, as_mark(block.cache_control))


def _parse_tool_result(raw: msgspec.Raw, place: str) -> ToolResult:
    block = read(_decode_tool_result, raw, place)
    blocks: list[Text | Image | Document | Foreign] = []
    for inner in () if is_null(block.content) else parse_content(block.content, "result", f"{place}.content"):
        assert isinstance(inner, Text | Image | Document | Foreign)  # the others have roles of their own
        blocks.append(inner)
    return ToolResult(block.tool_use_id, tuple(blocks), bool(block.is_error), as_mark(block.cache_control))


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


_PARSERS: dict[str, Callable[[msgspec.Raw, str], Block | None]] = {
    "text": _parse_text,
    "image": _parse_image,
    "document": _parse_document,
    "thinking": _parse_thinking,
    "redacted_thinking": _parse_redacted,
    "tool_use": _parse_tool_use,
    "tool_result": _parse_tool_result,
}
_ROLES = {
    "thinking": "assistant",
    "redacted_thinking": "assistant",
    "tool_use": "assistant",
    "tool_result": "user",
}
