"""What the generations of Claude take and refuse, read from a model's name.

Source: the public API reference (models, thinking, effort, structured outputs, sampling) and its notes on each release.
"""

import re
from functools import lru_cache
from typing import Literal

import msgspec

Thinking = Literal["none", "budget", "effort", "adaptive"]


class Traits(msgspec.Struct, frozen=True):
    """``thinking``: how it is asked for. budget: ``budget_tokens``; effort: ``output_config.effort`` alone; adaptive:
    the model decides, ``effort`` guides it.

    ``budgets``: an exact ``budget_tokens`` is taken. ``structured``: an answer can be held to a schema, and so can a
    tool's input; ``format_in_config``: the schema goes into ``output_config``, not into the field of the beta.
    ``sampling``: temperature and its like may differ from their defaults. ``system_turns``: system text may follow a
    user turn.
    """

    thinking: Thinking = "none"
    budgets: bool = False
    efforts: tuple[str, ...] = ()
    structured: bool = False
    format_in_config: bool = False
    sampling: bool = True
    system_turns: bool = False


_EFFORTS = ("low", "medium", "high")
_OLD = Traits()
_THINKING = Traits(thinking="budget", budgets=True)
_STRUCTURED = Traits(thinking="budget", budgets=True, structured=True)
_EFFORT = Traits(thinking="effort", budgets=True, efforts=_EFFORTS, structured=True)
_ADAPTIVE = Traits(
    thinking="adaptive", budgets=True, efforts=(*_EFFORTS, "max"), structured=True, format_in_config=True
)
_STRICT = Traits(
    thinking="adaptive", efforts=(*_EFFORTS, "xhigh", "max"), structured=True, format_in_config=True, sampling=False
)
_NEWEST = msgspec.structs.replace(_STRICT, system_turns=True)

# From the newest to the oldest: the first generation that is not beyond the model's own.
_GENERATIONS: tuple[tuple[tuple[int, int], Traits], ...] = (
    ((4, 8), _NEWEST),
    ((4, 7), _STRICT),
    ((4, 6), _ADAPTIVE),
    ((4, 1), _STRUCTURED),
    ((3, 7), _THINKING),
    ((0, 0), _OLD),
)
_EXCEPTIONS: dict[tuple[str, int, int], Traits] = {("opus", 4, 5): _EFFORT}

# claude-sonnet-4-5-20250929, claude-3-7-sonnet@20250219, us.anthropic.claude-opus-4-1-20250805-v1:0, sonnet-4.5; the
# digits of a date are no minor version.
_VERSION = r"(\d{1,2})(?!\d)(?:[-.](\d{1,2})(?!\d))?"
_named = re.compile(rf"(?:claude-|\b)(opus|sonnet|haiku|fable|mythos|instant)-{_VERSION}").search
_numbered = re.compile(rf"claude-(?:[a-z]+-)?{_VERSION}").search


@lru_cache(maxsize=256)
def traits_of(model: str) -> Traits:
    """Those of the newest generation for a Claude without a number; those of other makers' models are the plainest
    that think."""
    name = model.lower()
    if match := _named(name):
        family, major, minor = match.groups()
    elif match := _numbered(name):
        family, (major, minor) = "", match.groups()
    else:
        return _NEWEST if "claude" in name else _THINKING
    version = (int(major), int(minor or 0))
    exception = _EXCEPTIONS.get((family, *version))
    return exception or next(traits for since, traits in _GENERATIONS if since <= version)
