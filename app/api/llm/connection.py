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


class ClientGone(Exception):
    """The client closed the connection."""


async def read_body(headers: Iterable[Header], receive: Receive, most_bytes: int, stalled_s: float) -> bytes:
    """The request's body. Raises TooLarge, RequestTimeout, InvalidRequest, ClientGone."""
    for name, value in headers:
        if name == b"content-length":
            if not value.isdigit():
                raise InvalidRequest("the content-length header is not a number")
            if int(value) > most_bytes:
                raise _too_large(most_bytes)
    chunks: list[bytes] = []
    received_bytes = 0
    while True:
        try:
            async with asyncio.timeout(stalled_s):
                event = await receive()
        except TimeoutError as error:
            raise RequestTimeout(f"the request body stalled for {stalled_s:g} s; send it again") from error
        if event["type"] == "http.disconnect":
            raise ClientGone
        chunk = event.get("body", b"")
        received_bytes += len(chunk)
        if received_bytes > most_bytes:
            raise _too_large(most_bytes)
        chunks.append(chunk)
        if not event.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


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


async def while_connected(work: Coroutine[Any, Any, None], receive: Receive) -> None:
    """Run ``work`` in this task; when the client leaves, cancel it and let it clean up. Call after the body was read.

    Raises ClientGone when it was cancelled for that reason.
    """
    task = asyncio.current_task()
    assert task is not None
    watcher = asyncio.create_task(_cancel_when_gone(receive, task))
    try:
        await work
    except asyncio.CancelledError:
        if watcher.done() and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()


async def _cancel_when_gone(receive: Receive, task: asyncio.Task[Any]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


async def _send_chunks(body: StreamBody, send: Send) -> None:
    try:
        async for chunk in body.chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    except StreamCut:
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _too_large(most_bytes: int) -> TooLarge:
    return TooLarge(
        f"the request body is larger than {most_bytes} bytes ({most_bytes // 2**20} MiB), the limit of this gateway; "
        "an admin can raise KEYHOUSE_MAX_BODY_BYTES"
    )
