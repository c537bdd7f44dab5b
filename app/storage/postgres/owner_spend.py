"""What owners of whatever level have spent, in the window that runs and in all: from the sums, not from receipts.

Receipts are read only for a window that begins within a quarter of an hour, up to the end of that quarter.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Select,
    Table,
    Text,
    and_,
    case,
    column,
    func,
    literal,
    select,
    union_all,
    values,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.report_periods import DAY_S, HOUR_S, QUARTER_S, ceiling
from app.storage.postgres.columns import TIME
from app.storage.postgres.receipts import KeySpend
from app.storage.postgres.report_tables import SPEND
from app.storage.postgres.tables import receipts

Owner = tuple[str, ...]


async def spend_of_owners(
    connection: AsyncConnection, names: Sequence[str], windows: Sequence[tuple[Owner, datetime]]
) -> dict[Owner, KeySpend]:
    """By owner, for each pair of owner and start of its window; ``names`` are the columns that name an owner."""
    if not windows:
        return {}
    asked = values(
        *(column(name, Text) for name in names),
        *(column(name, TIME) for name in ("start", "quarter", "hour", "day")),
        name="asked",
    ).data([(*owner, *_edges(start)) for owner, start in windows])
    days = SPEND[DAY_S]
    in_window = case((days.c.bucket >= asked.c.day, days.c.cost_nanousd), else_=0)
    parts = [select(*_owners(asked, names), in_window.label("spent"), days.c.cost_nanousd.label("total"))]
    parts[0] = parts[0].select_from(asked.join(days, _same(asked, days, names)))
    edges = [_edges(start) for _, start in windows]
    for place, (table, moment) in enumerate(_FINER):
        spans = [(edge[place], edge[place + 1]) for edge in edges if edge[place] < edge[place + 1]]
        if spans:
            since, until = min(since for since, _ in spans), max(until for _, until in spans)
            part = _edge(asked, names, table, table.c[moment], place)
            parts.append(part.where(table.c[moment] >= since, table.c[moment] < until))
    found = union_all(*parts).subquery("found")
    owners = [found.c[name] for name in names]
    query = select(func.sum(found.c.spent), func.sum(found.c.total), *owners).group_by(*owners)
    spent = {tuple(row[2:]): KeySpend(int(row[0]), int(row[1])) for row in await connection.execute(query)}
    return {owner: spent.get(owner, KeySpend(0, 0)) for owner, _ in windows}


async def spend_of_keys(connection: AsyncConnection, windows: Sequence[tuple[str, datetime]]) -> dict[str, KeySpend]:
    """Spend by key id, for each pair of key id and start of its window."""
    found = await spend_of_owners(connection, ("key_id",), [((key_id,), start) for key_id, start in windows])
    return {key_id: spend for (key_id,), spend in found.items()}


_BOUNDS = ("start", "quarter", "hour", "day")
_FINER = ((receipts, "started_at"), (SPEND[QUARTER_S], "bucket"), (SPEND[HOUR_S], "bucket"))


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


def _same(asked: Any, table: Table, names: Sequence[str]) -> ColumnElement[bool]:  # noqa: ANN401
    return and_(*(table.c[name] == asked.c[name] for name in names))
