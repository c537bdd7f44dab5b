"""Rate limits of one scope, and the fixed windows in which they are counted."""

from dataclasses import dataclass, replace

MINUTE_S = 60
WINDOWS_S = {"minute": MINUTE_S, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests and tokens in a window, and how many calls at once; None is no limit.

    Windows are fixed, of the store's clock: minutes, hours and days of UTC. So "when does one more fit" has one true
    answer, the end of the window. With a ``model``, a name or a pattern, only calls of such models count.
    """

    requests: int | None = None
    tokens: int | None = None
    max_parallel_requests: int | None = None
    window_s: int = MINUTE_S
    model: str | None = None

    @property
    def window(self) -> str:
        """In words: ``minute``."""
        return next((name for name, seconds in WINDOWS_S.items() if seconds == self.window_s), f"{self.window_s} s")

    def without_tokens(self) -> "RateLimits":
        return replace(self, tokens=None)
