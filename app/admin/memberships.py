"""Use cases of team members: added, changed and removed, each with a budget of its own inside the team's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetTerms, BudgetWords, Life, WrittenBudget, check_below_parent, write_budget
from app.admin.key_removal import remove_keys_of
from app.admin.narrowing import check_narrower
from app.admin.standings import Standing, snapshot, standings
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.domain.roles import EVERYTHING
from app.storage.postgres import memberships as rows
from app.storage.postgres.budgets import delete_own_budgets, find_budget
from app.storage.postgres.engine import transaction
from app.storage.postgres.memberships import StoredMembership
from app.storage.postgres.names import hold_name
from app.storage.postgres.teams import StoredTeam, find_team
from app.storage.postgres.tenant_spend import Owner
from app.storage.postgres.users import StoredUser, find_user, find_user_by_email, hold_user, insert_user
from app.storage.principals import Principals

MOST_MEMBERS = 10_000
BUDGET_WORDS = BudgetWords("max_budget_in_team", "soft_budget")


@dataclass(frozen=True, slots=True)
class Member:
    """A user by id, by address, or by both. ``role`` is admin or user; None leaves it."""

    user_id: str | None = None
    user_email: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class MemberTerms:
    """``columns`` of memberships that are set: the rate limits."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    budget: BudgetTerms = field(default_factory=BudgetTerms)


@dataclass(frozen=True, slots=True)
class MembershipView:
    """A member and where it stands; ``of_team`` says that the budget is the team's default for its members."""

    membership: StoredMembership
    standing: Standing
    of_team: bool


class TeamMembers:
    """``principals`` is told after each commit, for the sake of the members' keys."""

    def __init__(self, engine: AsyncEngine, principals: Principals) -> None:
        self._engine = engine
        self._principals = principals

    async def add(
        self, team_id: str, members: Sequence[Member], terms: MemberTerms, actor: Actor
    ) -> list[MembershipView]:
        """All of them, or none. A user who is named for the first time is made.

        Raises NotFound (the team), Unprocessable: a member already, a budget above the team's.
        """
        async with transaction(self._engine) as connection:
            team = await _lock_team(connection, team_id)
            added = [await add_member(connection, team, member, terms, actor) for member in members]
            shown = await membership_views(connection, added, {team_id: team.member_budget_id})
        await self._announce(team_id, [membership.user_id for membership in added])
        return shown

    async def update(self, team_id: str, member: Member, terms: MemberTerms, actor: Actor) -> MembershipView:
        """Raises NotFound (the team), Unprocessable: no member, a budget above the team's."""
        async with transaction(self._engine) as connection:
            team = await _lock_team(connection, team_id)
            before = await _find_member(connection, team_id, member)
            earlier = await _snapshot(connection, before)
            written = await _write_budget(connection, team, terms, before, actor)
            values = {**terms.columns, "budget_id": written.budget_id}
            if member.role is not None:
                values["role"] = member.role
            await rows.update_membership(connection, team_id, before.user_id, values)
            await delete_own_budgets(connection, [written.spare_id])
            after = await rows.find_membership(connection, team_id, before.user_id)
            assert after is not None
            later = await _snapshot(connection, after)
            await record_change(connection, actor, Change("team.member_update", "team", team_id, earlier, later))
            shown = await membership_views(connection, [after], {team_id: team.member_budget_id})
        await self._announce(team_id, [before.user_id])
        return shown[0]

    async def delete(self, team_id: str, member: Member, actor: Actor) -> None:
        """With the keys that it has in the team. Raises NotFound (the team), Unprocessable: no member."""
        async with transaction(self._engine) as connection:
            await _lock_team(connection, team_id)
            before = await _find_member(connection, team_id, member)
            await remove_keys_of(connection, {"team_id": team_id, "user_id": before.user_id}, actor)
            await remove_member(connection, before, actor)
        await self._announce(team_id, [before.user_id])

    async def _announce(self, team_id: str, user_ids: Sequence[str]) -> None:
        await self._principals.announce(f"team:{team_id}")
        for user_id in user_ids:
            await self._principals.announce(f"user:{user_id}")


async def add_member(
    connection: AsyncConnection, team: StoredTeam, member: Member, terms: MemberTerms, actor: Actor
) -> StoredMembership:
    """In the transaction of the caller, who holds the team. Raises Unprocessable."""
    user = await find_or_make_user(connection, member, actor)
    if await rows.find_membership(connection, team.team_id, user.user_id) is not None:
        raise Unprocessable(
            f'"{user.user_id}" is a member of the team "{team.team_id}" already; change it with /team/member_update',
            param="user_id",
        )
    if await rows.count_members(connection, team.team_id) >= MOST_MEMBERS:
        raise Unprocessable(f'the team "{team.team_id}" has {MOST_MEMBERS} members; no more fit', param="member")
    written = await _write_budget(connection, team, terms, None, actor)
    values = {
        "team_id": team.team_id,
        "user_id": user.user_id,
        "role": member.role or "user",
        "budget_id": written.budget_id,
        "created_at": now(),
        **terms.columns,
    }
    await rows.insert_membership(connection, values)
    made = await rows.find_membership(connection, team.team_id, user.user_id)
    assert made is not None
    after = await _snapshot(connection, made)
    await record_change(connection, actor, Change("team.member_add", "team", team.team_id, None, after))
    return made


async def remove_member(connection: AsyncConnection, membership: StoredMembership, actor: Actor) -> None:
    """In the transaction of the caller."""
    before = await _snapshot(connection, membership)
    await rows.delete_membership(connection, membership.team_id, membership.user_id)
    await delete_own_budgets(connection, [membership.budget_id])
    await record_change(connection, actor, Change("team.member_delete", "team", membership.team_id, before, None))


async def change_member_role(connection: AsyncConnection, before: StoredMembership, role: str, actor: Actor) -> None:
    """In the transaction of the caller; limits and budget stay."""
    earlier = await _snapshot(connection, before)
    await rows.update_membership(connection, before.team_id, before.user_id, {"role": role})
    later = {**earlier, "role": role}
    await record_change(connection, actor, Change("team.member_update", "team", before.team_id, earlier, later))


async def membership_views(
    connection: AsyncConnection, members: Sequence[StoredMembership], defaults: Mapping[str, str | None]
) -> list[MembershipView]:
    """``defaults`` are the member budgets of the teams, by team."""
    budgets: dict[Owner, str | None] = {
        (member.team_id, member.user_id): member.budget_id or defaults.get(member.team_id) for member in members
    }
    found = await standings(connection, "member", budgets, now())
    return [
        MembershipView(member, found[(member.team_id, member.user_id)], member.budget_id is None) for member in members
    ]


async def find_or_make_user(connection: AsyncConnection, member: Member, actor: Actor) -> StoredUser:
    """By id, else by address; one that is named for the first time is made. Raises Unprocessable."""
    found = await _look_for(connection, member)
    if found is not None and (held := await hold_user(connection, found.user_id)) is not None:
        return held
    if member.user_email is not None:
        holder = await hold_address(connection, member.user_email)
        if holder is not None and member.user_id is None:
            return holder
        refuse_taken(member.user_email, holder)
    user_id = member.user_id or new_id("user")
    values = {"user_id": user_id, "user_email": member.user_email}
    fresh = await insert_user(connection, values | {"created_by": actor.name, "updated_by": actor.name})
    made = await find_user(connection, user_id)
    assert made is not None
    if fresh:
        await record_change(connection, actor, Change("user.new", "user", user_id, None, snapshot(made)))
    return made


async def hold_address(connection: AsyncConnection, email: str) -> StoredUser | None:
    """Whose address it is; nobody else can take it until the transaction ends."""
    await hold_name(connection, "user_email", email.lower())
    return await find_user_by_email(connection, email)


def refuse_taken(email: str, holder: StoredUser | None) -> None:
    """Raises Unprocessable when somebody has the address."""
    if holder is not None:
        raise Unprocessable(
            f'"user_email" is taken: "{email}" is the address of the user "{holder.user_id}"', param="user_email"
        )


async def find_named_user(connection: AsyncConnection, member: Member) -> StoredUser:
    """Raises Unprocessable for one that is unknown."""
    found = await _look_for(connection, member)
    if found is not None:
        return found
    if member.user_id is not None:
        raise Unprocessable(
            f'"user_id" is not the id of a user: "{member.user_id}"; see GET /user/list', param="user_id"
        )
    raise Unprocessable(
        f'"user_email" is not the address of a user: "{member.user_email}"; see GET /user/list', param="user_email"
    )


async def _look_for(connection: AsyncConnection, member: Member) -> StoredUser | None:
    if member.user_id is not None:
        return await find_user(connection, member.user_id)
    if member.user_email is not None:
        return await find_user_by_email(connection, member.user_email)
    raise Unprocessable('name the user: "user_id" or "user_email" is missing', param="user_id")


async def _lock_team(connection: AsyncConnection, team_id: str) -> StoredTeam:
    team = await find_team(connection, EVERYTHING, team_id, lock=True)
    if team is None:
        raise NotFound(f'no such team: "{team_id}"; see GET /team/list', param="team_id")
    return team


async def _find_member(connection: AsyncConnection, team_id: str, member: Member) -> StoredMembership:
    user = await find_named_user(connection, member)
    found = await rows.find_membership(connection, team_id, user.user_id)
    if found is None:
        raise Unprocessable(
            f'"{user.user_id}" is no member of the team "{team_id}"; see GET /team/info',
            param="user_id" if member.user_id is not None else "user_email",
        )
    return found


async def _write_budget(
    connection: AsyncConnection, team: StoredTeam, terms: MemberTerms, before: StoredMembership | None, actor: Actor
) -> WrittenBudget:
    present_id = None if before is None else before.budget_id
    present = None if present_id is None else await find_budget(connection, present_id)
    life = None if before is None else Life(before.created_at)
    written = await write_budget(connection, terms.budget, present, actor, BUDGET_WORDS, life)
    of = f'the team "{team.team_alias or team.team_id}"'
    check_narrower(terms.columns, team, of, None)
    if terms.budget.is_set and written.budget_id is not None and team.budget_id is not None:
        own = await find_budget(connection, written.budget_id)
        above = await find_budget(connection, team.budget_id)
        check_below_parent(own, above, BUDGET_WORDS, of)
    return written


async def _snapshot(connection: AsyncConnection, membership: StoredMembership) -> dict[str, Any]:
    budget_id = membership.budget_id
    budget = None if budget_id is None else await find_budget(connection, budget_id)
    return snapshot(membership, budget=budget)
