"""The parts of a client's messages and tool results: texts, images, files and what else stands in a content list."""

import base64
import binascii
from typing import TypeVar

import msgspec

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
from app.protocols.openai_responses.wire import (
    PROTOCOL,
    TEXT_TYPES,
    citation_of,
    decode_list,
    decode_members,
    read,
    text_of,
)

_PDF = "application/pdf"
_MEDIA_TYPES = {".pdf": _PDF, ".txt": "text/plain", ".md": "text/plain", ".csv": "text/plain", ".json": "text/plain"}
# Theirs last 30 minutes or 12 hours; the nearest that others have.
_LASTS = {"12h": "1h"}


class _Breakpoint(msgspec.Struct, gc=False):
    ttl: str | None = None


class _AudioData(msgspec.Struct, gc=False):
    data: str
    format: str


class Part(msgspec.Struct, gc=False):
    """One of a content list, of any type."""

    type: str = ""
    text: str | None = None
    annotations: list[msgspec.Raw] | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: _AudioData | None = None
    prompt_cache_breakpoint: _Breakpoint | None = None


class _Content(msgspec.Struct, gc=False):
    content: msgspec.Raw = msgspec.Raw(b"null")
    output: msgspec.Raw = msgspec.Raw(b"null")


Parts = str | list[Part] | None
_decode_content = msgspec.json.Decoder(_Content).decode
T = TypeVar("T")


def parse_content(content: Parts, item: msgspec.Raw, param: str) -> list[Block]:
    """``item`` is the whole item that has the content in ``content`` or ``output``."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [_parse_part(part, item, number, f"{param}[{number}]") for number, part in enumerate(content)]


def _parse_part(part: Part, item: msgspec.Raw, number: int, param: str) -> Block:
    kind = part.type
    if kind in TEXT_TYPES:
        return _parse_text(part, param)
    match kind:
        case "refusal":
            return Refusal(_needed(part.refusal, f"{param}.refusal"))
        case "input_image":
            return _parse_image(part, param)
        case "input_file":
            return _parse_file(part, param)
        case "input_audio":
            audio = _needed(part.input_audio, f"{param}.input_audio")
            return Audio(Base64Source(f"audio/{audio.format}", audio.data))
        case "":
            raise InvalidRequest(f'"{param}" has no "type"; send one, such as "input_text"', param=param)
        case _:
            return Foreign(PROTOCOL, kind, _raw_part(item, number), text=part.text)


def _parse_text(part: Part, param: str) -> Text:
    text = _needed(part.text, f"{param}.text")
    annotations = part.annotations
    citations = tuple(found for one in annotations if (found := citation_of(one))) if annotations else ()
    return Text(text, citations, _cache_of(part))


def _parse_image(part: Part, param: str) -> Image:
    if part.file_id is not None:
        return Image(FileSource(part.file_id), part.detail, _cache_of(part))
    return Image(_source_of(_needed(part.image_url, f"{param}.image_url"), f"{param}.image_url"), part.detail)


def _parse_file(part: Part, param: str) -> Document | Image:
    source = _file_source(part, param)
    if isinstance(source, Base64Source) and source.media_type.startswith("image/"):
        return Image(source, cache=_cache_of(part))
    return Document(source, title=part.filename, cache=_cache_of(part))


def _file_source(part: Part, param: str) -> Source:
    if part.file_id is not None:
        return FileSource(part.file_id)
    if part.file_url is not None:
        return UrlSource(part.file_url)
    data = _needed(part.file_data, f"{param}.file_data")
    if not data.startswith("data:"):
        name = (part.filename or "").lower()
        media_type = next((found for end, found in _MEDIA_TYPES.items() if name.endswith(end)), _PDF)
        source: Source = Base64Source(media_type, data)
    else:
        source = _source_of(data, f"{param}.file_data")
    if isinstance(source, Base64Source) and source.media_type == "text/plain":
        return _as_text(source)
    return source


def _as_text(source: Base64Source) -> Source:
    try:
        return TextSource(base64.b64decode(source.data, validate=True).decode())
    except (binascii.Error, ValueError):
        return source


def _source_of(address: str, param: str) -> Source:
    """What a data URL holds, or the address itself."""
    if not address.startswith("data:"):
        if "://" not in address:
            raise InvalidRequest(f'"{param}" must be an https address or a data URL', param=param)
        return UrlSource(address)
    head, comma, data = address.partition(",")
    media_type, *parameters = head[len("data:") :].split(";")
    if not comma or "base64" not in parameters or not media_type:
        raise InvalidRequest(f'"{param}" must be a data URL such as "data:image/png;base64,…"', param=param)
    return Base64Source(media_type, data)


def _cache_of(part: Part) -> CacheMark | None:
    mark = part.prompt_cache_breakpoint
    return None if mark is None else CacheMark(_LASTS.get(mark.ttl or ""))


def _raw_part(item: msgspec.Raw, number: int) -> str:
    """The part's JSON as it came."""
    holder = read(_decode_content, item, "input")
    raw = holder.content if bytes(holder.content) != b"null" else holder.output
    return text_of(read(decode_list, raw, "input")[number])


def _needed(value: T | None, param: str) -> T:
    if value is None:
        raise InvalidRequest(f'"{param}" is missing', param=param)
    return value


def as_object(arguments: str) -> str:
    """A tool call's arguments as the JSON text of an object: broken ones of a model are kept as one text in it."""
    stripped = arguments.strip()
    if not stripped:
        return "{}"
    try:
        decode_members(stripped)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return msgspec.json.encode({"arguments": arguments}).decode()
    return stripped
