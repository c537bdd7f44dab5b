"""How much well-known models can write at most: their hosts refuse a request that asks for more.

Agents ask every model for what their vendor's own can write. Source: the vendors' pages of models.
"""

import re
from functools import lru_cache

import msgspec

from app.protocols.conversation import Conversation
from app.protocols.losses import Losses

# The first that is found in the name; a model that none fits is taken at the client's word.
_LIMITS = tuple(
    (re.compile(pattern), most)
    for pattern, most in (
        (r"gpt-4o-2024-05-13|gpt-4-(turbo|1106|0125|vision)|gpt-3\.5", 4096),
        (r"gpt-4-?(0314|0613)?$", 8192),
        (r"gpt-4o|gpt-5[^/]*-chat", 16_384),
        (r"gpt-4\.1", 32_768),
        (r"gpt-5[^/]*-pro", 272_000),
        (r"gpt-5", 128_000),
        (r"(^|/)o[134](-|$)", 100_000),
        (r"gemini-(1\.|2\.0)", 8192),
        (r"gemini-(2\.5|3)", 65_535),
        (r"claude-3-(opus|sonnet|haiku)|claude-(2|instant)", 4096),
        (r"claude-3[-.]5", 8192),
        (r"claude-opus-4(-1)?(-2025|@|$)|opus-4\.1", 32_000),
        (r"claude-3[-.]7|(sonnet|haiku|opus)-4[-.]5|claude-sonnet-4(-2025|@|$)", 64_000),
        (r"(sonnet|opus)-4[-.][678]", 128_000),
    )
)


@lru_cache(maxsize=256)
def most_output_tokens(model: str) -> int | None:
    """None where it is not known."""
    name = model.lower()
    return next((most for pattern, most in _LIMITS if pattern.search(name)), None)


def within_limits(conversation: Conversation, losses: Losses) -> Conversation:
    """The conversation with no more asked for than its model can write."""
    asked, most = conversation.max_output_tokens, most_output_tokens(conversation.model)
    if asked is None or most is None or asked <= most:
        return conversation
    losses.approximate("max_tokens")
    return msgspec.structs.replace(conversation, max_output_tokens=most)
