"""What the groups of a person give at a sign-in: a role, memberships of teams and organizations, and no more.

What they gave is noted beside what was there before (``group_grants``), so that they can take that away again, and
what an admin has set stays.
"""

from dataclasses import dataclass

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from app.admin.actor import Actor, Change, record_change
from app.admin.key_removal import remove_keys_of
from app.admin.memberships import Member, MemberTerms, add_member, change_member_role, remove_member
from app.admin.organization_members import (
    add_organization_member,
    change_organization_member,
    remove_organization_member,
)
from app.admin.standings import snapshot
from app.base.clock import now
from app.base.errors import Unprocessable
from app.base.logs import get_logger
from app.domain.group_mapping import ORGANIZATION_ROLES, TEAM_ROLES, Given, Mapped, settle
from app.domain.roles import EVERYTHING, USER_ROLES
from app.storage.postgres import identities as rows
from app.storage.postgres.key_owners import lock_keys_of
from app.storage.postgres.memberships import find_membership, find_organization_membership
from app.storage.postgres.organizations import hold_organization
from app.storage.postgres.teams import find_team
from app.storage.postgres.users import StoredUser, find_user, update_user


class _Grants(msgspec.Struct, omit_defaults=True):
    """As they are kept."""

    role: Given | None = None
    teams: dict[str, Given] = {}
    organizations: dict[str, Given] = {}


@dataclass(frozen=True, slots=True)
class _Wish:
    """The role that groups give now, and what they gave before."""

    wanted: str | None
    earlier: Given | None


async def hold_places(connection: AsyncConnection, user_id: str, mapped: Mapped) -> None:
    """Lock what groups may give and take, in one order, before anything is recorded: whoever changes a team holds it,
    and then waits for the end of the audit too."""
    earlier = msgspec.convert(await rows.find_grants(connection, user_id), _Grants)
    for team_id in sorted({*mapped.teams, *earlier.teams}):
        await find_team(connection, EVERYTHING, team_id, lock=True)
        if team_id in earlier.teams:
            await lock_keys_of(connection, {"team_id": team_id, "user_id": user_id})
    for organization_id in sorted({*mapped.organizations, *earlier.organizations}):
        await hold_organization(connection, organization_id)


async def give_by_groups(connection: AsyncConnection, user: StoredUser, mapped: Mapped, actor: Actor) -> set[str]:
    """In the transaction of the caller, who holds the user; returns whom to tell of it after the commit."""
    stored = await rows.find_grants(connection, user.user_id)
    earlier, later = msgspec.convert(stored, _Grants), _Grants(teams={}, organizations={})
    told = {f"user:{user.user_id}"}
    later.role = await _give_role(connection, user, _Wish(mapped.role, earlier.role), actor)
    for team_id in sorted({*mapped.teams, *earlier.teams}):
        wish = _Wish(mapped.teams.get(team_id), earlier.teams.get(team_id))
        if (given := await _give_team(connection, user, team_id, wish, actor)) is not None:
            later.teams[team_id] = given
        told.add(f"team:{team_id}")
    for organization_id in sorted({*mapped.organizations, *earlier.organizations}):
        wish = _Wish(mapped.organizations.get(organization_id), earlier.organizations.get(organization_id))
        if (given := await _give_organization(connection, user, organization_id, wish, actor)) is not None:
            later.organizations[organization_id] = given
    if (kept := msgspec.to_builtins(later)) != stored:
        await rows.write_grants(connection, user.user_id, kept, now())
    return told


async def _give_role(connection: AsyncConnection, user: StoredUser, wish: _Wish, actor: Actor) -> Given | None:
    role, given = settle(user.user_role, wish.wanted, wish.earlier, USER_ROLES)
    if role != user.user_role:
        values = {"user_role": role, "updated_at": now(), "updated_by": actor.name}
        await update_user(connection, user.user_id, values)
        after = await find_user(connection, user.user_id)
        assert after is not None
        change = Change("user.update", "user", user.user_id, snapshot(user), snapshot(after))
        await record_change(connection, actor, change)
    return given


async def _give_team(
    connection: AsyncConnection, user: StoredUser, team_id: str, wish: _Wish, actor: Actor
) -> Given | None:
    """Whoever leaves a team loses the keys there, as when an admin removes a member."""
    team = await find_team(connection, EVERYTHING, team_id, lock=True)
    if team is None:
        _note_unknown("team", team_id)
        return None
    present = await find_membership(connection, team_id, user.user_id)
    role, given = settle(None if present is None else present.role, wish.wanted, wish.earlier, TEAM_ROLES)
    if present is None and role is not None:
        try:
            await add_member(connection, team, Member(user_id=user.user_id, role=role), MemberTerms(), actor)
        except Unprocessable as error:
            get_logger().warning("a group gives no team", team_id=team_id, reason=error.message)
            return None
    elif present is not None and role is None:
        await remove_keys_of(connection, {"team_id": team_id, "user_id": user.user_id}, actor)
        await remove_member(connection, present, actor)
    elif present is not None and role is not None and role != present.role:
        await change_member_role(connection, present, role, actor)
    return given


async def _give_organization(
    connection: AsyncConnection, user: StoredUser, organization_id: str, wish: _Wish, actor: Actor
) -> Given | None:
    if not await hold_organization(connection, organization_id):
        _note_unknown("organization", organization_id)
        return None
    present = await find_organization_membership(connection, organization_id, user.user_id)
    role, given = settle(None if present is None else present.role, wish.wanted, wish.earlier, ORGANIZATION_ROLES)
    if present is None and role is not None:
        await add_organization_member(connection, organization_id, Member(user_id=user.user_id, role=role), actor)
    elif present is not None and role is None:
        await remove_organization_member(connection, present, actor)
    elif present is not None and role is not None and role != present.role:
        await change_organization_member(connection, present, role, actor)
    return given


def _note_unknown(kind: str, object_id: str) -> None:
    get_logger().warning("a group gives what there is not", kind=kind, object_id=object_id)
