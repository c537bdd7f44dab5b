"""Errors in the shape of Google's APIs: those born here, and those of hosts."""

import re
from http import HTTPStatus

import msgspec

from app.base.errors import BudgetExhausted, GatewayError, Unauthenticated, UpstreamRejected
from app.protocols.codec import Header, RenderedError
from app.protocols.secrets import without_keys

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "INVALID_ARGUMENT",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    422: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
_CODES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_OUR_CREDENTIAL = frozenset({401, 402, 403})
_BAD_KEY = "API_KEY_INVALID"
_LONGEST_MESSAGE = 4000
_seconds = re.compile(r"(\d{1,9})(\.\d+)?s").fullmatch
_decode = msgspec.json.Decoder().decode


def render_error(error: GatewayError, request_id: str, budget_status: int | None = None) -> RenderedError:
    """``budget_status`` replaces the 402 of a spent budget."""
    headers: list[Header] = [
        (b"content-type", b"application/json; charset=UTF-8"),
        (b"request-id", request_id.encode()),
    ]
    if isinstance(error, Unauthenticated | BudgetExhausted):
        headers.append((b"x-should-retry", b"false"))
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % max(0, error.retry_after_s)))
    status = budget_status or error.status if isinstance(error, BudgetExhausted) else error.status
    return RenderedError(status, tuple(headers), body_of(error, status))


def body_of(error: GatewayError, status: int) -> bytes:
    details: list[dict[str, object]] = [{"@type": _ERROR_INFO, "reason": error.code.upper(), "domain": "keyhouse"}]
    if error.param is not None:
        details[0]["metadata"] = {"param": error.param}
    # Google's clients wait and try again where they find it, which is of no use once a budget is spent.
    if error.retry_after_s is not None and not isinstance(error, BudgetExhausted):
        details.append({"@type": _RETRY_INFO, "retryDelay": f"{max(0, error.retry_after_s)}s"})
    return _encoded(status, error.message, details)


def render_failure(status: int, message: str) -> bytes:
    """What tells a client in the middle of a stream.

    Bare JSON, with nothing around it, as Google's servers do it: the SDKs for Python, Go and JavaScript raise for that.
    The one for JavaScript takes an error inside an event for an answer with nothing in it.
    """
    return _encoded(status, message, [])


def parse_error(status: int, body: bytes, provider: str) -> UpstreamRejected:
    """The refusal of a host, whatever its body is."""
    error = _error_in(body)
    message = error.get("message")
    if not isinstance(message, str) or not message.strip():
        message = _phrase(status)
    reason = next((detail["reason"] for detail in _details(error) if isinstance(detail.get("reason"), str)), None)
    code = error.get("status")
    # Google refuses a wrong key with a 400.
    if status in _OUR_CREDENTIAL or reason == _BAD_KEY:
        return UpstreamRejected(
            f"{provider} refused the gateway's credential: {without_keys(message[:_LONGEST_MESSAGE])}",
            provider=provider,
            status=502,
        )
    return UpstreamRejected(
        f"{provider} answered {status}: {message[:_LONGEST_MESSAGE]}",
        provider=provider,
        status=status if status >= HTTPStatus.BAD_REQUEST else HTTPStatus.BAD_GATEWAY,
        code=code if isinstance(code, str) else None,
        retry_after_s=_retry_after(error),
    )


def failure_of(error: object) -> tuple[int, str]:
    """(status, message) of an error object in a stream."""
    if not isinstance(error, dict):
        return HTTPStatus.BAD_GATEWAY, "the provider broke off with an error"
    code, name, message = error.get("code"), error.get("status"), error.get("message")
    if not isinstance(code, int) or not HTTPStatus.BAD_REQUEST <= code < 600:
        code = _CODES.get(name, 502) if isinstance(name, str) else 502
    if code in _OUR_CREDENTIAL:
        code = HTTPStatus.BAD_GATEWAY
    return int(code), message[:_LONGEST_MESSAGE] if isinstance(message, str) and message else _phrase(code)


def _encoded(status: int, message: str, details: list[dict[str, object]]) -> bytes:
    error: dict[str, object] = {
        "code": status,
        "message": message,
        "status": _STATUSES.get(
            status, "INVALID_ARGUMENT" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "INTERNAL"
        ),
    }
    if details:
        error["details"] = details
    return msgspec.json.encode({"error": error})


def _error_in(body: bytes) -> dict[str, object]:
    """The error object; a stream's answer holds it in an array of one."""
    try:
        answer = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if isinstance(answer, list) and answer:
        answer = answer[0]
    error = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _details(error: dict[str, object]) -> list[dict[str, object]]:
    details = error.get("details")
    return [detail for detail in details if isinstance(detail, dict)] if isinstance(details, list) else []


def _retry_after(error: dict[str, object]) -> int | None:
    for detail in _details(error):
        delay = detail.get("retryDelay")
        found = _seconds(delay) if isinstance(delay, str) else None
        if found:
            return int(found[1]) + (1 if found[2] else 0)
    return None


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no reason was given"
