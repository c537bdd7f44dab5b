"""What a caller has spent of its budgets, and what limits it: for clients that show it to their user."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.base.money import NanoUSD
from app.domain.access import Principal
from app.domain.budgets import SINCE_EVER, BudgetWindow
from app.domain.own_spending import BudgetUse, OwnSpending, calendar_starts
from app.domain.spend import BudgetClaim, RateClaim
from app.gateway.claims import budget_claims, rate_claims, whose
from app.gateway.ports import Spending


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """A budget in the window that runs; ``whose`` in words: ``team "research"``."""

    whose: str
    claim: BudgetClaim
    spent_nanousd: NanoUSD


@dataclass(frozen=True, slots=True)
class KeySpending:
    """Of the key alone: since ever, and in the day, the week (from Monday) and the month of UTC."""

    total_nanousd: NanoUSD
    day_nanousd: NanoUSD
    week_nanousd: NanoUSD
    month_nanousd: NanoUSD


class OwnUsage:
    def __init__(self, spending: Spending) -> None:
        self._spending = spending

    async def find(self, principal: Principal, at: datetime) -> OwnSpending:
        """Raises StorageUnavailable."""
        # Budgets of single models are left out: here is no model that they would be about.
        claims = [claim for claim in budget_claims(principal, (), 0, at) if not claim.pace]
        if claims:
            spent = await self._spending.since([(claim.scope, claim.start) for claim in claims])
            uses = [
                BudgetUse(claim.limit_nanousd, amount, BudgetWindow(claim.start, claim.end))
                for claim, amount in zip(claims, spent, strict=True)
            ]
            return OwnSpending(tuple(uses))
        key_id = principal.key.key_id
        day, week, month = await self._spending.since([(key_id, start) for start in calendar_starts(at)])
        return OwnSpending((), day, week, month)

    async def budgets(self, principal: Principal, at: datetime) -> list[BudgetStanding]:
        """Every budget of the key and of the levels above it, those of single models too, the key's first.

        Raises StorageUnavailable.
        """
        [found] = await self.budgets_of([principal], at)
        return found

    async def budgets_of(self, principals: Sequence[Principal], at: datetime) -> list[list[BudgetStanding]]:
        """``budgets`` of each of several, asked at once."""
        claims = [budget_claims(principal, None, 0, at) for principal in principals]
        windows = list(dict.fromkeys((claim.scope, claim.start) for each in claims for claim in each))
        spent = dict(zip(windows, await self._spending.since(windows) if windows else [], strict=True))
        return [
            [BudgetStanding(whose(principal, one.scope), one, spent[one.scope, one.start]) for one in each]
            for principal, each in zip(principals, claims, strict=True)
        ]

    def limits(self, principal: Principal) -> list[tuple[str, RateClaim]]:
        """Every rate limit of the key and of the levels above it, each with whose it is in words."""
        return [(whose(principal, claim.scope), claim) for claim in rate_claims(principal, None)]

    async def spending(self, key_id: str, at: datetime) -> KeySpending:
        """Raises StorageUnavailable."""
        starts = (SINCE_EVER, *calendar_starts(at))
        return KeySpending(*await self._spending.since([(key_id, start) for start in starts]))
