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

_SPOKEN: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("/api/v1/", "/api/oauth/", "/api/hello"), "", ""),
    (
        ("/v1/messages", "/messages", "/anthropic"),
        "anthropic_messages",
        "/v1/messages, /v1/messages/count_tokens and /v1/messages/batches",
    ),
    (
        ("/v1/", "/chat/", "/completions", "/responses", "/embeddings", "/images/", "/models"),
        "openai_chat",
        "/v1/chat/completions, /v1/responses, /v1/completions, /v1/embeddings and /v1/images/generations",
    ),
    (
        ("/v1beta/",),
        "gemini",
        "/v1beta/models/{model}:generateContent, :streamGenerateContent and :countTokens",
    ),
    (("/api/",), "ollama", "/api/chat and /api/generate"),
)
"""How paths begin, the protocol whose clients call them, and the routes there are of it; the first that fits counts."""

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
        protocol, _ = _spoken_at(path)
        if protocol:
            rendered = codecs[protocol].render_error(error, request_id)
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


def _spoken_at(path: str) -> tuple[str, str]:
    """The protocol, empty for admin routes, and what there is of it."""
    return next(((protocol, routes) for starts, protocol, routes in _SPOKEN if path.startswith(starts)), ("", ""))


def _as_gateway_error(exception: Exception, request: Request[Any, Any, Any], request_id: str) -> GatewayError:
    if isinstance(exception, GatewayError):
        return exception
    method, path = request.scope["method"], request.scope["path"]
    if isinstance(exception, HTTPException) and exception.status_code < 500:
        match exception.status_code:
            case 404:
                _, routes = _spoken_at(path)
                there = f"there are POST {routes}, and GET /v1/models" if routes else "GET /docs lists the admin routes"
                return NotFound(f"there is no route {method} {path[:200]}; {there}")
            case 405:
                allow = (exception.headers or {}).get("allow", "")
                takes = " or ".join(sorted(set(allow.split(", ")) - {"OPTIONS", ""}))
                allowed = MethodNotAllowed(f"{path[:200]} takes {takes or 'another method'}, not {method}")
                allowed.headers = [(b"allow", allow.encode())] if allow else []
                return allowed
            case 413:
                most_bytes = request.route_handler.resolve_request_max_body_size()
                return TooLarge(
                    f"the request body is larger than {most_bytes} bytes, the limit of this route; send less"
                )
            case _:
                return InvalidRequest(str(exception.detail))
    return GatewayError(f"an unexpected failure of the gateway; tell an admin the request id {request_id}")
