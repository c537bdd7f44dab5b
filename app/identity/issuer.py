"""One identity provider, found by its discovery document: where people sign in, and what it then says of them.

Authorization code with PKCE, state and nonce (OpenID Connect Core 3.1, RFC 7636). Its keys are read anew when a token
is signed with one that is not known, and each hour.
"""

import asyncio
import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeGuard, TypeVar
from urllib.parse import quote, urlencode

from app.base.errors import Forbidden, InvalidRequest, Unauthenticated, UpstreamUnreachable
from app.base.logs import get_logger
from app.domain.email_addresses import may_be_email
from app.identity.fetching import PROVIDER, Fetcher
from app.identity.id_tokens import Expected, Jwk, UnknownKey, read_keys, read_session, verify
from app.identity.logout_tokens import Logout, read_logout
from app.identity.rules import IssuerSettings
from app.identity.safe_addresses import is_safe_address
from app.providers.provider import Header, Upstream

_KEPT_S = 3600.0
_ANEW_AFTER_S = 10.0
"""Keys are not read more often than this, whatever tokens name."""
_FAILED_FOR_S = 3.0
_LONGEST_SAID = 200
LONGEST_HINT = 6_000
"""Of an ID token that is named at sign-out: a longer one fits no address, with all else that stands in it."""
_Found = TypeVar("_Found")
_VERIFIED = ("email_verified", "xms_edov")
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom the issuer says signs in. ``email`` is None where it is not verified; ``session`` is what the issuer calls
    its own session, and ``token`` the ID token that said all this."""

    issuer: str
    subject: str
    email: str | None
    name: str | None
    groups: tuple[str, ...]
    token: str
    session: str | None


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
        self._reading_keys = asyncio.Lock()
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
        return _with_query(endpoint, query)

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
        return self._identity(claims, token)

    async def read_logout(self, token: str) -> Logout:
        """What a logout token says. Raises InvalidRequest, UpstreamUnreachable."""
        between = (self.settings.issuer, self.settings.client_id)
        try:
            return await self._with_keys(lambda keys: read_logout(token, keys, between))
        except UnknownKey as error:
            raise InvalidRequest("this logout token is signed with no key of the issuer") from error

    async def sign_out_address(self, id_token: str | None, redirect_uri: str, state: str) -> str | None:
        """Where the browser is sent to be signed out there too (OpenID Connect RP-Initiated Logout 1.0, 2); None where
        the issuer has no such place. Raises UpstreamUnreachable."""
        endpoint = (await self._discover()).get("end_session_endpoint")
        if not self._is_safe_endpoint(endpoint):
            return None
        query = {"client_id": self.settings.client_id, "post_logout_redirect_uri": redirect_uri, "state": state}
        if id_token is not None and len(id_token) <= LONGEST_HINT:  # many do not lead back without it, or ask once more
            query["id_token_hint"] = id_token
        return _with_query(endpoint, query)

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
        try:
            return await self._with_keys(lambda keys: verify(token, keys, expected))
        except UnknownKey as error:
            raise Unauthenticated(
                f"this sign-in cannot be trusted: its token is signed with no key of {self.settings.name}; begin again"
            ) from error

    async def _with_keys(self, read: Callable[[Sequence[Jwk]], _Found]) -> _Found:
        """Raises UnknownKey where newer keys do not help either."""
        await self._renew_keys(_KEPT_S)
        try:
            return read(self._kept.keys)
        except UnknownKey:
            await self._renew_keys(_ANEW_AFTER_S)
            return read(self._kept.keys)

    async def _renew_keys(self, oldest_s: float) -> None:
        """One asks, the others wait: anybody can send a token that names a new key."""
        async with self._reading_keys:
            if time.monotonic() - self._kept.keys_at_s > oldest_s:
                await self._read_keys()

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
        # Core 5.3.2: of another subject it must not be used.
        return join_claims(claims, further) if status == 200 and further.get("sub") == claims["sub"] else claims

    def _identity(self, claims: Mapping[str, Any], token: str) -> Identity:
        settings = self.settings
        groups = _claim(claims, settings.groups_claim)
        overflows = settings.groups_claim in (claims.get("_claim_names") or ())
        if settings.wants_groups and groups is None and (overflows or claims.get("hasgroups")):
            raise Forbidden(
                f"{settings.name} did not say in which groups you are, because they are too many; an admin can have it "
                "send only the groups that are assigned to this application"
            )
        email = claims.get("email")
        is_email = isinstance(email, str) and may_be_email(email) and self._is_verified(claims)
        name = claims.get("name")
        return Identity(
            settings.issuer,
            claims["sub"],
            email if is_email else None,
            name if isinstance(name, str) and name.isprintable() else None,
            _texts(groups),
            token,
            read_session(claims),
        )

    def _is_verified(self, claims: Mapping[str, Any]) -> bool:
        for name in _VERIFIED:
            if (said := claims.get(name)) is not None:
                return said is True or said in ("true", "1", 1)
        return self.settings.trusts_email


def _with_query(endpoint: str, query: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query, quote_via=quote)}"


def join_claims(signed: Mapping[str, Any], further: Mapping[str, Any]) -> dict[str, Any]:
    """What the signed token says comes first. Where both name an address, but not the same one, whether the second is
    verified says nothing of the first."""
    email, other = signed.get("email"), further.get("email")
    is_of_another = email is not None and str(email).lower() != str(other).lower()
    left_out = _VERIFIED if is_of_another else ()
    return {name: value for name, value in further.items() if name not in left_out} | dict(signed)


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
