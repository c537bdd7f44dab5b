"""Closed months: what a month adds up to, digested; the names of that time; and which months are closed."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import BigInteger, Row, cast, func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.money import NanoUSD
from app.domain.report_periods import DAY_S
from app.storage.postgres.aggregates import count_coarse_that_differ
from app.storage.postgres.columns import TIME
from app.storage.postgres.cost_centers import charged_within
from app.storage.postgres.report_names import NAMED, find_names
from app.storage.postgres.reports import COLUMN_NAMES, Dimension
from app.storage.postgres.tables import cost_centers, receipts
from app.storage.postgres.tables.closing import spend_close_names, spend_closes
from app.storage.postgres.tables.reports import DIMENSIONS, MEASURES, SPEND, SPEND_BY_TAG

_CLOSED_UNTIL = select(func.max(spend_closes.c.until))
_FIELD, _LINE = b"\x1f", b"\x1e"
DIGEST_VERSION = 2
"""Of what is closed now."""
# Months were digested before keys belonged to projects, and before it was known what own logins pay, which nobody is
# billed for: their digests stand.
_DIGESTED = tuple(name for name in DIMENSIONS if name != "project_id")
_SIGNED = tuple(name for name in MEASURES if name != "notional_nanousd")


async def closed_until(connection: AsyncConnection) -> datetime | None:
    """Everything before is closed; None where nothing is."""
    found: datetime | None = (await connection.execute(_CLOSED_UNTIL)).scalar_one()
    return found


async def list_closes(connection: AsyncConnection) -> list[Row[Any]]:
    """The latest first."""
    return list(await connection.execute(select(spend_closes).order_by(spend_closes.c.month.desc())))


async def sums_of(connection: AsyncConnection, since: datetime, until: datetime) -> tuple[int, NanoUSD, NanoUSD]:
    """Requests, cost, and how much of it is adjustments."""
    days = SPEND[DAY_S]
    adjusted = func.sum(days.c.cost_nanousd).filter(days.c.kind == "adjustment")
    query = select(func.sum(days.c.requests), func.sum(days.c.cost_nanousd), adjusted)
    row = (await connection.execute(query.where(days.c.bucket >= since, days.c.bucket < until))).one()
    return int(row[0] or 0), int(row[1] or 0), int(row[2] or 0)


async def digest_of(connection: AsyncConnection, month: date, since: datetime, until: datetime, version: int) -> str:
    """SHA-256, in hex, of a month that ``insert_close`` and ``keep_names`` have noted. All lines are in an order that
    they give themselves.

    Of version 1 they are the sums of each day, of all calls and by tag; of version 2 also what the close says of them,
    the cost centres that owners had, and the names.
    """
    digest = hashlib.sha256()
    await _digest_sums(connection, digest, since, until)
    if version >= 2:
        await _digest_terms(connection, digest, month, (since, until))
    return digest.hexdigest()


async def _digest_sums(connection: AsyncConnection, digest: "hashlib._Hash", since: datetime, until: datetime) -> None:
    for table, further in ((SPEND[DAY_S], "tagged"), (SPEND_BY_TAG[DAY_S], "tag")):
        told_apart = [table.c[name] for name in (*_DIGESTED, further)]
        amounts = [cast(func.sum(table.c[name]), BigInteger) for name in _SIGNED]
        names = [cast(column, TEXT).collate("C") for column in told_apart]
        query = (
            select(table.c.bucket, *told_apart, *amounts)
            .where(table.c.bucket >= since, table.c.bucket < until)
            .group_by(table.c.bucket, *told_apart)
            .order_by(table.c.bucket, *names)
        )
        digest.update(table.name.encode() + _LINE)
        async for row in await connection.stream(query):
            digest.update(_line((_day(row[0]), *row[1:])))
    # Reports are read from these too: no sums are signed by which they would say something else.
    wrong = await count_coarse_that_differ(connection, since, until, _SIGNED)
    if wrong:
        digest.update(_line(("coarse days that differ", wrong)))


async def _digest_terms(
    connection: AsyncConnection, digest: "hashlib._Hash", month: date, span: tuple[datetime, datetime]
) -> None:
    close, name = spend_closes.c, spend_close_names.c
    told = [close.requests, close.cost_nanousd, close.adjustments_nanousd]
    of_month = select(*told).where(close.month == month)
    names = select(name.dimension, name.id, name.name).where(name.month == month)
    names = names.order_by(name.dimension.collate("C"), name.id.collate("C"))
    parts = ((spend_closes, of_month), (cost_centers, charged_within(*span)), (spend_close_names, names))
    for table, query in parts:
        digest.update(table.name.encode() + _LINE)
        for row in await connection.execute(query):
            digest.update(_line(_day(one) if isinstance(one, datetime) else one for one in row))


def _day(at: datetime) -> str:
    return at.astimezone(UTC).date().isoformat()


def _line(fields: Iterable[object]) -> bytes:
    return _FIELD.join(str(one).encode() for one in fields) + _LINE


async def booked_later(connection: AsyncConnection) -> dict[date, tuple[int, NanoUSD]]:
    """By the month in which receipts began that are counted in a later one: how many, and what they come to."""
    month = cast(func.date_trunc("month", receipts.c.started_at, "UTC"), TIME)
    query = select(month, func.count(), cast(func.sum(receipts.c.cost_nanousd), BigInteger))
    found = await connection.execute(query.where(receipts.c.posted_at.is_not(None)).group_by(month))
    return {row[0].astimezone(UTC).date(): (row[1], row[2]) for row in found}


async def insert_close(connection: AsyncConnection, values: Mapping[str, Any]) -> None:
    """Not signed yet."""
    await connection.execute(insert(spend_closes).values(**values, digest="", digest_version=DIGEST_VERSION))


async def sign(connection: AsyncConnection, month: date, digest: str) -> None:
    await connection.execute(update(spend_closes).where(spend_closes.c.month == month).values(digest=digest))


async def keep_names(connection: AsyncConnection, month: date, since: datetime, until: datetime) -> None:
    """What people call those who are in the sums of the month, as of now."""
    days = SPEND[DAY_S]
    for dimension in NAMED:
        column = days.c[COLUMN_NAMES[dimension]]
        used = select(column).distinct().where(days.c.bucket >= since, days.c.bucket < until)
        ids = set((await connection.execute(used)).scalars())
        found = await find_names(connection, dimension, ids - {""})
        rows = [{"month": month, "dimension": dimension, "id": one, "name": name} for one, name in found.items()]
        if rows:
            await connection.execute(insert(spend_close_names), rows)


async def find_kept_names(
    connection: AsyncConnection, dimension: Dimension, ids: Collection[str], since: datetime, until: datetime
) -> dict[str, str]:
    """As ``find_names``, of the closed months that the span touches; the latest of them holds."""
    if dimension not in NAMED or not ids:
        return {}
    of_month, names = spend_closes.c, spend_close_names.c
    query = (
        select(names.id, names.name)
        .join(spend_closes, of_month.month == names.month)
        .where(names.dimension == dimension, names.id == func.any(literal(list(ids), ARRAY(TEXT))))
        .where(
            of_month.until > since, of_month.month < until.date() if until.hour == 0 else of_month.month <= until.date()
        )
        .order_by(of_month.month)
    )
    return {row.id: row.name for row in await connection.execute(query)}
