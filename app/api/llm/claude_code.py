"""What Claude Code asks of a gateway beside models: what its key has spent, and where its telemetry goes."""

from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from app.api.llm.connection import ClientGone, Guard, Receive, Scope, Send, send_whole
from app.api.llm.door import Door, check_method, json_headers
from app.base import clock
from app.base.errors import GatewayError
from app.base.ids import new_id
from app.gateway.own_usage import OwnUsage
from app.protocols.anthropic_messages.own_usage import render_usage
from app.protocols.codec import Codec

_TELEMETRY_PATHS = ("/v1/metrics", "/v1/logs", "/v1/traces")
_MOST_TELEMETRY_BYTES = 8 * 2**20
_STALLED_S = 30.0


class ClaudeCodeRoutes:
    def __init__(self, door: Door, own_usage: OwnUsage, anthropic: Codec) -> None:
        self._door = door
        self._own_usage = own_usage
        self._anthropic = anthropic

    def handlers(self) -> list[ASGIRouteHandler]:
        return [self._usage(), self._telemetry()]

    def _usage(self) -> ASGIRouteHandler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            del receive
            request_id = new_id("req")
            try:
                check_method(scope, "GET")
                principal = await self._door.authenticate(scope)
                body = render_usage(await self._own_usage.find(principal, clock.now()))
                await send_whole(200, json_headers(request_id), body, send)
            except GatewayError as error:
                await self._door.refuse(self._anthropic, error, request_id, send)

        return asgi("/api/oauth/usage", copy_scope=False)(handle)

    def _telemetry(self) -> ASGIRouteHandler:
        """OTLP over HTTP: taken and dropped. With a 404 the client would log an error each time."""

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            request_id = new_id("req")
            try:
                check_method(scope, "POST")
                await self._door.authenticate(scope)
                await Guard(receive).read_body(scope["headers"], _MOST_TELEMETRY_BYTES, _STALLED_S)
                headers, body = json_headers(request_id), b"{}"
                if (b"content-type", b"application/x-protobuf") in scope["headers"]:
                    headers[0], body = (b"content-type", b"application/x-protobuf"), b""
                await send_whole(200, headers, body, send)
            except GatewayError as error:
                await self._door.refuse(self._anthropic, error, request_id, send)
            except ClientGone:
                return

        return asgi(list(_TELEMETRY_PATHS), copy_scope=False)(handle)
