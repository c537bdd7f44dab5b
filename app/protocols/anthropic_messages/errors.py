"""Errors born in the gateway, as clients of the Messages API understand them.

Sources: the public API reference (errors), and the refusal headers that Anthropic's own gateway documents for Claude
Code, which shows the message as it is and does not try again.
"""

import re
from math import ceil

import msgspec

from app.base.errors import (
    BudgetExhausted,
    GatewayError,
    ModelNotAllowed,
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
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_REJECTED_TYPES = _TYPES | {
    401: "api_error",
    402: "billing_error",
    403: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_UPSTREAM_TYPES = {429: "rate_limit_error", 529: "overloaded_error"}
_NAMED_PERIODS = frozenset({"daily", "weekly", "monthly"})
_UNIFIED = b"anthropic-ratelimit-unified-"
_PROMPT_TOO_LONG = "prompt is too long"
_TOO_LONG_STATUSES = frozenset({400, 413, 422})
# As OpenAI and those who follow it, Gemini, Ollama and vLLM put it.
_too_long = re.compile(
    r"context.?(length|window|size)|maximum number of tokens allowed|prompt is too long|too many (input )?tokens",
    re.IGNORECASE,
).search
DO_NOT_RETRY: Header = (b"x-should-retry", b"false")


def render_error(error: GatewayError, request_id: str, budget_status: int | None = None) -> RenderedError:
    """``budget_status`` replaces the 429 of a spent budget."""
    headers: list[Header] = [(b"content-type", b"application/json"), (b"request-id", request_id.encode())]
    if isinstance(error, Unauthenticated | BudgetExhausted):
        headers.append(DO_NOT_RETRY)
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(0, error.retry_after_s)))
    if isinstance(error, BudgetExhausted):
        headers += _refusal_headers(error)
    status = _status_of(error, budget_status)
    return RenderedError(status, tuple(headers), _body_of(error, status, request_id))


def render_stream_error(error: GatewayError, request_id: str) -> bytes:
    """The event that tells a client in the middle of a stream."""
    return b"event: error\ndata: %b\n\n" % _body_of(error, _status_of(error, None), request_id)


def _status_of(error: GatewayError, budget_status: int | None) -> int:
    match error:
        case BudgetExhausted():
            return budget_status or 429
        case ModelNotAllowed():
            # Claude Code calls every 403 a failure to authenticate; the text of a 400 is shown.
            return 400
        case _:
            return error.status


def _type_of(error: GatewayError, status: int) -> str:
    match error:
        case BudgetExhausted():
            return "billing_error"
        case StorageUnavailable() | Overloaded():
            return "overloaded_error"
        # A provider that refuses our credential has not refused the caller's.
        case UpstreamRejected():
            return _REJECTED_TYPES.get(status, "api_error")
        case UpstreamError():
            return _UPSTREAM_TYPES.get(status, "api_error")
        case _:
            return _TYPES.get(status, "api_error")


def _body_of(error: GatewayError, status: int, request_id: str) -> bytes:
    return msgspec.json.encode(
        {
            "type": "error",
            "error": {"type": _type_of(error, status), "message": _message_of(error, status)},
            "request_id": request_id,
        }
    )


def _message_of(error: GatewayError, status: int) -> str:
    """Claude Code shortens a conversation by itself when it reads Anthropic's words for one that is too long."""
    too_long = isinstance(error, UpstreamRejected) and status in _TOO_LONG_STATUSES and _too_long(error.message)
    return (
        f"{_PROMPT_TOO_LONG}: {error.message}" if too_long and _PROMPT_TOO_LONG not in error.message else error.message
    )


def _refusal_headers(error: BudgetExhausted) -> list[Header]:
    headers: list[Header] = [
        (_UNIFIED + b"status", b"rejected"),
        (_UNIFIED + b"overage-utilization", _utilization(error)),
        (_UNIFIED + b"overage-surpassed-threshold", b"1"),
        (_UNIFIED + b"overage-disabled-reason", b"org_spend_cap_reached"),
    ]
    if error.period in _NAMED_PERIODS:
        headers.append((_UNIFIED + b"overage-period", error.period.encode()))
    if error.resets_at is not None:
        reset = b"%d" % ceil(error.resets_at.timestamp())
        headers += [(_UNIFIED + b"reset", reset), (_UNIFIED + b"overage-reset", reset)]
    return headers


def _utilization(error: BudgetExhausted) -> bytes:
    """Two decimals, at least 1.00: what was refused counts as spent."""
    hundredths = error.spent_nanousd * 100 // error.limit_nanousd if error.limit_nanousd > 0 else 100
    return b"%d.%02d" % divmod(max(100, hundredths), 100)
