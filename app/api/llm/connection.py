"""One HTTP exchange of a model route over plain ASGI: the body in with its guards, the reply out as it comes."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

from app.base.errors import InvalidRequest, RequestTimeout, TooLarge
from app.gateway.call import Reply, StreamBody, StreamCut
from app.protocols.codec import Header

Scope = Any
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


_WATCH_AFTER_S = 0.25
"""A client that leaves is noticed after this at the latest; shorter exchanges need no task that watches."""


class ClientGone(Exception):
    """The client closed the connection."""


class Guard:
    """Cancels the task of one exchange when its body stalls or its client leaves, and knows which it was.

    Made of bare timers: most exchanges need neither, and pay a microsecond for each.
    """

    __slots__ = ("_receive", "_task", "_timer", "_watcher", "gone", "stalled")

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._receive = receive
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self.stalled = self.gone = False

    async def read_body(self, headers: Iterable[Header], most_bytes: int, stalled_s: float) -> bytes:
        """The request's body. Raises TooLarge, RequestTimeout, InvalidRequest, ClientGone."""
        _check_declared_length(headers, most_bytes)
        loop = asyncio.get_running_loop()
        chunks: list[bytes] = []
        received_bytes = 0
        while True:
            timer = loop.call_later(stalled_s, self._interrupt_stalled)
            try:
                event = await self._receive()
            except asyncio.CancelledError:
                if not self.stalled:
                    raise
                self._task.uncancel()
                raise RequestTimeout(f"the request body stalled for {stalled_s:g} s; send it again") from None
            finally:
                timer.cancel()
            if event["type"] == "http.disconnect":
                raise ClientGone
            chunk = event.get("body", b"")
            received_bytes += len(chunk)
            if received_bytes > most_bytes:
                raise _too_large(most_bytes)
            chunks.append(chunk)
            if not event.get("more_body"):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def while_connected(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` in this task; when the client leaves, cancel it and let it clean up. After the body was read.

        Raises ClientGone when it was cancelled for that reason.
        """
        self._timer = asyncio.get_running_loop().call_later(_WATCH_AFTER_S, self._watch)
        try:
            await work
        except asyncio.CancelledError:
            if not self.gone:
                raise
            self._task.uncancel()
            raise ClientGone from None
        finally:
            self._timer.cancel()
            if self._watcher is not None:
                self._watcher.cancel()

    def _interrupt_stalled(self) -> None:
        self.stalled = True
        self._task.cancel()

    def _watch(self) -> None:
        self._watcher = asyncio.create_task(self._cancel_when_gone())

    async def _cancel_when_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._task.cancel()


async def send_reply(reply: Reply, send: Send) -> None:
    """Send a reply. A stream that is to be cut lacks its last event, so that the server drops the connection."""
    body = reply.body
    if isinstance(body, bytes):
        await send_whole(reply.status, reply.headers, body, send)
        return
    try:
        await send({"type": "http.response.start", "status": reply.status, "headers": reply.headers})
        await _send_chunks(body, send)
    finally:
        await body.close()


async def send_whole(status: int, headers: Iterable[Header], body: bytes, send: Send) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _send_chunks(body: StreamBody, send: Send) -> None:
    try:
        async for chunk in body.chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except StreamCut:
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _check_declared_length(headers: Iterable[Header], most_bytes: int) -> None:
    length = dict(headers).get(b"content-length")
    if length is None:
        return
    if not length.isdigit():
        raise InvalidRequest("the content-length header is not a number")
    if int(length) > most_bytes:
        raise _too_large(most_bytes)


def _too_large(most_bytes: int) -> TooLarge:
    in_mebibytes = f" ({most_bytes // 2**20} MiB)" if most_bytes % 2**20 == 0 else ""
    return TooLarge(
        f"the request body is larger than {most_bytes} bytes{in_mebibytes}, the limit of this gateway; "
        "an admin can raise KEYHOUSE_MAX_BODY_BYTES"
    )
