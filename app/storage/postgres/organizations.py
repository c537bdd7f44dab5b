"""Queries on organizations."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.budgets import StoredBudget, find_budget
from app.storage.postgres.tables import organizations


async def hold_organization(connection: AsyncConnection, organization_id: str) -> bool:
    """Whether it exists; if so it cannot be deleted until the transaction ends."""
    query = select(organizations.c.organization_id).where(organizations.c.organization_id == organization_id)
    return (await connection.execute(query.with_for_update(read=True, key_share=True))).one_or_none() is not None


async def organization_budget(connection: AsyncConnection, organization_id: str) -> StoredBudget | None:
    query = select(organizations.c.budget_id).where(organizations.c.organization_id == organization_id)
    budget_id = (await connection.execute(query)).scalar_one_or_none()
    return None if budget_id is None else await find_budget(connection, budget_id)
