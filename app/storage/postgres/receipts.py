"""What is asked of the receipts themselves: rows for the log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    FromClause,
    Row,
    Select,
    Text,
    and_,
    case,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.roles import Tenant
from app.storage.postgres.columns import TIME, times
from app.storage.postgres.cost_centers import BEGINNING, Charging, find_charging
from app.storage.postgres.tables import departed, keys, receipts, teams
from app.storage.postgres.tenants import within


@dataclass(frozen=True, slots=True)
class ReceiptFilter:
    """Receipts that began in [``since``, ``until``) and have these owners; None does not filter.

    ``least_nanousd`` and ``most_nanousd`` are amounts that still belong to it. ``is_ok`` by the status. ``without``
    are columns in which there is nothing, ``tags`` among them. ``cost_center`` is what a receipt is charged to, the
    empty text what is charged to none. Where ``as_counted``, the time is that at which reports count a receipt,
    and what came too late for its month is an adjustment. Beside that,
    they began at ``not_before`` or later, in ``stretches``, and are among the newest of the time, whosever they are.
    """

    since: datetime | None = None
    until: datetime | None = None
    key_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    customer_id: str | None = None
    request_id: str | None = None
    session_id: str | None = None
    model_served: str | None = None
    model_asked: str | None = None
    deployment_id: str | None = None
    project: str | None = None
    request_class: str | None = None
    key_alias: str | None = None
    least_nanousd: NanoUSD | None = None
    most_nanousd: NanoUSD | None = None
    is_ok: bool | None = None
    organization_id: str | None = None
    provider: str | None = None
    kind: str | None = None
    status: str | None = None
    tag: str | None = None
    without: frozenset[str] = frozenset()
    cost_center: str | None = None
    as_counted: bool = False
    not_before: datetime | None = None
    among_newest: int | None = None
    stretches: "tuple[Stretch, ...] | None" = None


@dataclass(frozen=True, slots=True, order=True)
class Stretch:
    """What began in [``since``, ``until``) by a key. Those of one key do not overlap."""

    key_id: str
    since: datetime
    until: datetime


Place = tuple[datetime, str, int]
"""Of a receipt in the log: when it began, its request, and the attempt."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """``order`` is a column of receipts. ``after`` is the place of the last row that is known already, for the order of
    time alone; ``skip`` leaves out the first rows."""

    order: Literal["started_at", "cost_nanousd", "duration_ms"] = "started_at"
    newest_first: bool = True
    most: int = 50
    skip: int = 0
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class KeySpend:
    """``window_nanousd`` since the start asked about, ``total_nanousd`` since ever."""

    window_nanousd: NanoUSD
    total_nanousd: NanoUSD


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the latest calls took: the middle one, and the one that 95 of 100 are not slower than."""

    calls: int
    median_ms: int
    slow_ms: int
    first_byte_ms: int | None


_PLACE = ("started_at", "request_id", "attempt")
_COUNTS_AT = func.coalesce(receipts.c.posted_at, receipts.c.started_at)
_TEAM_ALIAS = case((teams.c.team_id.is_not(None), teams.c.team_alias), else_=departed.c.name).label("team_alias")


async def list_receipts(
    connection: AsyncConnection,
    tenant: Tenant,
    wanted: ReceiptFilter,
    page: LogPage,
    charging: Charging | None = None,
) -> list[Row[Any]]:
    """Whole rows with ``team_alias`` and ``key_alias``, newest first unless told otherwise. ``charging`` of the time is
    asked for where it is not known."""
    conditions = [*within(tenant, receipts), *await _conditions(connection, wanted, charging), *_follow(page)]
    if wanted.among_newest is not None:
        conditions.append(receipts.c.started_at >= _since_newest(wanted, page))
    query = select(receipts, keys.c.key_alias, _TEAM_ALIAS).order_by(*_order(receipts, page))
    if wanted.stretches is None:
        query = query.select_from(_with_names(receipts)).where(*conditions).limit(page.most).offset(page.skip)
    else:
        places = _places(wanted.stretches, conditions, page).subquery("places")
        same = and_(*(places.c[name] == receipts.c[name] for name in _PLACE))
        query = query.select_from(_with_names(places.join(receipts, same)))
    return list(await connection.execute(query))


def _since_newest(wanted: ReceiptFilter, page: LogPage) -> ColumnElement[datetime]:
    until = [] if wanted.until is None else [receipts.c.started_at < wanted.until]
    newest = select(receipts.c.started_at).where(*until, *_follow(page)[:1]).order_by(receipts.c.started_at.desc())
    last = newest.limit(1).offset((wanted.among_newest or 1) - 1).scalar_subquery()
    return func.coalesce(last, literal(BEGINNING, TIME))


def _places(stretches: Sequence[Stretch], conditions: Sequence[ColumnElement[bool]], page: LogPage) -> Select[Any]:
    """Of the rows of a page. Each stretch is walked by the index of its key, whatever the planner thinks of the other
    conditions: that alone is in this order, in which the key, one and the same, comes first."""
    stretch, began = table_of(stretches), receipts.c.started_at
    own = (receipts.c.key_id == stretch.c.key_id, began >= stretch.c.since, began < stretch.c.until)
    columns = [receipts.c[name] for name in dict.fromkeys((page.order, *_PLACE))]
    key_first = receipts.c.key_id.desc() if page.newest_first else receipts.c.key_id.asc()
    newest = select(*columns).where(*own, *conditions).order_by(key_first, *_order(receipts, page))
    each = newest.limit(page.most + page.skip).lateral("each")
    found = select(each).select_from(stretch.join(each, true()))
    return found.order_by(*_order(each, page)).limit(page.most).offset(page.skip)


def _order(table: FromClause, page: LogPage) -> list[ColumnElement[Any]]:
    columns = [table.c[name] for name in dict.fromkeys((page.order, *_PLACE))]
    return [column.desc() if page.newest_first else column.asc() for column in columns]


def _follow(page: LogPage) -> list[ColumnElement[bool]]:
    if page.after is None:
        return []
    began, known = receipts.c.started_at, tuple_(*(literal(value) for value in page.after))
    place = tuple_(*(receipts.c[name] for name in _PLACE))
    # The first condition is for the index and the partitions.
    if page.newest_first:
        return [began <= page.after[0], place < known]
    return [began >= page.after[0], place > known]


def table_of(stretches: Sequence[Stretch]) -> FromClause:
    """As rows of a query."""
    since, until = (times(getattr(one, name) for one in stretches) for name in ("since", "until"))
    key_ids = literal([one.key_id for one in stretches], ARRAY(Text))
    rows = func.unnest(key_ids, since, until).table_valued(
        Column("key_id", Text), Column("since", TIME), Column("until", TIME)
    )
    return rows.render_derived(name="stretch")


async def count_receipts(connection: AsyncConnection, tenant: Tenant, wanted: ReceiptFilter, most: int) -> int:
    """How many there are, counted as far as ``most``."""
    conditions = (*within(tenant, receipts), *await _conditions(connection, wanted))
    found = select(literal(1)).select_from(receipts).where(*conditions).limit(most)
    return int((await connection.execute(select(func.count()).select_from(found.subquery()))).scalar_one())


async def find_pace(connection: AsyncConnection, tenant: Tenant, since: datetime, most: int) -> Pace | None:
    """Of the latest ``most`` calls that succeeded since then, stored answers aside; None where there are none."""
    latest = (
        select(receipts.c.duration_ms, receipts.c.first_byte_ms)
        .where(*within(tenant, receipts), receipts.c.started_at >= since, receipts.c.status == "ok")
        .where(receipts.c.kind == "usage", receipts.c.usage_source != "cache")
        .order_by(receipts.c.started_at.desc())
        .limit(most)
        .subquery()
    )
    half, most_of_them = (func.percentile_disc(share) for share in (0.5, 0.95))
    query = select(
        func.count(),
        half.within_group(latest.c.duration_ms),
        most_of_them.within_group(latest.c.duration_ms),
        half.within_group(latest.c.first_byte_ms),
    )
    row = (await connection.execute(query)).one()
    return Pace(*row) if row[0] else None


async def find_unpriced(connection: AsyncConnection, tenant: Tenant, since: datetime, most: int) -> dict[str, int]:
    """Models without a price that were called since then, with how many of the latest ``most`` such calls."""
    latest = (
        select(receipts.c.model_served)
        .where(*within(tenant, receipts), receipts.c.started_at >= since, receipts.c.price_source == "fallback")
        .order_by(receipts.c.started_at.desc())
        .limit(most)
        .subquery()
    )
    query = select(latest.c.model_served, func.count()).group_by(latest.c.model_served).order_by(func.count().desc())
    return {row[0]: row[1] for row in await connection.execute(query)}


def _with_names(found: FromClause) -> FromClause:
    return (
        found.outerjoin(keys, receipts.c.key_id == keys.c.key_id)
        .outerjoin(teams, receipts.c.team_id == teams.c.team_id)
        .outerjoin(departed, and_(departed.c.kind == "team", departed.c.id == receipts.c.team_id))
    )


async def _conditions(
    connection: AsyncConnection, wanted: ReceiptFilter, charging: Charging | None = None
) -> list[ColumnElement[bool]]:
    conditions = await _counted(connection, wanted) if wanted.as_counted else _began(wanted)
    if wanted.not_before is not None:
        conditions.append(receipts.c.started_at >= wanted.not_before)
    if wanted.cost_center is not None:
        charging = charging or await find_charging(connection, wanted.since or BEGINNING)
        conditions.append(charging.is_charged_to(wanted.cost_center, receipts, _COUNTS_AT))
    if wanted.key_alias is not None:
        # Asked first, so that receipts are found by the index of keys.
        named = await find_key_ids(connection, wanted.key_alias)
        conditions.append(receipts.c.key_id == named[0] if len(named) == 1 else receipts.c.key_id.in_(named))
    return conditions + _of_columns(wanted)


async def find_key_ids(connection: AsyncConnection, alias: str) -> Sequence[str]:
    """Of the keys that are called so."""
    return (await connection.execute(select(keys.c.key_id).where(keys.c.key_alias == alias))).scalars().all()


def _began(wanted: ReceiptFilter) -> list[ColumnElement[bool]]:
    kind = [] if wanted.kind is None else [receipts.c.kind == wanted.kind]
    return [*_between(receipts.c.started_at, wanted), *kind]


async def _counted(connection: AsyncConnection, wanted: ReceiptFilter) -> list[ColumnElement[bool]]:
    began, posted = receipts.c.started_at, receipts.c.posted_at
    kind = [] if wanted.kind is None else [receipts.c.kind == wanted.kind]
    late = posted.is_not(None) if wanted.kind in (None, "adjustment") else false()
    # The oldest of those that are counted late: the log is looked through by when receipts began.
    oldest = select(func.min(began)).where(posted.is_not(None), *_between(posted, wanted))
    since = (await connection.execute(oldest)).scalar_one()
    if since is None:
        return [*_between(began, wanted), posted.is_(None), *kind]
    either = or_(
        and_(posted.is_(None), *_between(began, wanted), *kind),
        and_(late, *_between(posted, wanted)),
    )
    earliest = since if wanted.since is None else min(since, wanted.since)
    return [*_between(began, replace(wanted, since=earliest)), either]


def _between(column: ColumnElement[Any], wanted: ReceiptFilter) -> list[ColumnElement[bool]]:
    first = [] if wanted.since is None else [column >= wanted.since]
    return first if wanted.until is None else [*first, column < wanted.until]


def _of_columns(wanted: ReceiptFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    for name in _COMPARED:
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(receipts.c[name] == value)
    if wanted.least_nanousd is not None:
        conditions.append(receipts.c.cost_nanousd >= wanted.least_nanousd)
    if wanted.most_nanousd is not None:
        conditions.append(receipts.c.cost_nanousd <= wanted.most_nanousd)
    if wanted.is_ok:
        conditions.append(receipts.c.status == "ok")
    if fails(wanted):
        # Written out, and beside a status that is looked for: the condition of an index.
        conditions.append(receipts.c.status != literal_column("'ok'"))
    return conditions + _further_conditions(wanted)


def _further_conditions(wanted: ReceiptFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.tag is not None:
        conditions.append(receipts.c.tags.contains([wanted.tag]))
    return conditions + [_empty(name) for name in sorted(wanted.without)]


def fails(wanted: ReceiptFilter) -> bool:
    """Whether only what failed is looked for."""
    return wanted.is_ok is False or wanted.status not in (None, "ok")


def _empty(name: str) -> ColumnElement[bool]:
    column = receipts.c[name]
    return column == [] if name == "tags" else func.coalesce(column, "") == ""


_COMPARED = (
    "key_id", "user_id", "team_id", "customer_id", "request_id", "session_id", "model_served", "model_asked",
    "deployment_id", "project", "request_class", "organization_id", "provider", "status",
)  # fmt: skip
