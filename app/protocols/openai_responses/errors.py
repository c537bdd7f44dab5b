"""Errors born in the gateway, as Codex and other clients of the Responses API understand them."""

from app.base.errors import GatewayError, UpstreamRejected
from app.protocols.openai_errors import render_error, type_of
from app.protocols.openai_responses.wire import encode

__all__ = ["failure_code", "failure_status", "failure_type", "render_error", "render_stream_error", "response_id"]

# The number of the event before is not known here, but numbers rise.
_LAST_NUMBER = 1_000_000_000

_STATUSES = {
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "usage_limit_reached": 429,
    "server_is_overloaded": 503,
    "slow_down": 503,
    "context_length_exceeded": 400,
    "bio_policy": 400,
    "cyber_policy": 400,
    "misalignment_policy_violation": 400,
    "data_residency_mismatch": 400,
    "vector_store_timeout": 504,
    "failed_to_download_image": 400,
}
_CALLERS_FAULT = ("invalid_", "image_", "unsupported_", "empty_")
_TOO_LONG = ("prompt is too long", "maximum context length", "context window", "context_length_exceeded")


def failure_status(code: str | None) -> int:
    """The status that a failure told within a stream would have had before it."""
    if code is None:
        return 500
    return _STATUSES.get(code, 400 if code.startswith(_CALLERS_FAULT) else 500)


def failure_code(status: int, message: str) -> str:
    """The code of a ``response.failed``; Codex tries again for ``server_error`` and compacts what is too long."""
    if status == 429:
        return "rate_limit_exceeded"
    if status >= 500:
        return "server_error"
    lowered = message.lower()
    return "context_length_exceeded" if any(words in lowered for words in _TOO_LONG) else "invalid_prompt"


def failure_type(status: int) -> str:
    return type_of(UpstreamRejected("", provider="", status=status), status)


def response_id(request_id: str) -> str:
    """The id of the answer to a request of ours, of the characters that OpenAI's ids have."""
    return "resp_" + plain(request_id)


def plain(request_id: str) -> str:
    """What of a request id can be a part of an item's id."""
    tail = request_id.partition("_")[2] or request_id
    return "".join(character for character in tail if character.isascii() and character.isalnum())[:40] or "0"


def render_stream_error(error: GatewayError, request_id: str) -> bytes:
    """Two events: OpenAI's SDK raises at the first, and Codex, which does not know it, stops at the second."""
    shape = {"message": error.message, "type": type_of(error, error.status), "param": error.param, "code": error.code}
    said = {
        "type": "error",
        "sequence_number": _LAST_NUMBER,
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "error": shape,
    }
    failed = {
        "type": "response.failed",
        "sequence_number": _LAST_NUMBER + 1,
        "response": {
            "id": response_id(request_id),
            "object": "response",
            "status": "failed",
            "error": {"code": failure_code(error.status, error.message), "message": error.message},
            "output": [],
        },
    }
    return b"event: error\ndata: %b\n\nevent: response.failed\ndata: %b\n\n" % (encode(said), encode(failed))
