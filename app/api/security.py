"""Who is at the door: credentials found in headers, the master key, and the keys of callers on the admin routes."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from litestar import Request

from app.admin.actor import Actor
from app.base.clock import now
from app.base.errors import Forbidden, Unauthenticated
from app.domain.access import Principal, blocked_above, may_call_route
from app.domain.keys import digest_key, key_state, may_be_key
from app.storage.principals import Principals

CREDENTIAL_HEADERS = frozenset({b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key", b"x-keyhouse-key"})
_LONGEST_CHANGED_BY = 256


def find_credentials(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Every credential that a request carries, each once, in the order of its headers.

    ``Bearer`` may be written in any case, and may stand before the value of any of the headers.
    """
    found: list[str] = []
    for name, value in headers:
        lowered = name.lower()
        if lowered == b"authorization":
            scheme, _, rest = value.strip().partition(b" ")
            credential = rest.strip() if scheme.lower() == b"bearer" else b""
        elif lowered in CREDENTIAL_HEADERS:
            scheme, _, rest = value.strip().partition(b" ")
            credential = rest.strip() if scheme.lower() == b"bearer" else value.strip()
        else:
            continue
        text = credential.decode("latin-1")
        if text and text not in found:
            found.append(text)
    return found


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls an admin or finance route; ``principal`` None is the master key."""

    principal: Principal | None
    actor: Actor

    @property
    def is_admin(self) -> bool:
        return self.principal is None


class Access:
    """Decides who may call the admin and finance routes."""

    def __init__(self, principals: Principals, master_key: str) -> None:
        self._principals = principals
        self._pepper = principals.pepper
        self._master_digest = digest_key(self._pepper, master_key)

    async def require_admin(self, request: Request[Any, Any, Any]) -> Actor:
        """Raises Unauthenticated, and Forbidden for any key but the master key."""
        caller = await self.require_caller(request)
        if caller.principal is None:
            return caller.actor
        raise Forbidden(
            f'the key "…{caller.principal.key.last_four}" is a virtual key and may not call '
            f"{request.method} {request.url.path}: it needs the role proxy_admin, that is, the master key"
        )

    async def require_caller(self, request: Request[Any, Any, Any]) -> Caller:
        """Raises Unauthenticated (missing, unknown, blocked, expired), Forbidden for a route the key may not call."""
        credentials = find_credentials(request.scope["headers"])
        if not credentials:
            raise Unauthenticated(
                "no API key was sent; send the master key as Authorization: Bearer …", code="missing_api_key"
            )
        found: dict[bytes, Principal | None] = {}
        for credential in credentials:
            digest = digest_key(self._pepper, credential)
            if hmac.compare_digest(digest, self._master_digest):
                found[digest] = None
            elif may_be_key(credential) and (principal := await self._principals.find(digest)) is not None:
                found[digest] = principal
        if not found:
            raise Unauthenticated(
                f'unknown API key "…{credentials[0][-4:]}"; this gateway knows no such key: check it, or ask an admin'
            )
        if len(found) > 1:
            raise Unauthenticated("two different valid keys were sent in one request; send one")
        principal = next(iter(found.values()))
        if principal is not None:
            _check(principal, request.url.path)
        return Caller(principal, _actor(request, principal))


def _check(principal: Principal, path: str) -> None:
    key = principal.key
    match key_state(key, now()):
        case "blocked":
            raise Unauthenticated(f'the key "…{key.last_four}" is blocked; see /key/unblock', code="blocked_api_key")
        case "expired":
            raise Unauthenticated(
                f'the key "…{key.last_four}" expired on {key.expires_at:%Y-%m-%d %H:%M:%S} UTC; ask for another',
                code="expired_api_key",
            )
        case "active":
            pass
    if (blocked := blocked_above(principal)) is not None:
        raise Unauthenticated(
            f'the {blocked} of key "…{key.last_four}" is blocked; ask an admin to unblock it', code="blocked_api_key"
        )
    if not may_call_route(principal, path):
        raise Forbidden(f'the key "…{key.last_four}" may not call {path}; it may call: {", ".join(key.allowed_routes)}')


def _actor(request: Request[Any, Any, Any], principal: Principal | None) -> Actor:
    address = request.client.host if request.client is not None else None
    changed_by = request.headers.get("litellm-changed-by", "")[:_LONGEST_CHANGED_BY] or None
    if principal is None:
        return Actor(client_address=address, changed_by=changed_by)
    key = principal.key
    return Actor(key.user_id or key.key_id, address, changed_by, key.key_id)
