"""Calls under a key of idempotency: made once, however often they are sent, and answered with the first answer.

Such a call runs in a task of its own, and its answer is read to the end though the client has left: it is paid for, and
whoever named a key comes back for it.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from msgspec import structs

from app.base.errors import Conflict, GatewayError, Gone, InvalidRequest, StorageUnavailable, Unprocessable
from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.access import Principal
from app.domain.idempotency import KeptReply, KnownCall, Ticket, check_key, ticket_of, wait_s
from app.domain.spend import Receipt
from app.gateway.call import Call, Reply, StreamBody, StreamCut
from app.gateway.ports import IdempotentCalls
from app.protocols.codec import Header

HEADER = b"idempotency-key"
_REPLAYED: Header = (b"x-keyhouse-idempotent-replay", b"true")
_COSTS = frozenset({b"x-keyhouse-response-cost", b"x-litellm-response-cost"})
_NO_COSTS = tuple((name, b"0") for name in sorted(_COSTS))
_OF_THE_MOMENT = _COSTS | {b"x-keyhouse-cache", b"age", b"retry-after"}
_LIMITS = b"ratelimit"
# Statuses of Responses, which come with a 200: nothing was answered, so a retry is to be a new attempt.
_FAILED = frozenset({"failed", "cancelled"})
# What costs nothing, and what is not ours to answer: the header goes to the provider as it came.
_REPEATABLE = frozenset({"count_tokens", "opaque"})

Serve = Callable[[Call, Principal], Awaitable[Reply]]
T = TypeVar("T")


class Idempotency:
    def __init__(self, calls: IdempotentCalls, secret: bytes, metrics: Metrics, most_answer_bytes: int) -> None:
        self._calls = calls
        self._secret = secret
        self._metrics = metrics
        self._most_answer_bytes = most_answer_bytes
        self._under_way: dict[str, Ticket] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._log = get_logger()

    async def serve(self, call: Call, principal: Principal, key: bytes, serve: Serve) -> Reply:
        """Raises as ``serve`` does, and InvalidRequest, Unprocessable, Conflict, Gone, StorageUnavailable."""
        asked = (call.route.encode("utf-8", "surrogateescape"), call.query, call.body)
        ticket = ticket_of(self._secret, principal.key.key_id, key, call.request_id, asked)
        headers = [header for header in call.headers if header[0] != HEADER]
        work = self._begin_task(self._first(structs.replace(call, headers=headers), principal, ticket, serve))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(self._nobody_waits)
            raise

    async def renew_once(self) -> None:
        """Called every third of a lease, by the process's own loop."""
        for ticket in list(self._under_way.values()):
            await self._calls.renew(ticket)

    async def close(self) -> None:
        """End what still runs without its client: it is settled at what has passed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def finish(self, ticket: Ticket, reply: Reply, body: bytes | None, receipt: Receipt | None) -> None:
        """The answer is whole: keep it, or where that is too large (``body`` None) that there was one."""
        self._under_way.pop(ticket.request_id, None)
        if not _is_answer(reply.status, receipt):
            await self.forget(ticket)
            return
        fits = body is not None and len(body) <= self._most_answer_bytes
        kept = KeptReply(reply.status, _lasting(reply.headers), body) if fits and body is not None else None
        try:
            await self._calls.finish(ticket, kept)
        except StorageUnavailable:
            self._log.warning("an answer under a key of idempotency could not be kept", request_id=ticket.request_id)
            return
        self._count("kept" if fits else "too_large")

    async def forget(self, ticket: Ticket) -> None:
        """It came to nothing, so the same key begins anew."""
        self._under_way.pop(ticket.request_id, None)
        with contextlib.suppress(StorageUnavailable):  # the mark ends with its lease
            await self._calls.forget(ticket)

    def read_on(self, stream: "KeptStream") -> None:
        self._begin_task(stream.read_on())

    async def _first(self, call: Call, principal: Principal, ticket: Ticket, serve: Serve) -> Reply:
        known = await self._calls.begin(ticket)
        if known is not None:
            return self._again(call, ticket, known)
        self._under_way[ticket.request_id] = ticket
        try:
            reply = await serve(call, principal)
        except BaseException:
            await self.forget(ticket)
            raise
        if not isinstance(reply.body, bytes):
            return structs.replace(reply, body=KeptStream(self, ticket, reply, reply.body, self._most_answer_bytes))
        await self.finish(ticket, reply, reply.body, reply.receipt)
        return reply

    def _again(self, call: Call, ticket: Ticket, known: KnownCall) -> Reply:
        if known.fingerprint != ticket.fingerprint:
            self._count("reused")
            raise Unprocessable(
                f"this idempotency-key was used by {known.request_id} for another request: its path, query or body "
                "differs; send a new key with a new request",
                code="idempotency_key_reused",
            )
        if not known.done:
            self._count("under_way")
            raise Conflict(
                f"the request of this idempotency-key is still under way, as {known.request_id}; ask again for its "
                "answer",
                code="idempotency_key_in_use",
                retry_after_s=wait_s(known.age_ms),
            )
        if known.answer is None:
            self._count("not_kept")
            raise Gone(
                f"the request of this idempotency-key was answered and charged as {known.request_id}, and its answer "
                "is not kept: it was too large, or made room for others; send a new key to have it made anew",
                code="idempotency_answer_not_kept",
            )
        self._count("replayed")
        self._log.info("replayed", request_id=call.request_id, first_request_id=known.request_id, route=call.route)
        answer = known.answer
        return Reply(answer.status, [*answer.headers, *_NO_COSTS, _REPLAYED], answer.body)

    def _nobody_waits(self, work: asyncio.Task[Reply]) -> None:
        """The client has left before the head of the answer: a stream is still to be read."""
        if not work.cancelled() and work.exception() is None and isinstance(body := work.result().body, KeptStream):
            self.read_on(body)

    def _begin_task(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _count(self, outcome: str) -> None:
        self._metrics.child(self._metrics.idempotent_calls, outcome).inc()


class KeptStream:
    """A StreamBody that keeps what passes, and is read to its end though its client leaves."""

    def __init__(
        self, idempotency: Idempotency, ticket: Ticket, reply: Reply, body: StreamBody, most_bytes: int
    ) -> None:
        self._idempotency = idempotency
        self._ticket = ticket
        self._reply = reply
        self._body = body
        self._source = body.chunks()
        self._most_bytes = most_bytes
        self._parts: list[bytes] | None = []
        self._recorded_bytes = 0
        self._ended = False
        self._step: asyncio.Task[bytes | None] | None = None
        self._chunks = self._run()

    @property
    def receipt(self) -> Receipt | None:
        return self._body.receipt

    def chunks(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def close(self) -> None:
        await self._chunks.aclose()
        if self._ended:
            await self._body.close()
        else:
            self._idempotency.read_on(self)

    async def read_on(self) -> None:
        """Without a client: to the end, as long as the answer can be kept."""
        try:
            while self._parts is not None and await self._pending() is not None:
                self._step = None
        except (StreamCut, GatewayError):
            pass  # settled and told where it happened
        finally:
            if self._step is not None and not self._step.done():
                self._step.cancel()
                await asyncio.gather(self._step, return_exceptions=True)
            await self._body.close()
            if not self._ended:
                await self._idempotency.forget(self._ticket)

    async def _run(self) -> AsyncGenerator[bytes, None]:
        while (chunk := await asyncio.shield(self._pending())) is not None:
            self._step = None
            yield chunk

    def _pending(self) -> asyncio.Task[bytes | None]:
        """The next chunk on its way, in a task that a client who leaves does not end."""
        if self._step is None:
            self._step = asyncio.create_task(self._next())
        return self._step

    async def _next(self) -> bytes | None:
        """The next chunk; None at the end, when the answer is kept. Raises StreamCut."""
        try:
            chunk = await anext(self._source, None)
        except BaseException:
            self._ended = True
            await self._idempotency.forget(self._ticket)
            raise
        if chunk is None:
            self._ended = True
            whole = None if self._parts is None else b"".join(self._parts)
            await self._idempotency.finish(self._ticket, self._reply, whole, self._body.receipt)
            return None
        self._recorded_bytes += len(chunk)
        if self._recorded_bytes > self._most_bytes:
            self._parts = None
        elif self._parts is not None:
            self._parts.append(chunk)
        return chunk


def find_key(call: Call) -> bytes | None:
    """What stands in the header, where the call is one that is to be made once. Raises InvalidRequest."""
    key = dict(call.headers).get(HEADER)
    if key is None or call.method != "POST" or call.operation in _REPEATABLE:
        return None
    if sum(name == HEADER for name, _ in call.headers) > 1:
        raise InvalidRequest("the header idempotency-key was sent twice; send one")
    try:
        return check_key(key)
    except ValueError as error:
        raise InvalidRequest(f"the header idempotency-key cannot be read: {error}") from error


def _is_answer(status: int, receipt: Receipt | None) -> bool:
    """Whether a repetition is to get this, rather than another attempt."""
    if not 200 <= status < 300:
        return False
    return receipt is None or (receipt.status == "ok" and receipt.finish_reason not in _FAILED)


def _lasting(headers: Sequence[Header]) -> tuple[Header, ...]:
    """Those that are of the answer, and not of the moment in which it was given."""
    return tuple((name, value) for name, value in headers if name not in _OF_THE_MOMENT and _LIMITS not in name)
