"""What OpenAI's own models refuse that the protocol allows: traits by name, for names that are known."""

import re
from typing import NamedTuple

from app.protocols.conversation import Effort

_RANKED: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


class Traits(NamedTuple):
    """``sampling``: temperature, top_p, penalties and stop are taken. ``only_new_limit``: ``max_tokens`` is refused.

    ``efforts`` are those that may be asked for, none where the model does not reason. ``search``: the model takes
    ``web_search_options``.
    """

    sampling: bool = True
    only_new_limit: bool = False
    efforts: tuple[Effort, ...] = ()
    search: bool = False


_COMMON: tuple[Effort, ...] = ("low", "medium", "high")
_UNKNOWN = Traits(efforts=_COMMON)


def _reasons(*efforts: Effort) -> Traits:
    return Traits(sampling=False, only_new_limit=True, efforts=efforts)


# The first that fits the last part of the name, so that hosts which write "openai/gpt-5" have the same.
_KNOWN: tuple[tuple[re.Pattern[str], Traits], ...] = (
    (re.compile(r"gpt-[\w.-]*search"), Traits(search=True)),
    (re.compile(r"gpt-[5-9][\w.-]*-chat"), Traits(only_new_limit=True)),
    (re.compile(r"gpt-5\.1(?!\d)"), _reasons("none", *_COMMON)),
    (re.compile(r"gpt-(5\.[2-9]|5\.\d\d|[6-9])"), _reasons("none", *_COMMON, "xhigh")),
    (re.compile(r"gpt-5"), _reasons("minimal", *_COMMON)),
    (re.compile(r"o[1-9](?![\w.]*b\b)"), _reasons(*_COMMON)),
    (re.compile(r"gpt-[34]|chatgpt-"), Traits()),
)


def traits_of(model: str) -> Traits:
    name = model.rpartition("/")[2]
    return next((traits for pattern, traits in _KNOWN if pattern.match(name)), _UNKNOWN)


def nearest_effort(asked: Effort, taken: tuple[Effort, ...]) -> Effort | None:
    """The effort to say: never none for some, nor some for none, unless there is no other; None to say nothing."""
    if asked in taken or not taken:
        return asked if taken else None
    if asked == "none":
        return taken[0] if taken[0] == "minimal" else None
    thinking = [effort for effort in taken if effort != "none"]
    rank = _RANKED.index(asked)
    return min(thinking, key=lambda effort: abs(_RANKED.index(effort) - rank))


def effort_of_budget(budget_tokens: int) -> Effort:
    """A budget of Anthropic's or Gemini's in OpenAI's words."""
    if budget_tokens == 0:
        return "none"
    return "low" if budget_tokens < 2048 else "medium" if budget_tokens < 4096 else "high"
