"""From the credentials of a request to the principal that they name."""

import hashlib
import hmac
import os
from dataclasses import replace
from datetime import datetime

from app.base.errors import Forbidden, GatewayError, RateLimited, Unauthenticated
from app.domain.access import Principal, blocked_above, may_call_route
from app.domain.keys import OWN_LOGIN_PREFIX, VirtualKey, digest_key, key_state, may_be_key
from app.domain.wrong_keys import WRONG_KEYS_PER_MINUTE, WrongKeys
from app.gateway.call import Knock
from app.gateway.own_login import brings_own_login
from app.gateway.ports import Principals

MASTER_KEY_ID = "key_master"
OPEN_KEY_ID = "key_open"
_DIGESTS_REMEMBERED = 10_000
# Of web pages, which can reach a port of this machine too, and of proxies: whoever sends them may be elsewhere.
_FROM_ELSEWHERE = frozenset({b"origin", b"sec-fetch-site", b"forwarded", b"via", b"x-forwarded-for", b"x-real-ip"})


class Authenticator:
    """Knows the master key and asks the Principals port for all others."""

    def __init__(
        self,
        principals: Principals,
        pepper: bytes,
        master_key: str,
        started_at: datetime,
        anyone: Principal | None = None,
    ) -> None:
        """``anyone`` is, in open mode, who sends no key of ours."""
        self._principals = principals
        self._pepper = pepper
        self._anyone = anyone
        self._master_digest = digest_key(pepper, master_key)
        self._master = Principal(
            VirtualKey(key_id=MASTER_KEY_ID, last_four=master_key[-4:], created_at=started_at, alias="master key"),  # type: ignore[arg-type]  # an id that new_id cannot make
            is_admin=True,
        )
        self._wrong_keys = WrongKeys()
        # Two SHA-256 of a stored digest cost 7 µs a request, one keyed BLAKE2b half a microsecond.
        self._fingerprint = hashlib.blake2b(key=os.urandom(32), digest_size=16)
        self._digests: dict[bytes, bytes] = {}

    async def authenticate(self, knock: Knock) -> Principal:
        """Raises Unauthenticated (missing, unknown, expired, blocked), Forbidden for a route the key may not call,
        RateLimited for an address that tries many wrong keys, StorageUnavailable."""
        found: dict[bytes, Principal] = {}
        refused = ""
        for credential in knock.credentials:
            if credential.startswith(OWN_LOGIN_PREFIX):
                continue
            principal, digest = await self._find(credential, knock)
            if principal is None:
                refused = refused or credential
            else:
                found[digest] = principal
        if not found and self._anyone is not None and _FROM_ELSEWHERE.isdisjoint(name for name, _ in knock.headers):
            return self._anyone
        if not found:
            raise self._unknown(refused, knock)
        if len(found) > 1:
            raise Unauthenticated(
                "two different valid keys were sent in one request; send one, as Authorization: Bearer or x-api-key"
            )
        principal = next(iter(found.values()))
        try:
            check_key(principal, knock.route, knock.at)
        except GatewayError as error:
            error.key_id = principal.key.key_id
            raise
        # A login and a key are two; nearly every call brings one.
        if len(knock.credentials) > 1 and brings_own_login(knock.headers):
            return replace(principal, own_login=True)
        return principal

    async def _find(self, credential: str, knock: Knock) -> tuple[Principal | None, bytes]:
        digest = self._digest(credential)
        # The master key need not look like one of ours.
        if hmac.compare_digest(digest, self._master_digest):
            return self._master, digest
        principal = self._principals.peek(digest)
        if principal is not None:
            return principal, digest
        if not may_be_key(credential):
            return None, digest
        tried_many = self._anyone is None and self._wrong_keys.too_many(knock.client_address, knock.at)
        if tried_many and not self._principals.remembers(digest):
            # Keys that are in use behind the same address go on working.
            raise RateLimited(
                f"more than {WRONG_KEYS_PER_MINUTE} unknown keys in a minute from {knock.client_address}; "
                "wait, and check the key",
                retry_after_s=60 - int(knock.at.timestamp()) % 60,
            )
        principal = await self._principals.find(digest)
        if principal is None:
            self._wrong_keys.note(knock.client_address, knock.at)
        return principal, digest

    def _digest(self, credential: str) -> bytes:
        """The stored digest of a credential; the last ones are remembered by a keyed fingerprint, never in clear."""
        fingerprint = self._fingerprint.copy()
        fingerprint.update(credential.encode())
        name = fingerprint.digest()
        digest = self._digests.get(name)
        if digest is None:
            digest = digest_key(self._pepper, credential)
            if len(self._digests) >= _DIGESTS_REMEMBERED:
                self._digests.clear()
            self._digests[name] = digest
        return digest

    def _unknown(self, credential: str, knock: Knock) -> Unauthenticated:
        if not knock.credentials:
            return Unauthenticated(
                "no API key was sent; send a Keyhouse key as Authorization: Bearer or as x-api-key",
                code="missing_api_key",
            )
        if not credential:
            return Unauthenticated(
                "a login of Anthropic was sent (sk-ant-oat…), and no key of this gateway; send your Keyhouse key "
                "beside it, as x-keyhouse-key (ANTHROPIC_CUSTOM_HEADERS in Claude Code)",
                code="missing_api_key",
            )
        return Unauthenticated(
            f'unknown API key "…{credential[-4:]}"; it was refused by this gateway, not by a provider: '
            "check it, or ask an admin for a new one"
        )


def check_key(principal: Principal, route: str, at: datetime) -> None:
    """Raises Unauthenticated for a key that is blocked or expired, or below something blocked; Forbidden for a route
    that it may not call."""
    key = principal.key
    state = key_state(key, at)
    if state == "blocked":
        raise Unauthenticated(
            f'the key "…{key.last_four}" is blocked; ask an admin to unblock it', code="blocked_api_key"
        )
    if state == "expired":
        assert key.expires_at is not None
        raise Unauthenticated(
            f'the key "…{key.last_four}" expired on {key.expires_at:%Y-%m-%d %H:%M:%S} UTC; ask an admin for a new one',
            code="expired_api_key",
        )
    if (blocked := blocked_above(principal)) is not None:
        raise Unauthenticated(
            f'the {blocked} of key "…{key.last_four}" is blocked; ask an admin to unblock it',
            code="blocked_api_key",
        )
    if not may_call_route(principal, route):
        raise Forbidden(
            f'the key "…{key.last_four}" may not call {route}; it may call: {", ".join(key.allowed_routes)}'
        )


def anyone_here(owner_user_id: str | None, started_at: datetime) -> Principal:
    """Who calls without a key in open mode: the person at this machine, whose the personal token is too."""
    return Principal(
        VirtualKey(
            key_id=OPEN_KEY_ID,  # type: ignore[arg-type]  # an id that new_id cannot make
            last_four="open",
            created_at=started_at,
            alias="open mode",
            user_id=owner_user_id,  # type: ignore[arg-type]  # as the operator wrote it
        )
    )
