"""What teams, users, organizations, customers and members have spent, summed from the receipts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import Text, and_, case, column, func, select, values
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.columns import TIME
from app.storage.postgres.receipts import KeySpend
from app.storage.postgres.tables import receipts

Level = Literal["organization", "team", "user", "member", "customer"]
Owner = tuple[str, ...]
_COLUMNS: dict[Level, tuple[str, ...]] = {
    "organization": ("organization_id",),
    "team": ("team_id",),
    "user": ("user_id",),
    "member": ("team_id", "user_id"),
    "customer": ("customer_id",),
}


async def spend_of(
    connection: AsyncConnection, level: Level, windows: Sequence[tuple[Owner, datetime]]
) -> dict[Owner, KeySpend]:
    """Spend by owner (a member is its team and its user), for each pair of owner and start of its window.

    Also what keys spent that are deleted, or have another owner now.
    """
    if not windows:
        return {}
    names = _COLUMNS[level]
    asked = values(*(column(name, Text) for name in names), column("start", TIME), name="asked").data(
        [(*owner, start) for owner, start in windows]
    )
    owners = [asked.c[name] for name in names]
    in_window = case((receipts.c.started_at >= asked.c.start, receipts.c.cost_nanousd), else_=0)
    query = (
        select(func.sum(in_window), func.sum(receipts.c.cost_nanousd), *owners)
        .select_from(asked.join(receipts, and_(*(receipts.c[name] == asked.c[name] for name in names))))
        .group_by(*owners)
    )
    spent = {tuple(row[2:]): KeySpend(int(row[0]), int(row[1])) for row in await connection.execute(query)}
    return {owner: spent.get(owner, KeySpend(0, 0)) for owner, _ in windows}
