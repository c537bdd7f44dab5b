"""Canonical blocks as content parts of a message to a host."""

import base64
import binascii
from typing import Any

from app.base.errors import InvalidRequest
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
    UrlSource,
)
from app.protocols.losses import Losses, refusal
from app.protocols.openai_chat.dialect import ChatDialect

TARGET = "the chat completions API"
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}


class PartsRenderer:
    """Writes parts; what cannot be said is refused, with ``place`` for the caller to find it."""

    __slots__ = ("_dialect", "_losses")

    def __init__(self, dialect: ChatDialect, losses: Losses) -> None:
        self._dialect = dialect
        self._losses = losses

    def render(self, block: Block, place: str) -> dict[str, Any] | None:
        """None for what may be left out."""
        match block:
            case Text(text, citations):
                if citations:
                    self._losses.drop("citations")
                return self._text(text, block.cache) if text else None
            case Image():
                return self._marked({"type": "image_url", "image_url": self._image(block, place)}, block.cache)
            case Document():
                return self._document(block, place)
            case Audio(source):
                kind = source.media_type.rpartition("/")[2]
                return {
                    "type": "input_audio",
                    "input_audio": {"data": source.data, "format": _AUDIO_FORMATS.get(kind, kind)},
                }
            case Refusal(text):
                return self._text(text, None)
            case Foreign():
                instead = self.foreign_text(block, place)
                return self._text(instead, block.cache) if instead else None
            case _:
                raise InvalidRequest(f'"{place}" does not belong into a message of this role', param=place)

    def text(self, text: str, mark: CacheMark | None = None) -> dict[str, Any]:
        return self._text(text, mark)

    def keeps(self, mark: CacheMark | None) -> bool:
        """Whether a mark is said; one that cannot be is a loss."""
        if mark is None:
            return False
        if not self._dialect.cache_marks:
            self._losses.drop("cache_control")
        return self._dialect.cache_marks

    def foreign_text(self, block: Foreign, place: str) -> str | None:
        """What stands in place of a block that no host of this protocol knows."""
        self.keeps(block.cache)
        if block.text is not None:
            self._losses.approximate(block.kind)
            return block.text
        if block.essential:
            raise refusal(f'a block of type "{block.kind}"', TARGET, "leave it out or say it as text", param=place)
        self._losses.drop(block.kind)
        return None

    def document_text(self, block: Document) -> str | None:
        """The text of a document that is one; None for any other."""
        match block.source:
            case TextSource(text):
                pass
            case Base64Source(media_type, data) if media_type.startswith("text/"):
                try:
                    text = base64.b64decode(data, validate=True).decode()
                except (binascii.Error, ValueError):
                    return None
            case _:
                return None
        return "\n\n".join(part for part in (block.title, block.context, text) if part)

    def _text(self, text: str, mark: CacheMark | None) -> dict[str, Any]:
        return self._marked({"type": "text", "text": text}, mark)

    def _marked(self, part: dict[str, Any], mark: CacheMark | None) -> dict[str, Any]:
        if mark is not None and self.keeps(mark):
            part["cache_control"] = cache_control(mark)
        return part

    def _image(self, block: Image, place: str) -> dict[str, str]:
        if not self._dialect.images:
            raise refusal("an image", "this host", "leave it out or choose a model that sees", param=place)
        image = {"url": self._image_url(block.source, place)}
        if block.detail is not None:
            image["detail"] = block.detail
        return image

    def _image_url(self, source: Source, place: str) -> str:
        match source:
            case Base64Source(media_type, data):
                return f"data:{media_type};base64,{data}"
            case UrlSource(url) if url.startswith(("https://", "http://")):
                return url
            case _:
                raise refusal("an image by file id", TARGET, "send it as base64 or by an https address", param=place)

    def _document(self, block: Document, place: str) -> dict[str, Any]:
        if block.cite:
            self._losses.drop("citations")
        text = self.document_text(block)
        if text is not None:
            return self._text(text or " ", block.cache)
        if not self._dialect.documents:
            raise refusal("a document that is no text", "this host", "send its text instead", param=place)
        if block.context is not None:
            self._losses.drop("context")
        return self._marked({"type": "file", "file": self._file(block, place)}, block.cache)

    def _file(self, block: Document, place: str) -> dict[str, str]:
        match block.source:
            case Base64Source(media_type, data):
                return {
                    "filename": block.title or f"document.{media_type.rpartition('/')[2]}",
                    "file_data": f"data:{media_type};base64,{data}",
                }
            case FileSource(file_id) if file_id.startswith("file-"):  # OpenAI's own; no other vendor's begin so
                return {"file_id": file_id}
            case UrlSource():
                raise refusal("a document by its address", TARGET, "send it as base64", param=place)
            case _:
                raise refusal("a file of another vendor", TARGET, "send the document as base64", param=place)


def cache_control(mark: CacheMark) -> dict[str, str]:
    return {"type": "ephemeral"} if mark.ttl is None else {"type": "ephemeral", "ttl": mark.ttl}
