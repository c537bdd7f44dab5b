"""Canonical blocks as content of a Messages request."""

import base64
import binascii
from typing import Any

from app.base.errors import InvalidRequest
from app.protocols.anthropic_messages.draft import FILES, TARGET, Draft
from app.protocols.anthropic_messages.wire import PROTOCOL, wire_mark
from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
    CacheMark,
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
    UrlSource,
)
from app.protocols.losses import refusal
from app.protocols.naming import fitting_id, fitting_name
from app.protocols.raw_json import is_object, raw_of

LONGEST_NAME = 128
RAW_ARGUMENTS = "raw_arguments"
"""The member that holds a model's arguments that are no JSON object."""
_PDF = "application/pdf"
_PLAIN = "text/plain"

Wire = Any
"""A dict to be encoded, or a msgspec.Raw."""


def render_block(draft: Draft, block: Block, place: str) -> Wire | None:
    """None for what is left out. Raises InvalidRequest for content that cannot be said."""
    match block:
        case Text():
            return _render_text(draft, block, place)
        case ToolCall():
            return _render_call(draft, block, place)
        case ToolResult():
            return _render_result(draft, block, place)
        case Thinking():
            return _render_thinking(draft, block, place)
        case Refusal(text):
            return _text(text)
        case _:
            return _render_rich(draft, block, place)


def _render_rich(draft: Draft, block: Image | Document | Audio | Foreign, place: str) -> Wire | None:
    match block:
        case Image():
            if block.detail == "low":  # Claude looks as closely as it can
                draft.losses.drop(f"{place}.detail")
            return _marked({"type": "image", "source": _image_source(draft, block.source, place)}, block.cache)
        case Document():
            return _render_document(draft, block, place)
        case Foreign():
            return _render_foreign(draft, block, place)
        case Audio():
            raise refusal("audio", TARGET, "send a transcript as text", param=place)


def _text(text: str) -> Wire | None:
    return {"type": "text", "text": text} if text and not text.isspace() else None


def _marked(block: dict[str, Any], cache: CacheMark | None) -> dict[str, Any]:
    if cache is not None:
        block["cache_control"] = wire_mark(cache)
    return block


def _render_text(draft: Draft, block: Text, place: str) -> Wire | None:
    written = _text(block.text)
    if written is None:
        if block.cache is not None:
            draft.losses.drop(f"{place}.cache_control")
        return None
    citations = [raw_of(citation.raw) for citation in block.citations if citation.protocol == PROTOCOL]
    if citations:
        written["citations"] = citations
    if len(citations) < len(block.citations):
        draft.losses.drop(f"{place}.citations")
    return _marked(written, block.cache)


def _image_source(draft: Draft, source: Source, place: str) -> Wire:
    match source:
        case Base64Source(media_type, data):
            return {"type": "base64", "media_type": media_type, "data": data}
        case UrlSource(url):
            return _url_source(url, place)
        case FileSource(file_id):
            draft.ask_for((FILES,))
            return {"type": "file", "file_id": file_id}
        case TextSource():
            raise refusal("an image that is text", TARGET, "send it as text", param=place)


def _url_source(url: str, place: str) -> Wire:
    if not url.lower().startswith(("https://", "http://")):
        raise refusal(
            f"an address such as {url[:16]!r}", TARGET, "send an https address, or the data in base64", param=place
        )
    return {"type": "url", "url": url}


def _render_document(draft: Draft, block: Document, place: str) -> Wire:
    if isinstance(block.source, Base64Source) and block.source.media_type.startswith("image/"):
        return _marked({"type": "image", "source": _image_source(draft, block.source, place)}, block.cache)
    document: dict[str, Any] = {"type": "document", "source": _document_source(draft, block.source, place)}
    if block.title:
        document["title"] = block.title
    if block.context:
        document["context"] = block.context
    if block.cite:
        document["citations"] = {"enabled": True}
    return _marked(document, block.cache)


def _document_source(draft: Draft, source: Source, place: str) -> Wire:
    match source:
        case TextSource(text):
            return {"type": "text", "media_type": _PLAIN, "data": text}
        case Base64Source(media_type, data) if media_type == _PDF:
            return {"type": "base64", "media_type": media_type, "data": data}
        case Base64Source(media_type, data):
            return {"type": "text", "media_type": _PLAIN, "data": _decoded_text(media_type, data, place)}
        case _:
            return _image_source(draft, source, place)


def _decoded_text(media_type: str, data: str, place: str) -> str:
    if media_type.startswith("text/") or media_type == "application/json":
        try:
            return base64.b64decode(data, validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise InvalidRequest("a text document must be UTF-8 in base64", param=place) from error
    raise refusal(f"a document of type {media_type[:64]!r}", TARGET, "send a PDF or plain text", param=place)


def _render_foreign(draft: Draft, block: Foreign, place: str) -> Wire | None:
    if block.protocol == PROTOCOL:
        return raw_of(block.raw)
    if block.text is not None:
        draft.losses.approximate(place)
        written = _text(block.text)
        return None if written is None else _marked(written, block.cache)
    if block.essential:
        raise refusal(f"content of type {block.kind[:64]!r}", TARGET, "send it as text", param=place)
    draft.losses.drop(place)
    return None


def is_own(draft: Draft, block: Thinking) -> bool:
    """Whether this host issued the thinking: it takes no other's, and none without its seal."""
    return block.seal is not None and block.seal.issuer == draft.dialect.issuer and bool(block.seal.data)


def _render_thinking(draft: Draft, block: Thinking, place: str) -> Wire | None:
    if block.seal is None or not is_own(draft, block):
        draft.losses.drop(place)
        return None
    if block.redacted:
        return {"type": "redacted_thinking", "data": block.seal.data}
    return {"type": "thinking", "thinking": block.text, "signature": block.seal.data}


def _render_call(draft: Draft, block: ToolCall, place: str) -> Wire:
    arguments: Wire = {}
    if block.arguments.strip():
        if is_object(block.arguments):
            arguments = raw_of(block.arguments)
        else:
            draft.losses.approximate(f"{place}.arguments")
            arguments = {RAW_ARGUMENTS: block.arguments}
    call = {
        "type": "tool_use",
        "id": fitting_id(block.call_id),
        "name": fitting_name(block.name, longest=LONGEST_NAME),
        "input": arguments,
    }
    return _marked(call, block.cache)


def _render_result(draft: Draft, block: ToolResult, place: str) -> Wire:
    result: dict[str, Any] = {"type": "tool_result", "tool_use_id": fitting_id(block.call_id)}
    content = [
        written
        for number, inner in enumerate(block.blocks)
        if (written := render_block(draft, inner, f"{place}.content.{number}")) is not None
    ]
    if content:
        result["content"] = content
    if block.is_error:
        result["is_error"] = True
    return _marked(result, block.cache)
