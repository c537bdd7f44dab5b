"""The background loops of one process.

They renew holds and calls that are made once, drain receipts, sweep orphans, make partitions, watch keys and models,
compare the sums of reports with their receipts, drop receipts after their time, end sign-ins that have lapsed, tell
other processes that they run and how deployments do, note what keys were refused for, and look for what people are to
be told, and tell them.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta

from app.admin.alert_delivery import AlertDelivery
from app.admin.alert_retention import AlertRetention
from app.admin.alert_watch import AlertWatch
from app.admin.billing_alarms import BillingAlarms
from app.admin.deployment_alarms import DeploymentAlarms
from app.admin.device_sign_in import DeviceSignIn
from app.admin.live_catalog import REREAD_S, LiveCatalog
from app.admin.live_prices import PriceKeeper
from app.admin.processes import TOLD_EVERY_S, Processes
from app.admin.retention import ReceiptRetention
from app.base import clock
from app.base.errors import StorageUnavailable
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.alerts import Alert
from app.gateway.health_checks import HealthChecks
from app.gateway.idempotency import Idempotency
from app.gateway.last_refusals import LastRefusals
from app.gateway.routing_news import RoutingNews
from app.gateway.settle import Settlement
from app.storage.books import Books
from app.storage.principals import Principals
from app.storage.redis.turns import Turns

_DRAIN_EVERY_S = 0.5  # each drain costs a transaction and a lock, so a second's receipts go together
_SWEEP_EVERY_S = 5.0
_PARTITIONS_EVERY_S = 6 * 3600.0
_COMPARE_EVERY_S = 3600.0
_RETENTION_EVERY_S = 6 * 3600.0
_LAPSED_EVERY_S = 3600.0
_CANCEL_AGAIN_S = 0.5
_TURN_SHARE = 0.9  # a little less than the pause, or each process would wait for two
_DELIVER_EVERY_S = 1.0
_TELL_EVERY_S = 1.0
_WRITE_REFUSALS_EVERY_S = 0.5
_LONGEST_PAUSE_S = 5.0
_MOST_DOUBLINGS = 10
_LOOK, _HEALTH = "alerts", "health-checks"
_NEARLY = 0.9  # a turn ends before the same process asks for the next one
_LOOK_SHARE = 20  # a look takes at most a twentieth of the time, however long it takes


@dataclass(frozen=True, slots=True)
class Pace:
    """``lease_s`` is how long a hold lives without renewal, ``look_s`` how often alerts are looked for, ``check_s`` how
    often deployments are called to see how they do."""

    lease_s: float
    look_s: float
    check_s: float


@dataclass(frozen=True, slots=True)
class Alerting:
    """Who looks and when it is its turn, who is told of refusals by the data plane, who delivers, and who drops."""

    turns: Turns
    watch: AlertWatch
    alarms: BillingAlarms
    ejections: DeploymentAlarms
    delivery: AlertDelivery
    retention: AlertRetention


Optional = tuple[Idempotency | None, HealthChecks | None]
"""What is done only where somebody has set it."""


class Worker:
    """Every replica runs one; what only one may do at a time is guarded by locks in the stores."""

    def __init__(
        self,
        books: Books,
        settlement: Settlement,
        caches: tuple[Principals, LiveCatalog, PriceKeeper],
        metrics: Metrics,
        duties: tuple[Alerting, ReceiptRetention, DeviceSignIn, RoutingNews, LastRefusals, Processes, Optional],
        pace: Pace,
    ) -> None:
        self._books = books
        self._settlement = settlement
        self._principals, self._catalog, self._prices = caches
        self._metrics = metrics
        self._alerting, self._retention, self._sign_in, self._routing = duties[:4]
        self._last_refusals, self._processes, optional = duties[4:]
        self._idempotency, self._health_checks = optional
        self._pace = pace
        self._tasks: list[asyncio.Task[None]] = []
        self._log = get_logger()

    def start(self) -> None:
        loops = {
            "renew": _forever("renew", self._settlement.renew_once, self._pace.lease_s / 3),
            "drain": _forever("drain", self._drain, _DRAIN_EVERY_S),
            "sweep": _forever("sweep", self._sweep, min(_SWEEP_EVERY_S, self._pace.lease_s / 4)),
            "partitions": _forever("partitions", self._make_partitions, _PARTITIONS_EVERY_S),
            "compare": _forever("compare", self._compare, _COMPARE_EVERY_S),
            "retention": _forever("retention", self._drop_old, _RETENTION_EVERY_S),
            "sign-ins": _forever("sign-ins", self._sign_in.clean, _LAPSED_EVERY_S),
            "alerts": _forever("alerts", self._look, self._pace.look_s),
            "refusals": _forever("refusals", self._note_refusals, _DELIVER_EVERY_S),
            "last refusals": _forever("last refusals", self._last_refusals.write, _WRITE_REFUSALS_EVERY_S),
            "routing": _forever("routing", self._routing.exchange, _TELL_EVERY_S),
            "processes": _forever("processes", self._processes.tell, TOLD_EVERY_S),
            "deliver": _forever("deliver", self._alerting.delivery.start_due, _DELIVER_EVERY_S),
            "watch": _forever("watch", self._principals.watch, 1.0),
            "watch models": _forever("watch models", self._catalog.watch, 1.0),
            "read models": _forever("read models", self._catalog.refresh, REREAD_S),
            "watch prices": _forever("watch prices", self._prices.watch, 1.0),
            "read prices": _forever("read prices", self._prices.refresh, REREAD_S),
        }
        if self._idempotency is not None:
            loops["renew calls"] = _forever("renew calls", self._idempotency.renew_once, self._pace.lease_s / 3)
        if self._health_checks is not None:
            loops["health checks"] = _forever("health checks", self._check_health, self._pace.check_s)
        self._tasks = [asyncio.create_task(loop, name=name) for name, loop in loops.items()]

    async def stop(self) -> None:
        await end_tasks(self._tasks)
        with contextlib.suppress(StorageUnavailable):  # then it is forgotten a little later
            await self._processes.leave()
        await self._alerting.delivery.close()

    async def drain_all(self) -> None:
        """Move everything that is booked into Postgres; at the end of a process, as far as the stores allow."""
        try:
            while await self._drain():
                pass
        except StorageUnavailable as error:
            self._log.warning("receipts stay in the stream for the next start", reason=str(error))

    async def _drain(self) -> int:
        booked = 0
        async for batch in self._books.drain():
            self._metrics.booked.inc(batch)
            booked += batch
        return booked

    async def _sweep(self) -> None:
        if swept := await self._books.sweep_once():
            self._metrics.swept.inc(swept)
            self._log.warning("holds of a dead process were settled by estimate", count=swept)

    async def _make_partitions(self) -> None:
        await self._books.ensure_partitions(clock.now())

    async def _compare(self) -> None:
        today = clock.now().date()
        wrong = await self._books.compare_sums([today - timedelta(days=1), today], _COMPARE_EVERY_S * _TURN_SHARE)
        # Whoever has not looked says 0: the largest of all processes counts.
        self._metrics.wrong_days.set(len(wrong))
        for day in wrong:
            self._log.error(
                "the sums of the reports are not those of the receipts; run: keyhouse spend rebuild-aggregates",
                day=str(day.day),
                booked_nanousd=day.booked_nanousd,
                reported_nanousd=day.reported_nanousd,
            )

    async def _drop_old(self) -> None:
        for gone in await self._retention.run_in_turn(_RETENTION_EVERY_S * _TURN_SHARE):
            self._log.info("receipts dropped after their time", month=f"{gone.month:%Y-%m}", receipts=gone.receipts)
        if alerts := await self._alerting.retention.run_in_turn(_RETENTION_EVERY_S * _TURN_SHARE):
            self._log.info("alerts dropped after their time", alerts=alerts)
        await self._books.drop_response_owners(_RETENTION_EVERY_S * _TURN_SHARE)

    async def _look(self) -> None:
        alerting, look_s = self._alerting, self._pace.look_s
        if not await alerting.turns.take(_LOOK, look_s * _NEARLY):
            return
        begun_s = time.monotonic()
        self._count(await alerting.watch.look(clock.now()))
        rest_s = (time.monotonic() - begun_s) * _LOOK_SHARE
        if rest_s > look_s:
            await alerting.turns.keep(_LOOK, rest_s)

    async def _check_health(self) -> None:
        assert self._health_checks is not None
        if await self._alerting.turns.take(_HEALTH, self._pace.check_s * _NEARLY):
            await self._health_checks.run()

    async def _note_refusals(self) -> None:
        self._count(await self._alerting.alarms.flush())
        self._count(await self._alerting.ejections.flush())

    def _count(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            self._metrics.child(self._metrics.alerts, alert.kind).inc()
            self._log.info("alert", kind=alert.kind, title=alert.title, sent=alert.sent)


async def end_tasks(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancelled until they have ended: while it connects, Redis's client turns a cancellation into an error of its own,
    which a loop survives."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_CANCEL_AGAIN_S)


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
        await asyncio.sleep(pause_after(failures, pause_s))


def pause_after(failures: int, pause_s: float) -> float:
    """Twice as long after each failure in a row, up to a few seconds, or as long as usual where that is longer."""
    doublings = min(failures, _MOST_DOUBLINGS)  # thousands of them are more than a float holds
    return min(pause_s * float(2**doublings), max(_LONGEST_PAUSE_S, pause_s))
