"""What is asked of coding sessions: a page of them from their sums, and the cells of one from its receipts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Interval,
    Row,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    select,
    text,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.roles import Tenant
from app.storage.postgres.columns import TIME
from app.storage.postgres.reports import Amounts
from app.storage.postgres.tables import receipts
from app.storage.postgres.tables.reports import MEASURES, SPEND_BY_SESSION, SUMMED
from app.storage.postgres.tenants import within

Order = Literal["cost_nanousd", "last_at"]
_SUMS = SPEND_BY_SESSION
_COMPARED = ("user_id", "team_id", "key_id", "project", "model_served")
_LISTED = ("user_id", "team_id", "key_id", "project", "model_served", "request_class")


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Sessions with calls in [``since``, ``until``), of which only those calls count; None does not filter."""

    since: datetime | None = None
    until: datetime | None = None
    user_id: str | None = None
    team_id: str | None = None
    key_id: str | None = None
    project: str | None = None
    model_served: str | None = None


@dataclass(frozen=True, slots=True)
class SessionPage:
    """The greatest first. ``after`` is the place of the last session that is known already."""

    order: Order = "last_at"
    most: int = 50
    after: tuple[int | datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class SessionCell:
    """What the calls of one agent add up to, in one turn, on one model, of one class. None is not said."""

    agent_id: str | None
    prompt_id: str | None
    model: str
    request_class: str
    parent_agent_id: str | None
    agent_type: str | None
    first_at: datetime
    last_at: datetime
    amounts: Amounts


async def list_sessions(
    connection: AsyncConnection, tenant: Tenant, wanted: SessionFilter, page: SessionPage
) -> list[Row[Any]]:
    """``session_id``, ``first_at``, ``last_at``, ``agents`` (how many subagents), the measures, and lists of whose and
    what by the names of the columns."""
    sums = [cast(func.sum(_SUMS.c[name]), BigInteger).label(name) for name in MEASURES]
    lists = [
        func.coalesce(
            func.array_agg(_SUMS.c[name].distinct()).filter(_SUMS.c[name] != ""), text("'{}'::text[]")
        ).label(name)
        for name in _LISTED
    ]  # fmt: skip
    conditions = [*within(tenant, _SUMS), _SUMS.c.session_id != ""]
    if wanted.since is not None:
        conditions.append(_SUMS.c.bucket >= wanted.since)
    if wanted.until is not None:
        conditions.append(_SUMS.c.bucket < wanted.until)
    conditions += [_SUMS.c[name] == value for name in _COMPARED if (value := getattr(wanted, name)) is not None]
    agents = func.count(_SUMS.c.agent_id.distinct()).filter(_SUMS.c.agent_id != "").label("agents")
    first, last = func.min(_SUMS.c.first_at).label("first_at"), func.max(_SUMS.c.last_at).label("last_at")
    # Lists of what tens of thousands of sessions were about are long to make: only those on the page have them.
    on_page = _SUMS.c.session_id == func.any(func.array(_ranked(conditions, page).scalar_subquery()))
    found = (
        select(_SUMS.c.session_id, first, last, agents, *sums, *lists)
        .where(*conditions, on_page)
        .group_by(_SUMS.c.session_id)
        .subquery("found")
    )
    query = select(found).order_by(found.c[page.order].desc(), found.c.session_id.collate("C").desc())
    return list(await connection.execute(query))


def _ranked(conditions: Sequence[ColumnElement[bool]], page: SessionPage) -> Select[tuple[str]]:
    amount = func.max(_SUMS.c.last_at) if page.order == "last_at" else cast(func.sum(_SUMS.c.cost_nanousd), BigInteger)
    sizes = (
        select(_SUMS.c.session_id, amount.label("amount"))
        .where(*conditions)
        .group_by(_SUMS.c.session_id)
        .subquery("sizes")
    )
    place: tuple[ColumnElement[Any], ...] = (sizes.c.amount, sizes.c.session_id.collate("C"))
    query = select(sizes.c.session_id).order_by(*(column.desc() for column in place)).limit(page.most)
    if page.after is not None:
        value, session_id = page.after
        kind = TIME if page.order == "last_at" else BigInteger()
        query = query.where(tuple_(*place) < tuple_(literal(value, kind), literal(session_id, Text)))
    return query


async def list_cells(
    connection: AsyncConnection,
    tenant: Tenant,
    session_id: str,
    most: int,
    span: tuple[datetime | None, datetime | None] = (None, None),
) -> list[SessionCell]:
    """The cells of one session in the order of their beginnings; empty for one that the tenant does not have."""
    names = ("agent_id", "prompt_id", "model_served", "request_class")
    groups = [receipts.c[name] for name in names]
    is_call = receipts.c.kind == "usage"
    counts = [
        func.count().filter(is_call).label("requests"),
        func.count().filter(and_(is_call, receipts.c.status != "ok")).label("failures"),
    ]
    sums = [cast(func.coalesce(func.sum(receipts.c[name]), 0), BigInteger).label(name) for name in SUMMED]
    lasted = cast(func.concat(receipts.c.duration_ms, literal(" ms")), Interval)
    first = func.min(receipts.c.started_at).label("first_at")
    facts = (func.max(receipts.c.parent_agent_id), func.max(receipts.c.agent_type))
    last = func.max(case((is_call, receipts.c.started_at + lasted), else_=receipts.c.started_at))
    conditions = [*within(tenant, receipts), receipts.c.session_id == session_id]
    counted_at = func.coalesce(receipts.c.posted_at, receipts.c.started_at)
    since, until = span
    if since is not None:
        conditions.append(counted_at >= since)
    if until is not None:
        conditions.append(counted_at < until)
    query = (
        select(*groups, *facts, first, last, *counts, *sums)
        .where(*conditions)
        .group_by(*groups)
        .order_by(first, *groups)
        .limit(most)
    )
    edge = len(groups) + len(facts) + 2
    return [SessionCell(*[*row[:edge], Amounts(*row[edge:])]) for row in await connection.execute(query)]
