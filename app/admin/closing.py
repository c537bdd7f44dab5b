"""Closing months: what they add up to stands from then on, and what comes later corrects the month that runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.money import NanoUSD
from app.storage.books import hold_book
from app.storage.postgres import aggregates
from app.storage.postgres import closing as rows
from app.storage.postgres.engine import transaction

_DAYS_NAMED = 5


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed month, by its first day of UTC. ``adjustments_nanousd`` of its cost correct months before.

    ``digest`` is of what it was when it was closed; what that covers goes by ``digest_version``.
    """

    month: date
    requests: int
    cost_nanousd: NanoUSD
    adjustments_nanousd: NanoUSD
    digest: str
    digest_version: int
    closed_by: str
    closed_at: datetime


class Closing:
    """Months are of UTC."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def closes(self) -> Sequence[Closed]:
        """The latest first."""
        async with transaction(self._engine) as connection:
            return [_closed(row) for row in await rows.list_closes(connection)]

    async def booked_later(self) -> Mapping[date, tuple[int, NanoUSD]]:
        """By closed month: how many receipts that began in it were booked in a later one, and what they come to."""
        async with transaction(self._engine) as connection:
            return await rows.booked_later(connection)

    async def verify(self, month: date) -> tuple[Closed, str]:
        """A closed month, and the digest of what it is now. Raises NotFound for one that is open."""
        async with transaction(self._engine) as connection:
            found = [row for row in await rows.list_closes(connection) if row.month == month]
            if not found:
                raise NotFound(f'the month "{month:%Y-%m}" is not closed; see POST /spend/close', param="month")
            closed = _closed(found[0])
            return closed, await rows.digest_of(connection, month, *span_of(month), closed.digest_version)

    async def close(self, month: date, actor: Actor) -> Sequence[Closed]:
        """Close a month, and those before it that are open, the oldest first; those closed already stay as they are.

        Raises Unprocessable for a month that is not over, and for sums that are not those of the receipts.
        """
        if span_of(month)[1] > now():
            raise Unprocessable(f'"month" is "{month:%Y-%m}", which is not over yet (in UTC)', param="month")
        made = []
        for each in await self._open_until(month):
            async with transaction(self._engine) as connection:
                await hold_book(connection)
                if (until := await rows.closed_until(connection)) is None or until < span_of(each)[1]:
                    made.append(await close_month(connection, each, actor))
        return made

    async def _open_until(self, month: date) -> list[date]:
        async with transaction(self._engine) as connection:
            extent = await aggregates.days_with_spend(connection)
            until = await rows.closed_until(connection)
        oldest = month if extent is None else min(extent[0].replace(day=1), month)
        first = oldest if until is None else until.date()
        found = []
        while first <= month:
            found.append(first)
            first = span_of(first)[1].date()
        return found


async def close_month(connection: AsyncConnection, month: date, actor: Actor) -> Closed:
    """In a transaction that holds the book (``hold_book``). Raises Unprocessable for sums that cannot be trusted."""
    since, until = span_of(month)
    wrong = await differing_days(connection, month)
    if wrong:
        more = f" and {len(wrong) - _DAYS_NAMED} more" if len(wrong) > _DAYS_NAMED else ""
        raise Unprocessable(
            f"the sums of {', '.join(wrong[:_DAYS_NAMED])}{more} are not those of the receipts; run keyhouse spend "
            f'rebuild-aggregates for them, then close "{month:%Y-%m}"',
            param="month",
        )
    requests, cost, adjustments = await rows.sums_of(connection, since, until)
    closed_at = now()
    values = {"requests": requests, "cost_nanousd": cost, "adjustments_nanousd": adjustments}
    by = {"closed_by": actor.name, "closed_at": closed_at}
    await rows.insert_close(connection, {"month": month, "until": until, **values, **by})
    await rows.keep_names(connection, month, since, until)
    digest = await rows.digest_of(connection, month, since, until, rows.DIGEST_VERSION)
    await rows.sign(connection, month, digest)
    after = {"requests": requests, "spend_nanousd": cost, "adjustments_nanousd": adjustments, "digest": digest}
    await record_change(connection, actor, Change("close", "spend_month", f"{month:%Y-%m}", None, after))
    return Closed(month, requests, cost, adjustments, digest, rows.DIGEST_VERSION, actor.name, closed_at)


async def differing_days(connection: AsyncConnection, month: date) -> list[str]:
    """The days of a month whose sums are not those of their receipts."""
    since, until = span_of(month)
    days = [month + timedelta(days=ahead) for ahead in range((until - since).days)]
    compared = [await aggregates.compare_day(connection, day) for day in days]
    return [str(one.day) for one in compared if not one.agrees and not one.receipts_are_gone]


def span_of(month: date) -> tuple[datetime, datetime]:
    """From its first day of UTC to that of the next."""
    following = (month.replace(day=1) + timedelta(days=31)).replace(day=1)
    return tuple(datetime(day.year, day.month, 1, tzinfo=UTC) for day in (month, following))  # type: ignore[return-value]


def _closed(row: Row[Any]) -> Closed:
    return Closed(
        row.month,
        row.requests,
        row.cost_nanousd,
        row.adjustments_nanousd,
        row.digest,
        row.digest_version,
        row.closed_by,
        row.closed_at,
    )
