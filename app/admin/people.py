"""People at the pages: who has signed in, and how one signs in, is invited, changes a password and leaves."""

import hmac
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.attempts import Attempts, forgive_account
from app.admin.browser_sessions import PASSWORD_METHODS, BrowserSessions, Method, Visit
from app.admin.digests import digest_of
from app.admin.memberships import hold_address
from app.admin.passwords import Passwords, check_new_password
from app.admin.standings import snapshot
from app.base.clock import now
from app.base.errors import Forbidden, NotFound, Unauthenticated, Unprocessable
from app.base.ids import new_id
from app.base.logs import get_logger
from app.base.network_place import place_of
from app.domain.email_addresses import LONGEST_EMAIL, may_be_email
from app.domain.roles import Standing, Tenant, roles_that_may, tenant_of
from app.storage.postgres import people as rows
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.identities import StoredIdentity, delete_identities, list_identities
from app.storage.postgres.people import SignInState
from app.storage.postgres.tenants import find_standing
from app.storage.postgres.users import find_user, find_user_by_email, insert_user, update_user

MOST_ATTEMPTS = 10
"""Of one account, and of one network address, in a quarter of an hour."""
INVITATION_LIFE = timedelta(days=7)
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has signed in, with the roles that hold now: the same as those of the person's keys."""

    user_id: str
    email: str | None
    alias: str | None
    standing: Standing
    session_id: str
    address: str

    @property
    def name(self) -> str:
        return self.alias or self.email or self.user_id

    def tenant(self, action: str) -> Tenant | None:
        """Whose rows this person reaches with an action of ``app.domain.roles``; None for nothing."""
        return tenant_of(self.standing, action)

    def may(self, action: str) -> bool:
        """On any rows at all."""
        return self.tenant(action) is not None

    def reach(self, action: str) -> Tenant:
        """As ``tenant``, for a service that shows nobody's rows to who may not: a tenant of nothing."""
        return self.tenant(action) or Tenant()

    def actor(self, action: str) -> Actor:
        """For the services, as whoever makes the change. Raises Forbidden."""
        tenant = self.tenant(action)
        if tenant is None:
            raise Forbidden(
                f"your role {' and '.join(self.standing.roles)} may not do this: "
                f"it needs one of {', '.join(roles_that_may(action))}"
            )
        return Actor(self.user_id, self.address, tenant=tenant, standing=self.standing)


@dataclass(frozen=True, slots=True)
class WaysIn:
    """By a password, and by identities of single sign-on."""

    has_password: bool
    identities: Sequence[StoredIdentity]


class People:
    """``master_key`` is the admin key, which makes an owner. ``takes_passwords`` False: people sign in elsewhere, and
    sessions that a password has opened hold no more."""

    def __init__(
        self, engine: AsyncEngine, pepper: bytes, master_key: str, passwords: Passwords, *, takes_passwords: bool = True
    ) -> None:
        self._engine = engine
        self._pepper = pepper
        self._master_digest = self._digest("admin key", master_key)
        self._passwords = passwords
        self._attempts = Attempts(engine, MOST_ATTEMPTS)
        self.takes_passwords = takes_passwords
        self.sessions = BrowserSessions(engine, pepper)
        self._log = get_logger()

    async def is_any_owner(self) -> bool:
        """Whether somebody who may do everything can sign in."""
        async with reading(self._engine) as connection:
            return await rows.is_any_owner(connection)

    async def find_person(self, token: str, address: str) -> Person | None:
        """Who holds this session, seen now; None where it has ended, or was never."""
        async with reading(self._engine) as connection:
            found = await self.sessions.find(connection, token)
            if found is None or (found.method in PASSWORD_METHODS and not self.takes_passwords):
                return None
            standing = await find_standing(connection, None, found.user_id)
        return Person(found.user_id, found.user_email, found.user_alias, standing, found.session_id, address)

    async def sign_in(self, email: str, password: str, visit: Visit) -> str:
        """The token of a new session. Raises Unauthenticated, RateLimited after too many attempts, and Forbidden where
        passwords are not taken.

        Nothing tells whether it was the address or the password that is wrong.
        """
        if not self.takes_passwords:
            raise Forbidden("nobody signs in with a password here: use single sign-on")
        account = await self._count_attempt(email, visit)
        async with reading(self._engine) as connection:
            user = await find_user_by_email(connection, email) if may_be_email(email) else None
            stored = None if user is None else await rows.find_password(connection, user.user_id)
        if not await self._passwords.matches(stored, password) or user is None or user.blocked:
            self._log.warning("sign-in refused", client_address=visit.address)
            raise Unauthenticated("this e-mail address and this password do not belong together; type both once more")
        async with transaction(self._engine) as connection:
            await forgive_account(connection, account, _of_address(visit.address))
            token = await self.sessions.open(connection, user.user_id, visit, "password")
            actor = Actor(user.user_id, visit.address)
            await record_change(connection, actor, Change("user.sign_in", "user", user.user_id, None, None))
        return token

    async def make_owner(self, admin_key: str, email: str, password: str, visit: Visit) -> str:
        """Whoever has the admin key makes the person with this address an owner, with this password where passwords are
        taken; the token of a session. Raises Unauthenticated for another key, RateLimited, Unprocessable."""
        account = await self._count_attempt(f"admin key from {visit.address}", visit)
        if not hmac.compare_digest(self._digest("admin key", admin_key), self._master_digest):
            raise Unauthenticated("this is not the admin key; it lies in the file admin-key of Keyhouse's home")
        check_email(email)
        hashed = None
        if self.takes_passwords:
            check_new_password(password, email)
            hashed = await self._passwords.hash(password)
        actor = Actor(client_address=visit.address)
        async with transaction(self._engine) as connection:
            await forgive_account(connection, account, _of_address(visit.address))
            before = await hold_address(connection, email)
            user_id = new_id("user") if before is None else str(before.user_id)
            values = {"user_role": "proxy_admin", "blocked": False, "updated_at": now(), "updated_by": actor.name}
            if before is None:
                made = {"user_id": user_id, "user_email": email, "created_by": actor.name}
                await insert_user(connection, values | made)
            else:
                await update_user(connection, user_id, values)
            if hashed is not None:
                await self._renew(connection, user_id, hashed)
            token = await self.sessions.open(connection, user_id, visit, "admin key")
            after = await find_user(connection, user_id)
            assert after is not None
            earlier = None if before is None else snapshot(before)
            await record_change(connection, actor, Change("user.owner", "user", user_id, earlier, snapshot(after)))
        return token

    async def change_password(self, person: Person, present: str, new: str, visit: Visit) -> str:
        """Every session of the person ends, and a new one begins: its token. Raises Unauthenticated, RateLimited,
        Unprocessable."""
        account = await self._count_attempt(person.user_id, visit)
        async with reading(self._engine) as connection:
            stored = await rows.find_password(connection, person.user_id)
        if not await self._passwords.matches(stored, present):
            raise Unauthenticated("the present password is not this one")
        check_new_password(new, person.email)
        hashed = await self._passwords.hash(new)
        async with transaction(self._engine) as connection:
            await forgive_account(connection, account, _of_address(visit.address))
            token = await self._begin_anew(connection, person.user_id, hashed, visit, "password")
            change = Change("user.password", "user", person.user_id, None, None)
            await record_change(connection, Actor(person.user_id, visit.address), change)
        return token

    async def invite(self, user_id: str, actor: Actor, life: timedelta = INVITATION_LIFE) -> tuple[str, datetime]:
        """The token of an invitation to choose a password, and until when it holds; an earlier one ends.

        Raises NotFound. For those who reach everything.
        """
        token, expires_at = secrets.token_urlsafe(_TOKEN_BYTES), now() + life
        async with transaction(self._engine) as connection:
            user = await find_user(connection, user_id, lock=True)
            if user is None:
                raise NotFound(f'no such user: "{user_id}"', param="user_id")
            if user.user_email is None:
                raise Unprocessable(
                    f'the user "{user_id}" has no e-mail address to sign in with; set one first', param="user_email"
                )
            values = {"user_id": user_id, "digest": self._digest("invitation", token), "created_at": now()}
            await rows.write_invitation(connection, values | {"created_by": actor.name, "expires_at": expires_at})
            await record_change(connection, actor, Change("user.invite", "user", user_id, None, None))
        return token, expires_at

    async def unlink(self, user_id: str, actor: Actor) -> None:
        """Whoever signed in as this user by single sign-on is out, and is known by the address alone the next time.

        Raises NotFound. For those who reach everything.
        """
        async with transaction(self._engine) as connection:
            if await find_user(connection, user_id, lock=True) is None:
                raise NotFound(f'no such user: "{user_id}"', param="user_id")
            before = {"identities": [(one.issuer, one.subject) for one in await list_identities(connection, user_id)]}
            await delete_identities(connection, user_id)
            await rows.delete_sessions_of(connection, user_id)
            await record_change(connection, actor, Change("user.identity_unlink", "user", user_id, before, None))

    async def states(self, user_ids: Collection[str]) -> Mapping[str, SignInState]:
        """For those who may read of users."""
        async with reading(self._engine) as connection:
            return await rows.list_states(connection, user_ids, now())

    async def ways_in(self, user_id: str) -> WaysIn:
        """How this person signs in."""
        async with reading(self._engine) as connection:
            stored = await rows.find_password(connection, user_id)
            return WaysIn(stored is not None, await list_identities(connection, user_id))

    async def find_invited(self, token: str) -> str | None:
        """The e-mail address of whom the invitation is for; None where it holds no more."""
        async with reading(self._engine) as connection:
            user_id = await rows.find_invited(connection, self._digest("invitation", token), now())
            user = None if user_id is None else await find_user(connection, user_id)
        return None if user is None else user.user_email

    async def accept_invitation(self, token: str, password: str, visit: Visit) -> str:
        """The token of a session. Raises NotFound for an invitation that holds no more, Unprocessable; Forbidden where
        passwords are not taken."""
        if not self.takes_passwords:
            raise Forbidden("nobody has a password here: sign in with single sign-on")
        email = await self.find_invited(token)
        if email is None:  # before a hash is computed: anybody can make up a token
            raise NotFound("this invitation was used, or has expired; ask for another")
        check_new_password(password, email)
        hashed = await self._passwords.hash(password)
        async with transaction(self._engine) as connection:
            user_id = await rows.find_invited(connection, self._digest("invitation", token), now(), lock=True)
            if user_id is None:
                raise NotFound("this invitation was used, or has expired; ask for another")
            opened = await self._begin_anew(connection, user_id, hashed, visit, "invitation")
            change = Change("user.password", "user", user_id, None, None)
            await record_change(connection, Actor(user_id, visit.address), change)
        return opened

    def form_token(self, cookie: str) -> str:
        """What a form must carry when it comes with this cookie: another site can send the one, and not know the
        other."""
        return self._digest("form", cookie).hex()

    def sign_out_state(self, cookie: str) -> str:
        """What the identity provider must give back to a browser with this cookie that it has signed out."""
        return self._digest("sign-out", cookie).hex()

    async def _count_attempt(self, account: str, visit: Visit) -> str:
        """What stands for the account. Raises RateLimited."""
        subject = "account:" + self._digest("account", account.lower()).hex()
        await self._attempts.count((subject, _of_address(visit.address)), visit.address)
        return subject

    async def _renew(self, connection: AsyncConnection, user_id: str, hashed: str) -> None:
        """A new password ends every session, and every invitation to set one."""
        await rows.write_password(connection, user_id, hashed, now())
        await rows.delete_invitation(connection, user_id)
        await rows.delete_sessions_of(connection, user_id)

    async def _begin_anew(
        self, connection: AsyncConnection, user_id: str, hashed: str, visit: Visit, method: Method
    ) -> str:
        await self._renew(connection, user_id, hashed)
        return await self.sessions.open(connection, user_id, visit, method)

    def _digest(self, purpose: str, text: str) -> bytes:
        return digest_of(self._pepper, purpose, text)


def check_email(email: str) -> None:
    """Raises Unprocessable."""
    if not may_be_email(email):
        raise Unprocessable(f'"{email[:LONGEST_EMAIL]}" is no address such as "ada@example.com"', param="email")


def _of_address(address: str) -> str:
    return f"address:{place_of(address)}"
