"""What is asked of the groups of a report by their size: a page of them, the largest or the smallest first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import BigInteger, ColumnElement, Integer, Subquery, cast, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.roles import Tenant
from app.storage.postgres.reports import (
    COLUMN_NAMES,
    Amounts,
    Cell,
    Dimension,
    Report,
    amounts_of,
    by_period,
    cell_of,
    grouped_rows,
    list_cells,
    period_of,
    place_of,
    plain_rows,
)

_MANY: Dimension = "session"
_HALF_BITS = 31
_TELLING = ("requests", "cost_nanousd")


@dataclass(frozen=True, slots=True)
class Ranking:
    """A page of cells by what ``measures`` of them add up to; those of the same amount by period and group."""

    measures: tuple[str, ...] = ("cost_nanousd",)
    descending: bool = True
    skip: int = 0
    most: int = 50


@dataclass(frozen=True, slots=True)
class Ranked:
    """One page of cells, and how many there are on all pages; none beyond the last page. ``total`` is what all add up
    to, None where there are so many that a report without groups knows it sooner."""

    cells: Sequence[Cell]
    count: int
    total: Amounts | None


_NOTHING = Ranked([], 0, Amounts())


async def rank_cells(connection: AsyncConnection, tenant: Tenant, report: Report, ranking: Ranking) -> Ranked:
    """``ranking`` goes by measures of the report."""
    ranked = None
    if _MANY in report.group_by and not report.apart:
        ranked = await _rank_many(connection, tenant, report, ranking)
    return ranked or await _rank(connection, tenant, report, ranking)


async def _rank(connection: AsyncConnection, tenant: Tenant, report: Report, ranking: Ranking) -> Ranked:
    grouped = await grouped_rows(connection, tenant, report)
    if grouped is None:
        return _NOTHING
    amount = sum((grouped.c[name] for name in ranking.measures[1:]), grouped.c[ranking.measures[0]])
    totals = [literal_column(f"(sum({grouped.name}.{name}) OVER ())::bigint", BigInteger) for name in report.measures]
    query = (
        select(grouped, func.count().over(), *totals)
        .order_by(amount.desc() if ranking.descending else amount.asc(), *place_of(grouped, report))
        .limit(ranking.most)
        .offset(ranking.skip)
    )
    rows = [tuple(row) for row in await connection.execute(query)]
    if not rows:
        return _NOTHING
    edge = len(grouped.c)
    count, *total = rows[0][edge:]
    return Ranked([cell_of(row[:edge], report) for row in rows], count, amounts_of(total, report))


async def _rank_many(connection: AsyncConnection, tenant: Tenant, report: Report, ranking: Ranking) -> Ranked | None:
    """The same of tens of thousands of groups: all measures are added up of those on the page alone. None where that
    leaves it open whether a group has anything: corrections of a session may have taken off all that they put on."""
    telling = [name for name in _TELLING if name in report.measures and (name,) != ranking.measures]
    rows = await plain_rows(connection, tenant, replace(report, measures=tuple({*ranking.measures, *telling})))
    if rows is None:
        return _NOTHING
    sizes = _sizes(rows, report, ranking, telling)
    query = (
        select(sizes, func.count().over(), func.count().filter(sizes.c.has_any).over())
        .order_by(sizes.c.size.desc() if ranking.descending else sizes.c.size, *place_of(sizes, report))
        .limit(ranking.most)
        .offset(ranking.skip)
    )
    if {*ranking.measures[:1], *telling} == set(report.measures):
        query = query.where(sizes.c.has_any)
    found = [tuple(row) for row in await connection.execute(query)]
    if not found:
        return _NOTHING
    count, certain = found[0][-2:]
    if count != certain:
        return None
    edge = 1 + len(report.group_by)
    places = [(row[0], row[1:edge]) for row in found]
    of_many = sorted({group[report.group_by.index(_MANY)] for _, group in places})
    cells = await list_cells(connection, tenant, replace(report, only={**report.only, _MANY: of_many}))
    at = {(cell.period, cell.group): cell for cell in cells}
    return Ranked([at[place] for place in places if place in at], count, None)


def _sizes(rows: Subquery, report: Report, ranking: Ranking, telling: Sequence[str]) -> Subquery:
    """Each group with its ``size``, and whether it certainly ``has_any``thing."""
    groups = [rows.c[COLUMN_NAMES[dimension]] for dimension in report.group_by]
    size = _exact_sum(sum((rows.c[name] for name in ranking.measures[1:]), rows.c[ranking.measures[0]]))
    # Requests are never below zero, so that the greatest tells of all.
    any_told = (func.max(rows.c[name]) > 0 if name == "requests" else _exact_sum(rows.c[name]) != 0 for name in telling)
    has_any = or_(size != 0, *any_told)
    return (
        select(period_of(rows, report).label("period"), *groups, size.label("size"), has_any.label("has_any"))
        .group_by(*by_period(rows, report), *groups)
        .subquery("sizes")
    )


def _exact_sum(column: ColumnElement[int]) -> ColumnElement[int]:
    """In two halves of 31 bits: Postgres adds ``bigint`` up as ``numeric``, which takes many groups twice the time."""
    upper = cast(column.bitwise_rshift(literal_column(str(_HALF_BITS))), Integer)
    lower = cast(column.bitwise_and(literal_column(str((1 << _HALF_BITS) - 1))), Integer)
    whole = literal_column(str(1 << _HALF_BITS), BigInteger)
    return func.sum(upper, type_=BigInteger) * whole + func.sum(lower, type_=BigInteger)
