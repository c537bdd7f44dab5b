"""What is asked of the sums of receipts: the cells of a report, by period and group."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, partial
from operator import add
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    Subquery,
    Table,
    Text,
    TextClause,
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    select,
    text,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.report_periods import DAY_S, QUARTER_S, Period, Piece, cut, nearest_midnight, pieces_of
from app.domain.roles import Tenant
from app.storage.postgres.columns import times
from app.storage.postgres.cost_centers import Charging, find_charging
from app.storage.postgres.tables.reports import (
    MEASURES,
    SPEND,
    SPEND_BY_SESSION,
    SPEND_BY_TAG,
    days_that_tell,
    session_days_that_tell,
)
from app.storage.postgres.tenants import TENANT_COLUMNS, within

Dimension = Literal[
    "organization", "team", "user", "key", "customer", "project", "tag", "model", "model_asked", "provider",
    "request_class", "session", "agent", "kind", "project_id", "cost_center",
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
    "cost_center": "cost_center",
}
OTHERS = "\0"
"""A group that is all those together which are not told apart. No text in Postgres has this character."""
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
        return Amounts._make(map(add, self, other))


@dataclass(frozen=True, slots=True)
class Cell:
    """``period`` is the place in the list that was asked about, ``group`` in the order of ``group_by``.

    The empty text in a group stands for none: no team, no tag.
    """

    period: int
    group: tuple[str, ...]
    amounts: Amounts


# The planner thinks of more groups than there are, and would sort all rows on disk; and workers for some ten thousand
# rows take longer to start than to help.
_FOR_REPORTS = text("SELECT set_config('work_mem', '64MB', true), set_config('parallel_setup_cost', '10000', true)")
# A plan made once for all asks takes a span of days for a few rows, and looks through all of them for each session that
# is named.
_FOR_SESSIONS = text(f"{_FOR_REPORTS.text}, set_config('plan_cache_mode', 'force_custom_plan', true)")


@dataclass(frozen=True, slots=True)
class Report:
    """What to add up. ``only`` and ``but_not`` filter by dimension, the empty text finds those without.

    A receipt counts under each of its tags. ``after`` is the place of the last cell that is known already. Of a
    dimension in ``apart`` only those groups are told apart, all others are ``OTHERS``. What is not among ``measures``
    is zero in the cells.
    """

    periods: Sequence[Period]
    group_by: tuple[Dimension, ...] = ()
    only: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    but_not: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    apart: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)
    measures: tuple[str, ...] = MEASURES
    after: tuple[int, tuple[str, ...]] | None = None
    most: int | None = None

    def asks_for(self, dimensions: Collection[Dimension]) -> bool:
        return any(one in dimensions for one in (*self.group_by, *self.only, *self.but_not))


async def list_cells(connection: AsyncConnection, tenant: Tenant, report: Report) -> list[Cell]:
    """Cells with any receipt, ordered by period and then by group."""
    grouped = await grouped_rows(connection, tenant, report)
    if grouped is None:
        return []
    place = place_of(grouped, report)
    query = select(grouped).order_by(*place)
    if report.after is not None:
        number, group = report.after
        query = query.where(tuple_(*place) > tuple_(literal(number), *(literal(text, Text) for text in group)))
    if report.most is not None:
        query = query.limit(report.most)
    return [cell_of(row, report) for row in await connection.execute(query)]


async def grouped_rows(connection: AsyncConnection, tenant: Tenant, report: Report) -> Subquery | None:
    """The period, the columns of the group, and the measures of each cell; None where no time is asked about."""
    found = await plain_rows(connection, tenant, report)
    if found is None:
        return None
    grouped = _added_up(found, report, [found.c[COLUMN_NAMES[dimension]] for dimension in report.group_by])
    if report.apart:  # of the few groups, not of each row
        grouped = _added_up(grouped, report, [_told_apart(grouped, one, report) for one in report.group_by])
    return grouped


async def plain_rows(connection: AsyncConnection, tenant: Tenant, report: Report) -> Subquery | None:
    """What cells are added up from, by the same names."""
    alike: dict[tuple[int, bool, bool], list[Piece]] = {}
    for piece in _pieces(tenant, report):
        alike.setdefault((piece.grain_s, piece.rounded, piece.is_added), []).append(piece)
    if not alike:
        return None
    await connection.execute(_FOR_SESSIONS if report.asks_for(OF_SESSIONS) else _FOR_REPORTS)
    if report.asks_for({"cost_center"}):
        return await _charged(connection, tenant, report, list(alike.values()))
    parts = (part for pieces in alike.values() for part in _parts(tenant, report, pieces))
    return union_all(*parts).subquery("found")


def _pieces(tenant: Tenant, report: Report) -> list[Piece]:
    """Sessions have fewer buckets in a period than it has hours: nothing is taken off for their sake."""
    if not report.asks_for(OF_SESSIONS):
        return pieces_of(report.periods, tuple(SPEND))
    days = _session_days(tenant, report)
    return cut(report.periods, (QUARTER_S,) if days is None else (QUARTER_S, DAY_S))


def _session_days(tenant: Tenant, report: Report, charging: Charging | None = None) -> Table | None:
    asked = {*_columns(tenant, report, charging), *report.measures}
    return session_days_that_tell(asked | {"tags"} if _is_by_tag(report) else asked)


def _added_up(rows: Subquery, report: Report, groups: Sequence[ColumnElement[Any]]) -> Subquery:
    return (
        select(period_of(rows, report).label("period"), *groups, *_sums(rows.name, report.measures))
        .select_from(rows)
        .group_by(*by_period(rows, report), *groups)
        .having(_has_any(rows.name, report.measures))
        .subquery("grouped")
    )


def by_period(rows: Subquery, report: Report) -> list[ColumnElement[int]]:
    """What groups are of a period by; nothing where there is one."""
    return [rows.c.period] if len(report.periods) > 1 else []


def period_of(rows: Subquery, report: Report) -> ColumnElement[int]:
    return next(iter(by_period(rows, report)), literal_column("0", Integer))


def _told_apart(grouped: Subquery, dimension: Dimension, report: Report) -> ColumnElement[Any]:
    """Null for those that are not."""
    column = grouped.c[COLUMN_NAMES[dimension]]
    if dimension not in report.apart:
        return column
    kept = column == func.any(literal(list(report.apart[dimension]), ARRAY(Text)))
    return case((kept, column)).label(column.name)


async def _charged(
    connection: AsyncConnection, tenant: Tenant, report: Report, alike: Sequence[Sequence[Piece]]
) -> Subquery:
    """With ``cost_center``, which no row of sums has: they are added up by owner and time first, as few as they are."""
    times = [(piece.start, piece.end) for pieces in alike for piece in pieces]
    charging = await find_charging(connection, min(start for start, _ in times), max(end for _, end in times))
    found = union_all(*(part for pieces in alike for part in _parts(tenant, report, pieces, charging))).subquery(
        "found"
    )
    told_apart = [column for column in found.c if column.name not in report.measures]
    charged = charging.charge(
        select(*told_apart, *_sums(found.name, report.measures)).group_by(*told_apart).subquery("owned")
    )
    wanted, unwanted = report.only.get("cost_center"), report.but_not.get("cost_center")
    conditions = [] if wanted is None else [charged.c.cost_center.in_(wanted)]
    conditions += [] if unwanted is None else [charged.c.cost_center.not_in(unwanted)]
    return select(charged).where(*conditions).subquery("charged")


@cache
def _sums(rows: str, measures: tuple[str, ...]) -> Sequence[ColumnElement[int]]:
    """Of a subquery of that name. Written once: they are most of a statement."""
    return [literal_column(f"sum({rows}.{name})::bigint", BigInteger).label(name) for name in measures]


@cache
def _has_any(rows: str, measures: tuple[str, ...]) -> TextClause:
    """What was taken off again leaves nothing."""
    return text(" OR ".join(f"sum({rows}.{name}) <> 0" for name in measures))


def place_of(grouped: Subquery, report: Report) -> list[ColumnElement[Any]]:
    names = [COLUMN_NAMES[dimension] for dimension in report.group_by]
    return [grouped.c.period, *(grouped.c[name].collate("C") for name in names)]


def cell_of(row: Sequence[Any], report: Report) -> Cell:
    edge = 1 + len(report.group_by)
    group = tuple(OTHERS if one is None else one for one in row[1:edge])
    return Cell(row[0], group, amounts_of(row[edge:], report))


def amounts_of(row: Sequence[int], report: Report) -> Amounts:
    return Amounts(*row) if report.measures == MEASURES else Amounts(**dict(zip(report.measures, row, strict=True)))


def _period(periods: Sequence[Period], bucket: ColumnElement[Any], *, rounded: bool) -> ColumnElement[int]:
    """The place of the last period that begins before or with the bucket."""
    if len(periods) == 1:
        return literal_column("0", Integer)
    starts = [nearest_midnight(period.start) if rounded else period.start for period in periods]
    return func.width_bucket(bucket, times(starts)) - 1


def _parts(
    tenant: Tenant, report: Report, pieces: Sequence[Piece], charging: Charging | None = None
) -> list[Select[Any]]:
    """The rows of the pieces of one grain. By tag, also those of receipts that have none."""
    grain_s = pieces[0].grain_s
    part = partial(_part, tenant, report, pieces, charging)
    by_tag = _is_by_tag(report)
    if report.asks_for(OF_SESSIONS):
        table = _session_days(tenant, report, charging) if grain_s == DAY_S else SPEND_BY_SESSION
        if table is None:
            raise LookupError("no table of days of sessions tells what cost centres go by")
        if not by_tag:
            return [part(table, {})]
        named = func.unnest(table.c.tags).table_valued("tag").render_derived()
        distinct = select(named.c.tag).distinct().lateral("named")
        tagged = part(table, {"tag": distinct.c.tag})
        parts = [tagged.select_from(table.join(distinct, true()))]
        untagged = table.c.tags == []
    else:
        asked = _columns(tenant, report, charging) | ({"tagged"} if by_tag else set())
        table = days_that_tell(asked) if grain_s == DAY_S else SPEND[grain_s]
        parts = [part(SPEND_BY_TAG[grain_s] if by_tag else table, {})]
        untagged = ~table.c.tagged if by_tag else false()
    if by_tag and "" in report.only.get("tag", ("",)) and "" not in report.but_not.get("tag", ()):
        parts.append(part(table, {"tag": literal("", Text)}).where(untagged))
    return parts


def _is_by_tag(report: Report) -> bool:
    return "tag" in report.group_by or "tag" in report.only


def _columns(tenant: Tenant, report: Report, charging: Charging | None) -> set[str]:
    """What a table of sums must tell apart, but for the tag."""
    asked = {COLUMN_NAMES[one] for one in (*report.group_by, *report.only, *report.but_not)} - {"tag", "cost_center"}
    return asked | set(charging.columns if charging else ()) | set(() if tenant.everything else TENANT_COLUMNS)


def _part(
    tenant: Tenant,
    report: Report,
    pieces: Sequence[Piece],
    charging: Charging | None,
    table: Table,
    values: Mapping[str, ColumnElement[Any]],
) -> Select[Any]:
    """``values`` stand for columns that the table has not. What ``charging`` goes by is told apart too."""

    def column(dimension: Dimension) -> ColumnElement[Any]:
        name = COLUMN_NAMES[dimension]
        return values[name] if name in values else table.c[name]

    groups = {COLUMN_NAMES[dimension]: column(dimension) for dimension in report.group_by if dimension != "cost_center"}
    if charging is not None:
        groups |= {name: table.c[name] for name in charging.columns} | {"era": charging.era(table.c.bucket)}
    period = _period(report.periods, table.c.bucket, rounded=pieces[0].rounded).label("period")
    is_added = pieces[0].is_added
    amounts = [table.c[name] if is_added else (-table.c[name]).label(name) for name in report.measures]
    query = select(period, *(value.label(name) for name, value in groups.items()), *amounts)
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
    return bucket == func.any(times(buckets))


_EXTENT = select(func.min(SPEND[DAY_S].c.bucket), func.max(SPEND[DAY_S].c.bucket))


async def find_extent(connection: AsyncConnection) -> tuple[date, date] | None:
    """The first and last day of UTC that have spend."""
    first, last = (await connection.execute(_EXTENT)).one()
    return None if first is None else (first.date(), last.date())


async def total_spend(connection: AsyncConnection, tenant: Tenant) -> NanoUSD:
    """Of all receipts of the tenant that there ever were."""
    days = days_that_tell(() if tenant.everything else TENANT_COLUMNS)
    total = select(func.coalesce(func.sum(days.c.cost_nanousd), 0)).where(*within(tenant, days))
    return int((await connection.execute(total)).scalar_one())
