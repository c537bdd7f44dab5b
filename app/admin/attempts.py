"""Attempts at secrets, counted by whose secret and by network address: together for all processes, in Postgres."""

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.base.clock import now
from app.base.errors import RateLimited
from app.base.logs import get_logger
from app.storage.postgres import people as rows
from app.storage.postgres.engine import transaction

LONGEST_WINDOW = timedelta(minutes=15)


class Attempts:
    """At most ``most`` of one subject in ``window``, ``LONGEST_WINDOW`` at the longest; ``what`` is a word for them."""

    def __init__(
        self, engine: AsyncEngine, most: int, window: timedelta = LONGEST_WINDOW, what: str = "attempts"
    ) -> None:
        self._engine = engine
        self._most = most
        self._window = window
        self._what = what
        self._log = get_logger()

    async def count(self, subjects: Collection[str], client_address: str) -> None:
        """One more of each. Raises RateLimited.

        Counted before it is looked at, so that many at once are counted too.
        """
        at = now()
        async with transaction(self._engine) as connection:
            await rows.delete_old_attempts(connection, at - LONGEST_WINDOW)
            attempts, since = await rows.count_attempts(connection, subjects, at, at - self._window)
        if attempts > self._most:
            wait_s = max(1, int((since + self._window - at).total_seconds()))
            self._log.warning("throttled", what=self._what, client_address=client_address)
            minutes = -(-wait_s // 60)
            raise RateLimited(
                f"too many {self._what}; try again in {minutes} {'minute' if minutes == 1 else 'minutes'}",
                retry_after_s=wait_s,
            )

    async def forgive(self, subject: str) -> None:
        """This one was none."""
        async with transaction(self._engine) as connection:
            await rows.take_attempt_back(connection, subject)


async def forgive_account(connection: AsyncConnection, account: str, address: str) -> None:
    """After a success: the account begins anew, and of the address this one attempt is taken back."""
    await rows.delete_attempts(connection, account)
    await rows.take_attempt_back(connection, address)
