"""The ledger: what every running request holds, and what every limit and budget has counted, in Redis."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from app.base.errors import StorageUnavailable
from app.domain.spend import (
    Admitted,
    BudgetClaim,
    BudgetStanding,
    Claim,
    Growth,
    Receipt,
    Refused,
)
from app.storage.redis.ledger_words import (
    LEASES,
    MISSING,
    RECEIPTS,
    Arguments,
    claim_arguments,
    counter_key,
    end_of_hold,
    hold_key,
    limit_argument,
    microseconds,
    read_answer,
    settle_arguments,
    window,
)
from app.storage.redis.script import Answer, ScriptRunner, load_script

LEASE_S = 60.0
# Redis may lose its last second when it dies (appendfsync everysec), two when its disk is slow.
REMEMBERED_S = 5.0
_HOLDS_PER_CALL = 200
_IDS_PER_CALL = 200
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0

_REJECTED = b"{kh}:rejected"
_OWED = b"{kh}:owed"
_BORN = b"{kh}:born"

_GROWN, _FULL = 1, 2


@dataclass(frozen=True, slots=True)
class StreamedReceipt:
    """A receipt on its way to the book. ``counted``: the counters moved when it was appended."""

    entry_id: bytes
    payload: bytes
    counted: bool


class RedisLedger:
    """All amounts are nano-dollars below 2^53. Every method raises StorageUnavailable when Redis does not answer.

    ``on_missing_counter`` is called with a claim whose counter is not there and cannot be known to be zero; it must
    set the counter (``rebuild``) or raise StorageUnavailable.
    """

    def __init__(
        self,
        runner: ScriptRunner,
        *,
        lease_s: float = LEASE_S,
        on_missing_counter: Callable[[BudgetClaim], Awaitable[None]] | None = None,
    ) -> None:
        self.on_missing_counter = on_missing_counter
        self._runner = runner
        self._lease_ms = round(lease_s * 1000)
        self._rebuilding: dict[str, asyncio.Task[None]] = {}
        self._undoing: dict[str, asyncio.Task[None]] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._settled: deque[tuple[float, list[bytes], Arguments]] = deque()
        self._connections = 0
        names = ("open", "reserve", "grow", "settle", "release", "renew", "sweep", "rebuild", "correct", "look")
        self._scripts = {name: load_script(name) for name in (*names, "read", "owe", "acknowledge", "reject")}

    async def open(self) -> None:
        """Note when this data set was first seen, so that windows that begin later need no rebuilding."""
        await self._run("open", [_BORN], [])

    async def close(self) -> None:
        """Stop what is under way of its own; the runner stays open, as it is not ours."""
        tasks = [*self._background, *self._rebuilding.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def reserve(self, claim: Claim) -> Admitted | Refused:
        """Hold everything the claim asks for, in one atomic step, or change nothing.

        A claim of the same request again takes the place of the first.
        """
        keys, arguments = claim_arguments(claim, self._lease_ms)
        if undoing := self._undoing.pop(claim.request_id, None):
            undoing.cancel()
        try:
            for _ in range(len(claim.budgets) + 1):
                answer = await self._run("reserve", keys, arguments)
                if answer[0] != MISSING:
                    return read_answer(claim, answer)
                await self._rebuild_once(claim.budgets[answer[3] - 1])
        except (StorageUnavailable, asyncio.CancelledError):
            # It may have been admitted all the same: a hold that nobody uses would be booked when its lease ends.
            self._undoing[claim.request_id] = self._start(self._undo(claim.request_id))
            raise
        raise StorageUnavailable("the counters of a budget are missing and could not be rebuilt; try again shortly")

    async def grow(self, request_id: str, growths: Sequence[Growth]) -> tuple[int, ...] | BudgetStanding | None:
        """Hold more for a running request: what is then held on each budget, or the standing of the one that is full.

        None where it holds nothing any more, or a counter is lost: nothing is known of the room then.
        """
        arguments: Arguments = []
        for growth in growths:
            limit = growth.claim.limit_nanousd if growth.claim.strict else None
            arguments += (growth.claim.counter, limit_argument(limit), growth.least_nanousd, growth.wanted_nanousd)
        verdict, *numbers = await self._run("grow", [hold_key(request_id)], arguments)
        if verdict == _FULL:
            return BudgetStanding(growths[numbers[0] - 1].claim, numbers[1], numbers[2])
        return tuple(numbers) if verdict == _GROWN else None

    async def settle(self, receipt: Receipt, tokens: int) -> bool:
        """Exchange the hold for what it cost and append the receipt; True when there was a hold.

        May be repeated at will: the counters move once, and the book drops a receipt that it has.
        """
        keys, arguments = settle_arguments(receipt, tokens)
        existed = await self._run("settle", keys, arguments)
        self._remember(keys, arguments)
        return bool(existed)

    def start_settling(self, receipt: Receipt, tokens: int) -> asyncio.Future[Any]:
        """``settle``, begun at once and not waited for; when the future fails, ``settle`` is to be said."""
        keys, arguments = settle_arguments(receipt, tokens)
        answer = self._runner.start(self._scripts["settle"], keys, arguments)
        answer.add_done_callback(partial(self._remember_settled, keys, arguments))
        return answer

    async def release(self, request_id: str) -> None:
        """Give everything back, tokens too; the request stays counted among the requests of its minute."""
        await self._run("release", [hold_key(request_id), LEASES], [request_id])

    async def renew(self, holds: Sequence[tuple[str, Receipt | None]]) -> list[str]:
        """Extend these leases, each with the receipt to book should we die; returns the requests without a hold.

        A receipt that costs more than is held makes the hold grow to it.
        """
        gone: list[str] = []
        for begin in range(0, len(holds), _HOLDS_PER_CALL):
            arguments: Arguments = [self._lease_ms]
            for request_id, receipt in holds[begin : begin + _HOLDS_PER_CALL]:
                if receipt is None:
                    arguments += (request_id, b"", 0)
                else:
                    arguments += (request_id, end_of_hold(receipt), receipt.cost.total)
            gone += [name.decode() for name in await self._run("renew", [LEASES], arguments)]
        return gone

    async def sweep(self, limit: int = 100) -> int:
        """Book what dead processes left behind: at most ``limit`` holds whose lease has ended; returns how many."""
        return int(await self._run("sweep", [LEASES], [limit]))

    async def read_receipts(self, count: int) -> list[StreamedReceipt]:
        """The oldest receipts that are not yet acknowledged. For the one that holds the book's lock."""
        entries = []
        for entry_id, flat in await self._run("read", [RECEIPTS], [count]):
            # As settle.lua appends it: the receipt first, whether it was counted last.
            payload = flat[1] if flat[0] == b"receipt" else b""
            entries.append(StreamedReceipt(entry_id, payload, flat[-2:] == [b"counted", b"1"]))
        return entries

    async def owe(self, entry_ids: Sequence[bytes]) -> None:
        """These receipts no counter has seen, and the book does not have them yet: ``acknowledge`` will count them."""
        for begin in range(0, len(entry_ids), _IDS_PER_CALL):
            await self._run("owe", [_OWED], list(entry_ids[begin : begin + _IDS_PER_CALL]))

    async def acknowledge(self, entry_ids: Sequence[bytes]) -> None:
        """These receipts are in the book: take them off the stream, and add to the counters what they are owed.

        May be repeated at will, and by another process.
        """
        for begin in range(0, len(entry_ids), _IDS_PER_CALL):
            await self._run("acknowledge", [RECEIPTS, _OWED], list(entry_ids[begin : begin + _IDS_PER_CALL]))

    async def reject(self, entry: StreamedReceipt, error: str) -> None:
        """Put aside a receipt that the book refuses, into the stream ``{kh}:rejected``."""
        await self._run("reject", [RECEIPTS, _REJECTED, _OWED], [entry.entry_id, entry.payload, error])

    async def correct(self, scope: str, receipts: Sequence[tuple[datetime, int]]) -> None:
        """Add receipts of the book (when they started, what they cost) that were never in the stream to the counters of
        one scope."""
        arguments: Arguments = []
        for started_at, cost_nanousd in receipts:
            arguments += (microseconds(started_at), cost_nanousd)
        await self._run("correct", [b"{kh}:counters:" + scope.encode()], arguments)

    async def rebuild(self, claim: BudgetClaim, booked_nanousd: int) -> None:
        """Set the claim's counter from the book's sum, what is still in the stream, and the holds that live.

        The caller keeps the book's lock: nothing may be drained between the sum and this.
        """
        arguments: Arguments = [claim.counter, claim.scope, *window(claim), booked_nanousd]
        await self._run("rebuild", [counter_key(claim), RECEIPTS, LEASES], arguments)

    async def find_counter(self, claim: BudgetClaim) -> tuple[int, int] | None:
        """Spent and held on the claim's counter, None when there is no such counter."""
        spent, held = await self._run("look", [counter_key(claim)], [])
        return None if spent is None else (int(spent), int(held))

    async def _run(self, name: str, keys: list[bytes], arguments: Arguments) -> Answer:
        answer = await self._runner.run(self._scripts[name], keys, arguments)
        if self._connections != self._runner.connections:
            known, self._connections = self._connections, self._runner.connections
            if known and self._settled:
                self._start(self._repeat(list(self._settled)))
        return answer

    async def _rebuild_once(self, claim: BudgetClaim) -> None:
        """However many requests miss a counter, one of them has it rebuilt."""
        task = self._rebuilding.get(claim.counter)
        if task is None:
            if self.on_missing_counter is None:
                raise StorageUnavailable(f'the counter "{claim.counter}" is missing and nothing here can rebuild it')
            task = asyncio.ensure_future(self.on_missing_counter(claim))
            self._rebuilding[claim.counter] = task
            task.add_done_callback(lambda _: self._rebuilding.pop(claim.counter, None))
        await asyncio.shield(task)

    def _remember_settled(self, keys: list[bytes], arguments: Arguments, answer: asyncio.Future[Any]) -> None:
        if not answer.cancelled() and answer.exception() is None:
            self._remember(keys, arguments)

    def _remember(self, keys: list[bytes], arguments: Arguments) -> None:
        now = time.monotonic()
        settled = self._settled
        settled.append((now, keys, arguments))
        while settled[0][0] < now - REMEMBERED_S:
            settled.popleft()

    async def _repeat(self, settled: list[tuple[float, list[bytes], Arguments]]) -> None:
        """Redis is back and may have lost its last writes: say again what was settled just before."""
        for _, keys, arguments in settled:
            try:
                await self._runner.run(self._scripts["settle"], keys, arguments)
            except StorageUnavailable:
                # They are still remembered, and said again after the next connection.
                return

    async def _undo(self, request_id: str) -> None:
        pause_s = _FIRST_PAUSE_S
        deadline = time.monotonic() + self._lease_ms / 1000
        while time.monotonic() < deadline:
            with contextlib.suppress(StorageUnavailable):
                await self.release(request_id)
                break
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        self._undoing.pop(request_id, None)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
