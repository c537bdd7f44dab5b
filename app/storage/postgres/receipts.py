"""What is asked of the receipts themselves: rows for the log."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Text, and_, case, false, func, literal, or_, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.roles import Tenant
from app.storage.postgres.cost_centers import BEGINNING, find_charging
from app.storage.postgres.tables import departed, keys, receipts, teams
from app.storage.postgres.tenants import within


@dataclass(frozen=True, slots=True)
class ReceiptFilter:
    """Receipts that began in [``since``, ``until``) and have these owners; None does not filter.

    ``least_nanousd`` and ``most_nanousd`` are amounts that still belong to it. ``is_ok`` by the status. ``without``
    are columns in which there is nothing, ``tags`` among them. ``cost_center`` is what a receipt is charged to, the
    empty text what is charged to none. Where ``as_counted``, the time is that at which reports count a receipt,
    and what came too late for its month is an adjustment.
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
    key_ids: tuple[str, ...] | None = None
    cost_center: str | None = None
    as_counted: bool = False


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


_COUNTS_AT = func.coalesce(receipts.c.posted_at, receipts.c.started_at)
_TEAM_ALIAS = case((teams.c.team_id.is_not(None), teams.c.team_alias), else_=departed.c.name).label("team_alias")


async def list_receipts(
    connection: AsyncConnection, tenant: Tenant, wanted: ReceiptFilter, page: LogPage
) -> list[Row[Any]]:
    """Whole rows with ``team_alias`` and ``key_alias``, newest first unless told otherwise."""
    places = [receipts.c.started_at, receipts.c.request_id, receipts.c.attempt]
    order = [receipts.c[page.order], *places] if page.order != "started_at" else places
    query = (
        select(receipts, keys.c.key_alias, _TEAM_ALIAS)
        .select_from(_with_names())
        .where(*within(tenant, receipts), *await _conditions(connection, wanted))
        .order_by(*(column.desc() if page.newest_first else column.asc() for column in order))
        .limit(page.most)
        .offset(page.skip)
    )
    if page.after is not None:
        known = tuple_(*(literal(value) for value in page.after))
        # The first condition is for the index and the partitions.
        if page.newest_first:
            query = query.where(receipts.c.started_at <= page.after[0], tuple_(*places) < known)
        else:
            query = query.where(receipts.c.started_at >= page.after[0], tuple_(*places) > known)
    return list(await connection.execute(query))


async def count_receipts(connection: AsyncConnection, tenant: Tenant, wanted: ReceiptFilter, most: int) -> int:
    """How many there are, counted as far as ``most``."""
    conditions = (*within(tenant, receipts), *await _conditions(connection, wanted))
    found = select(literal(1)).select_from(_with_names()).where(*conditions).limit(most)
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


def _with_names() -> Any:  # noqa: ANN401  a join has no public type
    return (
        receipts.outerjoin(keys, receipts.c.key_id == keys.c.key_id)
        .outerjoin(teams, receipts.c.team_id == teams.c.team_id)
        .outerjoin(departed, and_(departed.c.kind == "team", departed.c.id == receipts.c.team_id))
    )


async def _conditions(connection: AsyncConnection, wanted: ReceiptFilter) -> list[ColumnElement[bool]]:
    conditions = await _counted(connection, wanted) if wanted.as_counted else _began(wanted)
    if wanted.cost_center is not None:
        charging = await find_charging(connection, wanted.since or BEGINNING)
        conditions.append(charging.is_charged_to(wanted.cost_center, receipts, _COUNTS_AT))
    return conditions + _of_columns(wanted)


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
    if wanted.key_alias is not None:
        conditions.append(keys.c.key_alias == wanted.key_alias)
    if wanted.least_nanousd is not None:
        conditions.append(receipts.c.cost_nanousd >= wanted.least_nanousd)
    if wanted.most_nanousd is not None:
        conditions.append(receipts.c.cost_nanousd <= wanted.most_nanousd)
    if wanted.is_ok is not None:
        conditions.append((receipts.c.status == "ok") if wanted.is_ok else (receipts.c.status != "ok"))
    return conditions + _further_conditions(wanted)


def _further_conditions(wanted: ReceiptFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.key_ids is not None:
        conditions.append(receipts.c.key_id == func.any(literal(list(wanted.key_ids), ARRAY(Text))))
    if wanted.tag is not None:
        conditions.append(receipts.c.tags.contains([wanted.tag]))
    return conditions + [_empty(name) for name in sorted(wanted.without)]


def _empty(name: str) -> ColumnElement[bool]:
    column = receipts.c[name]
    return column == [] if name == "tags" else func.coalesce(column, "") == ""


_COMPARED = (
    "key_id", "user_id", "team_id", "customer_id", "request_id", "session_id", "model_served", "model_asked",
    "deployment_id", "project", "request_class", "organization_id", "provider", "status",
)  # fmt: skip
