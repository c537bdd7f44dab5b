"""From what passed to the receipt, and the receipt to the ledger: exactly once, however the call ended."""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace

from app.base.errors import StorageUnavailable
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.caching import StoredAnswer
from app.domain.pricing import NO_COST, OPERATORS_OWN, Cost, PriceSheet, at_service, cost_of, reported_cost
from app.domain.spend import BudgetStanding, Growth, Receipt, ReceiptStatus
from app.domain.usage import Usage, UsageSource
from app.gateway.call import Call, Grant
from app.gateway.estimate import tokens_of_bytes
from app.gateway.holds import learn
from app.gateway.observations import Observations
from app.gateway.own_login import relayed
from app.gateway.ports import Ledger
from app.protocols.codec import UsageReport
from app.providers.host_table import HOSTS

CACHED_TOKEN_PERCENT = 10
_RETRY_S = 0.5


class Settlement:
    """Keeps the holds of running calls alive, and settles each call once.

    When the store does not answer, the client does not wait for it: the receipt is kept and tried again until
    it is booked; ``drain`` is awaited before the process ends.
    """

    def __init__(self, ledger: Ledger, metrics: Metrics, cached_token_percent: int = CACHED_TOKEN_PERCENT) -> None:
        """``cached_token_percent``: how much of a token read from a prompt cache counts on limits of tokens."""
        self._cached_token_percent = cached_token_percent
        self._ledger = ledger
        self._metrics = metrics
        self.observations = Observations(metrics)
        self._running: dict[str, Receipt] = {}
        self._under_way: set[asyncio.Future[Any]] = set()
        self._unbooked: dict[tuple[str, int], Receipt] = {}
        self._given_up = False
        self._log = get_logger()

    def watch(self, grant: Grant) -> None:
        """The call goes out: its hold is renewed until it is settled."""
        assert grant.if_orphaned is not None
        self._running[grant.if_orphaned.request_id] = grant.if_orphaned

    def progress(self, call: Call, grant: Grant, report: UsageReport, first_byte_ms: int | None) -> None:
        """What has passed so far, so that a death of ours is booked at what was counted rather than estimated."""
        if call.request_id in self._running:
            self._running[call.request_id] = _receipt(call, grant, report, "cut", first_byte_ms)

    async def settle(
        self, call: Call, grant: Grant, report: UsageReport, status: ReceiptStatus, first_byte_ms: int | None
    ) -> Receipt:
        """Book what the call cost; returns the receipt.

        It goes to the store before whatever is written to the client after this: a client that saw the end of an
        answer has an exact receipt, also when this process is killed in the same moment. The store's answer is not
        waited for: that would cost every call another trip through the loop. One turn of it is: in that turn the
        receipts of all calls that end together leave in one write.
        """
        receipt = _receipt(call, grant, report, status, first_byte_ms)
        self._running.pop(call.request_id, None)
        if grant.route is not None:
            grant.route.settled(receipt)
        if grant.hold is not None:
            learn(grant.hold, receipt, report.output_bytes)
        return await self._send(receipt)

    async def settle_stored(self, call: Call, grant: Grant, answer: StoredAnswer) -> Receipt:
        """Book a call that was answered out of the response cache: nothing was spent, and nothing is learned of it."""
        assert grant.if_orphaned is not None
        spent_ms = round((time.monotonic() - call.started_s) * 1000)
        receipt = replace(
            grant.if_orphaned,
            duration_ms=spent_ms,
            first_byte_ms=spent_ms,
            usage=Usage(),
            cost=NO_COST,
            usage_source="cache",
            status="ok",
            finish_reason=answer.finish_reason,
            saved_nanousd=answer.cost_nanousd,
        )
        return await self._send(receipt)

    async def _send(self, receipt: Receipt) -> Receipt:
        self.observations.add(receipt)
        self._unbooked[receipt.request_id, receipt.attempt] = receipt
        answer = self._ledger.start_settling(receipt, receipt.usage.rate_tokens(self._cached_token_percent))
        self._under_way.add(answer)
        answer.add_done_callback(partial(self._check, receipt))
        await asyncio.sleep(0)
        return receipt

    async def book(self, receipts: Sequence[Receipt]) -> None:
        """Book what was never held, and wait until the store has it. Raises StorageUnavailable.

        It may be said again, here or anywhere: the book of record knows each receipt by its name, and moves the
        counters only for one that it did not have.
        """
        await asyncio.gather(
            *(
                self._ledger.settle(receipt, receipt.usage.rate_tokens(self._cached_token_percent))
                for receipt in receipts
            )
        )
        for receipt in receipts:
            self.observations.add(receipt)

    async def grow_strictly(self, call: Call, growths: Sequence[Growth]) -> tuple[int, ...] | BudgetStanding | None:
        """Hold more on budgets of which some may not be exceeded, and wait for the answer (``Ledger.grow``).

        Raises StorageUnavailable.
        """
        return await self._ledger.grow(call.request_id, growths)

    def grow(self, call: Call, growths: Sequence[Growth]) -> None:
        """Hold more for a call that runs; it goes on meanwhile, and whatever comes of it."""
        self._go_on(self._grow(call.request_id, growths))

    def release(self, call: Call) -> None:
        """Nothing was spent: the provider refused or never answered."""
        self._running.pop(call.request_id, None)
        self._go_on(self._release(call.request_id))

    async def renew_once(self) -> None:
        """Called every third of a lease, by the process's own loop."""
        if self._running:
            await self._ledger.renew(list(self._running.items()))

    async def drain(self, timeout_s: float) -> list[Receipt]:
        """Wait for what is still to be booked; returns the receipts that could not be in time, and lets them go."""
        ends_at = time.monotonic() + timeout_s
        while self._under_way and (left_s := ends_at - time.monotonic()) > 0:
            await asyncio.wait(self._under_way, timeout=left_s)
        self.observations.flush()
        unbooked = list(self._unbooked.values())
        self._given_up = True
        for work in self._under_way:
            work.cancel()
        return unbooked

    def _check(self, receipt: Receipt, answer: asyncio.Future[Any]) -> None:
        self._under_way.discard(answer)
        if not answer.cancelled() and answer.exception() is None:
            del self._unbooked[receipt.request_id, receipt.attempt]
        elif not self._given_up:
            self._go_on(self._book(receipt))

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        """In a task of its own, that neither the client nor its cancelled request can end."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _book(self, receipt: Receipt) -> None:
        """Say it until it is booked; saying it again is safe."""
        self._metrics.unsettled.inc()
        self._log.warning("receipt waits for the store", request_id=receipt.request_id)
        while True:
            try:
                await self._ledger.settle(receipt, receipt.usage.rate_tokens(self._cached_token_percent))
            except StorageUnavailable:
                await asyncio.sleep(_RETRY_S)
            except Exception:  # noqa: BLE001  whatever it is, a receipt is not given up
                self._log.exception("the store refuses a receipt", request_id=receipt.request_id)
                await asyncio.sleep(_RETRY_S)
            else:
                break
        del self._unbooked[receipt.request_id, receipt.attempt]
        self._metrics.unsettled.dec()

    async def _grow(self, request_id: str, growths: Sequence[Growth]) -> None:
        # The next growth, or the settlement, makes up for one that was not heard.
        with contextlib.suppress(StorageUnavailable):
            await self._ledger.grow(request_id, growths)

    async def _release(self, request_id: str) -> None:
        while True:
            try:
                await self._ledger.release(request_id)
            except StorageUnavailable:
                await asyncio.sleep(_RETRY_S)
            else:
                return


def _receipt(
    call: Call, grant: Grant, report: UsageReport, status: ReceiptStatus, first_byte_ms: int | None
) -> Receipt:
    assert grant.if_orphaned is not None
    usage, source = _usage(grant, report)
    cost, price = _cost(grant, report, usage)
    if grant.deployment.provider == "demo":
        source = "demo"
    receipt = replace(
        grant.if_orphaned,
        duration_ms=round((time.monotonic() - call.started_s) * 1000),
        first_byte_ms=first_byte_ms,
        usage=usage,
        cost=cost,
        price_version=price.version,
        price_source=price.source,
        usage_source=source,
        status=status,
        finish_reason=report.finish_reason,
        kept_as=report.kept_as,
    )
    return relayed(receipt) if grant.principal.own_login else receipt


def _cost(grant: Grant, report: UsageReport, usage: Usage) -> tuple[Cost, PriceSheet]:
    """What a provider whose word counts has told, with the margin alone of our terms; else usage times price.

    Of the price what the receipt is to say: the version at the service tier, and whence.
    """
    price = grant.price
    assert price is not None
    tells = report.cost is not None and HOSTS[grant.deployment.provider].tells_cost
    if tells and price.source not in OPERATORS_OWN:
        assert report.cost is not None
        return reported_cost(report.cost, price.terms), dataclasses.replace(price, source="reported")
    if usage.service:
        price = at_service(price, usage.service)
    return cost_of(usage, price), price


def _usage(grant: Grant, report: UsageReport) -> tuple[Usage, UsageSource]:
    """The provider's own counts where it has given them; what it has not is counted from the bytes that passed."""
    if report.usage is not None and report.final:
        return report.usage, "provider"
    output = tokens_of_bytes(report.output_bytes)
    if report.usage is not None:
        return replace(report.usage, output=max(report.usage.output, output)), "counted"
    assert grant.if_orphaned is not None
    return Usage(input=grant.if_orphaned.usage.input, output=output), "estimated"
