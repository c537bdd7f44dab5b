"""Pricing receipts anew: what the prices known now would have charged, less what was charged, as adjustments.

A receipt is never changed. Its adjustment is a receipt of kind ``adjustment`` with the same request and attempt, dated
now, so that a month which is closed stays as it is; it may be below zero. What was adjusted before counts as charged:
doing it again adjusts nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.live_catalog import LiveCatalog
from app.admin.live_prices import PriceKeeper
from app.base.clock import now
from app.base.ids import DeploymentId
from app.base.money import NanoUSD
from app.domain.catalog import Deployment
from app.domain.pricing import NO_COST, Cost, PriceSheet, at_service, cost_of
from app.domain.spend import Receipt
from app.domain.usage import Usage
from app.storage.books import Books, hold_book, insert_receipts
from app.storage.postgres.engine import transaction
from app.storage.postgres.repricing import Page, adjusted_so_far, cost_of_row, list_priced, usage_of_row

_PAGE = 1_000


@dataclass(slots=True)
class Repriced:
    """One day of UTC. ``skipped``: no price that could hold is known now, such as of an entry that the file lost."""

    day: date
    receipts: int = 0
    adjusted: int = 0
    skipped: int = 0
    before_nanousd: NanoUSD = 0
    after_nanousd: NanoUSD = 0
    by_model: dict[str, NanoUSD] = field(default_factory=dict)


class Repricing:
    def __init__(self, engine: AsyncEngine, books: Books, catalog: LiveCatalog, keeper: PriceKeeper) -> None:
        self._engine = engine
        self._books = books
        self._catalog = catalog
        self._keeper = keeper

    async def run(self, first: date, last: date, model: str | None, actor: Actor, *, dry: bool) -> list[Repriced]:
        """Day by day, both included, so that booking waits for one at most. Raises StorageUnavailable.

        ``dry`` tells what would be adjusted, and writes nothing.
        """
        await self._keeper.refresh()
        found = []
        for ahead in range((last - first).days + 1):
            async with transaction(self._engine) as connection:
                if not dry:
                    await hold_book(connection)
                told, adjustments = await self._look(connection, first + timedelta(days=ahead), model)
                if adjustments and not dry:
                    await self._write(connection, told, adjustments, actor)
            if told.receipts:
                found.append(told)
        return found

    async def _look(self, connection: AsyncConnection, day: date, model: str | None) -> tuple[Repriced, list[Receipt]]:
        told, adjustments, at = Repriced(day), [], now()
        since = datetime.combine(day, time(), UTC)
        page = Page(since, since + timedelta(days=1), model, _PAGE)
        while rows := await list_priced(connection, page):
            charged = await adjusted_so_far(connection, [row.request_id for row in rows])
            for row in rows:
                before = _sum(cost_of_row(row), charged.get((row.request_id, row.attempt), NO_COST))
                sheet = self._sheet(row)
                told.receipts += 1
                told.skipped += sheet is None
                usage = usage_of_row(row)
                counted = sheet is not None and usage != Usage(service=row.service_tier)
                after = cost_of(usage, sheet) if sheet is not None and counted else before
                told.before_nanousd += before.total
                told.after_nanousd += after.total
                if sheet is not None and after != before:
                    told.adjusted += 1
                    told.by_model[row.model_served] = (
                        told.by_model.get(row.model_served, 0) + after.total - before.total
                    )
                    adjustments.append(_adjustment(row, sheet, _less(after, before), at))
            page = Page(
                page.since, page.until, model, _PAGE, (rows[-1].started_at, rows[-1].request_id, rows[-1].attempt)
            )
        return told, adjustments

    async def _write(
        self, connection: AsyncConnection, told: Repriced, adjustments: list[Receipt], actor: Actor
    ) -> None:
        for begin in range(0, len(adjustments), _PAGE):
            await insert_receipts(connection, adjustments[begin : begin + _PAGE])
        change = Change(
            action="spend.reprice",
            object_type="receipts",
            object_id=str(told.day),
            before={"cost_nanousd": told.before_nanousd},
            after={"cost_nanousd": told.after_nanousd, "adjustments": told.adjusted},
        )
        await record_change(connection, actor, change)
        # Last, and while the book is held: a counter that is rebuilt has them once; with Redis away nothing is written.
        await self._books.count(adjustments)

    def _sheet(self, row: Row[Any]) -> PriceSheet | None:
        """None where what is known now is less than what was known then."""
        place = self._place(row)
        if place is None:
            return None
        sheet = self._keeper.prices.sheet(place, row.organization_id, row.started_at)
        if sheet.source == "fallback" and row.price_source != "fallback":
            return None
        return at_service(sheet, row.service_tier)

    def _place(self, row: Row[Any]) -> Deployment | None:
        """The deployment that served the call, as it is now; of one that is gone only what the file did not price."""
        catalog = self._catalog.current()
        model = catalog.resolve(row.model_asked)
        for one in chain(() if model is None else model.deployments, _all(self._catalog)):
            if one.deployment_id == row.deployment_id and one.upstream_model == row.model_served:
                return one
        if row.price_source == "config":
            return None
        prices = self._catalog.price_book.schedule(row.provider, row.model_served)
        return Deployment(DeploymentId(row.deployment_id), row.provider, row.model_served, "", None, prices)


def _all(catalog: LiveCatalog) -> Iterator[Deployment]:
    return (deployment for model in catalog.current().models for deployment in model.deployments)


def _adjustment(row: Row[Any], sheet: PriceSheet, cost: Cost, at: datetime) -> Receipt:
    kept = {
        name: row._mapping[name]
        for name in Receipt.__struct_fields__
        if name not in {"usage", "cost", "tags", "scopes", "kept_as"}
    }
    changed: dict[str, Any] = {
        "started_at": at,
        "duration_ms": 0,
        "first_byte_ms": None,
        "usage": Usage(service=row.service_tier),
        "cost": cost,
        "price_version": sheet.version,
        "price_source": sheet.source,
        "kind": "adjustment",
        "tags": tuple(row.tags),
        "scopes": tuple(row.scopes),
    }
    return Receipt(**kept | changed)


def _sum(one: Cost, other: Cost) -> Cost:
    return Cost(*(getattr(one, name) + getattr(other, name) for name in Cost.__struct_fields__))


def _less(one: Cost, other: Cost) -> Cost:
    return Cost(*(getattr(one, name) - getattr(other, name) for name in Cost.__struct_fields__))
