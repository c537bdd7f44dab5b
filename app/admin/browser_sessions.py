"""Sessions of browsers: opened at a sign-in, found by their cookie, listed and ended by whose they are."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.digests import digest_of
from app.base.clock import now
from app.base.errors import NotFound
from app.base.ids import new_id
from app.identity.issuer import LONGEST_HINT
from app.storage.postgres import people as rows
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.people import SessionLife, StoredSession

Method = Literal["password", "sso", "invitation", "admin key"]
PASSWORD_METHODS: frozenset[Method] = frozenset({"password", "invitation"})
IDLE = timedelta(hours=12)
"""A session ends when it was not used for so long."""
LONGEST_SESSION = timedelta(days=30)
LONGEST_SSO_SESSION = timedelta(hours=24)
"""Of single sign-on: whoever has lost the account or a group there has lost it here a day later."""
_TOUCH_EVERY = timedelta(minutes=1)
_LONGEST_BROWSER = 300
_TOKEN_BYTES = 32
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True)
class Visit:
    """From where somebody comes: the network address and what the browser calls itself."""

    address: str
    browser: str | None = None


@dataclass(frozen=True, slots=True)
class AtIssuer:
    """What the issuer said when it signed somebody in: its session there, where it has a name, and the ID token."""

    session: str | None
    id_token: str


@dataclass(frozen=True, slots=True)
class Origin:
    """How a session was opened; with the ID token that opened it, where there was one."""

    method: str
    id_token: str | None


class BrowserSessions:
    """``pepper`` keys the digests of the cookies."""

    def __init__(self, engine: AsyncEngine, pepper: bytes) -> None:
        self._engine = engine
        self._pepper = pepper

    async def open(
        self,
        connection: AsyncConnection,
        user_id: str,
        visit: Visit,
        method: Method,
        at_issuer: AtIssuer | None = None,
    ) -> str:
        """The token of a new session, in the transaction of the caller."""
        at = now()
        await rows.delete_ended_sessions(connection, _life())
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        values = {
            "session_id": new_id("ses"),
            "user_id": user_id,
            "digest": self._digest(token),
            "started_at": at,
            "seen_at": at,
            "client_address": visit.address,
            "browser": None if visit.browser is None else visit.browser[:_LONGEST_BROWSER],
            "method": method,
        }
        if at_issuer is not None:
            values |= {"issuer_session": at_issuer.session, "sealed_id_token": self._seal(token, at_issuer.id_token)}
        await rows.insert_session(connection, values)
        return token

    async def find(self, connection: AsyncConnection, token: str) -> StoredSession | None:
        """The session that holds, seen now; None where it has ended, or was never."""
        at = now()
        found = await rows.find_session(connection, self._digest(token), _life())
        if found is not None and at - found.seen_at > _TOUCH_EVERY:
            await rows.touch_session(connection, found.session_id, at)
        return found

    async def list_of(self, user_id: str) -> Sequence[StoredSession]:
        """Those that hold, the one used last first."""
        async with reading(self._engine) as connection:
            return await rows.list_sessions(connection, user_id, _life())

    async def find_origin(self, token: str) -> Origin | None:
        """By its cookie; None where there is no such session."""
        async with reading(self._engine) as connection:
            found = await rows.find_origin(connection, self._digest(token))
        return None if found is None else Origin(found[0], self._unseal(token, found[1]))

    async def end(self, token: str) -> None:
        """By its cookie."""
        async with transaction(self._engine) as connection:
            await rows.delete_session(connection, self._digest(token))

    async def end_one(self, user_id: str, session_id: str, actor: Actor) -> None:
        """Of the user's own. Raises NotFound."""
        async with transaction(self._engine) as connection:
            if not await rows.delete_session_of(connection, user_id, session_id):
                raise NotFound("this session has ended already")
            change = Change("user.session_end", "user", user_id, {"session_id": session_id}, None)
            await record_change(connection, actor, change)

    async def end_all(self, user_id: str, actor: Actor) -> None:
        async with transaction(self._engine) as connection:
            ended = await rows.delete_sessions_of(connection, user_id)
            change = Change("user.sign_out_everywhere", "user", user_id, {"sessions": ended}, None)
            await record_change(connection, actor, change)

    def _seal(self, token: str, id_token: str) -> bytes | None:
        """Its key comes of the cookie, which is not kept: what is read out of the table names nobody."""
        if len(id_token) > LONGEST_HINT:
            return None
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._box(token).encrypt(nonce, id_token.encode(), None)

    def _unseal(self, token: str, sealed: bytes | None) -> str | None:
        if sealed is None:
            return None
        try:
            return self._box(token).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], None).decode()
        except InvalidTag:
            return None

    def _box(self, token: str) -> AESGCM:
        return AESGCM(digest_of(self._pepper, "id token", token))

    def _digest(self, token: str) -> bytes:
        return digest_of(self._pepper, "session", token)


def _life() -> SessionLife:
    at = now()
    return SessionLife(at - IDLE, at - LONGEST_SESSION, at - LONGEST_SSO_SESSION)
