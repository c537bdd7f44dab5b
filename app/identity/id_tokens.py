"""ID tokens: whose signature holds, for us, now, and as the answer to this sign-in (OpenID Connect Core 3.1.3.7)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt import PyJWK

from app.base.errors import Unauthenticated

# Asymmetric ones alone: with HS256 a public key could be taken for a shared secret, and "none" is no signature.
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)  # fmt: skip
LEEWAY_S = 60
LONGEST_TOKEN = 64 * 1024
LONGEST_SUBJECT = 255
_MOST_KEYS = 100
_KINDS = frozenset({"RSA", "EC", "OKP"})
_REQUIRED = ("exp", "iat", "iss", "aud", "sub")
Jwk = Mapping[str, Any]


class Untrusted(Exception):
    """A token does not hold; why, in words."""


class UnknownKey(Exception):
    """The token is signed with a key that is not among those we know: there may be newer ones."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say: by whom, for whom, and in answer to what."""

    issuer: str
    client_id: str
    nonce: str


def read_keys(document: Mapping[str, Any]) -> list[Jwk]:
    """The public keys of a JWKS that sign; whatever else it holds is passed over."""
    entries = document.get("keys")
    if not isinstance(entries, list):
        return []
    return [
        entry
        for entry in entries[:_MOST_KEYS]
        if isinstance(entry, dict) and entry.get("kty") in _KINDS and entry.get("use", "sig") == "sig"
    ]


def verify(token: str, keys: Sequence[Jwk], expected: Expected) -> dict[str, Any]:
    """The claims. Raises UnknownKey, and Unauthenticated for a token that does not hold."""
    try:
        _, claims = decode(token, keys, (expected.issuer, expected.client_id), _REQUIRED)
        _check_is_meant(claims, expected)
    except Untrusted as error:
        raise Unauthenticated(f"this sign-in cannot be trusted, by its token: {error}") from error
    return claims


def decode(
    token: str, keys: Sequence[Jwk], between: tuple[str, str], required: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of what an issuer signed for a client: ``between`` these two. Raises UnknownKey, Untrusted."""
    if len(token) > LONGEST_TOKEN:
        raise Untrusted("it is too long")
    issuer, client_id = between
    try:
        header = jwt.get_unverified_header(token)
        key = _find_key(header, keys)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=client_id,
            issuer=issuer,
            leeway=LEEWAY_S,
            options={"require": list(required), "enforce_minimum_key_length": True},
        )
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError) as error:
        raise Untrusted(f"{_small(error)}; if this happens again, the clock of this gateway may be wrong") from error
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise Untrusted(_small(error)) from error
    return header, claims


def read_session(claims: Mapping[str, Any]) -> str | None:
    """What the issuer calls its own session with this browser (``sid``); None where it does not say."""
    session = claims.get("sid")
    is_name = isinstance(session, str) and 0 < len(session) <= LONGEST_SUBJECT and "\0" not in session
    return session if is_name else None


def _find_key(header: Mapping[str, Any], keys: Sequence[Jwk]) -> PyJWK:
    """That which the header names, for the algorithm of the key itself: the header only chooses among these."""
    algorithm, name = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise Untrusted(f"it is signed by {str(algorithm)[:20]}, which is not taken")
    fitting = [key for key in keys if (name is None or key.get("kid") == name) and _is_for(key, algorithm)]
    if not fitting or (name is None and len(fitting) > 1):
        raise UnknownKey
    return PyJWK(dict(fitting[0]), algorithm)


def _is_for(key: Jwk, algorithm: str) -> bool:
    """A key that names no algorithm is for those of its kind."""
    if "alg" in key:
        return bool(key["alg"] == algorithm)
    kind = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}[algorithm[:2]]
    curve = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}.get(algorithm)
    return bool(key.get("kty") == kind and key.get("crv") == curve)


def _check_is_meant(claims: Mapping[str, Any], expected: Expected) -> None:
    audience, party = claims["aud"], claims.get("azp")
    if party is None and isinstance(audience, list) and len(audience) > 1:
        raise Untrusted("it is for several applications and does not say which asked for it")
    if party not in (None, expected.client_id):
        raise Untrusted("it is for another application")
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not secrets.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise Untrusted("it answers another sign-in")
    if not claims["sub"] or len(claims["sub"]) > LONGEST_SUBJECT or "\0" in claims["sub"]:
        raise Untrusted("it does not say who signs in")


def _small(error: Exception) -> str:
    why = str(error)
    return f"{why[:1].lower()}{why[1:]}"
