"""What was spent on budgets in the windows that run: for the watch of alerts, and for the page of budgets."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.alert_words import BudgetFacts
from app.domain.budgets import limit_at, window_at
from app.domain.tenancy import owners_in
from app.storage.postgres import alert_sources as sources
from app.storage.postgres.alert_sources import WatchedBudget, WatchedKind
from app.storage.postgres.owner_spend import spend_of_owners, spend_of_scopes


async def budget_facts(
    connection: AsyncConnection, kind: WatchedKind, watched: Sequence[WatchedBudget], at: datetime
) -> list[tuple[WatchedBudget, BudgetFacts]]:
    """What was spent on each; a pool that several name is one."""
    once: dict[tuple[str, str, str], WatchedBudget] = {
        (one.owner.scope, one.budget.budget_id, one.budget.part): one for one in watched
    }
    windows = {name: window_at(one.budget, at) for name, one in once.items()}
    spent: dict[tuple[str, str, str], int] = {}
    by_part: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    of_scopes = {
        name: (one.owner.scope, windows[name].start)
        for name, one in once.items()
        if "scope" in owners_in(one.owner.scope)
    }
    by_scope = await spend_of_scopes(connection, set(of_scopes.values()))
    spent |= {name: by_scope[window] for name, window in of_scopes.items()}
    for name, one in once.items():
        if name not in of_scopes:
            by_part[one.budget.part].append(name)
    # An owner stands once in each of these: of its several windows each is asked by itself.
    for names in by_part.values():
        starts = [(once[name].ids, windows[name].start) for name in names]
        found = await spend_of_owners(connection, sources.OWNER_COLUMNS[kind], starts)
        spent |= {name: found[once[name].ids].window_nanousd for name in names}
    return [
        (
            one,
            BudgetFacts(
                owner=one.owner,
                budget=one.budget,
                window=windows[name],
                spent_nanousd=spent[name],
                limit_nanousd=limit_at(one.budget, at) if one.refuses else None,
                soft_limit_nanousd=one.soft_limit_nanousd,
            ),
        )
        for name, one in once.items()
    ]
