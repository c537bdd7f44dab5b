"""What a host of OpenAI's protocols, or one like it, says when it refuses: read from whatever stands in the body."""

from typing import Any, NamedTuple

import msgspec

from app.base.errors import UpstreamRejected
from app.protocols.scanning import UNREADABLE
from app.protocols.secrets import without_keys

_decode = msgspec.json.Decoder().decode
_LONGEST_TEXT = 2000
_OUR_ACCOUNT = {
    401: "refused the gateway's credential",
    402: "says that the gateway's account has no credit",
    403: "refused the gateway's account",
}
_STATUS_BY_WORD = (
    ("rate_limit", 429),
    ("quota", 429),
    ("overloaded", 529),
    ("timeout", 504),
    ("invalid_request", 400),
    ("context_length", 400),
    ("server_error", 500),
    ("unavailable", 503),
)
_BROKEN = 502


class Complaint(NamedTuple):
    """What an error object says; ``status`` where it tells one itself."""

    message: str | None
    code: str | None
    status: int | None


def parse_error(status: int, body: bytes, provider: str) -> UpstreamRejected:
    """Keeps the host's text, in which clients look for words such as "maximum context length"."""
    complaint = _read(body)
    text = complaint.message or f"{provider} answered with status {status} and no explanation"
    if status in _OUR_ACCOUNT:
        text = f"{provider} {_OUR_ACCOUNT[status]}: {without_keys(text)}"
    return UpstreamRejected(text, provider=provider, status=status_for_caller(status), code=complaint.code)


def status_for_caller(status: int) -> int:
    """The caller's credential and account are fine when ours are not."""
    return status if 400 <= status < 600 and status not in _OUR_ACCOUNT else _BROKEN


def failure_of(error: object) -> tuple[int, str]:
    """(status, message) of an error that comes inside an answer."""
    complaint = _complaint_of(error)
    status = complaint.status
    if status is None:
        words = f"{complaint.code or ''} {error.get('type') if isinstance(error, dict) else ''}"
        status = next((status for word, status in _STATUS_BY_WORD if word in words), _BROKEN)
    return status_for_caller(status), complaint.message or "the host broke off its answer with an error"


def _read(body: bytes) -> Complaint:
    try:
        decoded: Any = _decode(body)
    except UNREADABLE:
        return Complaint(_plain_text(body), None, None)
    if isinstance(decoded, list) and decoded:
        decoded = decoded[0]  # Google's hosts put the object into an array
    if not isinstance(decoded, dict):
        return Complaint(_short(decoded), None, None)
    for name in ("error", "detail", "message"):
        if decoded.get(name):
            return _complaint_of(decoded[name])
    return Complaint(None, None, None)


def _complaint_of(error: object) -> Complaint:
    match error:
        case str():
            return Complaint(_short(error), None, None)
        case [first, *_]:
            # FastAPI's list of what is wrong where.
            return _complaint_of(first)
        case dict():
            code, status = _code_of(error)
            return Complaint(_message_of(error), code, status)
        case _:
            return Complaint(None, None, None)


def _message_of(error: dict[str, Any]) -> str | None:
    message = next((text for key in ("message", "msg", "detail") if (text := _short(error.get(key)))), None)
    metadata = error.get("metadata")
    # OpenRouter's own message is "Provider returned error"; what the provider said stands in here.
    raw = _short(metadata.get("raw")) if isinstance(metadata, dict) else None
    return f"{message}: {raw}" if message and raw else message or raw


def _code_of(error: dict[str, Any]) -> tuple[str | None, int | None]:
    code: str | None = None
    status: int | None = None
    for value in (error.get("code"), error.get("status"), error.get("status_code"), error.get("type")):
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 3:
            value = int(value)
        if type(value) is int and 400 <= value < 600:
            status = status or value
        elif isinstance(value, str) and value:
            code = code or value[:64]
    return code, status


def _plain_text(body: bytes) -> str | None:
    """A page of HTML is none, nor is JSON that is cut off."""
    try:
        text = body[: _LONGEST_TEXT * 4].decode().strip()
    except UnicodeDecodeError:
        return None
    return None if text.startswith(("<", "{", "[")) else _short(text)


def _short(text: object) -> str | None:
    return text.strip()[:_LONGEST_TEXT] or None if isinstance(text, str) else None
