"""Token counts of one answer, in disjoint classes."""

from typing import Literal

import msgspec

UsageSource = Literal["provider", "counted", "estimated", "demo", "taken_over", "cache"]


class Usage(msgspec.Struct, frozen=True, array_like=True):
    """What one upstream attempt consumed. The counts are disjoint, except that ``reasoning`` is a part of ``output``.

    ``input`` excludes everything read from or written to a prompt cache. ``web_searches`` are calls of the
    provider's own search tool, ``file_searches`` of its search in files that it keeps. The cost of an answer is the
    sum of count × price over the disjoint classes.
    ``service`` is the tier at which the provider served the call, as its answer says: ``flex``, ``priority``,
    ``batch``, ``fast``, several joined by ``+``; empty is the standard one.
    """

    input: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0
    images: int = 0
    web_searches: int = 0
    service: str = ""
    file_searches: int = 0

    @property
    def prompt_tokens(self) -> int:
        """All tokens that went in, cached or not: what decides a price tier."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h + self.audio_input

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.output + self.audio_output

    def rate_tokens(self, cached_percent: int) -> int:
        """What counts on limits of tokens: of what was read from a prompt cache so many per cent, rounded up."""
        return self.total_tokens - self.cache_read * (100 - cached_percent) // 100
