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
    Subquery,
    Table,
    Text,
    and_,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.report_periods import DAY_S, Period, Piece, nearest_midnight, pieces_of
from app.domain.roles import Tenant
from app.storage.postgres.columns import TIME
from app.storage.postgres.tables import customers, departed, keys, organizations, projects, teams, users
from app.storage.postgres.tables.reports import MEASURES, SPEND, SPEND_BY_SESSION, SPEND_BY_TAG
from app.storage.postgres.tenants import within

Dimension = Literal[
    "organization", "team", "user", "key", "customer", "project", "tag", "model", "model_asked", "provider",
    "request_class", "session", "agent", "kind", "project_id",
]  # fmt: skip
COLUMN_NAMES: Mapping[Dimension, str] = {
    "organization": "organization_id",
    "team": "team_id",
    "user": "user_id",
    "key": "key_id",
    "customer": "customer_id",
    "project": "project",
    "tag": "tag",
    "model": "model_served",
    "model_asked": "model_asked",
    "provider": "provider",
    "request_class": "request_class",
    "session": "session_id",
    "agent": "agent_id",
    "kind": "kind",
    "project_id": "project_id",
}
OF_SESSIONS: frozenset[Dimension] = frozenset({"session", "agent"})
"""Known for as long as receipts are kept."""


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
    notional_nanousd: NanoUSD = 0

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

    def asks_for(self, dimensions: Collection[Dimension]) -> bool:
        return any(one in dimensions for one in (*self.group_by, *self.only, *self.but_not))


@dataclass(frozen=True, slots=True)
class Ranking:
    """A page of cells by what ``measures`` of them add up to; those of the same amount by period and group."""

    measures: tuple[str, ...] = ("cost_nanousd",)
    descending: bool = True
    skip: int = 0
    most: int = 50


async def list_cells(connection: AsyncConnection, tenant: Tenant, report: Report) -> list[Cell]:
    """Cells with any receipt, ordered by period and then by group."""
    grouped = await _grouped(connection, tenant, report)
    if grouped is None:
        return []
    place = _place(grouped, report)
    query = select(grouped).order_by(*place)
    if report.after is not None:
        number, group = report.after
        query = query.where(tuple_(*place) > tuple_(literal(number), *(literal(text, Text) for text in group)))
    if report.most is not None:
        query = query.limit(report.most)
    return [_cell(row, report) for row in await connection.execute(query)]


async def rank_cells(
    connection: AsyncConnection, tenant: Tenant, report: Report, ranking: Ranking
) -> tuple[list[Cell], int]:
    """One page of the cells with any receipt, and how many there are on all pages; 0 beyond the last of them."""
    grouped = await _grouped(connection, tenant, report)
    if grouped is None:
        return [], 0
    amount = sum((grouped.c[name] for name in ranking.measures[1:]), grouped.c[ranking.measures[0]])
    query = (
        select(grouped, func.count().over().label("cells"))
        .order_by(amount.desc() if ranking.descending else amount.asc(), *_place(grouped, report))
        .limit(ranking.most)
        .offset(ranking.skip)
    )
    rows = list(await connection.execute(query))
    return [_cell(row[:-1], report) for row in rows], rows[0].cells if rows else 0


async def _grouped(connection: AsyncConnection, tenant: Tenant, report: Report) -> Subquery | None:
    """The period, the columns of the group, and the measures of each cell; None where no time is asked about."""
    tables = SPEND_BY_SESSION if report.asks_for(OF_SESSIONS) else SPEND
    alike: dict[tuple[int, bool, bool], list[Piece]] = {}
    for piece in pieces_of(report.periods, tuple(tables)):
        alike.setdefault((piece.grain_s, piece.rounded, piece.is_added), []).append(piece)
    if not alike:
        return None
    # The planner thinks of more groups than there are, and would sort all rows on disk.
    await connection.execute(text("SET LOCAL work_mem = '64MB'"))
    names = [COLUMN_NAMES[dimension] for dimension in report.group_by]
    found = union_all(*(part for pieces in alike.values() for part in _parts(tenant, report, pieces))).subquery("found")
    groups = [found.c[name] for name in names]
    sums = [cast(func.sum(found.c[name]), BigInteger).label(name) for name in MEASURES]
    by_period = [found.c.period] if len(report.periods) > 1 else []
    period = found.c.period if by_period else literal_column("0", Integer)
    return (
        select(period.label("period"), *groups, *sums)
        .group_by(*by_period, *groups)
        # What was taken off again leaves nothing.
        .having(or_(*(func.sum(found.c[name]) != 0 for name in MEASURES)))
        .subquery("grouped")
    )


def _place(grouped: Subquery, report: Report) -> list[ColumnElement[Any]]:
    names = [COLUMN_NAMES[dimension] for dimension in report.group_by]
    return [grouped.c.period, *(grouped.c[name].collate("C") for name in names)]


def _cell(row: Sequence[Any], report: Report) -> Cell:
    edge = 1 + len(report.group_by)
    return Cell(row[0], tuple(row[1:edge]), Amounts(*row[edge:]))


def _period(periods: Sequence[Period], bucket: ColumnElement[Any], *, rounded: bool) -> ColumnElement[int]:
    """The place of the last period that begins before or with the bucket."""
    if len(periods) == 1:
        return literal_column("0", Integer)
    starts = [nearest_midnight(period.start) if rounded else period.start for period in periods]
    return func.width_bucket(bucket, literal(starts, ARRAY(TIME))) - 1


def _parts(tenant: Tenant, report: Report, pieces: Sequence[Piece]) -> list[Select[Any]]:
    """The rows of the pieces of one grain. By tag, also those of receipts that have none."""
    grain_s = pieces[0].grain_s
    by_tag = "tag" in report.group_by or "tag" in report.only
    if report.asks_for(OF_SESSIONS):
        table = SPEND_BY_SESSION[grain_s]
        if not by_tag:
            return [_part(tenant, report, pieces, table, {})]
        named = func.unnest(table.c.tags).table_valued("tag").render_derived()
        distinct = select(named.c.tag).distinct().lateral("named")
        tagged = _part(tenant, report, pieces, table, {"tag": distinct.c.tag})
        parts = [tagged.select_from(table.join(distinct, true()))]
        untagged = table.c.tags == []
    else:
        parts = [_part(tenant, report, pieces, (SPEND_BY_TAG if by_tag else SPEND)[grain_s], {})]
        table = SPEND[grain_s]
        untagged = ~table.c.tagged
    if by_tag and "" in report.only.get("tag", ("",)) and "" not in report.but_not.get("tag", ()):
        parts.append(_part(tenant, report, pieces, table, {"tag": literal("", Text)}).where(untagged))
    return parts


def _part(
    tenant: Tenant,
    report: Report,
    pieces: Sequence[Piece],
    table: Table,
    values: Mapping[str, ColumnElement[Any]],
) -> Select[Any]:
    """``values`` stand for columns that the table has not."""

    def column(dimension: Dimension) -> ColumnElement[Any]:
        name = COLUMN_NAMES[dimension]
        return values[name] if name in values else table.c[name]

    groups = [column(dimension).label(COLUMN_NAMES[dimension]) for dimension in report.group_by]
    period = _period(report.periods, table.c.bucket, rounded=pieces[0].rounded).label("period")
    is_added = pieces[0].is_added
    amounts = [table.c[name] if is_added else (-table.c[name]).label(name) for name in MEASURES]
    query = select(period, *groups, *amounts)
    query = query.where(*within(tenant, table), _when(table.c.bucket, pieces))
    for filters, wanted in ((report.only, True), (report.but_not, False)):
        for dimension, texts in filters.items():
            if COLUMN_NAMES[dimension] in table.c or COLUMN_NAMES[dimension] in values:
                query = query.where(column(dimension).in_(texts) if wanted else column(dimension).not_in(texts))
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


async def total_spend(connection: AsyncConnection, tenant: Tenant) -> NanoUSD:
    """Of all receipts of the tenant that there ever were."""
    days = SPEND[DAY_S]
    total = select(func.coalesce(func.sum(days.c.cost_nanousd), 0)).where(*within(tenant, days))
    return int((await connection.execute(total)).scalar_one())


_NAMES: Mapping[Dimension, tuple[ColumnElement[str], ColumnElement[str | None]]] = {
    "organization": (organizations.c.organization_id, organizations.c.organization_alias),
    "team": (teams.c.team_id, teams.c.team_alias),
    "user": (users.c.user_id, func.coalesce(users.c.user_alias, users.c.user_email)),
    "key": (keys.c.key_id, keys.c.key_alias),
    "customer": (customers.c.customer_id, customers.c.customer_alias),
    "project": (projects.c.project_id, projects.c.project_alias),
}


NAMED: tuple[Dimension, ...] = tuple(_NAMES)
"""Those that people give names."""


async def find_names(connection: AsyncConnection, dimension: Dimension, ids: Collection[str]) -> dict[str, str]:
    """What people call them, or called those that are deleted; of those that have a name."""
    if dimension not in _NAMES or not ids:
        return {}
    column, name = _NAMES[dimension]
    wanted = func.any(literal(list(ids), ARRAY(Text)))
    gone = select(departed.c.id, departed.c.name).where(departed.c.kind == dimension, departed.c.id == wanted)
    of_the_dead = {one: str(alias) for one, alias in await connection.execute(gone)}
    living = await connection.execute(select(column, name).where(column == wanted))
    found = of_the_dead | {row[0]: row[1] for row in living}
    return {one: str(alias) for one, alias in found.items() if alias is not None}


async def find_living_keys(connection: AsyncConnection, key_ids: Collection[str]) -> set[str]:
    wanted = keys.c.key_id == func.any(literal(list(key_ids), ARRAY(Text)))
    found = await connection.execute(select(keys.c.key_id).where(wanted, keys.c.deleted_at.is_(None)))
    return set(found.scalars())
