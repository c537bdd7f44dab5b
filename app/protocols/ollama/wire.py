"""Ollama's JSON as requests and answers share it: its structs, and readers that name the place of an error."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from app.base.errors import InvalidRequest

ISSUER = "ollama"
NULL = msgspec.Raw(b"null")
FULL_OPTIONS = frozenset(
    {"num_predict", "temperature", "top_p", "top_k", "seed", "stop", "frequency_penalty", "presence_penalty"}
)
"""The options that every protocol has a word for."""

T = TypeVar("T")

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


def text_of(raw: msgspec.Raw) -> str:
    return bytes(raw).decode()


def is_null(raw: msgspec.Raw) -> bool:
    return bytes(raw) == b"null"


def is_object(text: str) -> bool:
    """Whether ``text`` is a JSON object to its last byte."""
    try:
        decode_members(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def as_object(arguments: str) -> msgspec.Raw:
    """Arguments are an object here; what is none is held by one."""
    if is_object(arguments):
        return msgspec.Raw(arguments.encode())
    return msgspec.Raw(encode({"raw": arguments}))


def read(decode: Callable[[msgspec.Raw], T], raw: msgspec.Raw, place: str) -> T:
    """The value at ``place``. Raises InvalidRequest naming the member that has the wrong type."""
    try:
        return decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        said, _, inner = str(error).partition("\n")[0].partition(" - at `$")
        param = place + inner.rstrip("`").replace("[", ".").replace("]", "")
        raise InvalidRequest(f'"{param}" cannot be read: {said}', param=param) from error
