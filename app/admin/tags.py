"""Use cases of tags, the labels of calls: create, change, delete, read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetTerms, Life, write_budget
from app.admin.standings import Standing, snapshot, standings
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.storage.postgres import tags as rows
from app.storage.postgres.budgets import delete_own_budgets, find_budget
from app.storage.postgres.engine import transaction
from app.storage.postgres.tags import StoredTag
from app.storage.principals import Principals


@dataclass(frozen=True, slots=True)
class TagTerms:
    """``columns`` of tags that are set."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    budget: BudgetTerms = field(default_factory=BudgetTerms)


@dataclass(frozen=True, slots=True)
class TagView:
    tag: StoredTag
    standing: Standing


class Tags:
    """``principals`` is told after each commit."""

    def __init__(self, engine: AsyncEngine, principals: Principals) -> None:
        self._engine = engine
        self._principals = principals

    async def create(self, tag: str, terms: TagTerms, actor: Actor) -> TagView:
        """Raises Unprocessable: a taken name, a budget that cannot be."""
        async with transaction(self._engine) as connection:
            written = await write_budget(connection, terms.budget, None, actor)
            values = {**terms.columns, "tag": tag, "budget_id": written.budget_id}
            values |= {"created_by": actor.name, "updated_by": actor.name}
            if not await rows.insert_tag(connection, values):
                raise Unprocessable(f'"name" is taken: "{tag}" is a tag already; see POST /tag/update', param="name")
            view = await _record(connection, actor, "tag.new", tag, None)
        await self._principals.announce(f"tag:{tag}")
        return view

    async def update(self, tag: str, terms: TagTerms, actor: Actor) -> TagView:
        """Raises NotFound, and Unprocessable as ``create``."""
        async with transaction(self._engine) as connection:
            before = await _get(connection, tag, "name", lock=True)
            earlier = await _snapshot(connection, before)
            present = None if before.budget_id is None else await find_budget(connection, before.budget_id)
            written = await write_budget(connection, terms.budget, present, actor, life=Life(before.created_at))
            values = {**terms.columns, "budget_id": written.budget_id, "updated_at": now(), "updated_by": actor.name}
            await rows.update_tag(connection, tag, values)
            await delete_own_budgets(connection, [written.spare_id])
            view = await _record(connection, actor, "tag.update", tag, earlier)
        await self._principals.announce(f"tag:{tag}")
        return view

    async def delete(self, tag: str, actor: Actor) -> None:
        """Receipts keep it. Raises NotFound."""
        async with transaction(self._engine) as connection:
            found = await _get(connection, tag, "name", lock=True)
            before = await _snapshot(connection, found)
            await rows.delete_tag(connection, tag)
            await delete_own_budgets(connection, [found.budget_id])
            await record_change(connection, actor, Change("tag.delete", "tag", tag, before, None))
        await self._principals.announce(f"tag:{tag}")

    async def get(self, tags: Sequence[str]) -> list[TagView]:
        """In the order asked for. Raises NotFound."""
        async with transaction(self._engine) as connection:
            return await tag_views(connection, [await _get(connection, tag, "names") for tag in tags])

    async def list(self, number: int, size: int) -> tuple[list[TagView], int]:
        """One page, newest first, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            found, total = await rows.list_tags(connection, size, (number - 1) * size)
            return await tag_views(connection, found), total


async def tag_views(connection: AsyncConnection, found: Sequence[StoredTag]) -> list[TagView]:
    stand = await standings(connection, "tag", {(one.tag,): one.budget_id for one in found}, now())
    return [TagView(one, stand[(one.tag,)]) for one in found]


async def _record(
    connection: AsyncConnection, actor: Actor, action: str, tag: str, before: Mapping[str, Any] | None
) -> TagView:
    found = await _get(connection, tag, "name")
    after = await _snapshot(connection, found)
    await record_change(connection, actor, Change(action, "tag", tag, before, after))
    return (await tag_views(connection, [found]))[0]


async def _get(connection: AsyncConnection, tag: str, param: str, *, lock: bool = False) -> StoredTag:
    found = await rows.find_tag(connection, tag, lock=lock)
    if found is None:
        raise NotFound(f'nothing is set for the tag "{tag}"; see GET /tag/list', param=param)
    return found


async def _snapshot(connection: AsyncConnection, tag: StoredTag) -> dict[str, Any]:
    budget = None if tag.budget_id is None else await find_budget(connection, tag.budget_id)
    return snapshot(tag, budget=budget)
