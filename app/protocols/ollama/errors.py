"""Errors born in the gateway, as clients of Ollama understand them: a text, and the status."""

import msgspec

from app.base.errors import BudgetExhausted, GatewayError
from app.protocols.codec import Header, RenderedError


def render_error(error: GatewayError, request_id: str, budget_status: int | None = None) -> RenderedError:
    """``budget_status`` replaces the 402 of a spent budget."""
    headers: list[Header] = [(b"content-type", b"application/json"), (b"request-id", request_id.encode())]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(0, error.retry_after_s)))
    status = budget_status or error.status if isinstance(error, BudgetExhausted) else error.status
    return RenderedError(status, tuple(headers), _body_of(error))


def render_stream_error(error: GatewayError) -> bytes:
    """The line that tells a client in the middle of a stream."""
    return _body_of(error) + b"\n"


def _body_of(error: GatewayError) -> bytes:
    return msgspec.json.encode({"error": error.message})
