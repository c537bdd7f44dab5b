"""Ollama's JSON as requests and answers share it."""

from typing import Any

import msgspec

from app.protocols.raw_json import is_object

ISSUER = "ollama"
NULL = msgspec.Raw(b"null")
FULL_OPTIONS = frozenset(
    {"num_predict", "temperature", "top_p", "top_k", "seed", "stop", "frequency_penalty", "presence_penalty"}
)
"""The options that every protocol has a word for."""

encode = msgspec.json.encode
decode_anything = msgspec.json.Decoder().decode
decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Function(msgspec.Struct, gc=False):
    """Of an answer: nothing that a host writes here is taken for granted."""

    name: Any = None
    arguments: msgspec.Raw = NULL


class Call(msgspec.Struct, gc=False):
    function: Function | None = None
    id: Any = None


class Message(msgspec.Struct, gc=False):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None
    images: Any = None


class Answer(msgspec.Struct, gc=False):
    """A whole answer or a line of one, of either endpoint."""

    message: Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    model: Any = None
    created_at: Any = None
    done_reason: Any = None
    prompt_eval_count: Any = None
    eval_count: Any = None
    image: Any = None
    error: Any = None


decode_answer = msgspec.json.Decoder(Answer).decode


def as_object(arguments: str) -> msgspec.Raw:
    """Arguments are an object here; what is none is held by one."""
    if is_object(arguments):
        return msgspec.Raw(arguments.encode())
    return msgspec.Raw(encode({"raw": arguments}))
