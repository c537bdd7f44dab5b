"""Rate limits in the headers of a success by OpenAI's names, which most clients know."""

from app.domain.spend import Admitted, RateStanding
from app.protocols.codec import Header


def limit_headers(admitted: Admitted) -> list[Header]:
    """Only rate limits: there is no header for budgets, and the time to the reset is relative."""
    headers: list[Header] = []
    if admitted.requests is not None:
        headers += _rate_headers(b"requests", admitted.requests)
    if admitted.tokens is not None:
        headers += _rate_headers(b"tokens", admitted.tokens)
    return headers


def _rate_headers(what: bytes, standing: RateStanding) -> list[Header]:
    return [
        (b"x-ratelimit-limit-" + what, b"%d" % standing.limit),
        (b"x-ratelimit-remaining-" + what, b"%d" % max(0, standing.remaining)),
        (b"x-ratelimit-reset-" + what, b"%ds" % max(0, standing.reset_s)),
    ]
