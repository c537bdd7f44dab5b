"""Every error of the app in the shape of the API that was called: Anthropic's, OpenAI's, or the admin's."""

from collections.abc import Callable
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from app.api.admin.errors import render_admin_error
from app.base.errors import GatewayError, InvalidRequest, MethodNotAllowed, NotFound, TooLarge
from app.base.ids import new_id
from app.base.logs import get_logger
from app.protocols.registry import Codecs

_ANTHROPIC_PATHS = ("/v1/messages", "/messages", "/anthropic", "/v1/complete")
_OPENAI_PATHS = ("/v1/", "/chat/", "/completions", "/responses", "/embeddings", "/images/", "/models")

Handler = Callable[[Request[Any, Any, Any], Exception], Response[bytes]]


def error_handler(codecs: Codecs, on_page: Handler) -> Handler:
    """The one exception handler of the app; nothing leaves it but a GatewayError rendered, by ``on_page`` for pages."""
    log = get_logger()

    def handle(request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
        path = request.scope["path"]
        if path == "/ui" or path.startswith("/ui/"):
            return on_page(request, exception)
        request_id = new_id("req")
        error = _as_gateway_error(exception, request, request_id)
        if error.status == 500:
            log.error("unexpected failure", request_id=request_id, path=path, exc_info=exception)
        if path.startswith(_ANTHROPIC_PATHS):
            rendered = codecs["anthropic_messages"].render_error(error, request_id)
            status, headers, body = rendered.status, rendered.headers, rendered.body
        elif path.startswith(_OPENAI_PATHS):
            rendered = codecs["openai_chat"].render_error(error, request_id)
            status, headers, body = rendered.status, rendered.headers, rendered.body
        else:
            status, headers, body = render_admin_error(error, request_id)
        return Response(
            body,
            status_code=status,
            media_type="application/json",
            headers={
                name.decode(): value.decode() for name, value in (*headers, *error.headers) if name != b"content-type"
            },
        )

    return handle


def _as_gateway_error(exception: Exception, request: Request[Any, Any, Any], request_id: str) -> GatewayError:
    if isinstance(exception, GatewayError):
        return exception
    method, path = request.scope["method"], request.scope["path"]
    if isinstance(exception, HTTPException) and exception.status_code < 500:
        match exception.status_code:
            case 404:
                return NotFound(f"there is no route {method} {path[:200]}; GET /docs lists the admin routes")
            case 405:
                allowed = MethodNotAllowed(f"{path[:200]} does not take {method}")
                allow = (exception.headers or {}).get("allow", "")
                allowed.headers = [(b"allow", allow.encode())] if allow else []
                return allowed
            case 413:
                return TooLarge("the request body is too large")
            case _:
                return InvalidRequest(str(exception.detail))
    return GatewayError(f"an unexpected failure of the gateway; tell an admin the request id {request_id}")
