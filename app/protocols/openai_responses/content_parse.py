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
from app.protocols.openai_responses.wire import PROTOCOL, TEXT_TYPES, citation_of, decode_list, decode_members, read
from app.protocols.raw_json import text_of

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


Parts = str | list[Part] | None
T = TypeVar("T")


class Place:
    """Where an item stands in the input: a path to tell, and the JSON as it came. Both only when needed."""

    __slots__ = ("_input", "_number")

    def __init__(self, whole_input: msgspec.Raw, number: int) -> None:
        self._input = whole_input
        self._number = number

    def __str__(self) -> str:
        return f"input[{self._number}]"

    def raw(self) -> msgspec.Raw:
        return read(decode_list, self._input, "input")[self._number]

    def raw_part(self, field: str, number: int) -> msgspec.Raw:
        content = read(decode_members, self.raw(), str(self))[field]
        return read(decode_list, content, str(self))[number]


def parse_content(content: Parts, place: Place, field: str) -> list[Block]:
    """``field`` is the item's member that holds the content."""
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)] if content else []
    return [
        _parse_text(part, part.text)
        if part.text is not None and part.type in TEXT_TYPES
        else _parse_part(part, place, field, number)
        for number, part in enumerate(content)
    ]


def _parse_part(part: Part, place: Place, field: str, number: int) -> Block:
    param = f"{place}.{field}[{number}]"
    match part.type:
        case kind if kind in TEXT_TYPES:
            raise InvalidRequest(f'"{param}.text" is missing', param=f"{param}.text")
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
        case kind:
            return Foreign(PROTOCOL, kind, text_of(place.raw_part(field, number)), text=part.text)


def _parse_text(part: Part, text: str) -> Text:
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
