"""Use cases of the budgets of access groups: what all calls of the models in a group may cost together."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.access_groups import AccessGroups
from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetTerms, Life, write_budget
from app.admin.live_catalog import LiveCatalog
from app.admin.standings import Standing, snapshot, window_of
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.domain.tenancy import PLATFORM, scope_of_model
from app.storage.postgres.access_group_budgets import (
    delete_group_budget,
    find_group_budget,
    list_group_budgets,
    put_group_budget,
)
from app.storage.postgres.budgets import StoredBudget
from app.storage.postgres.engine import transaction
from app.storage.postgres.owner_spend import spend_of_scope


class AccessGroupBudgets:
    """``catalog`` is told after each commit: calls are held against what it says."""

    def __init__(self, engine: AsyncEngine, catalog: LiveCatalog, groups: AccessGroups) -> None:
        self._engine = engine
        self._catalog = catalog
        self._groups = groups

    async def put(self, name: str, terms: BudgetTerms, actor: Actor) -> Standing:
        """Make it, or change what is given. Raises NotFound for an unknown group, Unprocessable for bad terms."""
        self._groups.get(name)
        async with transaction(self._engine) as connection:
            before = await find_group_budget(connection, name, lock=True)
            life = None if before is None else Life(before.created_at)
            written = await write_budget(connection, terms, before, actor, life=life)
            if written.budget_id is None:
                raise Unprocessable(
                    f'"max_budget" is missing: DELETE /access_group/{name}/budget takes a budget away',
                    param="max_budget",
                )
            await put_group_budget(connection, name, written.budget_id)
            after = await find_group_budget(connection, name)
            await record_change(connection, actor, _change("access_group.budget", name, before, after))
            standing = await _standing(connection, name, after)
        await self._catalog.changed()
        return standing

    async def delete(self, name: str, actor: Actor) -> None:
        """Raises NotFound, also for a group without a budget."""
        self._groups.get(name)
        async with transaction(self._engine) as connection:
            before = await find_group_budget(connection, name, lock=True)
            if before is None:
                raise NotFound(f'the access group "{name}" has no budget', param="access_group")
            await delete_group_budget(connection, name)
            await record_change(connection, actor, _change("access_group.budget.delete", name, before, None))
        await self._catalog.changed()

    async def get(self, name: str) -> Standing:
        """Raises NotFound for an unknown group."""
        self._groups.get(name)
        return (await self.of([name]))[name]

    async def of(self, names: Sequence[str]) -> dict[str, Standing]:
        async with transaction(self._engine) as connection:
            found = await list_group_budgets(connection)
            return {name: await _standing(connection, name, found.get(name)) for name in names}


async def _standing(connection: AsyncConnection, name: str, budget: StoredBudget | None) -> Standing:
    """What counts on no budget is not told apart, so without one nothing is known of the spend."""
    if budget is None:
        return Standing(None, 0, 0, None)
    window, scope = window_of(budget, now()), scope_of_model(PLATFORM, name)
    ever = window_of(None, now()).start
    spent = [await spend_of_scope(connection, scope, start) for start in (window.start, ever)]
    return Standing(budget, spent[0], spent[1], window.end)


def _change(action: str, name: str, before: StoredBudget | None, after: StoredBudget | None) -> Change:
    shown: list[dict[str, Any] | None] = [None if one is None else snapshot(one) for one in (before, after)]
    return Change(action, "access_group", name, *shown)
