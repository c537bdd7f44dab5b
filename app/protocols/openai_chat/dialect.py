"""How hosts of the chat completions API differ from OpenAI's own."""

from dataclasses import dataclass
from typing import Literal

from app.protocols.codec import Dialect


@dataclass(frozen=True, slots=True)
class ChatDialect(Dialect):
    """``max_tokens_field`` is the one that the host knows; OpenAI's reasoning models refuse the old one.

    ``reasoning``: how thinking is asked for. effort: ``reasoning_effort``; switch: ``thinking: {"type": "enabled"}``
    alone (DeepSeek); object: ``reasoning: {…}`` (OpenRouter); none: the host decides.
    ``thoughts_field`` is where the host gives and takes its thoughts; ``takes_thoughts``: within a tool loop it wants
    them back. ``json_schema``: response_format takes a schema, not just json_object.
    ``web_search``: ``web_search_options`` are taken for any model.
    ``own_fields`` are top-level fields of the host's own that a caller may send. The rest says what the host takes.
    """

    issuer: str = "openai"
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    reasoning: Literal["effort", "switch", "object", "none"] = "effort"
    thoughts_field: str = "reasoning_content"
    takes_thoughts: bool = False
    json_schema: bool = True
    stream_usage: bool = True
    top_k: bool = False
    cache_marks: bool = False
    strict_tools: bool = True
    parallel_tool_calls: bool = True
    seed: bool = True
    penalties: bool = True
    images: bool = True
    documents: bool = False
    web_search: bool = False
    user: bool = True
    own_fields: frozenset[str] = frozenset()

    @property
    def misses_thoughts(self) -> bool:
        """Whether the host refuses a history with a call that has no thoughts before it, be they empty: DeepSeek does,
        in all turns, and calls of other models have none."""
        return self.takes_thoughts and self.reasoning == "switch"

    @property
    def is_inventor(self) -> bool:
        """Whether this is OpenAI's own API (or Azure's of it), which has fields that no other host has."""
        return self.issuer == "openai"


def dialect_of(dialect: Dialect) -> ChatDialect:
    """The host's own, or the plain one where a host is known by its name alone."""
    return dialect if isinstance(dialect, ChatDialect) else ChatDialect(issuer=dialect.issuer)
