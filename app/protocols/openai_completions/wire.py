"""A text completion's JSON, and readers that name the place of what cannot be read."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import msgspec

from app.base.errors import InvalidRequest
from app.domain.usage import Usage
from app.protocols.scanning import UNREADABLE, count_of

NULL = msgspec.Raw(b"null")
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

T = TypeVar("T")

encode = msgspec.json.encode
decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Choice(msgspec.Struct, gc=False):
    """Of an answer: nothing that a host writes here is taken for granted."""

    text: str | None = None
    index: Any = None
    finish_reason: Any = None


class Completion(msgspec.Struct, gc=False):
    """A whole answer or a chunk of one: they have one shape."""

    choices: list[Choice] | None = None
    id: Any = None
    model: Any = None
    usage: Any = None
    error: Any = None


class _Rest(msgspec.Struct, gc=False):
    """What still matters of a chunk whose choices are not of this shape."""

    usage: Any = None
    error: Any = None


_decode_completion = msgspec.json.Decoder(Completion).decode
_decode_rest = msgspec.json.Decoder(_Rest).decode


def read_completion(data: bytes) -> Completion | None:
    """A completion, or what can be read of it; None for what is no JSON object."""
    try:
        return _decode_completion(data)
    except msgspec.ValidationError:
        pass
    except UNREADABLE:
        return None
    try:
        rest = _decode_rest(data)
    except UNREADABLE:
        return None
    return Completion(usage=rest.usage, error=rest.error)


def usage_of(usage: object) -> Usage | None:
    """The disjoint counts of a usage object: the wire's prompt holds what was cached, its completion the reasoning."""
    prompt, output = count_of(usage, "prompt_tokens"), count_of(usage, "completion_tokens")
    if not isinstance(usage, Mapping) or (prompt is None and output is None):
        return None
    cached = count_of(usage.get("prompt_tokens_details"), "cached_tokens") or 0
    reasoning = count_of(usage.get("completion_tokens_details"), "reasoning_tokens") or 0
    cache_read = min(prompt or 0, cached)
    return Usage(
        input=(prompt or 0) - cache_read,
        cache_read=cache_read,
        output=output or 0,
        reasoning=min(output or 0, reasoning),
    )


def wire_usage(usage: Usage) -> dict[str, Any]:
    completion = usage.output + usage.audio_output
    written: dict[str, Any] = {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": completion,
        "total_tokens": usage.prompt_tokens + completion,
    }
    if usage.cache_read:
        written["prompt_tokens_details"] = {"cached_tokens": usage.cache_read}
    if usage.reasoning:
        written["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning}
    return written


def text_of(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def is_null(raw: msgspec.Raw) -> bool:
    return bytes(raw) == b"null"


def read(decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw, place: str) -> T:
    """The value at ``place``. Raises InvalidRequest naming the member that has the wrong type."""
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        said, _, inner = str(error).partition("\n")[0].partition(" - at `$")
        param = place + inner.rstrip("`").replace("[", ".").replace("]", "")
        raise InvalidRequest(f'"{param}" cannot be read: {said}', param=param) from error
