"""Virtual keys: how one is minted, checked and digested, and what state it is in."""

import hashlib
import hmac
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from app.base.ids import KeyId, OrganizationId, ProjectId, TeamId, UserId
from app.domain.budgets import Budget
from app.domain.limits import RateLimits

KEY_PREFIX = "sk-kh-"
OWN_LOGIN_PREFIX = "sk-ant-oat"
"""How the token begins with which a person is signed in at Anthropic: never a key of this gateway."""
SHORTEST_SUPPLIED_KEY = 24
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_RANDOM_LENGTH = 43  # 256 bits in base62
_CHECKSUM_LENGTH = 6  # 32 bits in base62
KEY_LENGTH = len(KEY_PREFIX) + _RANDOM_LENGTH + _CHECKSUM_LENGTH

KeyState = Literal["active", "blocked", "expired"]


@dataclass(frozen=True, slots=True)
class VirtualKey:
    """One issued key as the data plane knows it; the secret itself is nowhere, only its digest in storage.

    ``models`` empty means every model; ``allowed_routes`` empty means every route of the role; ``aliases`` maps
    a model name asked for to the one meant; ``budget_fallbacks`` a model to those that serve once its budget is spent.
    """

    key_id: KeyId
    last_four: str
    created_at: datetime
    alias: str | None = None
    organization_id: OrganizationId | None = None
    team_id: TeamId | None = None
    user_id: UserId | None = None
    models: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    allowed_routes: tuple[str, ...] = ()
    limits: tuple[RateLimits, ...] = ()
    budgets: tuple[Budget, ...] = ()
    expires_at: datetime | None = None
    blocked: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    project_id: ProjectId | None = None
    budget_fallbacks: Mapping[str, Sequence[str]] = field(default_factory=dict)
    region: str | None = None
    """Whose deployments alone may serve it."""


def mint_key() -> str:
    """A fresh key: ``sk-kh-``, base62 of 256 random bits, and 6 characters of CRC-32 over what stands before them."""
    body = KEY_PREFIX + _base62(secrets.randbits(256), _RANDOM_LENGTH)
    return body + _checksum(body)


def may_be_key(text: str) -> bool:
    """False for what cannot be a key, told without any store: a wrong checksum, no ``sk-``, not plain ASCII, or a
    login of Anthropic's."""
    if not text.startswith("sk-") or not text.isascii() or text.startswith(OWN_LOGIN_PREFIX):
        return False
    if not text.startswith(KEY_PREFIX):
        return True  # supplied by an admin, or imported
    if len(text) != KEY_LENGTH:
        return False
    return _checksum(text[:-_CHECKSUM_LENGTH]) == text[-_CHECKSUM_LENGTH:]


def digest_key(pepper: bytes, key: str) -> bytes:
    """What is stored for a key: HMAC-SHA-256 under the pepper, over the SHA-256 of the key.

    The inner plain SHA-256 is what LiteLLM stores, so that its keys can be imported without knowing them.
    """
    return digest_imported(pepper, hashlib.sha256(key.encode()).digest())


def digest_imported(pepper: bytes, sha256: bytes) -> bytes:
    """The stored digest of a key of which only the SHA-256 is known."""
    return hmac.digest(pepper, sha256, "sha256")


def key_state(key: VirtualKey, at: datetime) -> KeyState:
    if key.blocked:
        return "blocked"
    if key.expires_at is not None and at >= key.expires_at:
        return "expired"
    return "active"


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_BASE62[digit])
    return "".join(reversed(digits))
