"""What demo data ask of the database beside their receipts: whether it is empty, limits of budgets, times of alerts."""

from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.storage.postgres import tables

_CONTENTS = {
    "organizations": tables.organizations,
    "teams": tables.teams,
    "users": tables.users,
    "keys": tables.keys,
    "models": tables.deployments,
    "credentials": tables.provider_credentials,
    "receipts": tables.receipts,
}
_MOST_COUNTED = 1_000_000
# Alerts are found in one look, and would all be of this minute. No budget is told of before its month.
_DATE = text(
    """
UPDATE alert_events SET created_at = CAST(:at AS timestamptz) - dated.place
    * least(interval '7 hours', (CAST(:at AS timestamptz) - CAST(:month AS timestamptz)) / dated.of_all)
FROM (
    SELECT event_id, row_number() OVER (ORDER BY percent DESC NULLS LAST, name) AS place, count(*) OVER () + 1 AS of_all
    FROM alert_events
) AS dated
WHERE alert_events.event_id = dated.event_id
"""
)


async def count_contents(connection: AsyncConnection) -> dict[str, int]:
    """How many rows there are of what people make, and of what they spent; to a million."""
    found = {}
    for name, table in _CONTENTS.items():
        some = select(text("1")).select_from(table).limit(_MOST_COUNTED).subquery()
        found[name] = int((await connection.execute(select(func.count()).select_from(some))).scalar_one())
    return found


async def set_limit(connection: AsyncConnection, budget_id: str, limit_nanousd: NanoUSD, *, is_soft: bool) -> None:
    column = "soft_limit_nanousd" if is_soft else "limit_nanousd"
    of_budget = tables.budgets.c.budget_id == budget_id
    await connection.execute(update(tables.budgets).where(of_budget).values({column: limit_nanousd}))


async def date_alerts(connection: AsyncConnection, at: datetime) -> None:
    month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    await connection.execute(_DATE, {"at": at, "month": month})
