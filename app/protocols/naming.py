"""Tool-call ids and tool names that one protocol allows and another refuses: rewritten by pure functions."""

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

_DIGEST_CHARACTERS = 12
_REFUSED = re.compile(r"[^a-zA-Z0-9_-]")


def fitting_id(call_id: str, *, longest: int = 64) -> str:
    """``call_id`` where it is ``[a-zA-Z0-9_-]`` and short enough, else one derived from it: the same for call and
    result, in every request, without any state."""
    if len(call_id) <= longest and _fits(call_id):
        return call_id
    return f"call_{_digest(call_id, 24)}"


def made_up_id(*facts: str) -> str:
    """For a call that its host gave no id: distinct where the facts are, and the same for the same bytes."""
    return f"call_{_digest(chr(0).join(facts), 24)}"


@lru_cache(maxsize=4096)  # the same few names stand in every turn
def fitting_name(name: str, *, longest: int = 64) -> str:
    """A tool's name of ``[a-zA-Z0-9_-]``, shortened with a digest of the whole where that is needed."""
    if len(name) <= longest and _fits(name):
        return name
    head = _REFUSED.sub("_", name)[: longest - _DIGEST_CHARACTERS - 1]
    return f"{head}_{_digest(name, _DIGEST_CHARACTERS)}"


def renamed(names: Iterable[str], *, longest: int = 64) -> dict[str, str]:
    """The client's name for each fitting name that is another: what Reading.names holds."""
    return {fitting: name for name in names if (fitting := fitting_name(name, longest=longest)) != name}


def _fits(text: str) -> bool:
    if text.isascii() and text.isidentifier():  # as nearly all are, and quicker than to search
        return True
    return bool(text) and not _REFUSED.search(text)


def _digest(text: str, characters: int) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:characters]
