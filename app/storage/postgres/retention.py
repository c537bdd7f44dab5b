"""Receipts of whole months: how many there are, out to a file, and gone; and chores that one process of all does."""

from collections.abc import AsyncIterator, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.errors import StorageUnavailable
from app.base.money import NanoUSD
from app.storage.postgres.tables import receipts
from app.storage.postgres.tables.closing import chores, receipt_exports, spend_closes
from app.storage.postgres.tables.reports import SESSION_DAYS, SPEND_BY_SESSION

_ROWS_AT_ONCE = 1_000
_LOCK_TIMEOUT = "5s"
_LOCK_NOT_AVAILABLE = "55P03"
_DROPPED_UNTIL = select(func.max(spend_closes.c.until)).where(spend_closes.c.receipts_dropped_at.is_not(None))


def _began_in(since: datetime, until: datetime) -> ColumnElement[bool]:
    return and_(receipts.c.started_at >= since, receipts.c.started_at < until)


async def oldest_receipt(connection: AsyncConnection) -> datetime | None:
    found: datetime | None = (await connection.execute(select(func.min(receipts.c.started_at)))).scalar_one()
    return found


async def contents_of(connection: AsyncConnection, since: datetime, until: datetime) -> tuple[int, NanoUSD]:
    """How many receipts began then, and what they cost."""
    query = select(func.count(), func.coalesce(func.sum(receipts.c.cost_nanousd), 0))
    row = (await connection.execute(query.where(_began_in(since, until)))).one()
    return int(row[0]), int(row[1])


async def is_counted_after(connection: AsyncConnection, since: datetime, until: datetime, boundary: datetime) -> bool:
    """Whether reports count a receipt that began then at the boundary or later."""
    late = exists().where(_began_in(since, until), receipts.c.posted_at >= boundary)
    return bool((await connection.execute(select(late))).scalar_one())


async def stream_receipts(
    connection: AsyncConnection, since: datetime, until: datetime, *, as_json: bool
) -> AsyncIterator[list[Any]]:
    """In the order in which they began: rows, or the texts of JSON objects."""
    places = (receipts.c.started_at, receipts.c.request_id, receipts.c.attempt)
    what = [text("row_to_json(receipts)::text")] if as_json else list(receipts.c)
    query = select(*what).select_from(receipts).where(_began_in(since, until)).order_by(*places)
    result = await connection.stream(query.execution_options(yield_per=_ROWS_AT_ONCE))
    async for rows in result.partitions():
        yield [row[0] for row in rows] if as_json else [tuple(row) for row in rows]


async def insert_export(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    statement = insert(receipt_exports).values(**values)
    again = {name: statement.excluded[name] for name in ("exported_by", "exported_at")}
    await connection.execute(statement.on_conflict_do_update(index_elements=["month", "digest"], set_=again))


async def list_exports(connection: AsyncConnection, month: date | None = None) -> list[Row[Any]]:
    """The latest first."""
    query = select(receipt_exports).order_by(receipt_exports.c.month.desc(), receipt_exports.c.exported_at.desc())
    return list(await connection.execute(query if month is None else query.where(receipt_exports.c.month == month)))


async def drop_receipts(connection: AsyncConnection, month: date, since: datetime, until: datetime) -> None:
    """Those that began in the month, and what sessions added up to in it; the sums stay.

    The caller holds the book. Raises StorageUnavailable where somebody reads the receipts for longer than we wait.
    """
    partition = f"receipts_{month:%Y_%m}"
    try:
        await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        # No text of a caller: a name made of a date.
        await connection.execute(text(f"DROP TABLE IF EXISTS {partition}"))
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise StorageUnavailable("the receipts are being read, so none were dropped; try again") from error
    await connection.execute(delete(receipts).where(_began_in(since, until)))
    for table in (SPEND_BY_SESSION, *SESSION_DAYS):
        await connection.execute(delete(table).where(table.c.bucket >= since, table.c.bucket < until))
    noted = update(spend_closes).where(spend_closes.c.month == month).values(receipts_dropped_at=func.now())
    await connection.execute(noted)


async def dropped_until(connection: AsyncConnection) -> datetime | None:
    """Receipts that began before are gone; None where all are kept."""
    found: datetime | None = (await connection.execute(_DROPPED_UNTIL)).scalar_one()
    return found


async def claim_chore(connection: AsyncConnection, name: str, every_s: float) -> bool:
    """Whether it is this process's turn: nobody has begun it in the last ``every_s`` seconds."""
    begun = insert(chores).values(name=name, begun_at=func.now())
    due = chores.c.begun_at <= func.now() - func.make_interval(0, 0, 0, 0, 0, 0, every_s)
    claim = begun.on_conflict_do_update(index_elements=["name"], set_={"begun_at": func.now()}, where=due)
    return (await connection.execute(claim.returning(chores.c.name))).first() is not None
