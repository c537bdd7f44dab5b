"""Logout tokens: an issuer tells that somebody has signed out there (OpenID Connect Back-Channel Logout 1.0)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.base.clock import now
from app.base.errors import InvalidRequest
from app.identity.id_tokens import LEEWAY_S, LONGEST_SUBJECT, Jwk, Untrusted, decode, read_session

OLDEST_S = 600
"""Older ones are not taken, whatever their expiry: one that was used must be remembered for as long."""
EVENT = "http://schemas.openid.net/event/backchannel-logout"
_REQUIRED = ("iat", "iss", "aud", "jti", "events")
_TYPES = frozenset({"jwt", "logout+jwt", "application/logout+jwt"})


@dataclass(frozen=True, slots=True)
class Logout:
    """Who has signed out, or which session of the issuer has ended; or both. ``token_id`` is of this one telling."""

    subject: str | None
    session: str | None
    token_id: str


def read_logout(token: str, keys: Sequence[Jwk], between: tuple[str, str]) -> Logout:
    """Section 2.6, all of it but the replay. Raises UnknownKey, InvalidRequest."""
    try:
        header, claims = decode(token, keys, between, _REQUIRED)
        _check_is_logout(header, claims)
        _check_names_somebody(claims)
    except Untrusted as error:
        raise InvalidRequest(f"this logout token is not taken: {error}") from error
    return Logout(claims.get("sub"), read_session(claims), claims["jti"])


def _check_is_logout(header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
    kind, events = header.get("typ"), claims["events"]
    if kind is not None and str(kind).lower() not in _TYPES:
        raise Untrusted(f"it is of the type {str(kind)[:40]}")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise Untrusted("it tells of no logout (events)")
    if "nonce" in claims:
        raise Untrusted("it has a nonce: it answers a sign-in")
    if not _is_name(claims["jti"]):
        raise Untrusted("it has no id of its own (jti)")
    if now().timestamp() - claims["iat"] > OLDEST_S + LEEWAY_S:
        raise Untrusted("it is older than ten minutes (iat)")


def _check_names_somebody(claims: Mapping[str, Any]) -> None:
    """One that cannot be read must not be taken for none: it would end more than is meant."""
    named = [name for name in ("sub", "sid") if name in claims]
    if not named:
        raise Untrusted("it names neither a person (sub) nor a session (sid)")
    if not all(_is_name(claims[name]) for name in named):
        raise Untrusted(f"its {' or '.join(named)} cannot be read")


def _is_name(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= LONGEST_SUBJECT and "\0" not in text
