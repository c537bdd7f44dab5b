"""Under which names the models of other makers come into Claude Code's model picker, and what they mean."""

import re

from app.domain.catalog import PICKER_PREFIX, Model

SMALLEST_WINDOW = 100_000
"""Tokens. Below this Claude Code can neither be told the size of the window nor shorten a conversation in time."""
ASSUMED_WINDOW = 200_000
"""Tokens. The least that any version takes the window of a model that it does not know to be."""
_is_shown = re.compile("claude|anthropic", re.IGNORECASE).search


def picker_name(model: Model) -> str | None:
    """The second name under which the picker shows the model; None where it needs none, or should not be there.

    The client keeps names that hold ``claude`` or ``anthropic``, and before 2.1.223 only those that begin so.
    """
    if model.claude_code_name is not None:
        return model.claude_code_name
    if _is_shown(model.name) or not model.generates_text:
        return None
    if model.max_input_tokens is not None and model.max_input_tokens < SMALLEST_WINDOW:
        return None
    return f"{PICKER_PREFIX}{model.name}"


def plain_name(model: Model, asked: str) -> str:
    """What was asked for, with a name of the picker put back to the model's own: for books and reports."""
    return model.name if asked.startswith(PICKER_PREFIX) or asked == model.claude_code_name else asked
