"""The port of the data plane to what people did in sessions: readings in, each counted once."""

import time
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.activity import Reading
from app.domain.keys import VirtualKey
from app.storage.postgres.activity import add_readings, forget_sources
from app.storage.postgres.engine import transaction

_FORGET_EVERY_S = 600.0


class ActivityStore:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._forgot_s = time.monotonic()

    async def add(self, key: VirtualKey, readings: Sequence[Reading], at: datetime) -> None:
        """Raises StorageUnavailable; saying the same again is harmless."""
        owners = {
            "organization_id": key.organization_id or "",
            "team_id": key.team_id or "",
            "user_id": key.user_id or "",
            "key_id": key.key_id,
            "project_id": key.project_id or "",
        }
        async with transaction(self._engine) as connection:
            await add_readings(connection, owners, readings, at)
        if time.monotonic() - self._forgot_s > _FORGET_EVERY_S:
            self._forgot_s = time.monotonic()
            async with transaction(self._engine) as connection:
                await forget_sources(connection, at)
