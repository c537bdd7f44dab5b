"""Errors of every route but the model routes, in LiteLLM's shape."""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from app.base.errors import GatewayError
from app.base.ids import new_id
from app.base.logs import get_logger

_TYPES = {
    401: "auth_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
    402: "budget_exceeded",
    503: "service_unavailable_error",
}
_ROUTING_MESSAGES = {
    404: "there is no such route; see /docs for those there are",
    405: "this route does not take this method; see /docs",
    413: "the body is too large; an admin request may have 1 MB",
}


def render_admin_error(error: Exception, route: str = "") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body. ``route`` (method and path) is named where routing itself failed.

    Of an unexpected error nothing is told but the ``request-id``, by which the log has it.
    """
    headers = {"content-type": "application/json", "request-id": new_id("req")}
    param: str | None = None
    match error:
        case GatewayError():
            status, message, param = error.status, error.message, error.param
            if error.retry_after_s is not None:
                headers["retry-after"] = str(error.retry_after_s)
        case HTTPException() if error.status_code < 500:
            status = error.status_code
            message = _ROUTING_MESSAGES.get(status, error.detail)
            if route and status in (404, 405):
                message = f"{route}: {message}"
            headers |= {name.lower(): value for name, value in (error.headers or {}).items()}
        case _:
            status = 500
            message = f'Keyhouse made a mistake; its log tells more under request id "{headers["request-id"]}"'
    if status == 401:
        headers["x-should-retry"] = "false"
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "internal_server_error")
    body = {"error": {"message": message, "type": kind, "param": param, "code": str(status)}}
    return status, headers, msgspec.json.encode(body)


def handle_admin_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """For Litestar's ``exception_handlers``; logs what is our own fault."""
    status, headers, body = render_admin_error(error, f"{request.method} {request.url.path}")
    if status >= 500:
        get_logger().error(
            "admin_request_failed", request_id=headers["request-id"], path=request.url.path, exc_info=error
        )
    return Response(body, status_code=status, headers=headers, media_type="application/json")


ADMIN_EXCEPTION_HANDLERS: ExceptionHandlersMap = {Exception: handle_admin_error}
