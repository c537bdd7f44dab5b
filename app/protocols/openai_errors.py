"""Errors in OpenAI's shape, which chat completions and the Responses API share: written for clients, read of hosts."""

import msgspec

from app.base.errors import (
    BudgetExhausted,
    GatewayError,
    StorageUnavailable,
    Unauthenticated,
    UpstreamError,
    UpstreamRejected,
)
from app.protocols.codec import Header, RenderedError
from app.protocols.scanning import UNREADABLE

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_UPSTREAM_TYPES = {429: "rate_limit_error", 529: "overloaded_error"}

_OUR_CREDENTIAL = (401, 403)
_LONGEST_MESSAGE = 4000
_LONGEST_CODE = 100
_decode = msgspec.json.Decoder().decode


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
        case StorageUnavailable():
            return "overloaded_error"
        case UpstreamRejected():
            return _TYPES.get(status, "api_error")
        case UpstreamError():
            # A provider that refuses our credential has not refused the caller's.
            return _UPSTREAM_TYPES.get(status, "api_error")
        case _:
            return _TYPES.get(status, "api_error")


def parse_error(status: int, body: bytes, provider: str) -> UpstreamRejected:
    """``{"error": {"message", "type", "code"}}``, and the shapes that compatible hosts write instead of it."""
    try:
        message, code = _said(_decode(body))
    except UNREADABLE:
        message, code = None, None
    if status in _OUR_CREDENTIAL:
        text = f"{provider} refused the gateway's own credential ({status}); tell whoever runs the gateway"
        return UpstreamRejected(text, provider=provider, status=502)
    return UpstreamRejected(
        message or f"{provider} answered {status} without saying why",
        provider=provider,
        status=status if status >= 400 else 502,
        code=code,
    )


def _said(value: object) -> tuple[str | None, str | None]:
    """(message, code) of a decoded error, wherever the host put them."""
    if isinstance(value, list) and value:
        return _said(value[0])
    if not isinstance(value, dict):
        return None, None
    inner = value.get("error")
    if isinstance(inner, dict):
        return _said(inner)
    texts = (inner, value.get("message"), value.get("detail"))
    message = next((text[:_LONGEST_MESSAGE] for text in texts if isinstance(text, str) and text.strip()), None)
    codes = (value.get("code"), value.get("type"))
    code = next((text[:_LONGEST_CODE] for text in codes if isinstance(text, str) and text), None)
    return message, code
