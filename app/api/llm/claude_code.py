"""What Claude Code asks of a gateway beside models: what its key has spent."""

from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from app.api.llm.connection import Receive, Scope, Send, send_whole
from app.api.llm.door import Door, check_method, json_headers
from app.base import clock
from app.base.errors import GatewayError
from app.base.ids import new_id
from app.gateway.own_usage import OwnUsage
from app.protocols.anthropic_messages.own_usage import render_usage
from app.protocols.codec import Codec


class ClaudeCodeRoutes:
    def __init__(self, door: Door, own_usage: OwnUsage, anthropic: Codec) -> None:
        self._door = door
        self._own_usage = own_usage
        self._anthropic = anthropic

    def handlers(self) -> list[ASGIRouteHandler]:
        return [self._usage()]

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
