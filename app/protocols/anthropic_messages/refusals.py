"""What a host of the Messages API answers when it refuses: its status, kind and text, whatever the body is."""

import re
from typing import Any

import msgspec

from app.base.errors import UpstreamRejected
from app.protocols.anthropic_messages.wire import UNREADABLE
from app.protocols.secrets import without_keys

_LONGEST_TEXT = 4096
_FIRST_ERROR_STATUS = 400
_LAST_ERROR_STATUS = 599
_OURS = frozenset({401, 402, 403})
"""The host refuses our credential or our account: the caller's is fine."""

_decode = msgspec.json.Decoder().decode
# Each sign is looked at once, of a page whose elements do not end too.
_tags = re.compile(r"<(script|style)\b.*?(?:</\1>|\Z)|<[^<>]*>", re.DOTALL | re.IGNORECASE).sub
_spaces = re.compile(r"\s+").sub


def parse_error(status: int, body: bytes, provider: str) -> UpstreamRejected:
    code, text = _read(body)
    if status in _OURS:
        said, text = f"{provider} refused the gateway's credential ({status})", without_keys(text)
    elif _FIRST_ERROR_STATUS <= status <= _LAST_ERROR_STATUS:
        said = f"{provider} answered {status}"
    else:
        said = f"{provider} answered {status}, which is no error"
    seen = status if status not in _OURS and _FIRST_ERROR_STATUS <= status <= _LAST_ERROR_STATUS else 502
    return UpstreamRejected(f"{said}: {text}" if text else said, provider=provider, status=seen, code=code)


def _read(body: bytes) -> tuple[str | None, str]:
    """(the provider's kind of error, its text)."""
    try:
        value = _decode(body)
    except UNREADABLE:
        text = body.decode(errors="replace").replace("\0", "")
        return None, _spaces(" ", _tags(" ", text)).strip()[:_LONGEST_TEXT]
    # Some clouds wrap their errors in a list.
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return None, str(value)[:_LONGEST_TEXT] if isinstance(value, str) else ""
    error = value.get("error", value)
    if isinstance(error, str):
        return None, error[:_LONGEST_TEXT]
    return _kind_and_text(error if isinstance(error, dict) else value)


def _kind_and_text(error: dict[str, Any]) -> tuple[str | None, str]:
    kind = next((error[name] for name in ("type", "code", "status") if isinstance(error.get(name), str)), None)
    names = ("message", "Message", "detail")
    text = next((error[name] for name in names if isinstance(error.get(name), str)), "")
    return kind, text[:_LONGEST_TEXT]
