"""Who is at the door: credentials found in headers, the master key, and the keys of callers on the admin routes."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import compress
from operator import itemgetter
from typing import Any

from litestar import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor
from app.api.named_rows import check_named
from app.base.clock import now
from app.base.errors import Forbidden, RateLimited, Unauthenticated
from app.domain.access import Principal, blocked_above, may_call_route
from app.domain.keys import OWN_LOGIN_PREFIX, digest_key, key_state, may_be_key
from app.domain.roles import EVERYTHING, MASTER, Rule, Standing, Tenant, roles_that_may, rule_for, tenant_of
from app.domain.wrong_keys import WRONG_KEYS_PER_MINUTE, WrongKeys
from app.storage.postgres.engine import reading
from app.storage.postgres.tenants import find_standing
from app.storage.principals import Principals

CREDENTIAL_HEADERS = frozenset(
    {b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key", b"x-keyhouse-key"}
)
AnyRequest = Request[Any, Any, Any]
_LONGEST_CHANGED_BY = 256
_NAME = itemgetter(0)


def find_credentials(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Every credential that a request carries, each once, in the order of its headers, whose names are in lower case.

    ``Bearer`` may be written in any case, and may stand before the value of any of the headers.
    """
    found: list[str] = []
    given = tuple(headers)
    for name, value in compress(given, map(CREDENTIAL_HEADERS.__contains__, map(_NAME, given))):
        scheme, _, rest = value.strip().partition(b" ")
        credential = b"" if name == b"authorization" else value.strip()
        if scheme.lower() == b"bearer":
            credential = rest.strip()
        text = credential.decode("latin-1")
        if text and text not in found:
            found.append(text)
    return found


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls an admin or finance route, and whose rows it reaches there; ``principal`` None is the master key."""

    principal: Principal | None
    actor: Actor
    standing: Standing
    tenant: Tenant

    @property
    def is_admin(self) -> bool:
        return self.principal is None


class Access:
    """Decides who may call the admin and finance routes, and on whose rows."""

    def __init__(self, engine: AsyncEngine, principals: Principals, master_key: str) -> None:
        self._engine = engine
        self._principals = principals
        self._pepper = principals.pepper
        self._master_digest = digest_key(self._pepper, master_key)
        self._wrong_keys = WrongKeys()

    async def require_admin(self, request: AnyRequest) -> Actor:
        """For a handler that does not keep to a tenant itself: the caller reaches everything, or the request names
        rows of the caller's own, as the rule of the route says.

        Raises Unauthenticated, RateLimited, Forbidden, and NotFound for what belongs to others.
        """
        caller = await self.require_caller(request)
        if not caller.tenant.everything:
            rule = _rule(request)
            if rule is None or not rule.named:
                raise _refused(request, caller, None)
            async with reading(self._engine) as connection:
                await check_named(connection, request, rule, caller.tenant)
        return caller.actor

    async def require_caller(self, request: AnyRequest) -> Caller:
        """For a handler that keeps to ``tenant``. Raises Unauthenticated (missing, unknown, blocked, expired),
        RateLimited for an address that tries many wrong keys, Forbidden for a route that no role of the caller may
        call, or its key may not."""
        principal = await self._find_principal(request)
        actor = _actor(request, principal)
        if principal is None:
            return Caller(None, actor, MASTER, EVERYTHING)
        _check(principal, request.url.path)
        key = principal.key
        async with reading(self._engine) as connection:
            standing = await find_standing(connection, key.key_id, key.user_id)
        rule = _rule(request)
        tenant = None if rule is None else tenant_of(standing, rule.action)
        actor = replace(actor, tenant=tenant or Tenant(), standing=standing)
        caller = Caller(principal, actor, standing, actor.tenant)
        if tenant is None:
            raise _refused(request, caller, None if rule is None else rule.action)
        return caller

    async def _find_principal(self, request: AnyRequest) -> Principal | None:
        sent = find_credentials(request.scope["headers"])
        # A developer's own login at Anthropic may stand beside the key; it is not ours, and nothing of it is said.
        credentials = [one for one in sent if not one.startswith(OWN_LOGIN_PREFIX)]
        if not credentials:
            raise Unauthenticated(
                "no API key was sent; send the master key as Authorization: Bearer …", code="missing_api_key"
            )
        found: dict[bytes, Principal | None] = {}
        for credential in credentials:
            digest = digest_key(self._pepper, credential)
            if hmac.compare_digest(digest, self._master_digest):
                found[digest] = None
            elif may_be_key(credential) and (principal := await self._look_up(request, digest)) is not None:
                found[digest] = principal
        if not found:
            self._wrong_keys.note(_address(request), now())
            raise Unauthenticated(
                f'unknown API key "…{credentials[0][-4:]}"; this gateway knows no such key: check it, or ask an admin'
            )
        if len(found) > 1:
            raise Unauthenticated("two different valid keys were sent in one request; send one")
        return next(iter(found.values()))

    async def _look_up(self, request: AnyRequest, digest: bytes) -> Principal | None:
        address, at = _address(request), now()
        if self._wrong_keys.too_many(address, at) and not self._principals.remembers(digest):
            # Keys that are in use behind the same address go on working.
            raise RateLimited(
                f"more than {WRONG_KEYS_PER_MINUTE} unknown keys in a minute from {address}; wait, and check the key",
                retry_after_s=60 - int(at.timestamp()) % 60,
            )
        return await self._principals.find(digest)


def _rule(request: AnyRequest) -> Rule | None:
    return rule_for(request.method, request.scope["path_template"])


def _refused(request: AnyRequest, caller: Caller, action: str | None) -> Forbidden:
    assert caller.principal is not None
    *others, last = roles_that_may(action)
    roles = f"one of the roles {', '.join(others)} and {last}" if others else f"the role {last}, or the master key"
    return Forbidden(
        f'the key "…{caller.principal.key.last_four}" has the role {" and ".join(caller.standing.roles)} and may not '
        f"call {request.method} {request.url.path}: it needs {roles}"
    )


def _address(request: AnyRequest) -> str:
    return request.client.host if request.client is not None else ""


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


def _actor(request: AnyRequest, principal: Principal | None) -> Actor:
    address = request.client.host if request.client is not None else None
    changed_by = request.headers.get("litellm-changed-by", "")[:_LONGEST_CHANGED_BY] or None
    if principal is None:
        return Actor(client_address=address, changed_by=changed_by)
    key = principal.key
    return Actor(key.user_id or key.key_id, address, changed_by, key.key_id)
