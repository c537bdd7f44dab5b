"""The book of record: moves receipts from the ledger's stream into Postgres, and rebuilds counters from it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime
from typing import Any

import asyncpg
import msgspec
from msgspec.structs import astuple
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.base.errors import StorageUnavailable
from app.base.logs import get_logger
from app.domain.pricing import Cost
from app.domain.spend import BudgetClaim, Receipt
from app.domain.tenancy import owners_in
from app.domain.usage import Usage
from app.storage.postgres import aggregates
from app.storage.postgres.aggregates import Comparison
from app.storage.postgres.owner_spend import spend_of_owners, spend_of_scope
from app.storage.postgres.partitions import create_partitions
from app.storage.postgres.response_owners import drop_owners, note_owners
from app.storage.postgres.retention import claim_chore
from app.storage.redis.encoding import decode_receipt, without_nul
from app.storage.redis.ledger import RedisLedger, StreamedReceipt
from app.storage.redis.ledger_words import scopes_of_receipt

# One number for the one drainer among all processes on a database: "khbooks" in ASCII.
BOOK_LOCK = 0x6B68626F6F6B73
LOCK_TIMEOUT_S = 10
SWEEP_COUNT = 100

# Column, array type; lists come as one array literal each, since unnest takes nested arrays apart.
COLUMNS = (
    ("request_id", "text"),
    ("attempt", "smallint"),
    ("started_at", "timestamptz"),
    ("duration_ms", "bigint"),
    ("first_byte_ms", "bigint"),
    ("organization_id", "text"),
    ("team_id", "text"),
    ("user_id", "text"),
    ("key_id", "text"),
    ("customer_id", "text"),
    ("tags", "text"),
    ("session_id", "text"),
    ("agent_id", "text"),
    ("route", "text"),
    ("model_asked", "text"),
    ("model_served", "text"),
    ("provider", "text"),
    ("deployment_id", "text"),
    ("protocol_in", "text"),
    ("protocol_out", "text"),
    ("streamed", "boolean"),
    ("input_tokens", "bigint"),
    ("cache_read_tokens", "bigint"),
    ("cache_write_5m_tokens", "bigint"),
    ("cache_write_1h_tokens", "bigint"),
    ("output_tokens", "bigint"),
    ("reasoning_tokens", "bigint"),
    ("audio_input_tokens", "bigint"),
    ("audio_output_tokens", "bigint"),
    ("images", "bigint"),
    ("web_searches", "bigint"),
    ("input_cost_nanousd", "bigint"),
    ("cache_read_cost_nanousd", "bigint"),
    ("cache_write_cost_nanousd", "bigint"),
    ("output_cost_nanousd", "bigint"),
    ("other_cost_nanousd", "bigint"),
    ("cost_nanousd", "bigint"),
    ("price_version", "text"),
    ("price_source", "text"),
    ("usage_source", "text"),
    ("status", "text"),
    ("finish_reason", "text"),
    ("request_class", "text"),
    ("project", "text"),
    ("parent_agent_id", "text"),
    ("agent_type", "text"),
    ("prompt_id", "text"),
    ("client", "text"),
    ("kind", "text"),
    ("scopes", "text"),
    ("service_tier", "text"),
    ("saved_nanousd", "bigint"),
    ("step_down", "text"),
    ("project_id", "text"),
    ("notional_nanousd", "bigint"),
    ("file_searches", "bigint"),
)
_LISTS = ("tags", "scopes")
_OF_USAGE = {
    "input_tokens": "input", "cache_read_tokens": "cache_read", "cache_write_5m_tokens": "cache_write_5m",
    "cache_write_1h_tokens": "cache_write_1h", "output_tokens": "output", "reasoning_tokens": "reasoning",
    "audio_input_tokens": "audio_input", "audio_output_tokens": "audio_output", "images": "images",
    "web_searches": "web_searches", "service_tier": "service",
    "file_searches": "file_searches",
}  # fmt: skip
_OF_COST = {
    "input_cost_nanousd": "input", "cache_read_cost_nanousd": "cache_read", "cache_write_cost_nanousd": "cache_write",
    "output_cost_nanousd": "output", "other_cost_nanousd": "other", "cost_nanousd": "total",
}  # fmt: skip
_NAMES = ", ".join(name for name, _ in COLUMNS)
_VALUES = ", ".join(f"{name}::text[]" if name in _LISTS else name for name, _ in COLUMNS)
# Each column travels as the text of an array, see _array_literal.
_ARRAYS = ", ".join(f"${number}::text::{kind}[]" for number, (_, kind) in enumerate(COLUMNS, 1))
# A key's own sums and those of the reports move with the receipts that were really new, in the same statement.
_INSERT = f"""
WITH inserted AS (
    INSERT INTO receipts ({_NAMES}, posted_at)
    SELECT {_VALUES}, CASE WHEN started_at < (SELECT max(until) FROM spend_closes) THEN now() END
    FROM unnest({_ARRAYS}) AS batch ({_NAMES})
    ON CONFLICT (request_id, attempt, started_at) DO NOTHING
    RETURNING request_id, attempt, scopes, {aggregates.SOURCE_COLUMNS}
), {aggregates.steps("inserted")}, {aggregates.scope_step("inserted")}, sums AS (
    SELECT key_id, sum(cost_nanousd)::bigint AS cost_nanousd,
        max(started_at) FILTER (WHERE kind = 'usage') AS last_active_at
    FROM inserted GROUP BY key_id
), touched AS (
    UPDATE keys SET
        spend_nanousd = keys.spend_nanousd + sums.cost_nanousd,
        last_active_at = greatest(keys.last_active_at, sums.last_active_at)
    FROM sums WHERE keys.key_id = sums.key_id
)
SELECT request_id, attempt, started_at FROM inserted
"""  # noqa: S608  the names are the constants above
_FIND = """
SELECT request_id, attempt, started_at FROM receipts
JOIN unnest($1::text::text[], $2::text::smallint[], $3::text::timestamptz[]) AS asked (request_id, attempt, started_at)
USING (request_id, attempt, started_at)
"""
# Classes of SQLSTATE: what is wrong with the data, and what will be right later.
_CONTENT = ("22", "23")
_LATER = ("08", "40", "53", "55", "57", "58")

_Read = tuple[StreamedReceipt, Receipt]


class Books:
    """Every method raises StorageUnavailable when Postgres or Redis does not answer, and may then be repeated."""

    def __init__(self, engine: AsyncEngine, ledger: RedisLedger) -> None:
        self._engine = engine
        self._ledger = ledger
        # Waiters for the book's lock would each sit on a connection of the pool: in one process, one at a time.
        self._turn = asyncio.Lock()
        self._log = get_logger()

    async def drain_once(self, count: int = 500) -> int:
        """Book the oldest ``count`` receipts; returns how many left the stream, 0 when another process is at it."""
        if not await self._ledger.read_receipts(1):
            return 0
        async with self._turn, self._locked(wait=False) as connection:
            return 0 if connection is None else len(await self._drain(connection, count))

    async def drain(self, count: int = 500) -> AsyncIterator[int]:
        """Book what waits, batch after batch: a process that books one at a time falls behind its calls where they are
        many, and the stream grows. Tells of each batch how many receipts left it, as there may be no end to them; ends
        where another process is at it."""
        while booked := await self.drain_once(count):
            yield booked
            if booked < count:
                return

    async def book_directly(self, receipts: Sequence[Receipt]) -> None:
        """Book receipts past the stream: for a process that ends while Redis is away. One booked before is dropped."""
        async with self._turn, self._locked(wait=True) as connection:
            assert connection is not None
            await insert_receipts(connection, [without_nul(receipt) for receipt in receipts])

    async def rebuild(self, claim: BudgetClaim) -> None:
        """Set the counter of the claim's window to what the receipts of its scope add up to, and what is held."""
        async with self._turn, self._locked(wait=True) as connection:
            assert connection is not None
            if await self._ledger.find_counter(claim) is not None:
                return
            while len(await self._drain(connection, 500)) == 500:
                pass
            booked_nanousd = await _sum(connection, claim)
            await self._ledger.rebuild(claim, booked_nanousd)
            self._log.info("counter rebuilt", counter=claim.counter, scope=claim.scope, booked_nanousd=booked_nanousd)

    async def count(self, receipts: Sequence[Receipt]) -> None:
        """Add receipts that were written into the book, past the stream, to the counters of their budgets.

        The caller holds the book (``hold_book``), so that no counter is rebuilt meanwhile.
        """
        missed: dict[str, list[tuple[datetime, int]]] = defaultdict(list)
        for receipt in receipts:
            for scope in scopes_of_receipt(receipt):
                missed[scope].append((receipt.started_at, receipt.cost.total))
        for scope, found in missed.items():
            await self._ledger.correct(scope, found)

    async def sweep_once(self) -> int:
        """Book what dead processes left behind; returns how many holds that were."""
        return await self._ledger.sweep(SWEEP_COUNT)

    async def ensure_partitions(self, at: datetime) -> None:
        """Make the partitions of the month of ``at`` and of the two after it, where they are missing."""
        with _postgres_errors():
            async with self._engine.begin() as connection:
                await create_partitions(connection, at)

    async def compare_sums(self, days: Sequence[date], every_s: float = 0) -> list[Comparison]:
        """The days of UTC on which the sums of the reports are not what their receipts add up to.

        None are looked at where another process has done so in the last ``every_s`` seconds.
        """
        with _postgres_errors():
            async with self._engine.begin() as connection:
                if every_s and not await claim_chore(connection, "compare sums", every_s):
                    return []
                found = [await aggregates.compare_day(connection, day) for day in days]
        return [one for one in found if not one.agrees and not one.receipts_are_gone]

    async def drop_response_owners(self, every_s: float) -> int:
        """How many went: of responses that no provider keeps any more; none where another process has done so."""
        with _postgres_errors():
            async with self._engine.begin() as connection:
                due = await claim_chore(connection, "drop response owners", every_s)
                return await drop_owners(connection) if due else 0

    async def _drain(self, connection: AsyncConnection, count: int) -> list[StreamedReceipt]:
        """Under the lock: read, note what no counter has seen, insert, acknowledge."""
        entries = await self._ledger.read_receipts(count)
        readable: list[_Read] = []
        for entry in entries:
            try:
                readable.append((entry, decode_receipt(entry.payload)))
            except ValueError as error:
                await self._reject(entry, error)
        if readable:
            await self._book(connection, readable)
        return entries

    async def _book(self, connection: AsyncConnection, batch: Sequence[_Read]) -> None:
        """Book a batch; one that Postgres refuses is halved until the receipt at fault stands alone."""
        try:
            await self._owe(connection, batch)
            await insert_receipts(connection, [receipt for _, receipt in batch])
        except DBAPIError as error:
            if not _is_content(error):
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._book(connection, batch[:middle])
                await self._book(connection, batch[middle:])
                return
            await self._book_mended(connection, batch[0], error)
            return
        await self._ledger.acknowledge([entry.entry_id for entry, _ in batch])

    async def _book_mended(self, connection: AsyncConnection, read: _Read, refusal: DBAPIError) -> None:
        entry, receipt = read
        mended = without_nul(receipt)
        if mended == receipt:
            await self._reject(entry, refusal)
        else:
            await self._book(connection, [(entry, mended)])

    async def _owe(self, connection: AsyncConnection, batch: Sequence[_Read]) -> None:
        """Note what no counter has seen and the book does not have yet, before it does: whoever takes these receipts
        off the stream counts them then, though we should die in between. Of two in one batch the first is booked."""
        uncounted = [receipt for entry, receipt in batch if not entry.counted]
        if not uncounted:
            return
        named = await _find_booked(connection, uncounted)
        owed = []
        for entry, receipt in batch:
            name = (receipt.request_id, receipt.attempt, receipt.started_at)
            if name not in named and not entry.counted:
                owed.append(entry.entry_id)
            named.add(name)
        if owed:
            await self._ledger.owe(owed)

    async def _reject(self, entry: StreamedReceipt, error: Exception) -> None:
        reason = str(getattr(error, "orig", None) or error)[:1000]
        await self._ledger.reject(entry, reason)
        self._log.error(
            "receipt refused by the book and put aside in the Redis stream {kh}:rejected; its spend is not in reports",
            entry_id=entry.entry_id.decode(),
            reason=reason,
        )

    @asynccontextmanager
    async def _locked(self, *, wait: bool) -> AsyncIterator[AsyncConnection | None]:
        """A connection that alone may book; None when another has the lock and we do not ``wait``."""
        with _postgres_errors():
            async with self._engine.connect() as connection:
                # Each statement is a transaction: that spares a BEGIN and a COMMIT around every one.
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                try:
                    got = await _lock(connection, wait=wait)
                    yield connection if got else None
                    if got:
                        await connection.exec_driver_sql("SELECT pg_advisory_unlock($1)", (BOOK_LOCK,))
                except BaseException:
                    # The lock belongs to the server's session, and ends with it.
                    await connection.invalidate()
                    raise


async def _lock(connection: AsyncConnection, *, wait: bool) -> bool:
    if wait:
        async with asyncio.timeout(LOCK_TIMEOUT_S):
            await connection.exec_driver_sql("SELECT pg_advisory_lock($1)", (BOOK_LOCK,))
        return True
    answer = await connection.exec_driver_sql("SELECT pg_try_advisory_lock($1)", (BOOK_LOCK,))
    return bool(answer.scalar_one())


async def _sum(connection: AsyncConnection, claim: BudgetClaim) -> int:
    """What the receipts of the claim's scope that began in its window cost; nothing may be booked meanwhile."""
    owners = owners_in(claim.scope)
    names, owner = tuple(owners), tuple(owners.values())
    ends = (claim.start,) if claim.end is None else (claim.start, claim.end)
    if "scope" in owners:
        since = [await spend_of_scope(connection, claim.scope, end) for end in ends]
    else:
        since = [(await spend_of_owners(connection, names, [(owner, end)]))[owner].window_nanousd for end in ends]
    return since[0] - sum(since[1:])


async def _find_booked(connection: AsyncConnection, receipts: Sequence[Receipt]) -> set[tuple[Any, ...]]:
    """Which of these the book has, by request, attempt and start."""
    names = zip(*((one.request_id, one.attempt, one.started_at) for one in receipts), strict=True)
    found = await connection.exec_driver_sql(_FIND, tuple(map(_array_literal, names)))
    return {tuple(row) for row in found.all()}


async def insert_receipts(connection: AsyncConnection, receipts: Sequence[Receipt]) -> set[tuple[Any, ...]]:
    """Of somebody who holds the book. Returns which were not in it before, by request, attempt and start."""
    await note_owners(connection, receipts)
    inserted = await connection.exec_driver_sql(_INSERT, tuple(map(_array_literal, _columns(receipts))))
    return {tuple(row) for row in inserted.all()}


def _columns(receipts: Sequence[Receipt]) -> Iterator[Sequence[object]]:
    """The values of each of COLUMNS."""
    of_receipt = _by_field(Receipt, receipts)
    of_usage = _by_field(Usage, [receipt.usage for receipt in receipts])
    of_cost = _by_field(Cost, [receipt.cost for receipt in receipts])
    for name, _ in COLUMNS:
        if name in _OF_USAGE:
            yield of_usage[_OF_USAGE[name]]
        elif name in _OF_COST:
            yield of_cost[_OF_COST[name]]
        elif name in _LISTS:
            yield [_array_literal(texts) for texts in of_receipt[name]]
        else:
            yield of_receipt[name]


def _by_field(shape: type[msgspec.Struct], records: Sequence[msgspec.Struct]) -> dict[str, tuple[Any, ...]]:
    return dict(zip(shape.__struct_fields__, zip(*map(astuple, records), strict=True), strict=True))


def _array_literal(values: Sequence[object]) -> str:
    """As Postgres reads an array. The driver would look at each element of a list several times, in Python.

    JSON says it the same way but for the brackets, as long as no text needs a backslash.
    """
    said = msgspec.json.encode(values).decode()
    if "\\" in said:
        return "{" + ",".join([_quoted(value) for value in values]) + "}"
    return "{" + said[1:-1] + "}"


def _quoted(value: object) -> str:
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def _is_content(error: DBAPIError) -> bool:
    """Whether the receipts themselves are at fault: refused by Postgres, or by the driver on the way there."""
    cause = None if error.orig is None else error.orig.__cause__
    return _sqlstate(error).startswith(_CONTENT) or isinstance(cause, asyncpg.exceptions.DataError)


@contextmanager
def _postgres_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError, PoolTimeout) as error:
        raise StorageUnavailable("Postgres cannot be reached; the receipts wait in Redis") from error
    except DBAPIError as error:
        if error.connection_invalidated or not _sqlstate(error) or _sqlstate(error).startswith(_LATER):
            raise StorageUnavailable("Postgres does not answer; the receipts wait in Redis") from error
        raise


async def hold_book(connection: AsyncConnection) -> None:
    """Let nobody book until this transaction ends: receipts wait in Redis meanwhile."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": BOOK_LOCK})
