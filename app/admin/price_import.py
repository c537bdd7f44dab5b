"""Use case of a public list of prices: what it would change is told first, and written as dated rows."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.live_catalog import LiveCatalog
from app.admin.live_prices import PriceKeeper
from app.base.clock import now
from app.base.errors import Unprocessable
from app.base.ids import new_id
from app.domain.price_list import DatedPrice
from app.domain.pricing import RATE_NAMES, PriceSheet, Rates
from app.providers.litellm_prices import read_entries
from app.providers.prices import names_of
from app.storage.postgres import prices as rows
from app.storage.postgres.engine import transaction

LARGE_FACTOR = 10
_ROWS_AT_ONCE = 500
_MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class PriceChange:
    """``before`` None is added, ``after`` None removed: such a price stays in force. ``large`` names classes that are
    ten times more or less than they were, or that would cost nothing."""

    provider: str
    model: str
    before: PriceSheet | None
    after: PriceSheet | None
    large: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["added", "changed", "removed"]:
        return "added" if self.before is None else "removed" if self.after is None else "changed"


class PriceImport:
    def __init__(self, engine: AsyncEngine, keeper: PriceKeeper, catalog: LiveCatalog) -> None:
        self._engine = engine
        self._keeper = keeper
        self._catalog = catalog

    async def compare(self, models: Mapping[str, Any], at: datetime | None) -> list[PriceChange]:
        """What the list says otherwise than what holds at ``at``, by provider and model. Raises Unprocessable."""
        await self._keeper.refresh()
        # Thousands of models: beside the loop, so that calls go on meanwhile.
        return await asyncio.to_thread(self._compare, models, at or now())

    async def write(
        self, models: Mapping[str, Any], at: datetime | None, actor: Actor, *, allow_large: bool
    ) -> list[PriceChange]:
        """As compared, all or nothing. Raises Unprocessable for large changes that are not allowed."""
        since = at or now()
        changes = await self.compare(models, since)
        large = [change for change in changes if change.large]
        if large and not allow_large:
            named = ", ".join(f'"{one.model}" ({", ".join(one.large)})' for one in large[:_MOST_NAMED])
            raise Unprocessable(
                f"{len(large)} models would cost {LARGE_FACTOR} times more or less than they do, or nothing: {named}; "
                'look at them, and say "allow_large_changes": true',
                param="allow_large_changes",
            )
        made = [_row(change, since) for change in changes if change.after is not None]
        if not made:
            return changes
        async with transaction(self._engine) as connection:
            for begin in range(0, len(made), _ROWS_AT_ONCE):
                await rows.insert_prices(connection, made[begin : begin + _ROWS_AT_ONCE], actor.name)
            counts = {kind: sum(change.kind == kind for change in changes) for kind in ("added", "changed", "removed")}
            told = {"effective_from": since, **counts, "large": len(large)}
            await record_change(connection, actor, Change("price.import", "price", made[0].price_id, None, told))
        await self._keeper.changed()
        return changes

    def _compare(self, models: Mapping[str, Any], at: datetime) -> list[PriceChange]:
        book, listed = self._catalog.price_book, self._keeper.prices.listed
        changes, seen = [], set()
        for provider, model, written in read_entries(models):
            name = next(iter(names_of(provider, model)))
            if (provider, name) in seen:
                continue
            seen.add((provider, name))
            known = listed.price("imported", None, provider, [name], at)
            bundled = book.schedule(provider, model)
            before = known or (None if bundled.source == "fallback" else bundled.at(at))
            after = book.schedule(provider, model, written).at(at)
            if before is None or _numbers(before) != _numbers(after):
                changes.append(PriceChange(provider, name, before, after, _large(before, after)))
        if not seen:
            raise Unprocessable(
                '"prices" has no price of a provider that is known here; give entries such as {"claude-x": '
                '{"litellm_provider": "anthropic", "input_cost_per_token": 0.000003}}',
                param="prices",
            )
        changes += [
            PriceChange(price.provider, price.model, price.sheet, None)
            for price in listed.in_force("imported", at)
            if (price.provider, price.model) not in seen
        ]
        return sorted(changes, key=lambda change: (change.provider, change.model))


def _row(change: PriceChange, since: datetime) -> DatedPrice:
    return DatedPrice(new_id("prc"), "imported", change.provider, change.model, None, since, change.after)


def _numbers(sheet: PriceSheet) -> tuple[Any, ...]:
    """What two prices differ in; proportions of service tiers are no matter of a list's."""
    services = {one.name: (one.rates, one.tiers) for one in sheet.services if one.rates is not None}
    return sheet.rates, sheet.tiers, services


def _large(before: PriceSheet | None, after: PriceSheet) -> tuple[str, ...]:
    if before is None:
        return ()
    return tuple(
        name
        for name, old, new in zip(RATE_NAMES, _rates(before.rates), _rates(after.rates), strict=True)
        if old and (new == 0 or new >= old * LARGE_FACTOR or old >= new * LARGE_FACTOR)
    )


def _rates(rates: Rates) -> Sequence[int]:
    return astuple(rates)
