"""Where owners of budgets stand: the budget, what was spent in its window and since ever, and when it resets."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.budgets import Budget, BudgetWindow, parse_period, window_at
from app.storage.postgres.budgets import StoredBudget, find_budgets
from app.storage.postgres.tenant_spend import Level, Owner, spend_of

SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Standing:
    """``spend_nanousd`` is of the window that ends at ``resets_at``; without a duration, since ever."""

    budget: StoredBudget | None
    spend_nanousd: NanoUSD
    total_spend_nanousd: NanoUSD
    resets_at: datetime | None


async def standings(
    connection: AsyncConnection, level: Level, owners: Mapping[Owner, str | None], at: datetime
) -> dict[Owner, Standing]:
    """By owner, for ``owners`` and the ids of their budgets: two queries for all."""
    found = await find_budgets(connection, {budget_id for budget_id in owners.values() if budget_id is not None})
    budgets = {owner: found.get(budget_id or "") for owner, budget_id in owners.items()}
    windows = {owner: window_of(budget, at) for owner, budget in budgets.items()}
    spent = await spend_of(connection, level, [(owner, window.start) for owner, window in windows.items()])
    return {
        owner: Standing(budget, spent[owner].window_nanousd, spent[owner].total_nanousd, windows[owner].end)
        for owner, budget in budgets.items()
    }


def window_of(budget: StoredBudget | None, at: datetime) -> BudgetWindow:
    """The window that ``at`` lies in; without a duration it is since ever."""
    if budget is None:
        return BudgetWindow(SINCE_EVER, None)
    duration = None if budget.duration is None else parse_period(budget.duration)
    never_resets = duration is None or duration.unit == "total"
    counted = Budget(
        budget.budget_id,
        budget.limit_nanousd or 0,
        duration,
        SINCE_EVER if never_resets else budget.anchor,
        budget.counting_since,
        reset_at=budget.reset_at,
        zone=budget.timezone or "UTC",
    )
    return window_at(counted, at)


def snapshot(record: Any, **further: Any) -> dict[str, Any]:  # noqa: ANN401  any stored row
    """A row for the audit trail, with what belongs to it and stands elsewhere: its budget, say."""
    shown = {name: getattr(record, name) for name in type(record).__slots__}
    for name, value in further.items():
        shown[name] = snapshot(value) if hasattr(type(value), "__slots__") else value
    return shown
