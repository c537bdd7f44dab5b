"""A text completion's JSON."""

from typing import Annotated, Any

import msgspec

from app.domain.usage import Usage
from app.protocols.scanning import lenient_reader

NULL = msgspec.Raw(b"null")
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

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


read_completion = lenient_reader(Completion, kept=("usage", "error"))


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
