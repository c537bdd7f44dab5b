"""What one request holds before it runs, and what its receipt says after.

Each request makes several of these records, so they are msgspec Structs: made and encoded in a fraction of the time
of frozen dataclasses.
"""

from datetime import datetime
from typing import Literal

import msgspec

from app.base.ids import BudgetId
from app.base.money import NanoUSD
from app.domain.limits import RateLimits
from app.domain.pricing import Cost, PriceSource
from app.domain.usage import Usage, UsageSource

ReceiptStatus = Literal["ok", "error", "cut", "hung_up"]
RequestClass = Literal["main", "subagent", "workflow", "compaction", "auxiliary", "probe", "batch", "unknown"]
ReceiptKind = Literal["usage", "adjustment"]


class Receipt(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """What one upstream attempt cost, and why. Written once, never changed; unique by request, attempt and start.

    Encoded as an array that begins with its version: fields may only be added at the end, with a default, so that
    older and newer processes read each other's receipts. The same holds for Usage and Cost.

    ``status``: ok; error = the provider broke off; hung_up = the client left; cut = our process died, or a budget
    ended the stream.
    ``usage_source`` says who counted: the provider, we while the bytes passed, or an estimate; ``cache``: nobody, as
    the answer was a stored one, and ``saved_nanousd`` is what that had cost.
    ``request_class`` is a RequestClass, or one of a newer process. ``client`` is the program that called, with
    its version. ``kind`` adjustment corrects what was booked before: it is no request, and may be below zero.
    ``project`` is what reports call by that name: the key's own project, else what the call says; ``project_id`` is the
    key's own alone, whose budgets it counts on.
    ``step_down`` is why a cheaper model than the one asked for has served it: per cent of a budget, or a word.
    ``scopes`` are those that it counts on and its owners do not tell: pools, and budgets of one model.
    ``notional_nanousd``: the caller's own login paid, so the cost is zero, and this is what it would have been.
    ``kept_as`` is the provider's name for the answer, where it keeps it for later requests to name; the book notes
    whose it is, and no column of a receipt says it.
    """

    request_id: str
    attempt: int
    started_at: datetime
    duration_ms: int
    first_byte_ms: int | None
    organization_id: str | None
    team_id: str | None
    user_id: str | None
    key_id: str
    customer_id: str | None
    tags: tuple[str, ...]
    session_id: str | None
    agent_id: str | None
    route: str
    model_asked: str
    model_served: str
    provider: str
    deployment_id: str
    protocol_in: str
    protocol_out: str
    streamed: bool
    usage: Usage
    cost: Cost
    price_version: str
    price_source: PriceSource
    usage_source: UsageSource
    status: ReceiptStatus
    finish_reason: str | None
    request_class: str = "unknown"
    project: str | None = None
    parent_agent_id: str | None = None
    agent_type: str | None = None
    prompt_id: str | None = None
    client: str | None = None
    kind: ReceiptKind = "usage"
    scopes: tuple[str, ...] = ()
    saved_nanousd: NanoUSD = 0
    project_id: str | None = None
    notional_nanousd: NanoUSD | None = None
    step_down: str | None = None
    kept_as: str | None = None


class BudgetClaim(msgspec.Struct, frozen=True):
    """A window of a budget against which ``hold_nanousd`` is to be held.

    ``counter`` names the counter in the store: the same for every request of the window. ``scope`` says whose it is
    (app.domain.tenancy). ``start`` and ``counting_since`` tell the store whether a missing counter means nothing
    spent, or must be rebuilt. A ``strict`` one may not be exceeded: what does not fit is refused, and a stream is cut.
    ``pace``: it is a limit of dollars a minute, hour or day, and no budget. ``strict`` None: as the settings say.
    """

    counter: str
    budget_id: BudgetId
    scope: str
    limit_nanousd: NanoUSD
    hold_nanousd: NanoUSD
    start: datetime
    end: datetime | None
    counting_since: datetime
    strict: bool | None = None
    pace: bool = False
    soft_nanousd: NanoUSD | None = None


class Growth(msgspec.Struct, frozen=True):
    """More to be held on a budget while a call runs: ``wanted_nanousd`` in all. Where the claim is strict: what of it
    there is room for, and at least ``least_nanousd``; else beyond the limit too, as the call is finished."""

    claim: BudgetClaim
    least_nanousd: NanoUSD
    wanted_nanousd: NanoUSD


class RateClaim(msgspec.Struct, frozen=True):
    """Rate limits under which a request counts; ``scope`` says whose they are (app.domain.tenancy).

    Of limits in other windows than a minute, the window's seconds end the scope: ``team:red@3600``. ``counted``: an
    earlier attempt of the same request was counted among its requests already.
    """

    scope: str
    limits: RateLimits
    counted: bool = False


class Claim(msgspec.Struct, frozen=True):
    """Everything one request asks of the ledger, of its key and of every level above, in one atomic step.

    ``if_orphaned`` is the receipt that the sweeper books when our process dies: the estimate of what the call costs.
    ``tokens`` is the estimate for the token limits.
    """

    request_id: str
    rates: tuple[RateClaim, ...]
    tokens: int
    budgets: tuple[BudgetClaim, ...]
    if_orphaned: Receipt


class RateStanding(msgspec.Struct, frozen=True):
    """Where one rate limit stands after this request; ``reset_s`` is the time to the end of the window."""

    limit: int
    remaining: int
    reset_s: int


class BudgetStanding(msgspec.Struct, frozen=True):
    """Where one budget stands: ``held_nanousd`` by running requests, this one included when it was admitted."""

    claim: BudgetClaim
    spent_nanousd: NanoUSD
    held_nanousd: NanoUSD


class Admitted(msgspec.Struct, frozen=True):
    """Of several rate limits the standings are those with the least left."""

    requests: RateStanding | None
    tokens: RateStanding | None
    budgets: tuple[BudgetStanding, ...]


class Refused(msgspec.Struct, frozen=True):
    """Nothing was changed. ``budget_held``: the limit is not spent, but running requests hold what is left of it.

    ``budget_short``: it may not be exceeded, and what is left is less than the call may cost.
    ``rate`` is the claim whose rate limit is reached, ``requests`` and ``tokens`` are its standings; ``budget`` is
    the standing of the budget that refuses.
    """

    reason: Literal["requests", "tokens", "concurrency", "budget", "budget_held", "budget_short"]
    retry_after_s: int
    requests: RateStanding | None = None
    tokens: RateStanding | None = None
    budget: BudgetStanding | None = None
    rate: RateClaim | None = None
