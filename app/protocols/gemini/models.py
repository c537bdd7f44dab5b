"""What sets Gemini's models apart, by the beginning of their names."""

import re
from typing import Literal

import msgspec

Thinks = Literal["no", "budget", "level"]


class ModelFacts(msgspec.Struct, frozen=True):
    """``json_schema``: the model takes ordinary JSON Schema, not just the OpenAPI subset.

    ``thinks``: it is told how much by a budget of tokens, by a level, or not at all. ``least`` and ``most`` bound the
    budget; ``can_stop``: a budget of 0 switches thinking off. ``levels`` are those that it knows, from the lowest.
    ``signed_calls``: function calls go back with the signature that came with them, or with a dummy.
    ``response_parts``: a function's response may hold images.
    """

    json_schema: bool = True
    thinks: Thinks = "level"
    least: int = 0
    most: int = 24_576
    can_stop: bool = True
    levels: tuple[str, ...] = ("low", "medium", "high")
    signed_calls: bool = True
    response_parts: bool = True


def _before_3(thinks: Thinks, *, least: int = 1, most: int = 24_576, can_stop: bool = True) -> ModelFacts:
    return ModelFacts(
        thinks=thinks, least=least, most=most, can_stop=can_stop, signed_calls=False, response_parts=False
    )


_OLD = ModelFacts(json_schema=False, thinks="no", signed_calls=False, response_parts=False)
_FLASH_LEVELS = ("minimal", "low", "medium", "high")

# The first that matches counts; what nothing matches is new, and taken for the current generation.
_FACTS = (
    (r"(gemini-)?(1\.|2\.0|pro\b|exp|ultra)|learnlm|gemma|text-|chat-|aqa", _OLD),
    (r"gemini-2\.5-.*(image|tts|native-audio)", _before_3("no")),
    (r"gemini-2\.5-flash-lite", _before_3("budget", least=512)),
    (r"gemini-2\.5-flash", _before_3("budget")),
    (r"gemini-2\.5-pro", _before_3("budget", least=128, most=32_768, can_stop=False)),
    (r"gemini-2\.5", _before_3("budget", least=128)),
    (r"gemini-3-pro-image", ModelFacts(thinks="no")),
    (r"gemini-3-pro", ModelFacts(levels=("low", "high"))),
    (r"gemini-.*flash", ModelFacts(levels=_FLASH_LEVELS)),
)
_PATTERNS = tuple((re.compile(pattern), facts) for pattern, facts in _FACTS)
_CURRENT = ModelFacts()


def facts_of(model: str) -> ModelFacts:
    """``model`` is the host's name, with or without the path that Vertex AI and the Gemini API put before it."""
    name = model.rpartition("/")[2]
    return next((facts for pattern, facts in _PATTERNS if pattern.match(name)), _CURRENT)
