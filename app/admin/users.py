"""Use cases of users: create (with a key), change, delete, read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetTerms, Life, write_budget
from app.admin.cost_centers import keep_cost_center
from app.admin.key_reading import KeyView, views
from app.admin.key_removal import remove_keys_of
from app.admin.key_terms import KeyTerms
from app.admin.keys import IssuedKey, Keys
from app.admin.memberships import Member, MemberTerms, add_member, find_named_user, hold_address, refuse_taken
from app.admin.standings import Standing, snapshot, standings
from app.admin.teams import TeamView, team_views
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.domain.roles import EVERYTHING
from app.storage.postgres import keys as key_rows
from app.storage.postgres import users as rows
from app.storage.postgres.budgets import delete_own_budgets, find_budget
from app.storage.postgres.engine import transaction
from app.storage.postgres.key_owners import forget_owner
from app.storage.postgres.keys import KeyFilter, Page
from app.storage.postgres.memberships import (
    StoredMembership,
    StoredOrganizationMembership,
    insert_organization_membership,
    organizations_of_users,
    teams_of_users,
)
from app.storage.postgres.organizations import hold_organization
from app.storage.postgres.teams import find_team
from app.storage.postgres.users import StoredUser, UserFilter
from app.storage.principals import Principals

MOST_KEYS_SHOWN = 1_000


@dataclass(frozen=True, slots=True)
class TeamToJoin:
    """A team that a new user becomes a member of."""

    team_id: str
    role: str = "user"
    budget: BudgetTerms = field(default_factory=BudgetTerms)


@dataclass(frozen=True, slots=True)
class UserTerms:
    """``columns`` of users that are set; teams and organizations are of a new user."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    budget: BudgetTerms = field(default_factory=BudgetTerms)
    teams: Sequence[TeamToJoin] = ()
    organizations: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class UserView:
    """A user, where it stands, and where it belongs."""

    user: StoredUser
    standing: Standing
    teams: list[StoredMembership]
    organizations: list[StoredOrganizationMembership]
    key_count: int


class Users:
    """``principals`` is told after each commit, for the sake of the users' keys."""

    def __init__(self, engine: AsyncEngine, principals: Principals, keys: Keys) -> None:
        self._engine = engine
        self._principals = principals
        self._keys = keys

    async def create(
        self, terms: UserTerms, actor: Actor, key_terms: KeyTerms | None
    ) -> tuple[UserView, IssuedKey | None]:
        """With a key unless ``key_terms`` is None.

        Raises Unprocessable: a taken id or address, an unknown team or organization, what ``Keys.generate`` raises.
        """
        user_id = terms.columns.get("user_id") or new_id("user")
        async with transaction(self._engine) as connection:
            email = terms.columns.get("user_email")
            if email is not None:
                refuse_taken(email, await hold_address(connection, email))
            written = await write_budget(connection, terms.budget, None, actor)
            values = await keep_cost_center(connection, "user", user_id, terms.columns)
            values |= {"user_id": user_id, "budget_id": written.budget_id}
            values |= {"created_by": actor.name, "updated_by": actor.name}
            values["organization_id"] = next(iter(terms.organizations), None)
            await _check_organizations(connection, terms.organizations)
            if not await rows.insert_user(connection, values):
                raise Unprocessable(
                    f'"user_id" is taken: "{user_id}" is a user already; see POST /user/update', param="user_id"
                )
            user = await _get(connection, user_id)
            after = await _snapshot(connection, user)
            await record_change(connection, actor, Change("user.new", "user", user_id, None, after))
            await _join(connection, user, terms, actor)
            issued = None if key_terms is None else await self._issue(connection, user_id, key_terms, actor)
            view = (await user_views(connection, [user]))[0]
        await self._announce([user_id], [team.team_id for team in terms.teams])
        return view, issued

    async def update(self, who: Member, terms: UserTerms, actor: Actor) -> UserView:
        """Raises NotFound, Unprocessable: a taken address, a budget that cannot be."""
        async with transaction(self._engine) as connection:
            before = await _find(connection, who)
            earlier = await _snapshot(connection, before)
            email = terms.columns.get("user_email")
            if email is not None:
                holder = await hold_address(connection, email)
                refuse_taken(email, None if holder is not None and holder.user_id == before.user_id else holder)
            present = None if before.budget_id is None else await find_budget(connection, before.budget_id)
            written = await write_budget(connection, terms.budget, present, actor, life=Life(before.created_at))
            values = await keep_cost_center(connection, "user", before.user_id, terms.columns)
            values |= {"budget_id": written.budget_id}
            values |= {"updated_at": now(), "updated_by": actor.name}
            await rows.update_user(connection, before.user_id, values)
            await delete_own_budgets(connection, [written.spare_id])
            user = await _get(connection, before.user_id)
            after = await _snapshot(connection, user)
            await record_change(connection, actor, Change("user.update", "user", user.user_id, earlier, after))
            view = (await user_views(connection, [user]))[0]
        await self._announce([user.user_id], [])
        return view

    async def delete(self, user_ids: Sequence[str], actor: Actor) -> int:
        """All of them, with their keys and memberships, or none; receipts stay. Raises NotFound for one unknown."""
        wanted = sorted(set(user_ids))
        teams: set[str] = set()
        async with transaction(self._engine) as connection:
            for user_id in wanted:
                teams |= await _remove(connection, user_id, actor)
        await self._announce(wanted, sorted(teams))
        return len(wanted)

    async def get(
        self, user_id: str, most_keys: int = MOST_KEYS_SHOWN
    ) -> tuple[UserView, list[KeyView], list[TeamView]]:
        """The user, its keys (newest first) and its teams. Raises NotFound."""
        at = now()
        async with transaction(self._engine) as connection:
            view = (await user_views(connection, [await _get(connection, user_id)]))[0]
            page = Page(1, most_keys, "created_at", descending=True)
            found, _ = await key_rows.list_keys(connection, EVERYTHING, KeyFilter(user_id=user_id), page, at)
            joined = [await find_team(connection, EVERYTHING, membership.team_id) for membership in view.teams]
            teams = await team_views(connection, [team for team in joined if team is not None])
            return view, await views(connection, found, at), teams

    async def list(self, wanted: UserFilter, number: int, size: int) -> tuple[list[UserView], int]:
        """One page, newest first, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            found, total = await rows.list_users(connection, wanted, size, (number - 1) * size)
            return await user_views(connection, found), total

    async def _issue(self, connection: AsyncConnection, user_id: str, key_terms: KeyTerms, actor: Actor) -> IssuedKey:
        return await self._keys.issue(connection, replace(key_terms, user_id=user_id), actor)

    async def _announce(self, user_ids: Sequence[str], team_ids: Sequence[str]) -> None:
        for user_id in user_ids:
            await self._principals.announce(f"user:{user_id}")
        for team_id in team_ids:
            await self._principals.announce(f"team:{team_id}")


async def user_views(connection: AsyncConnection, found: Sequence[StoredUser]) -> list[UserView]:
    """The users with what belongs to them, in five queries for all."""
    user_ids = [user.user_id for user in found]
    stand = await standings(connection, "user", {(user.user_id,): user.budget_id for user in found}, now())
    teams: dict[str, list[StoredMembership]] = {user_id: [] for user_id in user_ids}
    for membership in await teams_of_users(connection, user_ids):
        teams[membership.user_id].append(membership)
    organizations: dict[str, list[StoredOrganizationMembership]] = {user_id: [] for user_id in user_ids}
    for of_organization in await organizations_of_users(connection, user_ids):
        organizations[of_organization.user_id].append(of_organization)
    counts = await rows.count_keys(connection, user_ids)
    return [
        UserView(
            user,
            stand[(user.user_id,)],
            teams[user.user_id],
            organizations[user.user_id],
            counts.get(user.user_id, 0),
        )
        for user in found
    ]


async def _join(connection: AsyncConnection, user: StoredUser, terms: UserTerms, actor: Actor) -> None:
    for wanted in terms.teams:
        team = await find_team(connection, EVERYTHING, wanted.team_id, lock=True)
        if team is None:
            raise Unprocessable(
                f'"teams" holds "{wanted.team_id}", which is no team; see GET /team/list', param="teams"
            )
        member = Member(user_id=user.user_id, role=wanted.role)
        await add_member(connection, team, member, MemberTerms(budget=wanted.budget), actor)
    role = user.user_role if user.user_role in ("org_admin", "internal_user_viewer") else "internal_user"
    for organization_id in dict.fromkeys(terms.organizations):
        values = {"organization_id": organization_id, "user_id": user.user_id, "role": role}
        await insert_organization_membership(connection, values)
        change = Change("organization.member_add", "organization", organization_id, None, values)
        await record_change(connection, actor, change)


async def _check_organizations(connection: AsyncConnection, organization_ids: Sequence[str]) -> None:
    for organization_id in organization_ids:
        if not await hold_organization(connection, organization_id):
            raise Unprocessable(
                f'"organizations" holds "{organization_id}", which is no organization; see GET /organization/list',
                param="organizations",
            )


async def _remove(connection: AsyncConnection, user_id: str, actor: Actor) -> set[str]:
    """Returns the ids of the teams that the user leaves."""
    user = await rows.find_user(connection, user_id, lock=True)
    if user is None:
        raise _unknown(user_id)
    before = await _snapshot(connection, user)
    teams = await teams_of_users(connection, [user_id])
    organizations = await organizations_of_users(connection, [user_id])
    before["teams"] = [[membership.team_id, membership.role] for membership in teams]
    before["organizations"] = [[membership.organization_id, membership.role] for membership in organizations]
    await remove_keys_of(connection, {"user_id": user_id}, actor)
    await forget_owner(connection, "user_id", user_id)
    await rows.delete_user(connection, user_id)
    of_teams = [membership.budget_id for membership in teams]
    of_organizations = [membership.budget_id for membership in organizations]
    await delete_own_budgets(connection, [user.budget_id, *of_teams, *of_organizations])
    await record_change(connection, actor, Change("user.delete", "user", user_id, before, None))
    return {membership.team_id for membership in teams}


async def _find(connection: AsyncConnection, who: Member) -> StoredUser:
    """Locked. Raises NotFound."""
    try:
        found = await find_named_user(connection, who)
    except Unprocessable as error:
        raise NotFound(error.message, param=error.param) from error
    return await _get(connection, found.user_id, lock=True)


async def _get(connection: AsyncConnection, user_id: str, *, lock: bool = False) -> StoredUser:
    user = await rows.find_user(connection, user_id, lock=lock)
    if user is None:
        raise _unknown(user_id)
    return user


def _unknown(user_id: str) -> NotFound:
    return NotFound(f'no such user: "{user_id}"; see GET /user/list', param="user_id")


async def _snapshot(connection: AsyncConnection, user: StoredUser) -> dict[str, Any]:
    budget = None if user.budget_id is None else await find_budget(connection, user.budget_id)
    return snapshot(user, budget=budget)
