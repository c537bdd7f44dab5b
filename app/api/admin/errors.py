"""Errors of every route but the model routes, in LiteLLM's shape."""

import msgspec

from app.base.errors import GatewayError

_TYPES = {
    401: "auth_error",
    402: "budget_exceeded",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    503: "service_unavailable_error",
}


def render_admin_error(error: GatewayError, request_id: str) -> tuple[int, tuple[tuple[bytes, bytes], ...], bytes]:
    """Status, headers and body; ``code`` is the status as a text, as LiteLLM's clients expect."""
    headers = [(b"content-type", b"application/json"), (b"request-id", request_id.encode())]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    if error.status == 401:
        headers.append((b"x-should-retry", b"false"))
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "internal_server_error")
    body = {"message": error.message, "type": kind, "param": error.param, "code": str(error.status)}
    return error.status, tuple(headers), msgspec.json.encode({"error": body})
