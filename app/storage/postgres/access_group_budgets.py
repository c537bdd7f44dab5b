"""Queries on the budgets of access groups, each of which belongs to one group alone."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.alert_words import Owner
from app.domain.budgets import Budget
from app.domain.tenancy import PLATFORM, scope_of_model
from app.storage.postgres.alert_sources import WatchedBudget, watched_of
from app.storage.postgres.budgets import StoredBudget, delete_own_budgets, find_budgets
from app.storage.postgres.tables import access_group_budgets, budgets
from app.storage.postgres.terms import TERMS

_NAMED = select(access_group_budgets.c.access_group, access_group_budgets.c.budget_id)
_COUNTED = select(access_group_budgets.c.access_group, *(budgets.c[name] for name in TERMS)).join_from(
    access_group_budgets, budgets, budgets.c.budget_id == access_group_budgets.c.budget_id
)


async def find_group_budget(connection: AsyncConnection, name: str, *, lock: bool = False) -> StoredBudget | None:
    query = _NAMED.where(access_group_budgets.c.access_group == name)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else (await find_budgets(connection, [row.budget_id]))[row.budget_id]


async def list_group_budgets(connection: AsyncConnection) -> dict[str, StoredBudget]:
    """By group."""
    named = {row.access_group: row.budget_id for row in await connection.execute(_NAMED)}
    found = await find_budgets(connection, named.values())
    return {name: found[budget_id] for name, budget_id in named.items()}


async def list_counted(connection: AsyncConnection) -> Sequence[Budget]:
    """As calls are held against them: a group is a pattern of models."""
    return [one.budget for one in await list_watched_groups(connection) if one.refuses]


async def list_watched_groups(connection: AsyncConnection) -> Sequence[WatchedBudget]:
    """As the board and the alerts look at budgets; ``ids`` is the group."""
    found: list[WatchedBudget] = []
    for row in await connection.execute(_COUNTED.order_by(access_group_budgets.c.access_group)):
        name = row.access_group
        owner = Owner(scope_of_model(PLATFORM, name), f'access group "{name}"')
        watched = watched_of("platform", (name,), owner, row, None)
        found += [replace(one, budget=replace(one.budget, model=name)) for one in watched]
    return found


async def put_group_budget(connection: AsyncConnection, name: str, budget_id: str) -> None:
    made = insert(access_group_budgets).values(access_group=name, budget_id=budget_id)
    await connection.execute(made.on_conflict_do_nothing())


async def delete_group_budget(connection: AsyncConnection, name: str) -> None:
    which = access_group_budgets.c.access_group == name
    gone = await connection.execute(
        delete(access_group_budgets).where(which).returning(access_group_budgets.c.budget_id)
    )
    await delete_own_budgets(connection, list(gone.scalars()))
