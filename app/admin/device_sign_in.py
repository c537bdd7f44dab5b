"""Signing programs in: a code that a person approves, the short-lived key that it brings, and its renewal.

A sign-in has one key for its life. Each refresh gives that key a new secret, so its receipts, its budget and what an
admin sets for it stay together; who blocks or deletes the key ends the sign-in.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.attempts import Attempts
from app.admin.key_terms import KeyTerms
from app.admin.keys import IssuedKey, Keys
from app.admin.sign_in_people import Choices, Person, choose_team, hold_person, list_choices
from app.base.clock import now
from app.base.errors import GrantRefused, NotFound, RateLimited, Unprocessable
from app.base.ids import new_id
from app.base.network_place import place_of
from app.domain import sign_in as domain
from app.domain.budgets import Duration
from app.domain.keys import digest_key
from app.domain.roles import EVERYTHING
from app.storage.postgres import sign_ins as rows
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.keys import find_key, find_key_by_digest
from app.storage.postgres.sign_ins import ListedSignIn, StoredAuthorization, StoredSignIn
from app.storage.principals import Principals

ROUTES = ("llm_api_routes",)
"""All that a program needs; a token that was stolen from a laptop opens no admin route, whoever the person is."""
_BEGUN_PER_MINUTE = 30
_TRIES = 5
_LONGEST_NAME = 100
_KEPT_EXPIRED = timedelta(hours=1)
_KEPT_USED = timedelta(days=7)
_KEPT_ENDED = timedelta(days=30)
_MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Begun:
    """What a program is told; ``user_code`` as it is shown to people."""

    device_code: str
    user_code: str


@dataclass(frozen=True, slots=True)
class Granted:
    """Both secrets are known at this moment only."""

    access_token: str
    refresh_token: str
    email: str | None


class DeviceSignIn:
    """``principals`` is told after each commit that changed a key."""

    def __init__(self, engine: AsyncEngine, principals: Principals, keys: Keys) -> None:
        self._engine = engine
        self._principals = principals
        self._keys = keys
        self._pepper = principals.pepper
        self._begun = Attempts(engine, _BEGUN_PER_MINUTE, timedelta(minutes=1), "sign-ins begun")

    async def begin(self, client_name: str, client_address: str) -> Begun:
        """A program asks. Raises RateLimited for an address that asks again and again."""
        at, device_code = now(), domain.mint_device_code()
        await self._begun.count((f"device begun:{place_of(client_address)}",), client_address)
        async with transaction(self._engine) as connection:
            for _ in range(_TRIES):
                user_code = domain.mint_user_code()
                values = {
                    "authorization_id": new_id("device"),
                    "device_digest": digest_key(self._pepper, device_code),
                    "user_code": user_code,
                    "client_name": client_name,
                    "client_address": client_address,
                    "created_at": at,
                    "expires_at": at + domain.CODE_LIFE,
                }
                if await rows.insert_authorization(connection, values):
                    return Begun(device_code, domain.show_user_code(user_code))
        raise RateLimited("too many sign-ins wait for their approval; wait a minute", retry_after_s=60)

    async def find_waiting(self, user_code: str) -> StoredAuthorization:
        """What a person is asked to approve. Raises NotFound, Unprocessable for what is no code."""
        async with reading(self._engine) as connection:
            return await _waiting(connection, user_code, lock=False)

    async def list_choices(self, user_id: str) -> Choices:
        async with reading(self._engine) as connection:
            return await list_choices(connection, user_id)

    async def approve(
        self, user_code: str, user_id: str, team_id: str | None, actor: Actor, *, has_chosen: bool
    ) -> StoredAuthorization:
        """``has_chosen`` is False where nobody said which team: the only one of the person is meant then.

        Raises NotFound, Forbidden and Unprocessable.
        """
        async with transaction(self._engine) as connection:
            found = await _waiting(connection, user_code, lock=True)
            team = await choose_team(connection, user_id, team_id, has_chosen=has_chosen)
            values = {"state": "approved", "user_id": user_id, "team_id": team}
            return await self._decide(connection, found, values, actor, "device.approve")

    async def deny(self, user_code: str, actor: Actor) -> StoredAuthorization:
        """Raises NotFound, Unprocessable."""
        async with transaction(self._engine) as connection:
            found = await _waiting(connection, user_code, lock=True)
            return await self._decide(connection, found, {"state": "denied"}, actor, "device.deny")

    async def redeem(self, device_code: str, client_address: str) -> Granted:
        """The program asks whether it was approved; one of its questions gets a key, at most. Raises GrantRefused."""
        digest = digest_key(self._pepper, device_code)
        async with transaction(self._engine) as connection:
            outcome = await self._redeem(connection, digest, client_address)
        if isinstance(outcome, GrantRefused):  # what was noted of it stays
            raise outcome
        granted, key_id = outcome
        await self._principals.announce(key_id)
        return granted

    async def refresh(self, refresh_token: str, client_address: str) -> Granted:
        """A new secret of the key, and a new refresh token in the place of this one. Raises GrantRefused (401)."""
        digest = digest_key(self._pepper, refresh_token)
        async with transaction(self._engine) as connection:
            found = await rows.hold_sign_in_of_token(connection, digest)
            if found is None:
                raise _no_grant("this refresh token is not known here")
            outcome = await self._refresh(connection, *found, digest, client_address)
        await self._principals.announce(found[0].key_id)
        if isinstance(outcome, GrantRefused):  # the sign-in may have been ended with it
            raise outcome
        return outcome

    async def revoke(self, token: str, client_address: str) -> bool:
        """End the sign-in that either of its tokens is of; False, and nothing done, for any other token."""
        digest = digest_key(self._pepper, token)
        async with transaction(self._engine) as connection:
            if domain.may_be_refresh_token(token):
                found = await rows.hold_sign_in_of_token(connection, digest)
                sign_in = None if found is None else found[0]
            else:
                key = await find_key_by_digest(connection, EVERYTHING, digest)
                sign_in = None if key is None else await rows.hold_sign_in_of_key(connection, key.key_id)
            if sign_in is None:
                return False
            if sign_in.ended_at is not None:
                return True
            await self._end(connection, sign_in, Actor(sign_in.user_id, client_address))
        await self._principals.announce(sign_in.key_id)
        return True

    async def list_of(self, user_id: str) -> list[ListedSignIn]:
        """The programs that are signed in as this person, the newest first."""
        async with reading(self._engine) as connection:
            return await rows.list_sign_ins(connection, user_id, now())

    async def end(self, user_id: str, sign_in_id: str, actor: Actor) -> None:
        """Of the person's own: its key is gone at once. Raises NotFound."""
        async with transaction(self._engine) as connection:
            sign_in = await rows.hold_sign_in_of_user(connection, user_id, sign_in_id)
            if sign_in is None or sign_in.ended_at is not None:
                raise NotFound("this program is signed out already", param="sign_in_id")
            await self._end(connection, sign_in, actor)
        await self._principals.announce(sign_in.key_id)

    async def clean(self) -> int:
        """End what has lapsed, with its key, and forget what is long over; returns how many were ended."""
        at = now()
        async with transaction(self._engine) as connection:
            await rows.delete_authorizations(connection, at - _KEPT_EXPIRED)
            lapsed = await rows.hold_lapsed(connection, at, _MOST_AT_ONCE)
            for sign_in in lapsed:
                await self._end(connection, sign_in, Actor(name="sign-in"))
            await rows.forget_old(connection, at - _KEPT_USED, at - _KEPT_ENDED)
        for sign_in in lapsed:
            await self._principals.announce(sign_in.key_id)
        return len(lapsed)

    async def _decide(
        self,
        connection: AsyncConnection,
        found: StoredAuthorization,
        values: dict[str, str | None],
        actor: Actor,
        action: str,
    ) -> StoredAuthorization:
        await rows.update_authorization(connection, found.authorization_id, values)
        after = {"client_name": found.client_name, "client_address": found.client_address, **values}
        change = Change(action, "device", found.authorization_id, {"state": found.state}, after)
        await record_change(connection, actor, change)
        return found

    async def _redeem(
        self, connection: AsyncConnection, digest: bytes, client_address: str
    ) -> tuple[Granted, str] | GrantRefused:
        at = now()
        found = await rows.find_authorization(connection, device_digest=digest, lock=True)
        if found is None or found.state == "redeemed":
            return GrantRefused("this device code is not known here, or was used; sign in again", code="invalid_grant")
        if found.expires_at <= at:
            return GrantRefused("nobody approved the code in time; sign in again", code="expired_token")
        if found.state == "denied":
            return GrantRefused("the sign-in was denied", code="access_denied")
        if found.state == "pending":
            await rows.update_authorization(connection, found.authorization_id, {"last_polled_at": at})
            return _pending(found, at)
        assert found.user_id is not None
        person = await hold_person(connection, found.user_id, found.team_id)
        if isinstance(person, str):
            return GrantRefused(person, code="access_denied")
        await rows.update_authorization(connection, found.authorization_id, {"state": "redeemed"})
        issued = await self._issue(connection, person, client_address)
        refresh_token, sign_in_id = domain.mint_refresh_token(), new_id("signin")
        values = {
            "sign_in_id": sign_in_id,
            "user_id": person.user.user_id,
            "team_id": found.team_id,
            "key_id": issued.view.key.key_id,
            "client_name": found.client_name,
            "created_at": at,
            "expires_at": at + domain.SIGN_IN_LIFE,
        }
        await rows.insert_sign_in(connection, values, digest_key(self._pepper, refresh_token))
        return Granted(issued.secret, refresh_token, person.user.user_email), issued.view.key.key_id

    async def _issue(self, connection: AsyncConnection, person: Person, client_address: str) -> IssuedKey:
        user = person.user
        name = (user.user_alias or user.user_email or user.user_id)[:_LONGEST_NAME]
        terms = KeyTerms(
            key_alias=f"claude-code sign-in {name} {new_id('n')[-8:]}",
            duration=domain.KEY_LIFE,
            allowed_routes=ROUTES,
            user_id=user.user_id,
            team_id=None if person.team is None else person.team.team_id,
        )
        return await self._keys.issue(connection, terms, Actor(user.user_id, client_address))

    async def _refresh(
        self,
        connection: AsyncConnection,
        sign_in: StoredSignIn,
        used_at: datetime | None,
        digest: bytes,
        client_address: str,
    ) -> Granted | GrantRefused:
        at, actor = now(), Actor(sign_in.user_id, client_address)
        if sign_in.ended_at is not None or sign_in.expires_at <= at:
            return _no_grant("this sign-in has ended")
        if used_at is not None:
            await self._end(connection, sign_in, actor)
            return _no_grant("this refresh token was used before, so it may have been copied: the sign-in was ended")
        key = await find_key(connection, EVERYTHING, sign_in.key_id, lock=True)
        if key is None or key.deleted_at is not None or key.blocked:
            await self._end(connection, sign_in, actor)
            return _no_grant("the key of this sign-in was blocked or deleted")
        person = await hold_person(connection, sign_in.user_id, sign_in.team_id)
        if isinstance(person, str):
            return _no_grant(person)
        refresh_token = domain.mint_refresh_token()
        await rows.use_refresh_token(connection, digest, at)
        await rows.insert_refresh_token(connection, sign_in.sign_in_id, digest_key(self._pepper, refresh_token))
        await rows.update_sign_in(connection, sign_in.sign_in_id, {"expires_at": at + domain.SIGN_IN_LIFE})
        # What runs with the present secret goes on for what is left of its hour.
        left_s = 0 if key.expires_at is None else int((key.expires_at - at).total_seconds())
        grace = Duration(left_s, "s") if left_s > 0 else None
        terms = KeyTerms(duration=domain.KEY_LIFE)
        issued = await self._keys.reissue(connection, sign_in.key_id, terms, actor, grace=grace)
        return Granted(issued.secret, refresh_token, person.user.user_email)

    async def _end(self, connection: AsyncConnection, sign_in: StoredSignIn, actor: Actor) -> None:
        await rows.update_sign_in(connection, sign_in.sign_in_id, {"ended_at": now()})
        await self._keys.remove(connection, sign_in.key_id, actor)


async def _waiting(connection: AsyncConnection, user_code: str, *, lock: bool) -> StoredAuthorization:
    code = domain.parse_user_code(user_code)
    if code is None:
        raise Unprocessable(
            f'"user_code" is "{user_code[:40]}"; give the eight letters that the program shows, such as BCDF-GHJK',
            param="user_code",
        )
    found = await rows.find_authorization(connection, user_code=code, lock=lock)
    if found is None or found.state != "pending" or found.expires_at <= now():
        raise NotFound(
            f'no program waits under the code "{domain.show_user_code(code)}"; codes last ten minutes: sign in again',
            param="user_code",
        )
    return found


def _pending(found: StoredAuthorization, at: datetime) -> GrantRefused:
    soonest_s = domain.POLL_EVERY_S - domain.POLL_TOLERANCE_S
    if found.last_polled_at is not None and at - found.last_polled_at < timedelta(seconds=soonest_s):
        return GrantRefused(f"ask every {domain.POLL_EVERY_S} seconds", code="slow_down")
    return GrantRefused("nobody has approved the code yet", code="authorization_pending")


def _no_grant(message: str) -> GrantRefused:
    return GrantRefused(f"{message}; sign in again", code="invalid_grant", status=401)
