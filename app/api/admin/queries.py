"""Reading the query of an admin or finance request: known names, and values that can be, or a 422 naming one."""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request

from app.api.admin.fields import LONGEST_TEXT, nearest_or_all
from app.base.errors import Unprocessable

Query = Mapping[str, str]
_MOST_PARAMETERS = 50
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def read_query(request: Request[Any, Any, Any], known: Collection[str]) -> Query:
    """The parameters that have a value. Raises Unprocessable for one nobody knows."""
    try:
        pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise Unprocessable(f"the query has more than {_MOST_PARAMETERS} parameters") from error
    for name, value in pairs:
        if name not in known:
            raise Unprocessable(f'"{name}" is no parameter of this route; {nearest_or_all(name, known)}', param=name)
        if len(value) > LONGEST_TEXT * 2 or "\0" in value:
            raise Unprocessable(f'"{name}" is too long, or holds a NUL character', param=name)
    return dict(pairs)


def path_text(request: Request[Any, Any, Any], name: str) -> str:
    """A part of the path, of the length that ids and names have."""
    text: str = request.path_params[name]
    if not text or len(text) > LONGEST_TEXT or "\0" in text:
        raise Unprocessable(f'"{name}" is too long, or holds a NUL character', param=name)
    return text


def read_number(query: Query, name: str, default: int, most: int) -> int:
    """A whole number from 1 to ``most``."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= most:
        raise Unprocessable(f'"{name}" is "{text}"; give a whole number from 1 to {most}', param=name)
    return int(text)


def read_choice(query: Query, name: str, choices: Collection[str]) -> str | None:
    text = query.get(name)
    if text is not None and text not in choices:
        raise Unprocessable(f'"{name}" is "{text}"; give one of {", ".join(choices)}', param=name)
    return text


def read_query_flag(query: Query, name: str, *, default: bool) -> bool:
    text = query.get(name)
    if text is None:
        return default
    if text.lower() not in _FLAGS:
        raise Unprocessable(f'"{name}" is "{text}"; give true or false', param=name)
    return _FLAGS[text.lower()]
