"""The door before the router: the exact paths of the hot routes go straight to their handlers."""

from collections.abc import Sequence

from litestar.handlers import ASGIRouteHandler
from litestar.types import ASGIApp

from app.api.llm.connection import Receive, Scope, Send


class Front:
    """The whole application. Measured: Litestar's router and its exception middleware cost about 20 µs a request,
    of some 330 with both stores; these handlers find no use for either, as they answer every error themselves.

    The handlers are routes of ``app`` all the same, so what comes by another writing of a path is served too.
    """

    def __init__(self, app: ASGIApp, handlers: Sequence[ASGIRouteHandler]) -> None:
        self._app = app
        self._handlers = {
            path: handler.fn for handler in handlers if not handler.is_mount for path in sorted(handler.paths)
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        handle = self._handlers.get(scope["path"]) if scope["type"] == "http" else None
        if handle is None:
            await self._app(_as_get(scope), receive, send)
        else:
            await handle(scope=scope, receive=receive, send=send)


def _as_get(scope: Scope) -> Scope:
    """A HEAD of a page, by those who look whether it is there, is a GET whose body the server leaves away."""
    is_head = scope["type"] == "http" and scope.get("method") == "HEAD"
    return {**scope, "method": "GET"} if is_head and f"{scope['path']}/".startswith("/ui/") else scope
