"""Use case of a lost password: whoever asks is answered the same, and the account's own address gets a link."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor
from app.admin.attempts import Attempts
from app.admin.browser_sessions import Visit
from app.admin.digests import digest_of
from app.admin.people import People
from app.admin.post import Post
from app.base.errors import GatewayError
from app.base.logs import get_logger
from app.base.network_place import place_of
from app.domain.email_addresses import may_be_email
from app.storage.postgres.engine import reading
from app.storage.postgres.people import find_password
from app.storage.postgres.users import find_user_by_email

LINK_LIFE = timedelta(hours=1)
_MOST = 5
"""Of one account, and from one network address, in a quarter of an hour."""


class PasswordReset:
    """For those who have a password. ``link_of`` makes an address of the token of an invitation; the address by which a
    stranger called us must not stand in it."""

    def __init__(
        self, engine: AsyncEngine, pepper: bytes, people: People, post: Post, link_of: Callable[[str], str]
    ) -> None:
        self._engine = engine
        self._pepper = pepper
        self._people = people
        self._post = post
        self._link_of = link_of
        self._attempts = Attempts(engine, _MOST, what="requests for a new password")
        self._running: set[asyncio.Task[None]] = set()
        self._log = get_logger()

    async def ask(self, email: str, visit: Visit) -> None:
        """Raises RateLimited. What follows happens afterwards, so that the time it takes tells nothing either."""
        account = digest_of(self._pepper, "account", email.lower()).hex()
        await self._attempts.count((f"reset:{account}", f"reset of address:{place_of(visit.address)}"), visit.address)
        task = asyncio.create_task(self._send(email, visit))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def settle(self) -> None:
        """Wait for what runs."""
        await asyncio.gather(*self._running)

    async def _send(self, email: str, visit: Visit) -> None:
        try:
            async with reading(self._engine) as connection:
                user = await find_user_by_email(connection, email) if may_be_email(email) else None
                stored = None if user is None else await find_password(connection, user.user_id)
            if user is None or stored is None or user.blocked or user.user_email is None:
                return
            actor = Actor("a request for a new password", visit.address)
            token, until = await self._people.invite(user.user_id, actor, LINK_LIFE)
            await self._post.send_reset(user.user_email, self._link_of(token), until)
        except GatewayError as error:
            self._log.warning("a new password was asked for in vain", reason=error.message)
