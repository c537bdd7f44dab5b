"""The operator's own OTLP collector: exports wait in memory, go there one after the other, and are dropped at last.

Nothing here is waited for by a client.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.base.errors import UpstreamError
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.catalog import Timeouts
from app.protocols.codec import Header
from app.protocols.otlp.exchange import Signal
from app.providers.provider import Upstream, UpstreamRequest

MOST_WAITING_BYTES = 16 * 2**20
MOST_WAITING = 2_000
PAUSES_S = (1.0, 2.0, 4.0, 8.0)
_LONGEST_PAUSE_S = 30
_TRY_AGAIN = frozenset({429, 502, 503, 504})
"""As OTLP says; any other refusal is final."""
_PASSED_ON = frozenset({b"content-type", b"content-encoding"})
_TIMEOUTS = Timeouts(connect_s=5, first_byte_s=10, idle_s=5, total_s=15)
_CLOSE_WITHIN_S = 3.0
Outcome = Literal["sent", "dropped_queue_full", "dropped_refused", "dropped_unreachable", "dropped_at_end"]


@dataclass(frozen=True, slots=True)
class _Export:
    signal: Signal
    headers: Sequence[Header]
    body: bytes


class Collector:
    """``endpoint`` is what stands before ``/v1/metrics``; ``headers`` are the operator's, with each export.

    ``pauses_s`` are those between the tries of one export.
    """

    def __init__(
        self,
        http: Upstream,
        metrics: Metrics,
        endpoint: str,
        headers: Sequence[Header],
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self._http = http
        self._metrics = metrics
        self._endpoint = endpoint.rstrip("/")
        self._headers = [*headers, (b"user-agent", b"Keyhouse")]
        self._pauses_s = pauses_s
        self._waiting: deque[_Export] = deque()
        self._waiting_bytes = 0
        self._arrived, self._empty = asyncio.Event(), asyncio.Event()
        self._empty.set()
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self._log = get_logger()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="collector")

    async def close(self) -> None:
        """Sends what waits, as far as a moment lasts."""
        if self._task is None:
            return
        if not self._failing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), _CLOSE_WITHIN_S)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        for _ in range(len(self._waiting)):
            self._count("dropped_at_end")

    def offer(self, signal: Signal, headers: Sequence[Header], body: bytes) -> None:
        """To be sent as it came. Dropped, and counted, where too much waits already."""
        if len(self._waiting) >= MOST_WAITING or self._waiting_bytes + len(body) > MOST_WAITING_BYTES:
            self._count("dropped_queue_full")
            return
        self._waiting.append(_Export(signal, [header for header in headers if header[0] in _PASSED_ON], body))
        self._waiting_bytes += len(body)
        self._arrived.set()
        self._empty.clear()

    async def _run(self) -> None:
        while True:
            while not self._waiting:
                self._arrived.clear()
                self._empty.set()
                await self._arrived.wait()
            export = self._waiting[0]
            outcome = await self._deliver(export)
            self._waiting.popleft()
            self._waiting_bytes -= len(export.body)
            self._count(outcome)

    async def _deliver(self, export: _Export) -> Outcome:
        pauses_s = list(self._pauses_s)
        while True:
            status, wait_s = await self._send(export)
            if 200 <= status < 300:
                self._note("")
                return "sent"
            self._note(f"it answered {status}" if status else "it cannot be reached")
            if status and status not in _TRY_AGAIN:
                return "dropped_refused"
            if not pauses_s:
                return "dropped_unreachable"
            await asyncio.sleep(max(pauses_s.pop(0), wait_s))

    async def _send(self, export: _Export) -> tuple[int, float]:
        """The status, 0 where none came, and how long the collector asks us to wait."""
        url = f"{self._endpoint}/v1/{export.signal}"
        request = UpstreamRequest("collector", "POST", url, [*export.headers, *self._headers], export.body, _TIMEOUTS)
        try:
            async with asyncio.timeout(_TIMEOUTS.total_s):
                reply = await self._http.send(request)
                try:
                    while await reply.next_chunk(_TIMEOUTS.idle_s):
                        pass
                finally:
                    reply.close()
        except (UpstreamError, TimeoutError):
            return 0, 0
        value = next((value for name, value in reply.headers if name.lower() == b"retry-after"), b"")
        return reply.status, min(int(value), _LONGEST_PAUSE_S) if value.isdigit() and len(value) < 9 else 0

    def _note(self, failure: str) -> None:
        """Said once when it begins, and once when it is over."""
        if failure and not self._failing:
            self._log.warning("the collector does not take telemetry", endpoint=self._endpoint, reason=failure)
        elif self._failing and not failure:
            self._log.info("the collector takes telemetry again", endpoint=self._endpoint)
        self._failing = bool(failure)

    def _count(self, outcome: Outcome) -> None:
        self._metrics.child(self._metrics.telemetry_relayed, outcome).inc()
