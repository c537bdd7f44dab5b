"""The background loops of one process.

They renew holds, drain receipts, sweep orphans, make partitions, watch keys, and compare the sums of reports with their
receipts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from app.base import clock
from app.base.errors import StorageUnavailable
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.gateway.settle import Settlement
from app.storage.books import Books
from app.storage.principals import Principals

_DRAIN_EVERY_S = 0.5  # each drain costs a transaction and a lock, so a second's receipts go together
_SWEEP_EVERY_S = 5.0
_PARTITIONS_EVERY_S = 6 * 3600.0
_COMPARE_EVERY_S = 3600.0
_LONGEST_PAUSE_S = 5.0


class Worker:
    """Every replica runs one; what only one may do at a time is guarded by locks in the stores."""

    def __init__(
        self, books: Books, settlement: Settlement, principals: Principals, metrics: Metrics, lease_s: float
    ) -> None:
        self._books = books
        self._settlement = settlement
        self._principals = principals
        self._metrics = metrics
        self._lease_s = lease_s
        self._tasks: list[asyncio.Task[None]] = []
        self._log = get_logger()

    def start(self) -> None:
        loops = {
            "renew": _forever("renew", self._settlement.renew_once, self._lease_s / 3),
            "drain": _forever("drain", self._drain, _DRAIN_EVERY_S),
            "sweep": _forever("sweep", self._sweep, min(_SWEEP_EVERY_S, self._lease_s / 4)),
            "partitions": _forever("partitions", self._make_partitions, _PARTITIONS_EVERY_S),
            "compare": _forever("compare", self._compare, _COMPARE_EVERY_S),
            "watch": _forever("watch", self._principals.watch, 1.0),
        }
        self._tasks = [asyncio.create_task(loop, name=name) for name, loop in loops.items()]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drain_all(self) -> None:
        """Move everything that is booked into Postgres; at the end of a process, as far as the stores allow."""
        try:
            while await self._drain():
                pass
        except StorageUnavailable as error:
            self._log.warning("receipts stay in the stream for the next start", reason=str(error))

    async def _drain(self) -> int:
        booked = await self._books.drain_once()
        if booked:
            self._metrics.booked.inc(booked)
        return booked

    async def _sweep(self) -> None:
        if swept := await self._books.sweep_once():
            self._metrics.swept.inc(swept)
            self._log.warning("holds of a dead process were settled by estimate", count=swept)

    async def _make_partitions(self) -> None:
        await self._books.ensure_partitions(clock.now())

    async def _compare(self) -> None:
        today = clock.now().date()
        wrong = await self._books.compare_sums([today - timedelta(days=1), today])
        self._metrics.wrong_days.set(len(wrong))
        for day in wrong:
            self._log.error(
                "the sums of the reports are not those of the receipts; run: keyhouse spend rebuild-aggregates",
                day=str(day.day),
                booked_nanousd=day.booked_nanousd,
                reported_nanousd=day.reported_nanousd,
            )


async def _forever(name: str, work: Callable[[], Awaitable[object]], pause_s: float) -> None:
    """Run ``work`` again and again; a store that is away is waited for, any other failure is logged and survived."""
    log = get_logger()
    failures = 0
    while True:
        try:
            await work()
            failures = 0
        except StorageUnavailable as error:
            failures += 1
            if failures == 1:
                log.warning("background loop waits for the store", loop=name, reason=str(error))
        except Exception:
            failures += 1
            log.exception("background loop failed", loop=name)
        await asyncio.sleep(min(pause_s * 2**failures, max(_LONGEST_PAUSE_S, pause_s)) if failures else pause_s)
