"""What is asked of the sums of receipts: the cells of a report, by period and group."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Table,
    Text,
    and_,
    cast,
    func,
    literal,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.report_periods import DAY_S, Period, Piece, cut
from app.domain.roles import Tenant
from app.storage.postgres.columns import TIME
from app.storage.postgres.report_tables import MEASURES, SPEND, SPEND_BY_TAG
from app.storage.postgres.tables import customers, keys, organizations, teams, users
from app.storage.postgres.tenants import within

Dimension = Literal["organization", "team", "user", "key", "customer", "tag", "model", "model_asked", "provider"]
COLUMN_NAMES: Mapping[Dimension, str] = {
    "organization": "organization_id",
    "team": "team_id",
    "user": "user_id",
    "key": "key_id",
    "customer": "customer_id",
    "tag": "tag",
    "model": "model_served",
    "model_asked": "model_asked",
    "provider": "provider",
}


class Amounts(NamedTuple):
    """What the receipts of one cell add up to, in the order of ``MEASURES``."""

    requests: int = 0
    failures: int = 0
    duration_ms: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    images: int = 0
    web_searches: int = 0
    input_cost_nanousd: NanoUSD = 0
    cache_read_cost_nanousd: NanoUSD = 0
    cache_write_cost_nanousd: NanoUSD = 0
    output_cost_nanousd: NanoUSD = 0
    other_cost_nanousd: NanoUSD = 0
    cost_nanousd: NanoUSD = 0

    @property
    def cache_write_tokens(self) -> int:
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def prompt_tokens(self) -> int:
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens + self.audio_input_tokens

    @property
    def completion_tokens(self) -> int:
        return self.output_tokens + self.audio_output_tokens

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def plus(self, other: "Amounts") -> "Amounts":
        return Amounts(*map(int.__add__, self, other))


@dataclass(frozen=True, slots=True)
class Cell:
    """``period`` is the place in the list that was asked about, ``group`` in the order of ``group_by``.

    The empty text in a group stands for none: no team, no tag.
    """

    period: int
    group: tuple[str, ...]
    amounts: Amounts


@dataclass(frozen=True, slots=True)
class Report:
    """What to add up. ``only`` and ``but_not`` filter by dimension, the empty text finds those without.

    A receipt counts under each of its tags. ``after`` is the place of the last cell that is known already.
    """

    periods: Sequence[Period]
    group_by: tuple[Dimension, ...] = ()
    only: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    but_not: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    after: tuple[int, tuple[str, ...]] | None = None
    most: int | None = None


async def list_cells(connection: AsyncConnection, tenant: Tenant, report: Report) -> list[Cell]:
    """Cells with any receipt, ordered by period and then by group."""
    by_grain: dict[int, list[Piece]] = {}
    for piece in cut(report.periods):
        by_grain.setdefault(piece.grain_s, []).append(piece)
    if not by_grain:
        return []
    names = [COLUMN_NAMES[dimension] for dimension in report.group_by]
    found = union_all(
        *(part for pieces in by_grain.values() for part in _parts(tenant, report, pieces, names))
    ).subquery("found")
    groups = [found.c[name] for name in names]
    sums = [cast(func.sum(found.c[name]), BigInteger).label(name) for name in MEASURES]
    period, by_period = _period(report.periods, found.c.bucket)
    grouped = (
        select(period.label("period"), *groups, *sums)
        .group_by(*by_period, *groups)
        .having(func.count() > 0)
        .subquery("grouped")
    )
    place = [grouped.c.period, *(grouped.c[name].collate("C") for name in names)]
    query = select(grouped).order_by(*place)
    if report.after is not None:
        number, group = report.after
        query = query.where(tuple_(*place) > tuple_(literal(number), *(literal(text, Text) for text in group)))
    if report.most is not None:
        query = query.limit(report.most)
    edge = 1 + len(names)
    return [Cell(row[0], tuple(row[1:edge]), Amounts(*row[edge:])) for row in await connection.execute(query)]


def _period(
    periods: Sequence[Period], bucket: ColumnElement[Any]
) -> tuple[ColumnElement[int], list[ColumnElement[Any]]]:
    """The place of the last period that begins before or with the bucket, and what to group by for it."""
    if len(periods) == 1:
        return literal_column("0", Integer), []
    starts = literal([period.start for period in periods], ARRAY(TIME))
    return func.width_bucket(bucket, starts) - 1, [literal_column("1")]


def _parts(tenant: Tenant, report: Report, pieces: Sequence[Piece], names: Sequence[str]) -> list[Select[Any]]:
    """The rows of the pieces of one grain. By tag, also those of receipts that have none."""
    by_tag = "tag" in report.group_by or "tag" in report.only
    table = (SPEND_BY_TAG if by_tag else SPEND)[pieces[0].grain_s]
    parts = [_part(tenant, report, pieces, table, [table.c[name] for name in names])]
    if by_tag and "" in report.only.get("tag", ("",)) and "" not in report.but_not.get("tag", ()):
        table = SPEND[pieces[0].grain_s]
        none = [literal("", Text).label(name) if name == "tag" else table.c[name] for name in names]
        parts.append(_part(tenant, report, pieces, table, none).where(~table.c.tagged))
    return parts


def _part(
    tenant: Tenant, report: Report, pieces: Sequence[Piece], table: Table, groups: Sequence[ColumnElement[Any]]
) -> Select[Any]:
    query = select(table.c.bucket, *groups, *(table.c[name] for name in MEASURES))
    query = query.where(*within(tenant, table), _when(table.c.bucket, pieces))
    for filters, wanted in ((report.only, True), (report.but_not, False)):
        for dimension, texts in filters.items():
            name = COLUMN_NAMES[dimension]
            if name in table.c:
                query = query.where(table.c[name].in_(texts) if wanted else table.c[name].not_in(texts))
    return query


def _when(bucket: ColumnElement[Any], pieces: Sequence[Piece]) -> ColumnElement[bool]:
    if len(pieces) == 1:
        return and_(bucket >= pieces[0].start, bucket < pieces[0].end)
    buckets = [at for piece in pieces for at in piece.buckets()]
    return bucket == func.any(literal(buckets, ARRAY(TIME)))


async def find_extent(connection: AsyncConnection) -> tuple[date, date] | None:
    """The first and last day of UTC that have spend."""
    days = SPEND[DAY_S]
    first, last = (await connection.execute(select(func.min(days.c.bucket), func.max(days.c.bucket)))).one()
    return None if first is None else (first.date(), last.date())


async def total_spend(connection: AsyncConnection) -> NanoUSD:
    """Of all receipts that there ever were."""
    total = select(func.coalesce(func.sum(SPEND[DAY_S].c.cost_nanousd), 0))
    return int((await connection.execute(total)).scalar_one())


_NAMES: Mapping[Dimension, tuple[ColumnElement[str], ColumnElement[str | None]]] = {
    "organization": (organizations.c.organization_id, organizations.c.organization_alias),
    "team": (teams.c.team_id, teams.c.team_alias),
    "user": (users.c.user_id, func.coalesce(users.c.user_alias, users.c.user_email)),
    "key": (keys.c.key_id, keys.c.key_alias),
    "customer": (customers.c.customer_id, customers.c.customer_alias),
}


async def find_names(connection: AsyncConnection, dimension: Dimension, ids: Collection[str]) -> dict[str, str]:
    """What people call them, of those that have a name."""
    if dimension not in _NAMES or not ids:
        return {}
    column, name = _NAMES[dimension]
    wanted = func.any(literal(list(ids), ARRAY(Text)))
    found = await connection.execute(select(column, name).where(column == wanted, name.is_not(None)))
    return {one: str(alias) for one, alias in found}
