"""What the scripts of the ledger are told, and what they answer, as the scripts lay it out."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from app.domain.spend import (
    Admitted,
    BudgetClaim,
    BudgetStanding,
    Claim,
    RateClaim,
    RateStanding,
    Receipt,
    Refused,
)
from app.domain.tenancy import scopes_of
from app.storage.redis.encoding import encode_receipt

LEASES = b"{kh}:leases"
RECEIPTS = b"{kh}:receipts"
ADMITTED, MISSING = 0, 6
_OF_RATES = (1, 2, 3)
_REASONS: dict[int, Any] = {
    1: "requests",
    2: "tokens",
    3: "concurrency",
    4: "budget",
    5: "budget_held",
    7: "budget_short",
}

Arguments = list[bytes | str | int]


def scopes_of_receipt(receipt: Receipt) -> tuple[str, ...]:
    """Whose counters a receipt moves, the key's first."""
    owners = (receipt.key_id, receipt.team_id, receipt.user_id, receipt.organization_id)
    scopes = scopes_of(*owners, receipt.customer_id, receipt.tags, receipt.project_id)
    return (*scopes, *receipt.scopes) if receipt.scopes else scopes


def hold_key(request_id: str) -> bytes:
    return b"{kh}:hold:" + request_id.encode()


def counter_key(claim: BudgetClaim) -> bytes:
    return b"{kh}:budget:" + claim.counter.encode()


def end_of_hold(orphan: Receipt) -> bytes:
    """What a hold says of the receipt to book should we die, as ``hold.lua`` lays it out."""
    facts = f"{_scopes(orphan)} {microseconds(orphan.started_at)} {orphan.cost.total}\n"
    return facts.encode() + encode_receipt(orphan)


def _scopes(receipt: Receipt) -> str:
    """Where a receipt counts, as one word."""
    return ",".join(scopes_of_receipt(receipt))


def microseconds(at: datetime) -> int:
    # A double holds seconds since 1970 to a quarter of a microsecond, so rounding gives the very microsecond.
    return round(at.timestamp() * 1_000_000)


_microseconds_of_window = lru_cache(4096)(microseconds)  # a window has many calls


def window(claim: BudgetClaim) -> tuple[int, int | str]:
    return _microseconds_of_window(claim.start), "" if claim.end is None else _microseconds_of_window(claim.end)


_pack = msgspec.msgpack.Encoder().encode


def limit_argument(value: int | None) -> int | str:
    return "" if value is None else value


def settle_arguments(receipt: Receipt, tokens: int) -> tuple[list[bytes], Arguments]:
    keys = [hold_key(receipt.request_id), LEASES, RECEIPTS]
    arguments: Arguments = [
        receipt.request_id,
        receipt.cost.total,
        tokens,
        encode_receipt(receipt),
        _scopes(receipt),
        microseconds(receipt.started_at),
    ]
    return keys, arguments


def claim_arguments(claim: Claim, lease_ms: int) -> tuple[list[bytes], Arguments]:
    keys = [hold_key(claim.request_id), LEASES]
    rates = [
        (
            rate.scope,
            limits.requests,
            limits.tokens,
            limits.max_parallel_requests,
            limits.window_s,
            0 if rate.counted else 1,
        )
        for rate in claim.rates
        for limits in (rate.limits,)
    ]
    budgets = []
    for budget in claim.budgets:
        keys.append(counter_key(budget))
        budgets.append(
            (
                budget.counter,
                budget.scope,
                budget.limit_nanousd,
                budget.hold_nanousd,
                _microseconds_of_window(budget.start),
                None if budget.end is None else _microseconds_of_window(budget.end),
                budget.counting_since <= budget.start,
                budget.strict,
            )
        )
    packed = _pack((claim.tokens, lease_ms, rates, budgets))
    return keys, [claim.request_id, claim.tokens, end_of_hold(claim.if_orphaned), packed]


def read_answer(claim: Claim, answer: list[int]) -> Admitted | Refused:
    """After four numbers come two of each rate claim and then of each budget claim."""
    verdict, time_s, retry_s, number = answer[:4]
    if verdict in _OF_RATES:
        rate = claim.rates[number - 1]
        requests, tokens = _standings((rate,), answer[2 + 2 * number :], time_s)
        return Refused(_REASONS[verdict], retry_s, requests, tokens, rate=rate)
    first = 4 + 2 * len(claim.rates)
    requests, tokens = _standings(claim.rates, answer[4:first], time_s) if claim.rates else (None, None)
    if verdict == ADMITTED:
        numbers = iter(answer[first:])
        budgets = tuple(map(BudgetStanding, claim.budgets, numbers, numbers))
        return Admitted(requests, tokens, budgets)
    at = first + 2 * (number - 1)
    budget = BudgetStanding(claim.budgets[number - 1], answer[at], answer[at + 1])
    return Refused(_REASONS[verdict], retry_s, requests, tokens, budget)


def _standings(
    rates: Sequence[RateClaim], used: Sequence[int], time_s: int
) -> tuple[RateStanding | None, RateStanding | None]:
    """Of requests and of tokens the limit with the least left; ``used`` are both of each in turn."""
    requests: RateStanding | None = None
    tokens: RateStanding | None = None
    for place, rate in enumerate(rates):
        limits = rate.limits
        reset_s = limits.window_s - time_s % limits.window_s
        requests = _tighter(requests, limits.requests, used[2 * place], reset_s)
        tokens = _tighter(tokens, limits.tokens, used[2 * place + 1], reset_s)
    return requests, tokens


def _tighter(known: RateStanding | None, limit: int | None, used: int, reset_s: int) -> RateStanding | None:
    if limit is None:
        return known
    remaining = max(0, limit - used)
    return RateStanding(limit, remaining, reset_s) if known is None or remaining < known.remaining else known
