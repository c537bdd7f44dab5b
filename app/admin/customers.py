"""Use cases of customers: create, change, block, delete, read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetTerms, Life, write_budget
from app.admin.standings import SINCE_EVER, Standing, snapshot, standings
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.money import NanoUSD
from app.domain.roles import Tenant
from app.storage.postgres import customers as rows
from app.storage.postgres.budgets import delete_own_budgets, find_budget
from app.storage.postgres.customers import StoredCustomer
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.owner_spend import spend_of_owners
from app.storage.principals import Principals


@dataclass(frozen=True, slots=True)
class CustomerTerms:
    """``columns`` of customers that are set."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    budget: BudgetTerms = field(default_factory=BudgetTerms)


@dataclass(frozen=True, slots=True)
class CustomerView:
    customer: StoredCustomer
    standing: Standing


class Customers:
    """``principals`` is told after each commit."""

    def __init__(self, engine: AsyncEngine, principals: Principals) -> None:
        self._engine = engine
        self._principals = principals

    async def create(self, customer_id: str, terms: CustomerTerms, actor: Actor) -> CustomerView:
        """Raises Unprocessable: a taken id, a budget that cannot be."""
        async with transaction(self._engine) as connection:
            written = await write_budget(connection, terms.budget, None, actor)
            values = {**terms.columns, "customer_id": customer_id, "budget_id": written.budget_id}
            if not await rows.insert_customer(connection, values):
                raise Unprocessable(
                    f'"user_id" is taken: "{customer_id}" is a customer already; see POST /customer/update',
                    param="user_id",
                )
            view = await _record(connection, actor, "customer.new", customer_id, None)
        await self._announce([customer_id])
        return view

    async def update(self, customer_id: str, terms: CustomerTerms, actor: Actor) -> CustomerView:
        """Raises NotFound, and Unprocessable as ``create``."""
        async with transaction(self._engine) as connection:
            before = await _get(connection, customer_id, lock=True)
            earlier = await _snapshot(connection, before)
            present = None if before.budget_id is None else await find_budget(connection, before.budget_id)
            written = await write_budget(connection, terms.budget, present, actor, life=Life(before.created_at))
            values = {**terms.columns, "budget_id": written.budget_id, "updated_at": now()}
            await rows.update_customer(connection, customer_id, values)
            await delete_own_budgets(connection, [written.spare_id])
            view = await _record(connection, actor, "customer.update", customer_id, earlier)
        await self._announce([customer_id])
        return view

    async def block(self, customer_ids: Sequence[str], actor: Actor, *, blocked: bool) -> list[CustomerView]:
        """All of them, or none; one that was not made is. Raises Unprocessable."""
        action = "customer.block" if blocked else "customer.unblock"
        views = []
        async with transaction(self._engine) as connection:
            for customer_id in sorted(set(customer_ids)):
                before = await rows.find_customer(connection, customer_id, lock=True)
                earlier = None if before is None else await _snapshot(connection, before)
                if before is None:
                    await rows.insert_customer(connection, {"customer_id": customer_id, "blocked": blocked})
                else:
                    await rows.update_customer(connection, customer_id, {"blocked": blocked, "updated_at": now()})
                views.append(await _record(connection, actor, action, customer_id, earlier))
        await self._announce([view.customer.customer_id for view in views])
        return views

    async def delete(self, customer_ids: Sequence[str], actor: Actor) -> int:
        """All of them, or none; receipts stay. Raises NotFound for one unknown."""
        wanted = sorted(set(customer_ids))
        async with transaction(self._engine) as connection:
            for customer_id in wanted:
                customer = await _get(connection, customer_id, lock=True)
                before = await _snapshot(connection, customer)
                await rows.delete_customer(connection, customer_id)
                await delete_own_budgets(connection, [customer.budget_id])
                change = Change("customer.delete", "customer", customer_id, before, None)
                await record_change(connection, actor, change)
        await self._announce(wanted)
        return len(wanted)

    async def get(self, customer_id: str) -> CustomerView:
        """One that calls have named is known without a row, with nothing set for it. Raises NotFound."""
        async with transaction(self._engine) as connection:
            found = await rows.find_customer(connection, customer_id)
            if found is None and await _was_named(connection, customer_id):
                found = rows.without_terms(customer_id, now())
            return (await customer_views(connection, [found or await _get(connection, customer_id)]))[0]

    async def is_kept(self, customer_id: str) -> bool:
        """Whether anything was set for it; else calls alone have named it, if at all."""
        async with reading(self._engine) as connection:
            return await rows.find_customer(connection, customer_id) is not None

    async def largest(self, tenant: Tenant, since: datetime, most: int) -> Sequence[tuple[str, NanoUSD]]:
        """Those that cost most in whole days of UTC, of the tenant's spend, set up or not."""
        async with reading(self._engine) as connection:
            return await rows.largest_spenders(connection, tenant, since, most)

    async def list(self, search: str | None, number: int, size: int) -> tuple[list[CustomerView], int]:
        """One page, newest first, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            found, total = await rows.list_customers(connection, search, size, (number - 1) * size)
            return await customer_views(connection, found), total

    async def _announce(self, customer_ids: Sequence[str]) -> None:
        for customer_id in customer_ids:
            await self._principals.announce(f"customer:{customer_id}")


async def customer_views(connection: AsyncConnection, found: Sequence[StoredCustomer]) -> list[CustomerView]:
    owners = {(customer.customer_id,): customer.budget_id for customer in found}
    stand = await standings(connection, "customer", dict(owners.items()), now())
    return [CustomerView(customer, stand[(customer.customer_id,)]) for customer in found]


async def _record(
    connection: AsyncConnection, actor: Actor, action: str, customer_id: str, before: Mapping[str, Any] | None
) -> CustomerView:
    customer = await _get(connection, customer_id)
    after = await _snapshot(connection, customer)
    await record_change(connection, actor, Change(action, "customer", customer_id, before, after))
    return (await customer_views(connection, [customer]))[0]


async def _was_named(connection: AsyncConnection, customer_id: str) -> bool:
    owner = (customer_id,)
    return (await spend_of_owners(connection, ("customer_id",), [(owner, SINCE_EVER)]))[owner].total_nanousd > 0


async def _get(connection: AsyncConnection, customer_id: str, *, lock: bool = False) -> StoredCustomer:
    found = await rows.find_customer(connection, customer_id, lock=lock)
    if found is None:
        raise NotFound(f'no such customer: "{customer_id}"; see GET /customer/list', param="user_id")
    return found


async def _snapshot(connection: AsyncConnection, customer: StoredCustomer) -> dict[str, Any]:
    budget = None if customer.budget_id is None else await find_budget(connection, customer.budget_id)
    return snapshot(customer, budget=budget)
