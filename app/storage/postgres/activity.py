"""What people did in coding sessions: counted once, and added up by session, owner and period."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    Text,
    and_,
    cast,
    delete,
    func,
    literal,
    literal_column,
    null,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.activity import MEASURES, Activity, Reading
from app.domain.report_periods import Interval
from app.domain.roles import Tenant
from app.storage.postgres.tables.activity import OWNERS, activity_sources, session_activity
from app.storage.postgres.tenants import within

_GROWING_FOR, _REPEATED_FOR = timedelta(days=30), timedelta(days=3)
"""How long a counter may be silent, and how long a client may go on repeating itself."""
_FORGOTTEN_AT_ONCE = 5_000
Owner = Literal["organization_id", "team_id", "user_id", "key_id", "project_id"]


@dataclass(frozen=True, slots=True)
class ActivityFilter:
    """Days of UTC, both included; ``only`` are the owners that count."""

    first: date | None = None
    last: date | None = None
    only: Mapping[Owner, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ActivityCell:
    """``period`` is the first day of the interval, None where there is one period only."""

    period: date | None
    group: tuple[str, ...]
    activity: Activity


async def add_readings(
    connection: AsyncConnection, owners: Mapping[str, str], readings: Sequence[Reading], at: datetime
) -> None:
    """What the readings say beyond what was known is added to their sessions' days. ``owners`` by ``OWNERS``."""
    known = await _hold_sources(connection, owners["user_id"] or owners["key_id"], readings, at)
    sums: dict[tuple[str, date], dict[str, int]] = {}
    for reading in readings:
        more = reading.value - known[reading.source]
        if more > 0:
            known[reading.source] = reading.value
            amounts = sums.setdefault((reading.session_id, reading.day), dict.fromkeys(MEASURES, 0))
            amounts[reading.measure] += more
    if not sums:
        return
    rows = [
        {"session_id": session_id, "day": day, **owners, **sums[session_id, day]} for session_id, day in sorted(sums)
    ]
    made = insert(session_activity).values(rows)
    added = {name: session_activity.c[name] + made.excluded[name] for name in MEASURES}
    await connection.execute(made.on_conflict_do_update(index_elements=["session_id", "day", *OWNERS], set_=added))


async def _hold_sources(
    connection: AsyncConnection, owner: str, readings: Sequence[Reading], at: datetime
) -> dict[bytes, int]:
    """What each source had said before; its row is held, and brought up to date."""
    last: dict[bytes, Reading] = {}
    for reading in readings:
        if reading.source not in last or reading.value > last[reading.source].value:
            last[reading.source] = reading
    # In one order, so that of two exports of the same counters one waits for the other, and never both.
    rows = [
        {
            "owner": owner,
            "source": source,
            "value": reading.value,
            "forget_at": at + (_GROWING_FOR if reading.grows else _REPEATED_FOR),
        }
        for source, reading in sorted(last.items())
    ]
    nothing_said = [{**row, "value": 0} for row in rows]
    await connection.execute(insert(activity_sources).values(nothing_said).on_conflict_do_nothing())
    of_these = and_(activity_sources.c.owner == owner, activity_sources.c.source.in_(last))
    held = select(activity_sources.c.source, activity_sources.c.value).where(of_these)
    held = held.order_by(activity_sources.c.source).with_for_update()
    known = {bytes(row.source): int(row.value) for row in await connection.execute(held)}
    made = insert(activity_sources).values(rows)
    newer = {
        "value": func.greatest(activity_sources.c.value, made.excluded.value),
        "forget_at": made.excluded.forget_at,
    }
    await connection.execute(made.on_conflict_do_update(index_elements=["owner", "source"], set_=newer))
    return known


async def forget_sources(connection: AsyncConnection, at: datetime) -> None:
    """Some of those that will not be heard of again."""
    old = select(activity_sources.c.owner, activity_sources.c.source).where(activity_sources.c.forget_at < at)
    some = old.limit(_FORGOTTEN_AT_ONCE).with_for_update(skip_locked=True)
    place = tuple_(activity_sources.c.owner, activity_sources.c.source)
    await connection.execute(delete(activity_sources).where(place.in_(some)))


async def activity_of_sessions(
    connection: AsyncConnection, tenant: Tenant, session_ids: Collection[str], wanted: ActivityFilter = ActivityFilter()
) -> dict[str, Activity]:
    """By session, of those that have any."""
    table = session_activity
    of_these = table.c.session_id == func.any(literal(list(session_ids), ARRAY(Text)))
    query = (
        select(table.c.session_id, *_sums())
        .where(*within(tenant, table), of_these, *_conditions(wanted))
        .group_by(table.c.session_id)
    )
    return {row[0]: Activity(*row[1:]) for row in await connection.execute(query)}


async def list_activity(
    connection: AsyncConnection,
    tenant: Tenant,
    wanted: ActivityFilter,
    group_by: Sequence[Owner],
    interval: Interval | None,
) -> list[ActivityCell]:
    table = session_activity
    period: ColumnElement[Any] = null()
    if interval is not None:
        period = cast(func.date_trunc(literal_column(f"'{interval}'"), table.c.day), Date)
    groups = [table.c[name] for name in group_by]
    query = (
        select(period.label("period"), *groups, *_sums())
        .where(*within(tenant, table), *_conditions(wanted))
        .group_by("period", *groups)
    )
    edge = 1 + len(groups)
    return [ActivityCell(row[0], tuple(row[1:edge]), Activity(*row[edge:])) for row in await connection.execute(query)]


def _sums() -> list[ColumnElement[int]]:
    return [cast(func.sum(session_activity.c[name]), BigInteger) for name in MEASURES]


def _conditions(wanted: ActivityFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [session_activity.c[owner].in_(ids) for owner, ids in wanted.only.items()]
    if wanted.first is not None:
        conditions.append(session_activity.c.day >= wanted.first)
    if wanted.last is not None:
        conditions.append(session_activity.c.day <= wanted.last)
    return conditions
