"""How near budgets were to their limits when the watch for alerts looked last: the nearest of many are found by it.

To the percent, and only what has changed is written: a budget of a month moves a hundred rows on its way to the limit.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    Subquery,
    Text,
    and_,
    bindparam,
    column,
    delete,
    exists,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.columns import TIME
from app.storage.postgres.tables import budget_standings, budgets

_KNOWN_BY = ("kind", "team_id", "id", "budget_id", "part")
_MOST_PERCENT = 10**9


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """Of one window of a budget of one owner. ``team_id`` is empty but for members; ``ends_at`` None is never."""

    kind: str
    team_id: str
    id: str
    budget_id: str
    part: str
    percent: int
    ends_at: datetime | None


async def put_standings(connection: AsyncConnection, standings: Iterable[BudgetStanding]) -> None:
    rows = list(standings)
    types: dict[str, Any] = {"percent": BigInteger(), "ends_at": TIME}
    columns: list[ColumnClause[Any]] = [column(name, types.get(name, Text())) for name in BudgetStanding.__slots__]
    arrays = [
        bindparam(None, [getattr(row, one.name) for row in rows], ARRAY(one.type), unique=True) for one in columns
    ]
    asked = func.unnest(*arrays).table_valued(*columns, name="asked").render_derived()
    known = budget_standings.c
    same = and_(*(known[name] == asked.c[name] for name in _KNOWN_BY))
    changed = or_(
        func.coalesce(known.percent, 0) != asked.c.percent,
        and_(known.kind.is_not(None), known.ends_at.is_distinct_from(asked.c.ends_at)),
    )
    new = select(*asked.c).select_from(asked.outerjoin(budget_standings, same)).where(changed)
    put = insert(budget_standings).from_select([one.name for one in columns], new)
    values = {name: put.excluded[name] for name in ("percent", "ends_at")}
    await connection.execute(put.on_conflict_do_update(index_elements=_KNOWN_BY, set_=values))


async def drop_standings(connection: AsyncConnection, at: datetime) -> None:
    """Of windows that have ended, and of budgets that are gone."""
    known = budget_standings.c
    gone = ~exists().where(budgets.c.budget_id == known.budget_id)
    await connection.execute(delete(budget_standings).where(or_(known.ends_at <= at, gone)))


def nearest(kind: str) -> Subquery:
    """By ``team_id``, ``id`` and ``budget_id``, the ``percent`` of the budget that is nearest to its limit; of windows
    that run at the time of the statement, its value ``at``."""
    known = budget_standings.c
    runs = or_(known.ends_at.is_(None), known.ends_at > bindparam("at", type_=TIME))
    query = select(known.team_id, known.id, known.budget_id, func.max(known.percent).label("percent"))
    return query.where(known.kind == kind, runs).group_by(known.team_id, known.id, known.budget_id).subquery("nearest")


def percent_of(spent: int, line: int) -> int:
    """Of a budget without any room all is spent."""
    return min(max(spent, 0) * 100 // line, _MOST_PERCENT) if line > 0 else 100
