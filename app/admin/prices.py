"""Use cases of dated prices, discounts and margins: set from an instant on, for all or for one organization."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.live_catalog import LiveCatalog
from app.admin.live_prices import PriceKeeper
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.domain.price_list import DatedPrice, DatedTerm, TermKind
from app.domain.pricing import RATE_NAMES, PriceSheet, Rates
from app.providers.prices import names_of
from app.storage.postgres import prices as rows
from app.storage.postgres.engine import transaction
from app.storage.postgres.organizations import find_organization
from app.storage.postgres.prices import StoredPrice


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """A price as asked for. ``written`` are dollars per unit by LiteLLM's names; ``effective_from`` None is now."""

    provider: str
    model: str
    organization_id: str | None = None
    effective_from: datetime | None = None
    written: Mapping[str, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class TermValue:
    """A share in billionths and an amount for each receipt; ``share`` None leaves it to the wider one."""

    share: int | None
    fixed_nanousd: int = 0


class PriceAdmin:
    """``keeper`` is told after each commit, for the sake of every process."""

    def __init__(self, engine: AsyncEngine, keeper: PriceKeeper, catalog: LiveCatalog) -> None:
        self.keeper = keeper
        self._catalog = catalog
        self._engine = engine

    async def create(self, terms: PriceTerms, actor: Actor) -> StoredPrice:
        """An admin's own price. Raises Unprocessable: a taken instant, an unknown organization, a price too few."""
        return await self._insert(terms, self.sheet_of(terms), actor, "price.new")

    def sheet_of(self, terms: PriceTerms) -> PriceSheet:
        """What ``create`` would set, without discount and margin; nothing is written. Raises Unprocessable."""
        assert terms.written is not None
        return self._sheet(terms, terms.written)

    async def withdraw(self, terms: PriceTerms, actor: Actor) -> StoredPrice:
        """From then on there is no own price: the next one in the order holds. Raises Unprocessable."""
        return await self._insert(terms, None, actor, "price.withdraw")

    async def delete(self, price_id: str, actor: Actor) -> StoredPrice:
        """One that has not begun. Raises NotFound, Unprocessable for one that has: it stands on receipts."""
        async with transaction(self._engine) as connection:
            found = await rows.find_price(connection, price_id)
            if found is None:
                raise NotFound(f'no such price: "{price_id}"; see GET /price/list', param="price_id")
            if found.dated.effective_from <= now():
                raise Unprocessable(
                    f'the price "{price_id}" is in force since {found.dated.effective_from:%Y-%m-%d %H:%M:%S} UTC and '
                    "stands on receipts; set a new one with POST /price/new, or end it with POST /price/withdraw",
                    param="price_id",
                )
            await rows.delete_price(connection, price_id)
            await record_change(
                connection, actor, Change("price.delete", "price", price_id, snapshot(found.dated), None)
            )
        await self.keeper.changed()
        return found

    async def list(self, wanted: Mapping[str, str], number: int, size: int) -> tuple[list[StoredPrice], int]:
        """One page, newest first, and how many there are on all."""
        async with transaction(self._engine) as connection:
            return await rows.list_prices(connection, wanted, size, (number - 1) * size)

    async def set_terms(
        self,
        kind: TermKind,
        organization_id: str | None,
        values: Mapping[str, TermValue],
        actor: Actor,
    ) -> None:
        """From now on these and no others: what stood before and is not named is taken back. By provider."""
        at = now()
        before = self.terms(kind, organization_id, at)
        ended = {provider: TermValue(None) for provider in before if provider not in values}
        changed = {name: value for name, value in {**values, **ended}.items() if before.get(name) != value}
        if not changed:
            return
        made = [
            (new_id("prt"), DatedTerm(kind, provider, organization_id, at, value.share, value.fixed_nanousd))
            for provider, value in changed.items()
        ]
        async with transaction(self._engine) as connection:
            await _check_organization(connection, organization_id)
            await rows.insert_terms(connection, made, actor.name)
            after = {provider: value for provider, value in values.items() if value.share is not None}
            change = Change(f"price.{kind}", "price_terms", organization_id or "*", _said(before), _said(after))
            await record_change(connection, actor, change)
        await self.keeper.changed()

    def terms(self, kind: TermKind, organization_id: str | None, at: datetime) -> dict[str, TermValue]:
        """What is in force for all, or for the organization itself, by provider."""
        found = self.keeper.prices.listed.own_terms(kind, organization_id, at)
        return {term.provider: TermValue(term.share, term.fixed_nanousd) for term in found}

    def file_terms(self, kind: TermKind) -> dict[str, TermValue]:
        """What the configuration file says, by provider."""
        found = self.keeper.prices.of_file
        if kind == "discount":
            return {name: TermValue(terms.discount) for name, terms in found.items() if terms.discount}
        return {
            name: TermValue(terms.margin, terms.fixed_nanousd)
            for name, terms in found.items()
            if terms.margin or terms.fixed_nanousd
        }

    def _sheet(self, terms: PriceTerms, written: Mapping[str, Decimal]) -> PriceSheet:
        at = terms.effective_from or now()
        missing = {"input_cost_per_token", "output_cost_per_token"} - written.keys()
        if missing and self._catalog.price_book.find(terms.provider, terms.model) is None:
            name = min(missing)
            raise Unprocessable(
                f'"{name}" is missing: model "{terms.model}" of provider "{terms.provider}" is in no list that the '
                "price could follow; give input_cost_per_token and output_cost_per_token",
                param=name,
            )
        return self._catalog.price_book.schedule(terms.provider, terms.model, written).at(at)

    async def _insert(self, terms: PriceTerms, sheet: PriceSheet | None, actor: Actor, action: str) -> StoredPrice:
        at = now()
        price = DatedPrice(
            price_id=new_id("prc"),
            kind="own",
            provider=terms.provider,
            model=next(iter(names_of(terms.provider, terms.model))),
            organization_id=terms.organization_id,
            effective_from=terms.effective_from or at,
            sheet=sheet,
        )
        async with transaction(self._engine) as connection:
            await _check_organization(connection, terms.organization_id)
            if not await rows.insert_prices(connection, [price], actor.name):
                raise Unprocessable(
                    f'there is a price of "{price.model}" of "{price.provider}" from '
                    f"{price.effective_from:%Y-%m-%d %H:%M:%S} UTC on already; give another effective_from",
                    param="effective_from",
                )
            await record_change(connection, actor, Change(action, "price", price.price_id, None, snapshot(price)))
            stored = await rows.find_price(connection, price.price_id)
        await self.keeper.changed()
        assert stored is not None
        return stored


async def _check_organization(connection: AsyncConnection, organization_id: str | None) -> None:
    if organization_id is not None and await find_organization(connection, organization_id) is None:
        raise Unprocessable(
            f'no such organization: "{organization_id}"; see GET /organization/list', param="organization_id"
        )


def snapshot(price: DatedPrice) -> dict[str, Any]:
    """For the audit: nano-dollars per million."""
    told: dict[str, Any] = {
        "kind": price.kind,
        "provider": price.provider,
        "model": price.model,
        "organization_id": price.organization_id,
        "effective_from": price.effective_from,
    }
    sheet = price.sheet
    if sheet is None:
        return told | {"withdrawn": True}
    tiers = {f"above_{tier.above_prompt_tokens}": _by_name(tier.rates) for tier in sheet.tiers}
    return told | {"nanousd_per_million": _by_name(sheet.rates)} | ({"tiers": tiers} if tiers else {})


def _by_name(rates: Rates) -> dict[str, int]:
    return dict(zip(RATE_NAMES, astuple(rates), strict=True))


def _said(values: Mapping[str, TermValue]) -> dict[str, Any]:
    return {
        provider: {"share_billionths": value.share, "fixed_nanousd": value.fixed_nanousd}
        for provider, value in values.items()
    }
