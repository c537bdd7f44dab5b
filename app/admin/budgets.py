"""Use cases of shared budgets: made once, named by keys, teams, users, organizations and customers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetTerms, BudgetWords, check_amounts, recount
from app.admin.standings import snapshot
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.storage.postgres import budgets as rows
from app.storage.postgres.budgets import StoredBudget
from app.storage.postgres.engine import transaction
from app.storage.principals import Principals


@dataclass(frozen=True, slots=True)
class SharedBudgetTerms:
    """``further`` columns of budgets that are set beside the terms: rate limits, and whether it is a pool."""

    budget: BudgetTerms = field(default_factory=BudgetTerms)
    further: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Any]:
        return {**self.budget.own, **self.further}


class SharedBudgets:
    """``principals`` is told after each commit, for the sake of all keys below the budget's owners."""

    def __init__(self, engine: AsyncEngine, principals: Principals) -> None:
        self._engine = engine
        self._principals = principals

    async def create(self, budget_id: str | None, terms: SharedBudgetTerms, actor: Actor) -> StoredBudget:
        """Raises Unprocessable: a taken id, a soft limit above the limit."""
        made_id = budget_id or new_id("bud")
        at = now()
        values = {**terms.columns, "budget_id": made_id, "shared": True, "anchor": at, "counting_since": at}
        values |= {"created_at": at, "updated_at": at, "created_by": actor.name, "updated_by": actor.name}
        check_amounts(values, BudgetWords())
        async with transaction(self._engine) as connection:
            try:
                await rows.insert_budget(connection, values)
            except IntegrityError as error:
                raise Unprocessable(
                    f'"budget_id" is taken: "{made_id}"; choose another, or leave it out', param="budget_id"
                ) from error
            made = await _get(connection, made_id, "budget_id")
            await record_change(connection, actor, Change("budget.new", "budget", made_id, None, snapshot(made)))
        await self._principals.announce(f"budget:{made_id}")
        return made

    async def update(self, budget_id: str, terms: SharedBudgetTerms, actor: Actor) -> StoredBudget:
        """For all its owners at once. Raises NotFound, Unprocessable: a soft limit above the limit."""
        async with transaction(self._engine) as connection:
            before = await _get(connection, budget_id, "budget_id", lock=True)
            at = now()
            values = {**terms.columns, "updated_at": at, "updated_by": actor.name}
            values |= recount(values, before, at)
            check_amounts(snapshot(before) | values, BudgetWords())
            await rows.update_budget(connection, budget_id, values)
            after = await _get(connection, budget_id, "budget_id")
            change = Change("budget.update", "budget", budget_id, snapshot(before), snapshot(after))
            await record_change(connection, actor, change)
        await self._principals.announce(f"budget:{budget_id}")
        return after

    async def delete(self, budget_id: str, actor: Actor) -> StoredBudget:
        """Raises NotFound, Unprocessable for one that is in use."""
        async with transaction(self._engine) as connection:
            before = await _get(connection, budget_id, "id", lock=True)
            await rows.forget_by_deleted_keys(connection, budget_id)
            owners = await rows.count_owners(connection, budget_id)
            if owners:
                used = ", ".join(f"{count} of {kind}" for kind, count in owners.items())
                raise Unprocessable(
                    f'the budget "{budget_id}" is in use ({used}): give them another first, or none', param="id"
                )
            await rows.delete_shared_budget(connection, budget_id)
            await record_change(connection, actor, Change("budget.delete", "budget", budget_id, snapshot(before), None))
        await self._principals.announce(f"budget:{budget_id}")
        return before

    async def get(self, budget_ids: Sequence[str]) -> list[StoredBudget]:
        """In the order asked for. Raises NotFound."""
        async with transaction(self._engine) as connection:
            return [await _get(connection, budget_id, "budgets") for budget_id in budget_ids]

    async def owners(self, budget_id: str) -> dict[str, int]:
        """How many name it, by kind."""
        async with transaction(self._engine) as connection:
            return await rows.count_owners(connection, budget_id)

    async def list(self, number: int, size: int) -> tuple[list[StoredBudget], int]:
        """One page, newest first, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            return await rows.list_shared_budgets(connection, size, (number - 1) * size)


async def _get(connection: AsyncConnection, budget_id: str, param: str, *, lock: bool = False) -> StoredBudget:
    found = await rows.find_budget(connection, budget_id, lock=lock)
    if found is None or not found.shared:
        raise NotFound(f'no such shared budget: "{budget_id}"; see GET /budget/list', param=param)
    return found
