"""The use case: LiteLLM's rows in, one transaction with its audit rows out; or only the plan of it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_changes
from app.admin.litellm import rows as tables
from app.admin.litellm.draft import Plan, Present, Thing
from app.admin.litellm.plan import make_plan
from app.admin.litellm.rows import Tables
from app.admin.litellm.spend import key_id_of_the_past
from app.base.clock import now
from app.base.money import NanoUSD
from app.domain.spend import Receipt
from app.storage.books import hold_book, insert_receipts
from app.storage.postgres import taking_over as store
from app.storage.postgres.engine import transaction
from app.storage.postgres.partitions import create_partitions
from app.storage.principals import Principals

_RECEIPTS_AT_ONCE = 2_000
_CHANGES_AT_ONCE = 500
_MOST_NAMES = 50


@dataclass(frozen=True, slots=True)
class Left:
    """What is not carried over: how often, and the first names."""

    what: str
    count: int
    names: list[str]


@dataclass(frozen=True, slots=True)
class TakenOver:
    """``made`` and ``there`` count by kind; ``spend_nanousd`` is what the ``receipts`` add up to."""

    made: Mapping[str, int]
    there: Mapping[str, int]
    receipts: int
    spend_nanousd: NanoUSD
    left: Sequence[Left]


class LiteLLMTakeOver:
    """``principals`` is told after the commit: a key may have been tried before it was here."""

    def __init__(self, engine: AsyncEngine, principals: Principals) -> None:
        self._engine = engine
        self._principals = principals

    async def run(self, source: Tables, actor: Actor, *, dry_run: bool) -> TakenOver:
        """All or nothing; what is there already stays as it is. Raises Unprocessable for rows that cannot be read."""
        at = now()
        async with transaction(self._engine) as connection:
            await store.hold_take_over(connection)
            plan = make_plan(source, await _present(connection, source), self._principals.pepper, at)
            if not dry_run:
                await _write(connection, plan, actor, at)
        if not dry_run:
            for thing in plan.things:
                if thing.kind == "key":
                    await self._principals.announce(thing.object_id)
        return _summary(plan)


async def _present(connection: AsyncConnection, source: Tables) -> Present:
    organization_aliases, team_aliases, key_aliases, addresses = await store.present_names(connection)
    of_the_past = {key_id_of_the_past(row.text("api_key") or "") for row in source[tables.DAILY_SPEND]}
    return Present(
        ids=await store.present_ids(connection),
        memberships=await store.present_pairs(connection, "membership"),
        organization_memberships=await store.present_pairs(connection, "organization membership"),
        digests=await store.present_digests(connection),
        booked_keys=await store.keys_with_receipts(connection, of_the_past),
        organization_aliases=organization_aliases,
        team_aliases=team_aliases,
        key_aliases=key_aliases,
        addresses=addresses,
    )


async def _write(connection: AsyncConnection, plan: Plan, actor: Actor, at: datetime) -> None:
    own = [thing.budget for thing in plan.things if thing.budget is not None]
    await store.insert_rows(connection, "budget", own)
    for kind, things in groupby(_in_order(plan.things), key=lambda thing: thing.kind):
        await store.insert_rows(connection, kind, [thing.columns for thing in things])
    await _book(connection, plan.receipts, at)
    # Last: the end of the audit's chain is locked from here on.
    changes = [Change("import.litellm", thing.kind, thing.object_id, None, _snapshot(thing)) for thing in plan.things]
    for first in range(0, len(changes), _CHANGES_AT_ONCE):
        await record_changes(connection, actor, changes[first : first + _CHANGES_AT_ONCE])


_ORDER = (
    "budget", "organization", "user", "team", "membership", "organization membership", "customer", "tag", "key",
    "earlier secret",
)  # fmt: skip


def _in_order(things: Sequence[Thing]) -> list[Thing]:
    """As they refer to one another."""
    return sorted(things, key=lambda thing: _ORDER.index(thing.kind))


async def _book(connection: AsyncConnection, receipts: Sequence[Receipt], at: datetime) -> None:
    """Like any receipt, so that budgets, reports and the sums of both count it."""
    if not receipts:
        return
    await hold_book(connection)
    for month in sorted({receipt.started_at.replace(day=1) for receipt in receipts}):
        await create_partitions(connection, min(month, at), months_ahead=0)
    for first in range(0, len(receipts), _RECEIPTS_AT_ONCE):
        await insert_receipts(connection, receipts[first : first + _RECEIPTS_AT_ONCE])


def _snapshot(thing: Thing) -> dict[str, Any]:
    shown = {name: value for name, value in thing.columns.items() if name != "digest"}
    return shown if thing.budget is None else {**shown, "budget": dict(thing.budget)}


def _summary(plan: Plan) -> TakenOver:
    left = [Left(what, len(names), names[:_MOST_NAMES]) for what, names in sorted(plan.left.items())]
    made = Counter(thing.kind for thing in plan.things)
    spend = sum(receipt.cost.total for receipt in plan.receipts)
    return TakenOver(made, plan.there, len(plan.receipts), spend, left)
