"""Rate limit and budget headers of a success, as Anthropic's API and its own gateway write them."""

from datetime import UTC, datetime
from functools import lru_cache

from app.domain.spend import Admitted, BudgetStanding, RateStanding
from app.protocols.codec import Header

_OF_REQUESTS, _OF_TOKENS = (
    (
        b"anthropic-ratelimit-%s-limit" % what,
        b"anthropic-ratelimit-%s-remaining" % what,
        b"anthropic-ratelimit-%s-reset" % what,
    )
    for what in (b"requests", b"tokens")
)
_UNIFIED = b"anthropic-ratelimit-unified-"
WARNING_PERCENT = 75
LAST_WARNING_PERCENT = 95


def limit_headers(admitted: Admitted, at_unix: int) -> list[Header]:
    headers: list[Header] = []
    if admitted.requests is not None:
        headers += _rate_headers(_OF_REQUESTS, admitted.requests, at_unix)
    if admitted.tokens is not None:
        headers += _rate_headers(_OF_TOKENS, admitted.tokens, at_unix)
    if budgets := [standing for standing in admitted.budgets if not standing.claim.pace]:
        headers += _budget_headers(max(budgets, key=_spent_percent) if len(budgets) > 1 else budgets[0])
    return headers


def _rate_headers(names: tuple[bytes, bytes, bytes], standing: RateStanding, at_unix: int) -> tuple[Header, ...]:
    limit, remaining, reset = names
    return (
        (limit, b"%d" % standing.limit),
        (remaining, b"%d" % max(0, standing.remaining)),
        (reset, _rfc_3339(at_unix + standing.reset_s)),
    )


@lru_cache(maxsize=64)
def _rfc_3339(unix_s: int) -> bytes:
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


def _budget_headers(standing: BudgetStanding) -> list[Header]:
    """Claude Code warns its user when the threshold header is there."""
    percent = int(_spent_percent(standing))
    status = b"allowed_warning" if percent >= WARNING_PERCENT else b"allowed"
    headers: list[Header] = [
        (_UNIFIED + b"status", status),
        (_UNIFIED + b"representative-claim", b"overage"),
        (_UNIFIED + b"overage-status", status),
        (_UNIFIED + b"overage-utilization", b"0.%02d" % min(99, percent)),
    ]
    if percent >= WARNING_PERCENT:
        threshold = b"0.95" if percent >= LAST_WARNING_PERCENT else b"0.75"
        headers.append((_UNIFIED + b"overage-surpassed-threshold", threshold))
    if standing.claim.end is not None:
        reset = b"%d" % standing.claim.end.timestamp()
        headers += [(_UNIFIED + b"reset", reset), (_UNIFIED + b"overage-reset", reset)]
    return headers


def _spent_percent(standing: BudgetStanding) -> float:
    """Whole percents are exact: 74.9 is no 75. Holds of running requests do not count as spent."""
    limit, spent = standing.claim.limit_nanousd, max(0, standing.spent_nanousd)
    if limit <= 0:
        return 100.0
    hundredths = spent * 10_000 // limit
    return hundredths / 100
