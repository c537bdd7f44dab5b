"""From a provider's answer to the client: the same bytes, with the usage watched as they pass."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass

from app.base.errors import BudgetExhausted, GatewayError, StorageUnavailable, UpstreamBroken, UpstreamTimeout
from app.domain.catalog import Deployment
from app.domain.spend import BudgetStanding, Growth, Receipt, ReceiptStatus
from app.gateway.call import Call, Grant, StreamCut
from app.gateway.growth import NEVER, growing_hold, is_strict
from app.gateway.refusals import answer_stopped
from app.gateway.settle import Settlement
from app.protocols.codec import StreamScanner, UsageReport
from app.providers.provider import UpstreamReply

NOTHING_SEEN = UsageReport(usage=None, final=False, output_bytes=0)
_PROGRESS_EVERY_S = 5.0
_MOST_WHOLE_BYTES = 256 * 2**20
"""Beyond the largest answer that there is, of some thousand embeddings; one without an end would take all memory."""


@dataclass(frozen=True, slots=True)
class RelayRules:
    """``ping_after_s``: how long a stream may be silent before we write a ping of our own."""

    ping_after_s: float = 15


async def read_whole(reply: UpstreamReply, deployment: Deployment) -> bytes:
    """The whole body. Raises UpstreamBroken, UpstreamTimeout."""
    chunks: list[bytes] = []
    received_bytes = 0
    idle_s = deployment.timeouts.idle_s
    ends_at = time.monotonic() + deployment.timeouts.total_s
    try:
        while chunk := await reply.next_chunk(min(idle_s, max(ends_at - time.monotonic(), 0.001))):
            chunks.append(chunk)
            received_bytes += len(chunk)
            if received_bytes > _MOST_WHOLE_BYTES:
                raise UpstreamBroken(
                    f'the answer of provider "{deployment.provider}" is larger than {_MOST_WHOLE_BYTES // 2**20} MiB',
                    provider=deployment.provider,
                )
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
    except TimeoutError as error:
        raise UpstreamTimeout(
            f'the answer of provider "{deployment.provider}" stopped in the middle', provider=deployment.provider
        ) from error


class StreamRelay:
    """One streamed answer on its way: a StreamBody. However it ends, the call is settled once."""

    def __init__(
        self,
        call: Call,
        grant: Grant,
        reply: UpstreamReply,
        scanner: StreamScanner,
        settlement: Settlement,
        rules: RelayRules,
    ) -> None:
        self._call = call
        self._grant = grant
        self._reply = reply
        self._scanner = scanner
        self._settlement = settlement
        self._rules = rules
        self._hold = growing_hold(grant)
        self._look_at_bytes = NEVER if self._hold is None else 0
        self._passed_bytes = 0
        self._first_byte_ms: int | None = None
        self._settled = not grant.metered
        self._silent_since = self._spoken_s = self._progressed_s = time.monotonic()
        self._ends_at = call.started_s + grant.deployment.timeouts.total_s
        self._translated = grant.exchange is not None and grant.exchange.stream_type is not None
        self.receipt: Receipt | None = None
        """What was booked, once it is."""
        self._chunks = self._run()

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes for the client. Raises StreamCut after an error event when the provider broke off."""
        return self._chunks

    async def close(self) -> None:
        await self._chunks.aclose()
        # A generator that was never begun runs no ``finally``: the client left before the first byte.
        self._reply.close()
        await self._settle("hung_up")

    async def _run(self) -> AsyncGenerator[bytes, None]:
        scanner = self._scanner
        status: ReceiptStatus = "hung_up"
        try:
            while (chunk := await self._next()) != b"":
                passed = self._call.codec.ping if chunk is None else await self._pass_on(chunk)
                if passed:
                    yield passed
                if self._passed_bytes >= self._look_at_bytes:
                    await self._look()
            rest = scanner.flush()
            status = "ok" if scanner.complete and not scanner.failed else "error"
            await self._settle(status)
            if rest:
                yield rest
            self._check_end()
        except GatewayError as error:
            status = "cut" if isinstance(error, BudgetExhausted) else "error"
            self._reply.close()
            await self._settle(status)
            event = self._call.codec.render_stream_error(error, self._call.request_id)
            yield event if scanner.at_boundary else b"\n\n" + event
            raise StreamCut from error
        finally:
            self._reply.close()
            await self._settle(status)

    async def _pass_on(self, chunk: bytes) -> bytes:
        """What the client gets for the provider's bytes; empty where there is nothing to say yet."""
        scanner = self._scanner
        passed = scanner.feed(chunk)
        self._passed_bytes += len(chunk)
        if scanner.ended:
            # Said to the store before the client can know that the answer is whole: what it saw is exact.
            await self._settle("error" if scanner.failed else "ok")
        elif self._silent_since - self._progressed_s > _PROGRESS_EVERY_S:
            self._progressed_s = self._silent_since
            self._settlement.progress(self._call, self._grant, scanner.report(), self._first_byte_ms)
        if not passed and scanner.at_boundary and self._silent_since - self._spoken_s > self._rules.ping_after_s:
            # The provider talks, but nothing of it is for the client yet, which must not think us dead.
            passed = self._call.codec.ping
        if passed:
            self._spoken_s = self._silent_since
        return passed

    async def _look(self) -> None:
        """Let the hold grow with what has passed. Raises BudgetExhausted where a strict budget has no room for more."""
        hold = self._hold
        if hold is None or self._settled:
            self._look_at_bytes = NEVER
            return
        if growths := hold.look(self._passed_bytes, self._scanner.report()):
            if is_strict(growths):
                hold.granted(await self._grow_within_limits(growths))
            else:
                self._settlement.grow(self._call, growths)
        self._look_at_bytes = hold.look_at_bytes

    async def _grow_within_limits(self, growths: Sequence[Growth]) -> Sequence[int]:
        outcome = await self._settlement.grow_strictly(self._call, growths)
        if outcome is None:
            raise StorageUnavailable("what this answer may still cost cannot be held any more; try again shortly")
        if isinstance(outcome, BudgetStanding):
            raise answer_stopped(self._grant.principal, outcome)
        return outcome

    def _check_end(self) -> None:
        """Raises StreamCut, UpstreamBroken where the client must not take what it has for an answer."""
        if self._scanner.failed and self._translated:
            raise StreamCut  # the failure was told; a clean end would make an answer of it
        if not self._scanner.complete:
            raise UpstreamBroken(
                f'provider "{self._grant.deployment.provider}" ended its answer before it was complete',
                provider=self._grant.deployment.provider,
            )

    async def _next(self) -> bytes | None:
        """The next chunk; None when it is time for a ping. Raises UpstreamTimeout after too long a silence."""
        timeouts = self._grant.deployment.timeouts
        now = time.monotonic()
        while True:
            wait_s = min(self._rules.ping_after_s, timeouts.idle_s - (now - self._silent_since), self._ends_at - now)
            try:
                chunk = await self._reply.next_chunk(max(wait_s, 0.001))
            except TimeoutError as error:
                now = time.monotonic()
                if self._scanner.ended:
                    return b""
                if now - self._silent_since >= timeouts.idle_s or now >= self._ends_at:
                    raise UpstreamTimeout(
                        f'provider "{self._grant.deployment.provider}" was silent for {timeouts.idle_s} s '
                        f"or took longer than {timeouts.total_s} s",
                        provider=self._grant.deployment.provider,
                    ) from error
                if self._scanner.at_boundary:
                    return None
                continue
            self._silent_since = time.monotonic()
            if self._first_byte_ms is None:
                self._first_byte_ms = round((self._silent_since - self._call.started_s) * 1000)
            return chunk

    async def _settle(self, status: ReceiptStatus) -> None:
        if not self._settled:
            self._settled = True
            self.receipt = await self._settlement.settle(
                self._call, self._grant, self._scanner.report(), status, self._first_byte_ms
            )
