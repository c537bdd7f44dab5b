"""One identity provider, found by its discovery document: where people sign in, and what it then says of them.

Authorization code with PKCE, state and nonce (OpenID Connect Core 3.1, RFC 7636). Its keys are read anew when a token
is signed with one that is not known, and each hour.
"""

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard
from urllib.parse import quote, urlencode

from app.base.errors import Forbidden, Unauthenticated, UpstreamUnreachable
from app.base.logs import get_logger
from app.base.secret import Secret
from app.identity.fetching import PROVIDER, Fetcher, is_safe_address
from app.identity.id_tokens import Expected, Jwk, UnknownKey, read_keys, verify
from app.providers.provider import Header, Upstream

_KEPT_S = 3600.0
_ANEW_AFTER_S = 10.0
"""Keys are not read more often than this, whatever tokens name."""
_FAILED_FOR_S = 3.0
_LONGEST_SAID = 200
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """``name`` is how people know it. ``groups_claim`` is a claim, or a path through claims by dots.

    ``trusts_email``: an address counts as verified where the issuer does not say whether it is.
    """

    issuer: str
    client_id: str
    client_secret: Secret | None = None
    name: str = "single sign-on"
    scopes: Sequence[str] = ("openid", "profile", "email")
    groups_claim: str = "groups"
    trusts_email: bool = False
    wants_groups: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the issuer says signs in. ``email`` is None where it is not verified."""

    issuer: str
    subject: str
    email: str | None
    name: str | None
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sign-in under way: what the issuer is told at its beginning, and must give back at its end."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str


@dataclass(slots=True)
class _Kept:
    """What was read of the issuer, and when, by the monotonic clock."""

    document: Mapping[str, Any] = field(default_factory=dict)
    document_at_s: float = float("-inf")
    failure: str = ""
    failed_at_s: float = float("-inf")
    keys: list[Jwk] = field(default_factory=list)
    keys_at_s: float = float("-inf")


class Issuer:
    """``http`` makes the connections."""

    def __init__(self, http: Upstream, settings: IssuerSettings) -> None:
        self.settings = settings
        self._fetcher = Fetcher(http)
        self._kept = _Kept()
        self._discovering = asyncio.Lock()
        self._log = get_logger()

    async def sign_in_address(self, attempt: Attempt) -> str:
        """Where the browser is sent. Raises UpstreamUnreachable."""
        endpoint = (await self._discover())["authorization_endpoint"]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(attempt.verifier.encode()).digest()).decode().rstrip("=")
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": attempt.redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self.settings.scopes))),
            "state": attempt.state,
            "nonce": attempt.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query, quote_via=quote)}"

    async def redeem(self, code: str, attempt: Attempt) -> Identity:
        """Raises UpstreamUnreachable, Unauthenticated for what cannot be trusted, Forbidden for what is not enough."""
        document = await self._discover()
        tokens = await self._exchange(document, code, attempt)
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise Unauthenticated(f"{self.settings.name} sent no ID token; the scope openid must be allowed there")
        claims = await self._verify(token, Expected(self.settings.issuer, self.settings.client_id, attempt.nonce))
        if self._is_thin(claims):
            claims = await self._more_claims(document, tokens.get("access_token"), claims)
        return self._identity(claims)

    async def _discover(self) -> Mapping[str, Any]:
        """Kept for an hour. One visitor asks, the others wait; a failure is theirs too, for a moment."""
        kept = self._kept
        async with self._discovering:
            at_s = time.monotonic()
            if at_s - kept.document_at_s < _KEPT_S:
                return kept.document
            if at_s - kept.failed_at_s < _FAILED_FOR_S:
                raise UpstreamUnreachable(kept.failure, provider=PROVIDER)
            try:
                document = await self._read_document()
            except UpstreamUnreachable as error:
                kept.failure, kept.failed_at_s = error.message, time.monotonic()
                raise
            kept.document, kept.document_at_s = document, at_s
            return document

    async def _read_document(self) -> Mapping[str, Any]:
        issuer = self.settings.issuer
        status, document = await self._fetcher.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if status != 200:
            raise _misconfigured(f"{issuer} answered {status} when it was asked for its OpenID configuration")
        if document.get("issuer") != issuer:
            said = str(document.get("issuer"))[:_LONGEST_SAID]
            raise _misconfigured(f'the issuer calls itself "{said}", and not "{issuer}"')
        for name in _ENDPOINTS:
            if not self._is_safe_endpoint(document.get(name)):
                raise _misconfigured(f"the issuer's {name} is missing, or does not begin with https://")
        return document

    def _is_safe_endpoint(self, url: object) -> TypeGuard[str]:
        """An issuer on https leads nowhere else."""
        scheme = "https://" if self.settings.issuer.startswith("https://") else "http"
        return isinstance(url, str) and url.startswith(scheme) and is_safe_address(url)

    async def _exchange(self, document: Mapping[str, Any], code: str, attempt: Attempt) -> dict[str, Any]:
        settings = self.settings
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": attempt.redirect_uri,
            "code_verifier": attempt.verifier,
        }
        headers: list[Header] = []
        if settings.client_secret is None:
            fields["client_id"] = settings.client_id
        elif "client_secret_post" in (document.get("token_endpoint_auth_methods_supported") or ()):
            fields |= {"client_id": settings.client_id, "client_secret": settings.client_secret.reveal()}
        else:  # RFC 6749 2.3.1: each part is encoded before they are joined
            pair = f"{quote(settings.client_id, safe='')}:{quote(settings.client_secret.reveal(), safe='')}"
            headers.append((b"authorization", b"Basic " + base64.b64encode(pair.encode())))
        status, tokens = await self._fetcher.post_form(document["token_endpoint"], urlencode(fields).encode(), *headers)
        if status == 200:
            return tokens
        said = _shown(tokens.get("error_description") or tokens.get("error") or status)
        self._log.warning("single sign-on refused", status=status, reason=said)
        if tokens.get("error") in ("invalid_client", "unauthorized_client"):
            raise _misconfigured(f"{settings.name} does not take our client id and secret ({said})")
        raise Unauthenticated(f"{settings.name} did not finish this sign-in ({said}); begin again")

    async def _verify(self, token: str, expected: Expected) -> dict[str, Any]:
        kept = self._kept
        if time.monotonic() - kept.keys_at_s > _KEPT_S:
            await self._read_keys()
        try:
            return verify(token, kept.keys, expected)
        except UnknownKey:
            pass
        if time.monotonic() - kept.keys_at_s > _ANEW_AFTER_S:
            await self._read_keys()
        try:
            return verify(token, kept.keys, expected)
        except UnknownKey as error:
            raise Unauthenticated(
                f"this sign-in cannot be trusted: its token is signed with no key of {self.settings.name}; begin again"
            ) from error

    async def _read_keys(self) -> None:
        document = await self._discover()
        status, found = await self._fetcher.get(document["jwks_uri"])
        if status != 200:
            raise UpstreamUnreachable(
                f"{self.settings.name} answered {status} when it was asked for its keys; try again shortly",
                provider=PROVIDER,
            )
        self._kept.keys, self._kept.keys_at_s = read_keys(found), time.monotonic()

    def _is_thin(self, claims: Mapping[str, Any]) -> bool:
        """Some issuers say the rest only when asked with the access token."""
        settings = self.settings
        return "email" not in claims or (settings.wants_groups and _claim(claims, settings.groups_claim) is None)

    async def _more_claims(
        self, document: Mapping[str, Any], access_token: object, claims: dict[str, Any]
    ) -> dict[str, Any]:
        endpoint = document.get("userinfo_endpoint")
        if not isinstance(access_token, str) or not access_token.isascii() or not self._is_safe_endpoint(endpoint):
            return claims
        bearer = (b"authorization", b"Bearer " + access_token.encode())
        status, further = await self._fetcher.get(endpoint, bearer)
        # Core 5.3.2: of another subject it must not be used. What the signed token says comes first.
        return further | claims if status == 200 and further.get("sub") == claims["sub"] else claims

    def _identity(self, claims: Mapping[str, Any]) -> Identity:
        settings = self.settings
        groups = _claim(claims, settings.groups_claim)
        overflows = settings.groups_claim in (claims.get("_claim_names") or ())
        if settings.wants_groups and groups is None and (overflows or claims.get("hasgroups")):
            raise Forbidden(
                f"{settings.name} did not say in which groups you are, because they are too many; an admin can have it "
                "send only the groups that are assigned to this application"
            )
        email = claims.get("email")
        is_email = isinstance(email, str) and email.isprintable() and self._is_verified(claims)
        name = claims.get("name")
        return Identity(
            settings.issuer,
            claims["sub"],
            email if is_email else None,
            name if isinstance(name, str) and name.isprintable() else None,
            _texts(groups),
        )

    def _is_verified(self, claims: Mapping[str, Any]) -> bool:
        for name in ("email_verified", "xms_edov"):
            if (said := claims.get(name)) is not None:
                return said is True or said in ("true", "1", 1)
        return self.settings.trusts_email


def make_verifier(seed: bytes) -> str:
    """Of 32 bytes: 43 characters (RFC 7636 4.1)."""
    return base64.urlsafe_b64encode(seed).decode().rstrip("=")


def same(one: str, other: str) -> bool:
    return secrets.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _claim(claims: Mapping[str, Any], path: str) -> object:
    """By its whole name, or through objects by dots; None where there is none."""
    if path in claims:
        return claims[path]
    found: object = claims
    for part in path.split("."):
        if not isinstance(found, dict) or part not in found:
            return None
        found = found[part]
    return found


def _texts(found: object) -> tuple[str, ...]:
    if isinstance(found, str):
        return (found,)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def _shown(said: object) -> str:
    return " ".join("".join(sign for sign in str(said) if sign.isprintable()).split())[:_LONGEST_SAID]


def _misconfigured(what: str) -> UpstreamUnreachable:
    return UpstreamUnreachable(f"{what}; an admin must mend the settings KEYHOUSE_OIDC_…", provider=PROVIDER)
