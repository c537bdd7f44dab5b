"""Use case of a sign-out at the identity provider: it tells us, and the sessions that it names end here too."""

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.attempts import LONGEST_WINDOW
from app.admin.digests import digest_of
from app.admin.single_sign_on import ACTOR
from app.base.clock import now
from app.base.errors import InvalidRequest
from app.base.logs import get_logger
from app.identity.issuer import Issuer
from app.identity.logout_tokens import Logout
from app.storage.postgres import people as rows
from app.storage.postgres.engine import transaction
from app.storage.postgres.identities import find_identity


class IssuerLogout:
    """``pepper`` keys what is remembered of a token."""

    def __init__(self, engine: AsyncEngine, pepper: bytes, issuer: Issuer) -> None:
        self._engine = engine
        self._pepper = pepper
        self._issuer = issuer
        self._log = get_logger()

    async def end(self, token: str, client_address: str) -> int:
        """How many sessions ended. Raises InvalidRequest for a token that is not taken, UpstreamUnreachable.

        Somebody who is not known here, or has signed out already, is signed out: that is no error (2.7).
        """
        logout = await self._issuer.read_logout(token)
        async with transaction(self._engine) as connection:
            await self._use_up(connection, logout)
            ended = await self._end_sessions(connection, logout, Actor(ACTOR, client_address))
        self._log.info("signed out by the issuer", sessions=ended)
        return ended

    async def _use_up(self, connection: AsyncConnection, logout: Logout) -> None:
        """Told twice, it would end a session that was opened since. A token is too old before this is forgotten."""
        at = now()
        subject = "logout token:" + digest_of(self._pepper, "logout token", logout.token_id).hex()
        await rows.delete_old_attempts(connection, at - LONGEST_WINDOW)
        uses, _ = await rows.count_attempts(connection, (subject,), at, at - LONGEST_WINDOW)
        if uses > 1:
            raise InvalidRequest("this logout token was used before")

    async def _end_sessions(self, connection: AsyncConnection, logout: Logout, actor: Actor) -> int:
        user_id = None
        if logout.subject is not None:
            identity = await find_identity(connection, self._issuer.settings.issuer, logout.subject)
            if identity is None:
                return 0
            user_id = identity.user_id
        ended = await rows.delete_sessions_of_issuer(connection, user_id, logout.session)
        for owner in sorted({owner for _, owner in ended}):
            before = {"sessions": sorted(session_id for session_id, whose in ended if whose == owner)}
            await record_change(connection, actor, Change("user.session_end", "user", owner, before, None))
        return len(ended)
