"""Where the parts of a key's budget stand: its further windows, and what single models may cost."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.budgets import Budget, window_at
from app.domain.tenancy import scope_of_model, scope_of_pool
from app.storage.postgres.budgets import budgets_of_key
from app.storage.postgres.owner_spend import spend_of_keys, spend_of_scope


@dataclass(frozen=True, slots=True)
class PartUse:
    """``duration`` as it was written; None is for ever."""

    budget: Budget
    duration: str | None
    spent_nanousd: NanoUSD
    resets_at: datetime | None


async def uses_of_parts(connection: AsyncConnection, key_id: str, at: datetime) -> list[PartUse]:
    """Of a key that was found before. Of one model there is what was spent since the budget was set."""
    uses = []
    for budget, duration in await budgets_of_key(connection, key_id):
        if not budget.part:
            continue
        window = window_at(budget, at)
        scope = scope_of_pool(budget.budget_id) if budget.pooled else key_id
        if budget.model is not None:
            scope = scope_of_model(scope, budget.model)
        if scope == key_id:
            spent = (await spend_of_keys(connection, [(key_id, window.start)]))[key_id].window_nanousd
        else:
            spent = await spend_of_scope(connection, scope, window.start)
        uses.append(PartUse(budget, duration, spent, window.end))
    return uses
