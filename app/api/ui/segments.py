"""Ids in addresses of pages: some are chosen by admins and callers, and may be any text."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

from litestar import Request

from app.base.errors import NotFound

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_@-]*(\.[A-Za-z0-9_@-]+)*")
_WORDS_OF_OURS = frozenset({"new"})
_CODED = "~"


def segment(one: str) -> str:
    """As a part of a path: as it stands where that can be, else in base64 behind a ``~``."""
    if _PLAIN.fullmatch(one) and one not in _WORDS_OF_OURS:
        return one
    return _CODED + urlsafe_b64encode(one.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def read_segment(text: str) -> str:
    """Raises NotFound for what no page ever linked to."""
    if not text.startswith(_CODED):
        return text
    coded = text.removeprefix(_CODED)
    try:
        one = urlsafe_b64decode(coded + "=" * (-len(coded) % 4)).decode()
    except ValueError as error:
        raise NotFound("There is no such page.") from error
    if "\0" in one:
        raise NotFound("There is no such page.")
    return one


def last_word(request: Request[Any, Any, Any]) -> str:
    """Of the path: what is to be done, where a handler takes several."""
    return str(request.scope["path"].rpartition("/")[2])
