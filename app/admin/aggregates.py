"""Use cases of the sums behind the reports: compare them with the receipts, and write them anew."""

from collections.abc import Iterator
from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.storage.books import hold_book
from app.storage.postgres import aggregates as rows
from app.storage.postgres.aggregates import Comparison
from app.storage.postgres.closing import closed_until
from app.storage.postgres.engine import transaction


class Aggregates:
    """Days are of UTC, both included."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def extent(self) -> tuple[date, date] | None:
        """The first and the last day with receipts or sums."""
        async with transaction(self._engine) as connection:
            return await rows.days_with_spend(connection)

    async def compare(self, first: date, last: date) -> list[Comparison]:
        async with transaction(self._engine) as connection:
            return [await rows.compare_day(connection, day) for day in _days(first, last)]

    async def rebuild(self, first: date, last: date, actor: Actor) -> list[Comparison]:
        """Day by day, so that booking waits for one at most; returns what was found before, of each day with any.

        Days of closed months stay as they are.
        """
        found = []
        for day in _days(first, last):
            async with transaction(self._engine) as connection:
                await hold_book(connection)
                if (until := await closed_until(connection)) is not None and day < until.date():
                    continue
                before = await rows.compare_day(connection, day)
                if await rows.rebuild_day(connection, day):
                    found.append(before)
                    await record_change(connection, actor, _change(before))
        return found


def _change(before: Comparison) -> Change:
    return Change(
        action="rebuild",
        object_type="spend_aggregates",
        object_id=str(before.day),
        before={"spend_nanousd": before.reported_nanousd},
        after={"spend_nanousd": before.booked_nanousd},
    )


def _days(first: date, last: date) -> Iterator[date]:
    for ahead in range((last - first).days + 1):
        yield first + timedelta(days=ahead)
