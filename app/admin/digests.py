"""Keyed digests of what people and browsers hold, each of one purpose: what is a session's opens no invitation."""

import hashlib
import hmac


def digest_of(pepper: bytes, purpose: str, text: str) -> bytes:
    inner = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return hmac.digest(pepper, purpose.encode() + b":" + inner, "sha256")
