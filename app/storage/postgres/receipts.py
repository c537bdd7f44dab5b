"""What is asked of the receipts: sums per key, rows for the log, groups for the reports."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Text, case, column, func, select, text, values
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.storage.postgres.columns import TIME
from app.storage.postgres.tables import keys, receipts, teams

GroupBy = Literal["team", "customer", "api_key"]

PROMPT_TOKENS = (
    receipts.c.input_tokens
    + receipts.c.cache_read_tokens
    + receipts.c.cache_write_5m_tokens
    + receipts.c.cache_write_1h_tokens
    + receipts.c.audio_input_tokens
)
COMPLETION_TOKENS = receipts.c.output_tokens + receipts.c.audio_output_tokens


@dataclass(frozen=True, slots=True)
class ReceiptFilter:
    """Receipts that began in [``since``, ``until``) and have these owners; None does not filter."""

    since: datetime | None = None
    until: datetime | None = None
    key_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    customer_id: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class KeySpend:
    """``window_nanousd`` since the start asked about, ``total_nanousd`` since ever."""

    window_nanousd: NanoUSD
    total_nanousd: NanoUSD


@dataclass(frozen=True, slots=True)
class Sum:
    """One cell of a report. ``group`` is a team's name, a customer or a key id; None where there is none."""

    day: str
    group: str | None
    model: str
    key_id: str
    user_id: str | None
    cost_nanousd: NanoUSD
    prompt_tokens: int
    completion_tokens: int


async def spend_of_keys(connection: AsyncConnection, windows: Iterable[tuple[str, datetime]]) -> dict[str, KeySpend]:
    """Spend by key id, for each pair of key id and start of its window."""
    pairs = list(windows)
    if not pairs:
        return {}
    asked = values(column("key_id", Text), column("start", TIME), name="asked").data(pairs)
    in_window = case((receipts.c.started_at >= asked.c.start, receipts.c.cost_nanousd), else_=0)
    query = (
        select(asked.c.key_id, func.sum(in_window), func.sum(receipts.c.cost_nanousd))
        .select_from(asked.join(receipts, receipts.c.key_id == asked.c.key_id))
        .group_by(asked.c.key_id)
    )
    spent = {key_id: KeySpend(int(window), int(total)) for key_id, window, total in await connection.execute(query)}
    return {key_id: spent.get(key_id, KeySpend(0, 0)) for key_id, _ in pairs}


async def total_spend(connection: AsyncConnection) -> NanoUSD:
    """Of all receipts there are."""
    return int((await connection.execute(select(func.coalesce(func.sum(receipts.c.cost_nanousd), 0)))).scalar_one())


async def spend_of_team(connection: AsyncConnection, team_id: str) -> NanoUSD:
    """Since ever, also of keys that are deleted or have left the team."""
    total = select(func.coalesce(func.sum(receipts.c.cost_nanousd), 0)).where(receipts.c.team_id == team_id)
    return int((await connection.execute(total)).scalar_one())


async def list_receipts(connection: AsyncConnection, wanted: ReceiptFilter, limit: int) -> list[Row[Any]]:
    """Whole rows with ``team_alias`` and ``key_alias``, newest first."""
    query = (
        select(receipts, keys.c.key_alias, teams.c.team_alias)
        .select_from(_with_names())
        .where(*_conditions(wanted))
        .order_by(receipts.c.started_at.desc(), receipts.c.request_id.desc(), receipts.c.attempt.desc())
    )
    return list(await connection.execute(query.limit(limit)))


async def sum_receipts(
    connection: AsyncConnection, wanted: ReceiptFilter, group_by: GroupBy, timezone: str
) -> list[Sum]:
    """Sums by day (of ``timezone``, an IANA name), group, model, key and user, in that order."""
    day = func.to_char(func.timezone(timezone, receipts.c.started_at), "YYYY-MM-DD")
    group: ColumnElement[Any]
    match group_by:
        case "team":
            group = func.coalesce(teams.c.team_alias, receipts.c.team_id)
        case "customer":
            group = receipts.c.customer_id
        case "api_key":
            group = receipts.c.key_id
    parts = [
        day.label("day"),
        group.label("group"),
        receipts.c.model_served.label("model"),
        receipts.c.key_id,
        receipts.c.user_id,
    ]
    query = (
        select(
            *parts,
            func.sum(receipts.c.cost_nanousd).label("cost_nanousd"),
            func.sum(PROMPT_TOKENS).label("prompt_tokens"),
            func.sum(COMPLETION_TOKENS).label("completion_tokens"),
        )
        .select_from(_with_names())
        .where(*_conditions(wanted))
        .group_by(text("1, 2, 3, 4, 5"))
        .order_by(text("1, 2, 3, 4, 5"))
    )
    rows = await connection.execute(query)
    return [Sum(*row[:5], *(int(amount) for amount in row[5:])) for row in rows]


def _with_names() -> Any:  # noqa: ANN401  a join has no public type
    return receipts.outerjoin(keys, receipts.c.key_id == keys.c.key_id).outerjoin(
        teams, receipts.c.team_id == teams.c.team_id
    )


def _conditions(wanted: ReceiptFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        conditions.append(receipts.c.started_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(receipts.c.started_at < wanted.until)
    for name in ("key_id", "user_id", "team_id", "customer_id", "request_id"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(receipts.c[name] == value)
    return conditions
