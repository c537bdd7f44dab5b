"""What is left: of the budgets and rate limits of a person's keys, and of every level above them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.key_reading import KeyView
from app.api.ui.access import Pages
from app.api.ui.machine import Machine
from app.api.ui.own_keys import OwnKeys
from app.base.clock import now
from app.base.money import NanoUSD
from app.domain.access import Principal
from app.domain.spend import RateClaim
from app.domain.tenancy import PLATFORM
from app.gateway.own_usage import BudgetStanding, OwnUsage
from app.storage.redis.counters import RateUse

AnyRequest = Request[Any, Any, Any]
_PAGE = "/ui/my-limits"
_MOST_KEYS = 25


@dataclass(slots=True)
class BudgetLine:
    """A budget that bounds some of the keys."""

    standing: BudgetStanding
    keys: list[str] = field(default_factory=list)

    @property
    def is_of_key(self) -> bool:
        return _is_of_key(self.standing.claim.scope)

    @property
    def left_nanousd(self) -> NanoUSD:
        return max(0, self.standing.claim.limit_nanousd - self.standing.spent_nanousd)

    @property
    def thousandths(self) -> int:
        limit = self.standing.claim.limit_nanousd
        return min(self.standing.spent_nanousd * 1_000 // limit, 1_000) if limit > 0 else 1_000

    @property
    def tone(self) -> str:
        return "bad" if self.thousandths >= 1_000 else "warn" if self.thousandths >= 900 else ""


@dataclass(slots=True)
class RateLine:
    """A rate limit that bounds some of the keys, with what is used of it now."""

    whose: str
    claim: RateClaim
    use: RateUse
    keys: list[str] = field(default_factory=list)

    @property
    def is_of_key(self) -> bool:
        return _is_of_key(self.claim.scope)

    @property
    def parts(self) -> list[tuple[str, int, int]]:
        """What is limited, in words, how much of it is used and how much there may be."""
        limits, use = self.claim.limits, self.use
        named = [
            (f"requests this {limits.window}", use.requests, limits.requests),
            (f"tokens this {limits.window}", use.tokens, limits.tokens),
            ("calls at the same time", use.running, limits.max_parallel_requests),
        ]
        return [(words, used, most) for words, used, most in named if most is not None]


@dataclass(frozen=True, slots=True)
class KeyLine:
    """``tightest`` is the budget that leaves the least; None where none bounds the key."""

    view: KeyView
    tightest: BudgetLine | None


class MyLimitsPages(Controller):
    """On the service of ``/key/self``: of each of the own keys what that key may know."""

    include_in_schema = False

    @get(_PAGE)
    async def page(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        own_keys: NamedDependency[OwnKeys],
        own_usage: NamedDependency[OwnUsage],
        machine: NamedDependency[Machine],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "key.read")
        own = await own_keys.list(person)
        found = [(view, await own_keys.principal(view)) for view in own[:_MOST_KEYS]]
        known = [(view, principal) for view, principal in found if principal is not None]
        standings = await own_usage.budgets_of([principal for _, principal in known], now())
        budgets, keys = _budget_lines(known, standings)
        rates = await _rate_lines(known, own_usage, machine)
        values = {"keys": keys, "budgets": budgets, "rates": rates, "further": len(own) - len(found)}
        values |= {"may_make": person.may("key.change")}
        return pages.show(request, "my_limits.html", person, **values)  # type: ignore[arg-type]  # none is the status


def _budget_lines(
    known: Sequence[tuple[KeyView, Principal]], standings: Sequence[Sequence[BudgetStanding]]
) -> tuple[list[BudgetLine], list[KeyLine]]:
    """Each budget once, the fullest first; and the keys. Budgets of one model bound a key in part only, and dollars a
    minute are soon there again: neither is what a key has left."""
    lines: dict[str, BudgetLine] = {}
    keys = []
    for (view, _), each in zip(known, standings, strict=True):
        bounds = []
        for standing in each:
            line = lines.setdefault(standing.claim.counter, BudgetLine(standing))
            line.keys.append(_name(view))
            if not standing.claim.pace and not standing.claim.scope.startswith("model:"):
                bounds.append(line)
        keys.append(KeyLine(view, min(bounds, key=lambda line: line.left_nanousd, default=None)))
    return sorted(lines.values(), key=lambda line: -line.thousandths), keys


async def _rate_lines(
    known: Iterable[tuple[KeyView, Principal]], own_usage: OwnUsage, machine: Machine
) -> list[RateLine]:
    lines: dict[RateClaim, RateLine] = {}
    for view, principal in known:
        for whose, claim in own_usage.limits(principal):
            line = lines.setdefault(claim, RateLine(whose, claim, RateUse(0, 0, 0)))
            line.keys.append(_name(view))
    used = await machine.counters.rates([(claim.scope, claim.limits.window_s) for claim in lines])
    for line, use in zip(lines.values(), used, strict=True):
        line.use = use
    return list(lines.values())


def _is_of_key(scope: str) -> bool:
    """Whether it is the key's own, so that the key's name says whose it is."""
    return ":" not in scope.partition("@")[0] and scope != PLATFORM


def _name(view: KeyView) -> str:
    return view.key.key_alias or f"…{view.key.last_four}"
