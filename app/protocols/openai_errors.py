"""Errors in OpenAI's shape, which chat completions and the Responses API share, as they are written for clients."""

import msgspec

from app.base.errors import (
    BudgetExhausted,
    GatewayError,
    Overloaded,
    StorageUnavailable,
    Unauthenticated,
    UpstreamError,
    UpstreamRejected,
)
from app.protocols.codec import Header, RenderedError

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    409: "invalid_request_error",
    410: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_UPSTREAM_TYPES = {429: "rate_limit_error", 529: "overloaded_error"}


def render_error(error: GatewayError, request_id: str, budget_status: int | None = None) -> RenderedError:
    """``budget_status`` replaces the 402 of a spent budget."""
    identifier = request_id.encode()
    headers: list[Header] = [
        (b"content-type", b"application/json"),
        (b"request-id", identifier),
        (b"x-request-id", identifier),  # what OpenAI's own clients show
    ]
    if isinstance(error, Unauthenticated | BudgetExhausted):
        headers.append((b"x-should-retry", b"false"))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(0, error.retry_after_s)))
    status = budget_status or error.status if isinstance(error, BudgetExhausted) else error.status
    return RenderedError(status, tuple(headers), render_body(error, status))


def render_body(error: GatewayError, status: int) -> bytes:
    return msgspec.json.encode(
        {
            "error": {
                "message": error.message,
                "type": type_of(error, status),
                "param": error.param,
                "code": error.code,
            }
        }
    )


def type_of(error: GatewayError, status: int) -> str:
    match error:
        case BudgetExhausted():
            return "budget_exceeded"
        case StorageUnavailable() | Overloaded():
            return "overloaded_error"
        case UpstreamRejected():
            return _TYPES.get(status, "api_error")
        case UpstreamError():
            # A provider that refuses our credential has not refused the caller's.
            return _UPSTREAM_TYPES.get(status, "api_error")
        case _:
            return _TYPES.get(status, "api_error")
