"""Rate limits of one scope, and the fixed windows in which they are counted."""

from dataclasses import dataclass

RATE_WINDOW_S = 60


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Per minute, and how many at once; None is no limit.

    Requests and tokens are counted in fixed windows of 60 s of the store's clock, so that "when does one more fit"
    has one true answer: the end of the window.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_parallel_requests: int | None = None

    def without_tokens(self) -> "RateLimits":
        return RateLimits(self.requests_per_minute, None, self.max_parallel_requests)
