"""Dropping alerts after their time: what was told is kept for so many days."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.clock import now
from app.storage.postgres.alert_outbox import drop_events
from app.storage.postgres.engine import transaction
from app.storage.postgres.retention import claim_chore

_AT_ONCE = 5_000


class AlertRetention:
    def __init__(self, engine: AsyncEngine, keep_days: int) -> None:
        """``keep_days`` 0 is for ever."""
        self._engine = engine
        self._keep_days = keep_days

    async def run_in_turn(self, every_s: float) -> int:
        """How many went; none where another process has begun it in the time."""
        if not self._keep_days:
            return 0
        async with transaction(self._engine) as connection:
            if not await claim_chore(connection, "drop alerts", every_s):
                return 0
        return await self.run()

    async def run(self) -> int:
        at, dropped = now(), 0
        while True:
            async with transaction(self._engine) as connection:
                gone = await drop_events(connection, at - timedelta(days=self._keep_days), at, _AT_ONCE)
            dropped += gone
            if gone < _AT_ONCE:
                return dropped
