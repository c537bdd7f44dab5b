"""What OpenAI's models accept, by the names they have."""

import re
from dataclasses import dataclass

from app.protocols.conversation import Effort

_ORDER: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, slots=True)
class Traits:
    """``reasoning`` None: not known, so what the client asks for is sent. No ``efforts``: any."""

    reasoning: bool | None = None
    sampling: bool = True
    efforts: tuple[Effort, ...] = ()

    def nearest(self, effort: Effort) -> Effort:
        """The effort that the model has for this wish: itself, or the next one, the smaller of two."""
        if not self.efforts or effort in self.efforts:
            return effort
        wish = _ORDER.index(effort)
        return min(self.efforts, key=lambda known: abs(_ORDER.index(known) - wish))


_UNKNOWN = Traits()
_PLAIN = Traits(reasoning=False)


def _thinking(*efforts: Effort) -> Traits:
    return Traits(reasoning=True, sampling=False, efforts=efforts)


# The first that matches the name's beginning.
_TABLE: tuple[tuple[re.Pattern[str], Traits], ...] = tuple(
    (re.compile(pattern), traits)
    for pattern, traits in (
        (r"gpt-[34]|chatgpt-|gpt-5[^/]*-chat", _PLAIN),
        (r"gpt-5-pro", _thinking("high")),
        (r"gpt-5-codex|o\d|codex-", _thinking("low", "medium", "high")),
        (r"gpt-5(?!\.)", _thinking("minimal", "low", "medium", "high")),
        (r"gpt-5\.1-codex-max", _thinking("none", "low", "medium", "high", "xhigh")),
        (r"gpt-5\.1", _thinking("none", "low", "medium", "high")),
        (r"gpt-5\.[2-5](?!\d)", _thinking("none", "low", "medium", "high", "xhigh")),
        (r"gpt-\d", _thinking("none", "low", "medium", "high", "xhigh", "max")),
    )
)


def traits_of(model: str) -> Traits:
    """``model`` may have a vendor before it: openai/gpt-5."""
    name = model.rpartition("/")[2].lower()
    return next((traits for pattern, traits in _TABLE if pattern.match(name)), _UNKNOWN)
