"""What owners of whatever level have spent, in the window that runs and in all: from the sums, not from receipts.

Receipts are read only for a window that begins within a quarter of an hour, up to the end of that quarter.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Table,
    TableValuedAlias,
    Text,
    and_,
    any_,
    bindparam,
    case,
    column,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.clock import now
from app.domain.report_periods import DAY_S, HOUR_S, QUARTER_S, ceiling
from app.storage.postgres.columns import TIME, time_texts, times_named
from app.storage.postgres.receipts import KeySpend
from app.storage.postgres.retention import dropped_until
from app.storage.postgres.tables import receipts
from app.storage.postgres.tables.reports import OWNER_LEVELS, SPEND, SPEND_BY_TAG, spend_owner_days, spend_scopes

Owner = tuple[str, ...]
_ALWAYS_KEPT = timedelta(days=28)
"""Receipts of a month that runs are never dropped."""


async def spend_of_owners(
    connection: AsyncConnection, names: Sequence[str], windows: Sequence[tuple[Owner, datetime]]
) -> dict[Owner, KeySpend]:
    """By owner, for each pair of owner and start of its window; ``names`` are the columns that name an owner.

    ``tag`` is of those that have it among their tags. No name at all is everybody.
    """
    if not windows:
        return {}
    asked_for, windows = [owner for owner, _ in windows], await _known(connection, windows)
    edges = [_edges(start) for _, start in windows]
    values: dict[str, Any] = {"first": min(start for _, start in windows)}
    values |= {name: [owner[at] for owner, _ in windows] for at, name in enumerate(names)}
    values |= {name: time_texts(edge[at] for edge in edges) for at, name in enumerate(_BOUNDS)}
    places = []
    for place in range(len(_BOUNDS) - 1):
        spans = [(edge[place], edge[place + 1]) for edge in edges if edge[place] < edge[place + 1]]
        if spans:
            places.append(place)
            since, until = min(since for since, _ in spans), max(until for _, until in spans)
            values |= {f"since_{place}": since, f"until_{place}": until}
    rows = await connection.execute(_spend_query(tuple(names), tuple(places)), values)
    spent = {tuple(row[2:]): KeySpend(int(row[0] or 0), int(row[1] or 0)) for row in rows}
    return {owner: spent.get(owner, KeySpend(0, 0)) for owner in asked_for}


@cache
def _spend_query(names: tuple[str, ...], places: tuple[int, ...]) -> Select[Any]:
    """Made once: to write it takes longer than to ask it. Between the bounds of ``places`` lies anything."""
    sums = SPEND_BY_TAG if "tag" in names else SPEND
    asked = _asked(names, _BOUNDS)
    days = owner_days(names)
    in_window = case((days.c.bucket >= asked.c.day, days.c.cost_nanousd), else_=0)
    parts = [select(*_owners(asked, names), in_window.label("spent"), days.c.cost_nanousd.label("total"))]
    parts[0] = parts[0].select_from(asked.join(days, _same(asked, days, names)))
    finer = tuple((sums[grain_s], sums[grain_s].c.bucket) for grain_s in (QUARTER_S, HOUR_S))
    tables = ((receipts, _COUNTS_AT), *finer)
    for place in places:
        table, moment = tables[place]
        parts.append(_edge(asked, names, table, moment, place).where(_between(table, place)))
    parts.append(_began_before(asked, names))
    found = union_all(*parts).subquery("found")
    owners = [found.c[name] for name in names]
    return select(func.sum(found.c.spent), func.sum(found.c.total), *owners).group_by(*owners)


def _asked(names: Sequence[str], bounds: Sequence[str]) -> TableValuedAlias:
    """A table of the owners with the bounds of their windows. Out of arrays, so that the statement is the same for any
    number of them."""
    columns: list[ColumnClause[Any]] = [column(name, Text) for name in names]
    columns += [column(name, TIME) for name in bounds]
    ids = [bindparam(name, type_=ARRAY(Text)) for name in names]
    moments = [times_named(name) for name in bounds]
    return func.unnest(*ids, *moments).table_valued(*columns, name="asked").render_derived()


async def _known(
    connection: AsyncConnection, windows: Sequence[tuple[Owner, datetime]]
) -> Sequence[tuple[Owner, datetime]]:
    """A window that begins where receipts are gone has the quarter of an hour in which it begins whole."""
    if min(start for _, start in windows) > now() - _ALWAYS_KEPT:
        return windows
    gone = await dropped_until(connection)
    if gone is None:
        return windows
    quarter = timedelta(seconds=QUARTER_S)
    return [
        (owner, ceiling(start, QUARTER_S) - quarter if start < gone and ceiling(start, QUARTER_S) != start else start)
        for owner, start in windows
    ]


async def spend_of_keys(connection: AsyncConnection, windows: Sequence[tuple[str, datetime]]) -> dict[str, KeySpend]:
    """Spend by key id, for each pair of key id and start of its window."""
    found = await spend_of_owners(connection, ("key_id",), [((key_id,), start) for key_id, start in windows])
    return {key_id: spend for (key_id,), spend in found.items()}


def owner_days(names: Sequence[str]) -> Subquery:
    """What owners of one level spent in each day of UTC, by the columns that name them."""
    days = spend_owner_days.c
    owner = [column.label(name) for name, column in zip(names, (days.owner_id, days.member_id), strict=False)]
    of_level = [days.level == OWNER_LEVELS[tuple(names)]]
    if len(names) < 2:  # the whole key of the table: else its days may be sought among those of everybody
        of_level.append(days.member_id == "")
    return select(days.bucket, days.cost_nanousd, *owner).where(*of_level).subquery("days")


async def rough_spend(
    connection: AsyncConnection, names: Sequence[str], owners: Sequence[Owner], start: datetime
) -> dict[Owner, int]:
    """What many owners have spent since a boundary of a quarter of an hour, by those that have: from the sums alone, as
    they are counted in reports."""
    sums = SPEND_BY_TAG if "tag" in names else SPEND
    _, quarter, hour, day = _edges(start)
    parts = []
    for table, since, until in (
        (sums[QUARTER_S], quarter, hour),
        (sums[HOUR_S], hour, day),
        (owner_days(names), day, None),
    ):
        if since == until:
            continue
        columns = [table.c[name] for name in names]
        query = select(*columns, table.c.cost_nanousd).where(table.c.bucket >= since)
        if len(columns) == 1:
            query = query.where(columns[0] == func.any(literal([owner[0] for owner in owners], ARRAY(Text))))
        elif columns:
            query = query.where(tuple_(*columns).in_(owners))
        parts.append(query if until is None else query.where(table.c.bucket < until))
    found = union_all(*parts).subquery("found")
    named = [found.c[name] for name in names]
    rows = await connection.execute(select(*named, func.sum(found.c.cost_nanousd)).group_by(*named))
    return {tuple(row[:-1]): int(row[-1] or 0) for row in rows}


async def spend_of_days(
    connection: AsyncConnection, names: Sequence[str], windows: Collection[tuple[Owner, datetime]]
) -> dict[tuple[Owner, datetime], int]:
    """What many owners have spent since midnights of UTC, each since its own, by those that have."""
    values: dict[str, Any] = {name: [owner[at] for owner, _ in windows] for at, name in enumerate(names)}
    values["start"] = time_texts(start for _, start in windows)
    rows = await connection.execute(_days_query(tuple(names)), values)
    return {(tuple(row[:-2]), row[-2]): int(row[-1]) for row in rows}


@cache
def _days_query(names: tuple[str, ...]) -> Select[Any]:
    asked, days = _asked(names, ("start",)), owner_days(names)
    # Of one owner after the other, by the index: joined at once, all days of all owners would be read.
    own = select(func.sum(days.c.cost_nanousd).label("cost")).where(
        _same(asked, days, names), days.c.bucket >= asked.c.start
    )
    spent = own.lateral("spent")
    return select(*asked.c, spent.c.cost).select_from(asked.join(spent, true())).where(spent.c.cost.is_not(None))


async def spend_of_scope(connection: AsyncConnection, scope: str, start: datetime) -> int:
    """What was spent since ``start`` on a scope that receipts name themselves: a pool, or a budget of one model."""
    ((_, start),) = await _known(connection, [((), start)])
    quarter = ceiling(start, QUARTER_S)
    edge = select(func.sum(receipts.c.cost_nanousd)).where(
        receipts.c.started_at >= start, receipts.c.started_at < quarter, receipts.c.scopes.contains([scope])
    )
    sums = spend_scopes.c
    rest = select(func.sum(sums.cost_nanousd)).where(sums.scope == scope, sums.bucket >= quarter)
    parts = (await connection.execute(select(edge.scalar_subquery(), rest.scalar_subquery()))).one()
    return sum(int(part) for part in parts if part is not None)


async def spend_of_scopes(
    connection: AsyncConnection, windows: Collection[tuple[str, datetime]]
) -> dict[tuple[str, datetime], int]:
    """``spend_of_scope`` of many: in one query of those whose windows began at a quarter of an hour."""
    plain = [(scope, start) for scope, start in windows if ceiling(start, QUARTER_S) == start]
    found = dict.fromkeys(plain, 0)
    if plain:
        values = {"scope": [scope for scope, _ in plain], "start": time_texts(start for _, start in plain)}
        rows = await connection.execute(_scopes_query(), values)
        found |= {(row.scope, row.start): int(row.cost) for row in rows}
    return found | {window: await spend_of_scope(connection, *window) for window in windows if window not in found}


@cache
def _scopes_query() -> Select[Any]:
    asked, sums = _asked(("scope",), ("start",)), spend_scopes.c
    own = select(func.sum(sums.cost_nanousd).label("cost")).where(
        sums.scope == asked.c.scope, sums.bucket >= asked.c.start
    )
    spent = own.lateral("spent")
    return select(*asked.c, spent.c.cost).select_from(asked.join(spent, true())).where(spent.c.cost.is_not(None))


_BOUNDS = ("start", "quarter", "hour", "day")
_COUNTS_AT = func.coalesce(receipts.c.posted_at, receipts.c.started_at)


def _between(table: Table, place: int) -> ColumnElement[bool]:
    since, until = bindparam(f"since_{place}", type_=TIME), bindparam(f"until_{place}", type_=TIME)
    if table is not receipts:
        return and_(table.c.bucket >= since, table.c.bucket < until)
    began, posted = receipts.c.started_at, receipts.c.posted_at
    return or_(and_(posted.is_(None), began >= since, began < until), and_(posted >= since, posted < until))


def _began_before(asked: Any, names: Sequence[str]) -> Select[Any]:  # noqa: ANN401
    """What the sums have in a window though it began before: it came after its month was closed. Budgets count a call
    when it began."""
    began, posted = receipts.c.started_at, receipts.c.posted_at
    late = _same(asked, receipts, names) & (posted >= asked.c.start) & (began < asked.c.start)
    query = select(*_owners(asked, names), -receipts.c.cost_nanousd, literal(0, BigInteger))
    return query.select_from(asked.join(receipts, late)).where(posted >= bindparam("first", type_=TIME))


def _edges(start: datetime) -> tuple[datetime, datetime, datetime, datetime]:
    quarter = ceiling(start, QUARTER_S)
    hour = ceiling(quarter, HOUR_S)
    return start, quarter, hour, ceiling(hour, DAY_S)


def _edge(asked: Any, names: Sequence[str], table: Table, moment: ColumnElement[Any], place: int) -> Select[Any]:  # noqa: ANN401  values() has no public type
    """What was spent between one boundary of the owner's window and the next."""
    within = (moment >= asked.c[_BOUNDS[place]]) & (moment < asked.c[_BOUNDS[place + 1]])
    query = select(*_owners(asked, names), table.c.cost_nanousd, literal(0, BigInteger))
    return query.select_from(asked.join(table, _same(asked, table, names) & within))


def _owners(asked: Any, names: Sequence[str]) -> list[ColumnElement[Any]]:  # noqa: ANN401
    return [asked.c[name] for name in names]


def _same(asked: Any, table: FromClause, names: Sequence[str]) -> ColumnElement[bool]:  # noqa: ANN401
    return and_(true(), *(_named(asked, table, name) for name in names))


def _named(asked: Any, table: FromClause, name: str) -> ColumnElement[bool]:  # noqa: ANN401
    among: Any = any_(receipts.c.tags) if name == "tag" and table is receipts else table.c[name]
    same: ColumnElement[bool] = asked.c[name] == among
    return same
