"""Content parts of a client's messages as canonical blocks."""

import base64
import binascii

from app.base.errors import InvalidRequest
from app.protocols.conversation import (
    Audio,
    Base64Source,
    Block,
    CacheMark,
    Document,
    FileSource,
    Image,
    Refusal,
    Source,
    Text,
    TextSource,
    UrlSource,
)
from app.protocols.openai_chat.wire import WireFile, WirePart, WireSource

_AUDIO_TYPES = {"mp3": "audio/mpeg"}
_DEFAULT_MEDIA = "application/pdf"
_MAGIC = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"RIFF", "image/webp"),
    (b"%PDF", "application/pdf"),
)
_ADDRESSES = ("https://", "http://", "gs://")


def parse_mark(cache_control: object) -> CacheMark | None:
    """The mark of a ``cache_control``, whatever stands there."""
    if not isinstance(cache_control, dict):
        return None
    ttl = cache_control.get("ttl")
    return CacheMark(ttl if isinstance(ttl, str) else None)


def parse_part(part: WirePart, place: str) -> Block | None:
    """The block of a part; None for a kind that is not known here."""
    parse = _KINDS.get(part.type)
    return None if parse is None else parse(part, place)


def _parse_text(part: WirePart, place: str) -> Block:
    return Text(_needed(part.text, place, "text"), cache=parse_mark(part.cache_control))


def _parse_refusal(part: WirePart, place: str) -> Block:
    return Refusal(_needed(part.refusal, place, "refusal"))


def _parse_image_url(part: WirePart, place: str) -> Block:
    image = part.image_url
    if image is None:
        raise _missing(place, "image_url")
    url, detail = (image, None) if isinstance(image, str) else (image.url, image.detail)
    return Image(_parse_image_source(url, f"{place}.image_url.url"), detail, parse_mark(part.cache_control))


def _parse_image(part: WirePart, place: str) -> Block:
    return Image(_parse_source(part.source, place), cache=parse_mark(part.cache_control))


def _parse_file(part: WirePart, place: str) -> Block:
    file = part.file
    if file is None:
        raise _missing(place, "file")
    mark = parse_mark(part.cache_control)
    source = _parse_file_source(file, f"{place}.file")
    if isinstance(source, Base64Source) and source.media_type.startswith("image/"):
        return Image(source, cache=mark)
    return Document(source, title=file.filename, cache=mark)


def _parse_file_source(file: WireFile, place: str) -> Source:
    if file.file_data is None:
        return FileSource(_needed(file.file_id, place, "file_id"))
    if file.file_data.startswith(_ADDRESSES):
        return UrlSource(file.file_data)
    if file.file_data.startswith("data:"):
        return parse_data_url(file.file_data, f"{place}.file_data")
    return Base64Source(_guessed_type(file.file_data, _DEFAULT_MEDIA), file.file_data)


def _parse_audio(part: WirePart, place: str) -> Block:
    audio = part.input_audio
    if audio is None:
        raise _missing(place, "input_audio")
    return Audio(Base64Source(_AUDIO_TYPES.get(audio.format, f"audio/{audio.format}"), audio.data))


def _parse_document(part: WirePart, place: str) -> Block:
    """Anthropic's block in a Chat message: an extension that LiteLLM's clients send."""
    citations = part.citations
    return Document(
        _parse_source(part.source, place),
        title=part.title,
        context=part.context,
        cite=isinstance(citations, dict) and citations.get("enabled") is True,
        cache=parse_mark(part.cache_control),
    )


def _parse_source(source: WireSource | None, place: str) -> Source:
    if source is None:
        raise _missing(place, "source")
    place = f"{place}.source"
    match source.type:
        case "base64":
            return Base64Source(source.media_type or _DEFAULT_MEDIA, _needed(source.data, place, "data"))
        case "text":
            return TextSource(_needed(source.data, place, "data"))
        case "url":
            return UrlSource(_needed(source.url, place, "url"))
        case "file":
            return FileSource(_needed(source.file_id, place, "file_id"))
        case _:
            raise InvalidRequest(
                f'"{place}.type" must be one of base64, text, url, file, not {source.type!r}', param=f"{place}.type"
            )


def _parse_image_source(url: str, place: str) -> Source:
    if url.startswith("data:"):
        return parse_data_url(url, place)
    if url.startswith(_ADDRESSES):
        return UrlSource(url)
    if "://" in url[:32] or not url:
        raise InvalidRequest(f'"{place}" must be an https address or a data: URL', param=place)
    # Clients of Ollama write the bare base64.
    return Base64Source(_guessed_type(url, "image/png"), url)


def parse_data_url(url: str, place: str = "") -> Base64Source:
    """Raises InvalidRequest for a data: URL that is not in base64."""
    head, comma, data = url.partition(",")
    media_type, *parameters = head.removeprefix("data:").split(";")
    if not comma or "base64" not in parameters:
        raise InvalidRequest(f'"{place}" must be a data: URL in base64: data:<type>;base64,<data>', param=place)
    return Base64Source(media_type or "application/octet-stream", data)


def _guessed_type(data: str, otherwise: str) -> str:
    try:
        head = base64.b64decode(data[:16].encode("ascii"))
    except (binascii.Error, UnicodeEncodeError):
        return otherwise
    return next((media_type for magic, media_type in _MAGIC if head.startswith(magic)), otherwise)


def _needed(value: str | None, place: str, name: str) -> str:
    if value is None:
        raise _missing(place, name)
    return value


def _missing(place: str, name: str) -> InvalidRequest:
    return InvalidRequest(f'"{place}.{name}" is missing', param=f"{place}.{name}")


_KINDS = {
    "text": _parse_text,
    "refusal": _parse_refusal,
    "image_url": _parse_image_url,
    "image": _parse_image,
    "file": _parse_file,
    "input_audio": _parse_audio,
    "document": _parse_document,
}
