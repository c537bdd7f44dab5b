"""The monthly partitions of the receipts: made ahead of time, so that no receipt waits for one."""

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

MONTHS_AHEAD = 2


async def create_partitions(connection: AsyncConnection, at: datetime, months_ahead: int = MONTHS_AHEAD) -> None:
    """Make what is missing of the partition of the month of ``at`` and of the months after it; may run any time.

    A month whose first receipts already lie in the default partition stays there: moving them would lock the
    table for writers, and reports read both alike.
    """
    for ahead in range(months_ahead + 1):
        first, next_first = _month(at, ahead), _month(at, ahead + 1)
        name = f"receipts_{first:%Y_%m}"
        if (await connection.execute(text("SELECT to_regclass(:name)"), {"name": name})).scalar() is not None:
            continue
        try:
            async with connection.begin_nested():
                await connection.execute(
                    text(
                        f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF receipts FOR VALUES "
                        f"FROM ('{first:%Y-%m-%d} 00:00:00+00') TO ('{next_first:%Y-%m-%d} 00:00:00+00')"
                    )
                )
        except IntegrityError:
            continue


def _month(at: datetime, ahead: int) -> datetime:
    year, month = divmod(at.year * 12 + at.month - 1 + ahead, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)
