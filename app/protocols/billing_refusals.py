"""Whether a provider's refusal says that its account has no money left: the words of each, in one place.

Anthropic: 402 or type ``billing_error``, and 400 with a low credit balance or a spend limit that is reached
(docs.anthropic.com/en/api/errors). OpenAI: ``insufficient_quota``, ``billing_hard_limit_reached`` and the like
(platform.openai.com/docs/guides/error-codes). DeepSeek, OpenRouter and others: 402.
"""

from typing import Any

import msgspec

_PAYMENT_REQUIRED = 402
_CODES = frozenset(
    {"billing_error", "insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
)
_PHRASES = (
    "credit balance is too low",
    "you have reached your specified api usage limits",
    "you exceeded your current quota, please check your plan and billing",
    "insufficient balance",
    "insufficient credits",
    "has either used all available credits or reached its monthly spending limit",
)
_OF_GOOGLE = "prepayment credits are depleted"
_LONGEST = 200


def billing_refusal(status: int, body: bytes) -> str | None:
    """What the provider says, shortened, when that is so; None for every other refusal.

    Google says of its ordinary limits what OpenAI says of an empty account: only of a prepayment it is meant so.
    """
    if not 400 <= status < 500:
        return None
    code, message = _read(body)
    lowered = message.lower()
    if code == "resource_exhausted":
        refused = _OF_GOOGLE in lowered
    else:
        refused = status == _PAYMENT_REQUIRED or code in _CODES or any(phrase in lowered for phrase in _PHRASES)
    if not refused:
        return None
    return " ".join(message.split())[:_LONGEST]


def _read(body: bytes) -> tuple[str, str]:
    """The code or type, in lower case, and the message of an error in any of the usual shapes."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", body[:_LONGEST].decode(errors="replace")
    if isinstance(found, list) and found:
        found = found[0]
    error = found.get("error", found) if isinstance(found, dict) else found
    if not isinstance(error, dict):
        return "", error if isinstance(error, str) else ""
    named = (error.get(name) for name in ("code", "type", "status"))
    texts = [text.lower() for text in named if isinstance(text, str)]
    code = next((text for text in texts if text in _CODES), texts[0] if texts else "")
    message = error.get("message")
    return code, message if isinstance(message, str) else ""
