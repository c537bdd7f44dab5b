"""Keeping the sums of receipts: added to with each new receipt, compared with the receipts, and rebuilt from them."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Table, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.report_tables import DIMENSIONS, MEASURES, SPEND, SPEND_BY_TAG, SUMMED

_ORIGIN = "TIMESTAMPTZ '2000-01-01 00:00:00+00'"
_GRAINS = {900: "15 minutes", 3_600: "1 hour", 86_400: "1 day"}

# What the statement that inserts receipts must hand on of each new one.
SOURCE_COLUMNS = ", ".join(("started_at", "status", "tags", *DIMENSIONS, *SUMMED))


def steps(source: str) -> str:
    """The common table expressions that add the rows of ``source``, itself one of them, to all tables of sums."""
    return ",\n".join((*_kept(source, "spend", "tagged"), *_kept(source, "tag", "tag")))


def _kept(source: str, prefix: str, further: str) -> list[str]:
    tables = SPEND if further == "tagged" else SPEND_BY_TAG
    found = []
    finer = ""
    for seconds, table in tables.items():
        rows = f"{prefix}_rows_{seconds}"
        found.append(
            f"{rows} AS ({_sums(source, seconds, further) if not finer else _coarser(finer, seconds, further)})"
        )
        found.append(f"{prefix}_into_{seconds} AS ({_upsert(table, rows, further)})")
        finer = rows
    return found


def _sums(source: str, seconds: int, further: str) -> str:
    """The finest buckets, from receipts. A tag that a receipt names twice counts once."""
    by_tag = " CROSS JOIN LATERAL (SELECT DISTINCT unnest(booked.tags) AS tag) AS named" if further == "tag" else ""
    names = ", ".join(f"coalesce({name}, '') AS {name}" for name in DIMENSIONS)
    last = "tag" if further == "tag" else "tags <> '{}' AS tagged"
    amounts = ", ".join(f"sum({name})::bigint AS {name}" for name in SUMMED)
    groups = ", ".join(str(number) for number in range(1, len(DIMENSIONS) + 3))
    return (
        f"SELECT {_bin(seconds, 'started_at')} AS bucket, {names}, {last}, count(*) AS requests, "  # noqa: S608
        f"count(*) FILTER (WHERE status <> 'ok') AS failures, {amounts} FROM {source} AS booked{by_tag} "
        f"GROUP BY {groups}"
    )


def _coarser(finer: str, seconds: int, further: str) -> str:
    names = ", ".join((*DIMENSIONS, further))
    amounts = ", ".join(f"sum({name})::bigint AS {name}" for name in MEASURES)
    groups = ", ".join(str(number) for number in range(1, len(DIMENSIONS) + 3))
    return f"SELECT {_bin(seconds, 'bucket')} AS bucket, {names}, {amounts} FROM {finer} GROUP BY {groups}"  # noqa: S608


def _upsert(table: Table, rows: str, further: str) -> str:
    names = ", ".join((*DIMENSIONS, further))
    amounts = ", ".join(MEASURES)
    added = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in MEASURES)
    digest = f"substr(sha256(convert_to(ROW({names})::text, 'UTF8')), 1, 16)"
    return (
        f"INSERT INTO {table.name} (bucket, digest, {names}, {amounts}) "  # noqa: S608
        f"SELECT bucket, {digest}, {names}, {amounts} FROM {rows} ORDER BY 1, 2 "
        f"ON CONFLICT (bucket, digest) DO UPDATE SET {added}"
    )


def _bin(seconds: int, column: str) -> str:
    return f"date_bin('{_GRAINS[seconds]}', {column}, {_ORIGIN})"


_DAY_OF_RECEIPTS = "started_at >= :since AND started_at < :until"
_DAY_OF_SUMS = "bucket >= :since AND bucket < :until"
_REBUILD = text(
    f"WITH booked AS (SELECT {SOURCE_COLUMNS} FROM receipts WHERE {_DAY_OF_RECEIPTS}),\n"  # noqa: S608
    f"{steps('booked')}\nSELECT count(*) FROM booked"
)
_CHECKED = ("requests", "failures", "cost_nanousd", "input_tokens", "cache_read_tokens", "output_tokens")


def _checksum(table: Table) -> str:
    amounts = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _CHECKED)
    return f"(SELECT ARRAY[{amounts}] FROM {table.name} WHERE {_DAY_OF_SUMS})"  # noqa: S608


def _true_sum(*, by_tag: bool) -> str:
    tags = " CROSS JOIN LATERAL (SELECT DISTINCT unnest(booked.tags)) AS named" if by_tag else ""
    amounts = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in _CHECKED[2:])
    return (
        f"(SELECT ARRAY[count(*), count(*) FILTER (WHERE status <> 'ok'), {amounts}] "  # noqa: S608
        f"FROM receipts AS booked{tags} WHERE {_DAY_OF_RECEIPTS})"
    )


_COMPARE = text(
    "SELECT "
    + ", ".join(
        (
            _true_sum(by_tag=False),
            _true_sum(by_tag=True),
            *(_checksum(table) for table in SPEND.values()),
            *(_checksum(table) for table in SPEND_BY_TAG.values()),
        )
    )
)
_DAYS = text(
    "SELECT least((SELECT min(started_at) FROM receipts), (SELECT min(bucket) FROM spend_days)), "
    "greatest((SELECT max(started_at) FROM receipts), (SELECT max(bucket) FROM spend_days))"
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One day of UTC: ``agrees`` when each table of sums says what the receipts say.

    ``receipts`` is how many receipts of the day there are. Where there are none, and sums there are, the receipts
    were dropped after their time: the sums are then all that is known, and agree.
    """

    day: date
    receipts: int
    booked_nanousd: int
    reported_nanousd: int
    agrees: bool

    @property
    def receipts_are_gone(self) -> bool:
        return self.receipts == 0 and not self.agrees


async def days_with_spend(connection: AsyncConnection) -> tuple[date, date] | None:
    """The first and the last day of UTC with receipts or sums."""
    first, last = (await connection.execute(_DAYS)).one()
    return None if first is None else (first.date(), last.date())


async def compare_day(connection: AsyncConnection, day: date) -> Comparison:
    """In one statement, so that what is booked meanwhile is on both sides or on none."""
    row = (await connection.execute(_COMPARE, _day(day))).one()
    once, by_tag, *kept = (list(amounts) for amounts in row)
    true = [once] * len(SPEND) + [by_tag] * len(SPEND_BY_TAG)
    return Comparison(day, once[0], once[2], kept[len(SPEND) - 1][2], kept == true)


async def rebuild_day(connection: AsyncConnection, day: date) -> int:
    """Write the sums of a day of UTC anew; returns how many receipts they are of.

    The caller holds the lock of the book (``BOOK_LOCK``), so that nothing is booked meanwhile. A day whose receipts
    are gone is left as it is.
    """
    span = _day(day)
    exists = text(f"SELECT EXISTS (SELECT FROM receipts WHERE {_DAY_OF_RECEIPTS})")  # noqa: S608
    if not (await connection.execute(exists, span)).scalar_one():
        return 0
    for table in (*SPEND.values(), *SPEND_BY_TAG.values()):
        await connection.execute(text(f"DELETE FROM {table.name} WHERE {_DAY_OF_SUMS}"), span)  # noqa: S608
    return int((await connection.execute(_REBUILD, span)).scalar_one())


def _day(day: date) -> dict[str, Any]:
    since = datetime.fromisoformat(f"{day.isoformat()}T00:00:00+00:00")
    return {"since": since, "until": since + timedelta(days=1)}
