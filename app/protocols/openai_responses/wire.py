"""Words of the Responses API that its readers and writers share."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from app.base.errors import InvalidRequest
from app.protocols.conversation import Citation
from app.protocols.raw_json import plainly, text_of
from app.protocols.scanning import UNREADABLE

PROTOCOL = "openai_responses"
NATIVE = "openai"
"""Who issues the seals that stand bare in ``encrypted_content``."""

TEXT_TYPES = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})

T = TypeVar("T")
encode = msgspec.json.encode
NO_RAW = msgspec.Raw(b"null")


class Annotation(msgspec.Struct, gc=False):
    type: str = ""
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


class Head(msgspec.Struct, gc=False):
    """What tells how to read the rest."""

    type: str | None = None


_decode_annotation = msgspec.json.Decoder(Annotation).decode
decode_head = msgspec.json.Decoder(Head).decode
decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def read(decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw, param: str) -> T:
    """A part of a client's request. Raises InvalidRequest saying where it is and what was expected."""
    try:
        return decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        said, _, inner = str(error).partition("\n")[0].partition(" - at `$")
        place = param + inner.rstrip("`")
        raise InvalidRequest(f'"{place}" {plainly(said)}', param=place) from error


def is_given(raw: msgspec.Raw | None) -> bool:
    return raw is not None and (memoryview(raw).nbytes != len(b"null") or bytes(raw) != b"null")


def citation_of(raw: msgspec.Raw) -> Citation | None:
    """An annotation; None for what is none."""
    try:
        annotation = _decode_annotation(raw)
    except UNREADABLE:
        return None
    if annotation.type != "url_citation":
        return Citation(PROTOCOL, text_of(raw))
    return Citation(
        PROTOCOL,
        text_of(raw),
        url=annotation.url,
        title=annotation.title,
        start=annotation.start_index,
        end=annotation.end_index,
    )


def annotation_of(citation: Citation, text_length: int) -> msgspec.Raw | None:
    """The annotation for a citation at the end of a text of that length; None for one without an address."""
    if citation.protocol == PROTOCOL:
        return msgspec.Raw(citation.raw.encode())
    if citation.url is None:
        return None
    return msgspec.Raw(
        encode(
            {
                "type": "url_citation",
                "url": citation.url,
                "title": citation.title or "",
                "start_index": citation.start or 0,
                "end_index": text_length if citation.end is None else citation.end,
            }
        )
    )
