"""What Claude Code asks of a gateway beside models: what its key has spent, and the settings of its team."""

from uuid import UUID

import msgspec
from litestar import asgi
from litestar.handlers import ASGIRouteHandler

from app.admin.managed_settings import ManagedSettings
from app.api.llm.connection import Receive, Scope, Send, send_whole
from app.api.llm.door import Door, check_method, json_headers
from app.base import clock
from app.base.errors import GatewayError, NotFound
from app.base.ids import new_id
from app.domain.managed_settings import checksum_of
from app.gateway.own_usage import OwnUsage
from app.protocols.anthropic_messages.own_usage import render_usage
from app.protocols.codec import Codec


class ClaudeCodeRoutes:
    def __init__(self, door: Door, own_usage: OwnUsage, managed: ManagedSettings, anthropic: Codec) -> None:
        self._door = door
        self._own_usage = own_usage
        self._managed = managed
        self._anthropic = anthropic

    def handlers(self) -> list[ASGIRouteHandler]:
        return [self._usage(), self._settings()]

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

    def _settings(self) -> ASGIRouteHandler:
        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            del receive
            request_id = new_id("req")
            try:
                check_method(scope, "GET")
                key = (await self._door.authenticate(scope)).key
                settings = await self._managed.find_effective(key.organization_id, key.team_id)
                if settings is None:
                    raise NotFound("no settings are set for this key's team, its organization, or everybody")
                checksum = checksum_of(settings)
                headers = [*json_headers(request_id), (b"etag", f'"{checksum}"'.encode())]
                if _is_known(scope, checksum):
                    await send({"type": "http.response.start", "status": 304, "headers": headers[1:]})
                    await send({"type": "http.response.body", "body": b""})
                    return
                # An id that stands as long as the settings do.
                said = {"uuid": str(UUID(checksum[-32:])), "checksum": checksum, "settings": settings}
                await send_whole(200, headers, msgspec.json.encode(said), send)
            except GatewayError as error:
                await self._door.refuse(self._anthropic, error, request_id, send)

        return asgi("/managed/settings", copy_scope=False)(handle)


def _is_known(scope: Scope, checksum: str) -> bool:
    """Whether the client has it: it sends the checksum that it computed, with quotes or without."""
    known = b",".join(value for name, value in scope["headers"] if name == b"if-none-match").decode("latin-1")
    return checksum in {tag.strip().removeprefix("W/").strip('"') for tag in known.split(",")}
