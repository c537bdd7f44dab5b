"""Exporting the receipts of a month, and dropping them after their time: first they are in sums and in a file."""

import asyncio
import csv
import hashlib
import io
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.closing import close_month, differing_days, span_of
from app.base.clock import now
from app.base.csv_cells import harmless
from app.base.errors import Unprocessable
from app.base.money import NanoUSD
from app.domain.retention import Retention, oldest_kept
from app.storage.books import hold_book
from app.storage.postgres import closing
from app.storage.postgres import retention as rows
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.tables import receipts

Style = Literal["jsonl", "csv"]
_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
_GZIP = 31  # zlib's word for a gzip file


@dataclass(frozen=True, slots=True)
class Export:
    """A file of the receipts that began in a month, written to its end; ``digest`` is of the unpacked file."""

    month: date
    digest: str
    style: str
    receipts: int
    cost_nanousd: NanoUSD
    exported_by: str
    exported_at: datetime


@dataclass(frozen=True, slots=True)
class Due:
    """A month whose receipts are older than they are kept; ``obstacle`` says why they cannot go yet."""

    month: date
    receipts: int
    cost_nanousd: NanoUSD
    obstacle: str | None


class Exports:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def exports(self) -> Sequence[Export]:
        async with transaction(self._engine) as connection:
            return [_export(row) for row in await rows.list_exports(connection)]

    def check(self, month: date) -> None:
        """Raises Unprocessable for a month that is not over."""
        if span_of(month)[1] > now():
            raise Unprocessable(f'"month" is "{month:%Y-%m}", which is not over yet (in UTC)', param="month")

    async def stream(self, month: date, style: Style, actor: Actor) -> AsyncIterator[bytes]:
        """A gzip file, piece by piece. What was written to its end is noted, and in the audit."""
        digest, packer = hashlib.sha256(), zlib.compressobj(wbits=_GZIP)
        count, cost = 0, 0

        def pack(page: Sequence[Any]) -> bytes:
            written = _texts(page) if style == "jsonl" else _lines(page)
            digest.update(written)
            return packer.compress(written)

        if style == "csv":
            yield pack([[column.name for column in receipts.c]])
        async with transaction(self._engine) as connection:
            await connection.execute(_SNAPSHOT)
            count, cost = await rows.contents_of(connection, *span_of(month))
            async for page in rows.stream_receipts(connection, *span_of(month), as_json=style == "jsonl"):
                # Packing takes long; the calls of this process go on meanwhile.
                yield await asyncio.to_thread(pack, page)
        yield packer.flush()
        made = Export(month, digest.hexdigest(), style, count, cost, actor.name, now())
        async with transaction(self._engine) as connection:
            values = {name: getattr(made, name) for name in made.__slots__}
            await rows.insert_export(connection, values)
            after = {"style": style, "receipts": count, "spend_nanousd": cost, "digest": made.digest}
            await record_change(connection, actor, Change("export", "receipts", f"{month:%Y-%m}", None, after))


class ReceiptRetention:
    def __init__(self, engine: AsyncEngine, policy: Retention) -> None:
        self._engine = engine
        self.policy = policy

    async def due(self) -> Sequence[Due]:
        """Months that are older than receipts are kept, the oldest first."""
        boundary = oldest_kept(self.policy, now())
        async with reading(self._engine) as connection:
            oldest = await rows.oldest_receipt(connection)
            if boundary is None or oldest is None:
                return []
            month, found = oldest.astimezone(UTC).date().replace(day=1), []
            while month < boundary:
                count, cost = await rows.contents_of(connection, *span_of(month))
                if count:
                    obstacle = await self._obstacle(connection, month, (count, cost), boundary)
                    found.append(Due(month, count, cost, obstacle))
                month = span_of(month)[1].date()
            return found

    async def run(self, actor: Actor) -> Sequence[Due]:
        """Drop what may go; returns the months that went. A month that is open is closed first."""
        gone = []
        for due in await self.due():
            if due.obstacle is not None:
                continue
            since, until = span_of(due.month)
            async with transaction(self._engine) as connection:
                await hold_book(connection)
                if await rows.contents_of(connection, since, until) != (due.receipts, due.cost_nanousd):
                    continue  # more came meanwhile, or another process was faster
                closed = await closing.closed_until(connection)
                if closed is None or closed < until:
                    await close_month(connection, due.month, actor)
                await rows.drop_receipts(connection, due.month, since, until)
                before = {"receipts": due.receipts, "spend_nanousd": due.cost_nanousd}
                await record_change(connection, actor, Change("drop", "receipts", f"{due.month:%Y-%m}", before, None))
                gone.append(due)
        return gone

    async def run_in_turn(self, every_s: float) -> Sequence[Due]:
        """As ``run``, where receipts are not kept for ever, and no other process has begun it in the time."""
        if self.policy.keep is None:
            return []
        async with transaction(self._engine) as connection:
            if not await rows.claim_chore(connection, "drop receipts", every_s):
                return []
        return await self.run(Actor(name="retention"))

    async def _obstacle(
        self, connection: AsyncConnection, month: date, contents: tuple[int, NanoUSD], boundary: date
    ) -> str | None:
        since, until = span_of(month)
        if self.policy.needs_export:
            exports = await rows.list_exports(connection, month)
            if contents not in [(export.receipts, export.cost_nanousd) for export in exports]:
                said = "its receipts are not what was exported" if exports else "its receipts were not exported"
                return f"{said}; run keyhouse spend export --month {month:%Y-%m}"
        if wrong := await differing_days(connection, month):
            return f"the sums of {', '.join(wrong)} are not those of the receipts"
        if await rows.is_counted_after(connection, since, until, span_of(boundary)[0]):
            return "reports count some of its receipts in a month that is kept"
        return None


def _export(row: Row[Any]) -> Export:
    return Export(row.month, row.digest, row.style, row.receipts, row.cost_nanousd, row.exported_by, row.exported_at)


def _texts(page: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in page).encode()


def _lines(page: Sequence[Sequence[Any]]) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows([[_cell(value) for value in line] for line in page])
    return written.getvalue().encode()


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return harmless(";".join(value))
    return harmless(value) if isinstance(value, str) else "" if value is None else value
