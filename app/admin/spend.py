"""What finance asks of the receipts."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.money import NanoUSD
from app.storage.postgres import receipts as rows
from app.storage.postgres.engine import transaction
from app.storage.postgres.receipts import GroupBy, ReceiptFilter, Sum

MOST_LOG_ROWS = 10_000


class Spend:
    """Reads only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def logs(self, wanted: ReceiptFilter) -> Sequence[Row[Any]]:
        """Whole receipts, newest first, at most ``MOST_LOG_ROWS``."""
        async with transaction(self._engine) as connection:
            return await rows.list_receipts(connection, wanted, MOST_LOG_ROWS)

    async def sums(self, wanted: ReceiptFilter, group_by: GroupBy, timezone: str = "UTC") -> list[Sum]:
        """By day of the time zone, group, model, key and user, in that order."""
        async with transaction(self._engine) as connection:
            return await rows.sum_receipts(connection, wanted, group_by, timezone)

    async def total(self) -> NanoUSD:
        async with transaction(self._engine) as connection:
            return await rows.total_spend(connection)
