"""Signing a program in by a code: how long things last, and how the codes and tokens of it look."""

import secrets
from datetime import timedelta

from app.domain.budgets import Duration

DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"  # RFC 8628 3.4
REFRESH_GRANT = "refresh_token"

CODE_LIFE = timedelta(minutes=10)
KEY_LIFE = Duration(1, "h")
SIGN_IN_LIFE = timedelta(days=30)
"""Counted anew from each refresh: who comes back later signs in again."""
POLL_EVERY_S = 5
POLL_TOLERANCE_S = 1
"""Of two polls that left five seconds apart, the second may arrive a little early."""

_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 6.1: no vowels, so no words, and nothing that looks like a digit
_HALF = 4
_USER_CODE_LENGTH = 2 * _HALF
_DEVICE_PREFIX, _REFRESH_PREFIX = "kh-device-", "kh-refresh-"
_TOKEN_BYTES = 32
_TOKEN_LENGTH = 43  # 256 bits in base64


def mint_user_code() -> str:
    """Eight letters, which somebody reads from one screen and types at another."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_USER_CODE_LENGTH))


def show_user_code(code: str) -> str:
    return f"{code[:_HALF]}-{code[_HALF:]}"


def parse_user_code(text: str) -> str | None:
    """The code as it is stored, whatever case, spaces and dashes it was typed with; None for what is no code."""
    code = "".join(sign for sign in text.upper() if sign not in " -\u2010\u2011\u2012\u2013\u2014\t")
    return code if len(code) == _USER_CODE_LENGTH and not code.strip(_LETTERS) and code.isascii() else None


def mint_device_code() -> str:
    return _DEVICE_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def mint_refresh_token() -> str:
    return _REFRESH_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)


def may_be_device_code(text: str) -> bool:
    return text.startswith(_DEVICE_PREFIX) and len(text) == len(_DEVICE_PREFIX) + _TOKEN_LENGTH


def may_be_refresh_token(text: str) -> bool:
    """False for what cannot be one, told without any store."""
    return text.startswith(_REFRESH_PREFIX) and len(text) == len(_REFRESH_PREFIX) + _TOKEN_LENGTH
