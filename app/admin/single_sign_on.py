"""Use case of single sign-on: whom an identity provider vouches for is let in, and what its groups give is given anew.

Who comes is known by issuer and subject, at the first time by a verified address.
"""

import asyncio
import base64
import secrets
from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.attempts import Attempts
from app.admin.browser_sessions import AtIssuer, BrowserSessions, Visit
from app.admin.digests import digest_of
from app.admin.group_membership import give_by_groups, hold_places
from app.admin.memberships import hold_address
from app.admin.standings import snapshot
from app.base.clock import now
from app.base.errors import Forbidden, Unauthenticated, UpstreamError
from app.base.ids import new_id
from app.base.logs import get_logger
from app.base.network_place import place_of
from app.domain.group_mapping import map_groups
from app.identity.issuer import Attempt, Identity, Issuer, make_verifier, same
from app.identity.rules import SingleSignOnRules
from app.storage.postgres import identities as rows
from app.storage.postgres.engine import transaction
from app.storage.postgres.names import hold_name
from app.storage.postgres.users import StoredUser, find_user, hold_user, insert_user
from app.storage.principals import Principals

ATTEMPT_LIFE = timedelta(minutes=10)
ACTOR = "single sign-on"
_MOST_ATTEMPTS = 20
"""From one network address, in a quarter of an hour, that the issuer does not vouch for."""
_TICKET_BYTES = 32
_LEAVES_WITHIN_S = 3.0
_LONGEST_ALIAS = 200


class NotLetIn(Forbidden):
    """Somebody whom the issuer knows, by this ID token, and who may not come in here."""

    def __init__(self, message: str, id_token: str) -> None:
        super().__init__(message)
        self.id_token = id_token


class SingleSignOn:
    """``principals`` is told after each commit; ``pepper`` keys what a sign-in under way is made of."""

    def __init__(
        self, engine: AsyncEngine, principals: Principals, sessions: BrowserSessions, issuer: Issuer,
        rules: SingleSignOnRules,
    ) -> None:  # fmt: skip
        self._engine = engine
        self._principals = principals
        self._sessions = sessions
        self._issuer = issuer
        self._rules = rules
        self._attempts = Attempts(engine, _MOST_ATTEMPTS)
        self._log = get_logger()

    @property
    def name(self) -> str:
        """How people know it."""
        return self._rules.issuer.name

    async def begin(self, wanted: str, redirect_uri: str) -> tuple[str, str]:
        """What the browser keeps meanwhile, and where it is sent. Raises UpstreamUnreachable.

        All that the issuer must give back is derived from what the browser keeps, so nothing is stored for strangers.
        """
        page = base64.urlsafe_b64encode(wanted.encode()).decode().rstrip("=")
        ticket = f"{secrets.token_urlsafe(_TICKET_BYTES)}.{int(now().timestamp())}.{page}"
        return ticket, await self._issuer.sign_in_address(self._attempt(ticket, redirect_uri))

    async def finish(self, ticket: str, answer: Mapping[str, str], redirect_uri: str, visit: Visit) -> tuple[str, str]:
        """The token of a session, and which page was wanted. ``answer`` is the issuer's, by the browser.

        Raises Unauthenticated for what cannot be trusted, NotLetIn for who may not come in, UpstreamUnreachable, and
        RateLimited after too many answers that nobody vouched for.
        """
        attempt, wanted = self._attempt(ticket, redirect_uri), wanted_page(ticket)
        if wanted is None or not same(attempt.state, answer.get("state", "")):
            raise Unauthenticated(
                "this sign-in was begun in another browser, or more than ten minutes ago; begin again"
            )
        if "code" not in answer:
            said = answer.get("error_description") or answer.get("error") or "it gave no reason"
            shown = "".join(sign for sign in said if sign.isprintable())[:_LONGEST_ALIAS]
            raise Unauthenticated(f"{self.name} did not sign you in: {shown}")
        if (issuer := answer.get("iss")) is not None and issuer != self._rules.issuer.issuer:  # RFC 9207
            raise Unauthenticated(f"this answer is not from {self.name}, but from another issuer; begin again")
        # Each answer has us ask the issuer: nobody makes us do that without end.
        subject = f"single sign-on of address:{place_of(visit.address)}"
        await self._attempts.count((subject,), visit.address)
        identity = await self._issuer.redeem(answer["code"], attempt)
        await self._attempts.forgive(subject)
        try:
            self._check_may_come_in(identity)
            token, told = await self._let_in(identity, visit)
        except Forbidden as error:
            self._log.warning("single sign-on refused", subject=identity.subject, reason=error.message)
            raise NotLetIn(error.message, identity.token) from error
        for scope in told:
            await self._principals.announce(scope)
        return token, wanted

    async def sign_out_address(self, id_token: str | None, back: str, state: str) -> str | None:
        """Where the issuer signs somebody out whose session this token opened; None where it cannot, or is silent."""
        try:
            async with asyncio.timeout(_LEAVES_WITHIN_S):
                return await self._issuer.sign_out_address(id_token, back, state)
        except (UpstreamError, TimeoutError):
            return None

    def _attempt(self, ticket: str, redirect_uri: str) -> Attempt:
        state, nonce, seed = (
            digest_of(self._principals.pepper, f"single sign-on {purpose}", ticket)
            for purpose in ("state", "nonce", "verifier")
        )
        return Attempt(redirect_uri, state.hex(), nonce.hex(), make_verifier(seed))

    def _check_may_come_in(self, identity: Identity) -> None:
        rules = self._rules
        if rules.email_domains:
            domain = (identity.email or "").rpartition("@")[2].lower()
            if identity.email is None:
                raise Forbidden(f"{self.name} did not confirm your e-mail address, and only some may come in here")
            if domain not in rules.email_domains:
                raise Forbidden(
                    f"addresses at {domain} may not come in here; sign in as somebody else, or ask an admin"
                )
        if rules.allowed_groups and rules.allowed_groups.isdisjoint(identity.groups):
            raise Forbidden(f"{self.name} knows you, but you are in no group that may come in here; ask an admin")

    async def _let_in(self, identity: Identity, visit: Visit) -> tuple[str, set[str]]:
        actor = Actor(ACTOR, visit.address)
        async with transaction(self._engine) as connection:
            await hold_name(connection, "identity", f"{identity.issuer} {identity.subject}")
            user, change = await self._find_or_make(connection, identity, actor)
            if user.blocked:
                raise Forbidden("your account is blocked here; ask an admin")
            mapped = map_groups(self._rules.groups, identity.groups)
            await hold_places(connection, user.user_id, mapped)
            if change is not None:
                await record_change(connection, actor, change)
            values = {"issuer": identity.issuer, "subject": identity.subject, "user_id": user.user_id}
            await rows.write_identity(connection, values | {"email": identity.email, "seen_at": now()})
            told = await give_by_groups(connection, user, mapped, actor)
            at_issuer = AtIssuer(identity.session, identity.token)
            token = await self._sessions.open(connection, user.user_id, visit, "sso", at_issuer)
            after = {"issuer": identity.issuer, "subject": identity.subject}
            change = Change("user.sign_in", "user", user.user_id, None, after)
            await record_change(connection, Actor(user.user_id, visit.address), change)
        return token, told

    async def _find_or_make(
        self, connection: AsyncConnection, identity: Identity, actor: Actor
    ) -> tuple[StoredUser, Change | None]:
        """By who the issuer says it is; at the first time by a verified address. With what is to be recorded of it.

        Raises Forbidden.
        """
        known = await rows.find_identity(connection, identity.issuer, identity.subject)
        if known is not None and (user := await hold_user(connection, known.user_id)) is not None:
            return user, None
        email = identity.email
        if email is None:
            raise Forbidden(
                f"{self.name} did not confirm your e-mail address, so it cannot be told who you are here; "
                "confirm it there, or ask an admin"
            )
        holder = await hold_address(connection, email)
        if holder is None:
            return await self._make(connection, identity, email, actor)
        linked = await rows.list_identities(connection, holder.user_id)
        if any(one.issuer == identity.issuer for one in linked):
            raise Forbidden(
                f"{email} belongs to an account that somebody else at {self.name} signs in to; an admin can unlink it "
                "at People, if the address is yours now"
            )
        after = {"issuer": identity.issuer, "subject": identity.subject, "email": email}
        held = await hold_user(connection, holder.user_id)
        assert held is not None
        return held, Change("user.identity_link", "user", holder.user_id, None, after)

    async def _make(
        self, connection: AsyncConnection, identity: Identity, email: str, actor: Actor
    ) -> tuple[StoredUser, Change]:
        if not self._rules.auto_create:
            raise Forbidden(
                f"{self.name} knows you, but there is no account for {email} here; ask an admin to invite you"
            )
        values = {"user_id": new_id("user"), "user_email": email, "user_role": self._rules.groups.default_role}
        values |= {"created_by": actor.name, "updated_by": actor.name}
        alias = None if identity.name is None else identity.name[:_LONGEST_ALIAS].strip() or None
        await insert_user(connection, {**values, "user_alias": alias})
        made = await find_user(connection, str(values["user_id"]))
        assert made is not None
        return made, Change("user.new", "user", made.user_id, None, snapshot(made))


def wanted_page(ticket: str) -> str | None:
    """The page that was asked for when this sign-in began, as the browser says; None for what is no ticket, or too old
    to be one."""
    try:
        _, begun_at, page = ticket.split(".")
        age_s = now().timestamp() - int(begun_at)
        wanted = base64.urlsafe_b64decode(page + "==").decode()
    except ValueError:
        return None
    return wanted if 0 <= age_s <= ATTEMPT_LIFE.total_seconds() else None
