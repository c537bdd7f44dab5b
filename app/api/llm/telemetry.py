"""OTLP over HTTP: ``/v1/metrics``, ``/v1/logs``, ``/v1/traces`` of clients with a key; errors as OTLP has them."""

from collections.abc import Sequence

from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from app.api.llm.connection import ClientGone, Guard, Receive, Scope, Send, send_whole
from app.api.llm.door import Door, check_method
from app.base import clock
from app.base.errors import GatewayError, TooLarge
from app.base.ids import new_id
from app.gateway.telemetry import Telemetry
from app.protocols.codec import Header
from app.protocols.otlp.exchange import (
    MEDIA_TYPES,
    Encoding,
    Signal,
    encoding_of,
    render_status,
    require_encoding,
)

MOST_EXPORT_BYTES = 8 * 2**20
_STALLED_S = 30.0
_PATHS: dict[str, Signal] = {"/v1/metrics": "metrics", "/v1/logs": "logs", "/v1/traces": "traces"}


class TelemetryRoutes:
    """Neither limits nor budgets are asked: telling costs nothing."""

    def __init__(self, door: Door, telemetry: Telemetry) -> None:
        self._door = door
        self._telemetry = telemetry

    def handlers(self) -> list[ASGIRouteHandler]:
        return [self._take(path, signal) for path, signal in _PATHS.items()]

    def _take(self, path: str, signal: Signal) -> ASGIRouteHandler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            request_id, headers = new_id("req"), scope["headers"]
            try:
                check_method(scope, "POST")
                principal = await self._door.authenticate(scope)
                encoding = require_encoding(headers)
                body = await _read_body(receive, headers)
                taken = await self._telemetry.take(principal, signal, encoding, (headers, body), clock.now())
                await send_whole(200, _headers(encoding, request_id), taken, send)
            except GatewayError as error:
                await self._refuse(error, encoding_of(headers) or "json", request_id, send)
            except ClientGone:
                return

        return asgi(path, copy_scope=False)(handle)

    async def _refuse(self, error: GatewayError, encoding: Encoding, request_id: str, send: Send) -> None:
        self._door.note_refusal(error, request_id)
        headers = [*_headers(encoding, request_id), *error.headers]
        if error.retry_after_s is not None:
            headers.append((b"retry-after", str(error.retry_after_s).encode()))
        await send_whole(error.status, headers, render_status(encoding, error), send)


async def _read_body(receive: Receive, headers: Sequence[Header]) -> bytes:
    try:
        return await Guard(receive).read_body(headers, MOST_EXPORT_BYTES, _STALLED_S)
    except TooLarge as error:
        raise TooLarge(f"an export is larger than {MOST_EXPORT_BYTES} bytes; export in smaller batches") from error


def _headers(encoding: Encoding, request_id: str) -> list[Header]:
    return [(b"content-type", MEDIA_TYPES[encoding]), (b"request-id", request_id.encode())]
