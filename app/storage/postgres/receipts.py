"""What is asked of the receipts themselves: rows for the log."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.roles import Tenant
from app.storage.postgres.tables import keys, receipts, teams
from app.storage.postgres.tenants import within


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


async def list_receipts(
    connection: AsyncConnection, tenant: Tenant, wanted: ReceiptFilter, limit: int
) -> list[Row[Any]]:
    """Whole rows with ``team_alias`` and ``key_alias``, newest first."""
    query = (
        select(receipts, keys.c.key_alias, teams.c.team_alias)
        .select_from(_with_names())
        .where(*within(tenant, receipts), *_conditions(wanted))
        .order_by(receipts.c.started_at.desc(), receipts.c.request_id.desc(), receipts.c.attempt.desc())
    )
    return list(await connection.execute(query.limit(limit)))


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
