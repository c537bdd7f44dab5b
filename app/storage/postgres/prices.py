"""Queries on dated prices, discounts and margins."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.price_list import DatedPrice, DatedTerm, PriceKind
from app.domain.pricing import RATE_NAMES, PriceSheet, PriceSource, Rates, Service, Tier
from app.storage.postgres.tables import price_terms, prices

_SOURCES: Mapping[PriceKind, PriceSource] = {"own": "database", "imported": "imported"}
_RATES = tuple(f"{name}_nanousd_per_million" for name in RATE_NAMES)
_STAMP = text(
    "SELECT concat_ws('/', (SELECT count(*) FROM prices), (SELECT sum(hashtext(price_id)) FROM prices), "
    "(SELECT count(*) FROM price_terms), (SELECT sum(hashtext(price_term_id)) FROM price_terms))"
)


@dataclass(frozen=True, slots=True)
class StoredPrice:
    dated: DatedPrice
    created_at: datetime
    created_by: str


async def read_stamp(connection: AsyncConnection) -> str:
    """Another one when a row came or went; none is ever changed."""
    return str((await connection.execute(_STAMP)).scalar_one())


async def list_all(connection: AsyncConnection) -> tuple[list[DatedPrice], list[DatedTerm]]:
    """Of every time and organization: what a process keeps in memory."""
    found = [_dated(row) for row in await connection.execute(select(prices))]
    return found, [_term(row) for row in await connection.execute(select(price_terms))]


async def list_prices(
    connection: AsyncConnection, wanted: Mapping[str, str], limit: int, offset: int
) -> tuple[list[StoredPrice], int]:
    """One page, newest first, and how many there are on all; ``wanted`` are values of columns."""
    conditions = [prices.c[name] == value for name, value in wanted.items()]
    count = (await connection.execute(select(func.count()).select_from(prices).where(*conditions))).scalar_one()
    query = select(prices).where(*conditions).order_by(prices.c.effective_from.desc(), prices.c.price_id.desc())
    rows = await connection.execute(query.limit(limit).offset(offset))
    return [StoredPrice(_dated(row), row.created_at, row.created_by) for row in rows], count


async def find_price(connection: AsyncConnection, price_id: str) -> StoredPrice | None:
    row = (await connection.execute(select(prices).where(prices.c.price_id == price_id))).one_or_none()
    return None if row is None else StoredPrice(_dated(row), row.created_at, row.created_by)


async def insert_prices(connection: AsyncConnection, made: Sequence[DatedPrice], created_by: str) -> list[str]:
    """Those that were written, by their ids: not one whose place at that time is taken."""
    values = [_columns(price) | {"created_by": created_by} for price in made]
    statement = upsert(prices).values(values).on_conflict_do_nothing().returning(prices.c.price_id)
    return list((await connection.execute(statement)).scalars())


async def delete_price(connection: AsyncConnection, price_id: str) -> None:
    await connection.execute(delete(prices).where(prices.c.price_id == price_id))


async def insert_terms(connection: AsyncConnection, made: Sequence[tuple[str, DatedTerm]], created_by: str) -> None:
    """Each with its id."""
    values = [
        {
            "price_term_id": term_id,
            "kind": term.kind,
            "provider": term.provider,
            "organization_id": term.organization_id,
            "effective_from": term.effective_from,
            "share_billionths": term.share,
            "fixed_nanousd": term.fixed_nanousd,
            "created_by": created_by,
        }
        for term_id, term in made
    ]
    await connection.execute(insert(price_terms), values)


def _columns(price: DatedPrice) -> dict[str, Any]:
    sheet = price.sheet
    rates = (0,) * len(_RATES) if sheet is None else astuple(sheet.rates)
    return {
        "price_id": price.price_id,
        "kind": price.kind,
        "provider": price.provider,
        "model": price.model,
        "organization_id": price.organization_id,
        "effective_from": price.effective_from,
        "withdrawn": sheet is None,
        **dict(zip(_RATES, rates, strict=True)),
        "tiers": [] if sheet is None else _tiers_column(sheet.tiers),
        "services": [] if sheet is None else _services_column(sheet.services),
    }


def _tiers_column(tiers: Sequence[Tier]) -> list[list[Any]]:
    return [[tier.above_prompt_tokens, list(astuple(tier.rates))] for tier in tiers]


def _services_column(services: Sequence[Service]) -> list[list[Any]]:
    """Only those with rates of their own: proportions are no business of a row's."""
    return [
        [service.name, list(astuple(service.rates)), _tiers_column(service.tiers)]
        for service in services
        if service.rates is not None
    ]


def _dated(row: Row[Any]) -> DatedPrice:
    source = _SOURCES[row.kind]
    fields = row._mapping
    sheet = PriceSheet(
        version=f"{source}:{row.price_id}",
        source=source,
        rates=Rates(*(fields[name] for name in _RATES)),
        tiers=_tiers(row.tiers),
        services=tuple(Service(name, rates=Rates(*rates), tiers=_tiers(tiers)) for name, rates, tiers in row.services),
    )
    return DatedPrice(
        price_id=row.price_id,
        kind=row.kind,
        provider=row.provider,
        model=row.model,
        organization_id=row.organization_id,
        effective_from=row.effective_from,
        sheet=None if row.withdrawn else sheet,
    )


def _tiers(column: Sequence[Any]) -> tuple[Tier, ...]:
    return tuple(Tier(above, Rates(*rates)) for above, rates in column)


def _term(row: Row[Any]) -> DatedTerm:
    return DatedTerm(
        row.kind, row.provider, row.organization_id, row.effective_from, row.share_billionths, row.fixed_nanousd
    )
