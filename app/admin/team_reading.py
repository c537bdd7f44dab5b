"""What pages show of teams: a page of them in one line each, and one with its members, keys and projects."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.key_reading import KeyView, views
from app.admin.memberships import MembershipView, membership_views
from app.admin.projects import ProjectView, project_views
from app.admin.standings import Standing, standings
from app.base.clock import now
from app.base.errors import NotFound
from app.domain.roles import Tenant
from app.storage.postgres import teams as rows
from app.storage.postgres.budgets import StoredBudget, find_budget
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.keys import KeyFilter, Page, list_keys
from app.storage.postgres.memberships import find_membership, list_members, members_of_organizations, members_of_teams
from app.storage.postgres.organizations import find_organization
from app.storage.postgres.projects import list_projects
from app.storage.postgres.teams import Belongings, StoredTeam, TeamFilter

MOST_SHOWN = 10
"""Keys and projects of one team; the rest are in the lists of their own."""
MEMBERS_A_PAGE = 50
MOST_CHOICES = 500
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TeamLine:
    team: StoredTeam
    standing: Standing
    belongings: Belongings


@dataclass(frozen=True, slots=True)
class TeamDetail:
    """``members``, ``keys`` and ``projects`` are the first of them, or a page; ``belongings`` counts all.
    ``organization_blocked``: its calls are refused for that. ``member_budget`` is what each member may spend without a
    budget of its own."""

    team: StoredTeam
    standing: Standing
    member_budget: StoredBudget | None
    belongings: Belongings
    members: Sequence[MembershipView]
    keys: Sequence[KeyView]
    projects: Sequence[ProjectView]
    project_count: int
    organization_blocked: bool


class TeamReading:
    """Changes nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def list(self, tenant: Tenant, wanted: TeamFilter, number: int, size: int) -> tuple[list[TeamLine], int]:
        """One page, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            found, total = await rows.list_teams(connection, tenant, wanted, size, (number - 1) * size)
            stand = await standings(connection, "team", {(one.team_id,): one.budget_id for one in found}, now())
            counts = await rows.count_belongings(connection, [one.team_id for one in found])
        return [TeamLine(one, stand[(one.team_id,)], counts[one.team_id]) for one in found], total

    async def find(self, tenant: Tenant, team_id: str) -> tuple[StoredTeam, StoredBudget | None, StoredBudget | None]:
        """The team, its budget and that of each member. Raises NotFound."""
        async with transaction(self._engine) as connection:
            team = await rows.find_team(connection, tenant, team_id)
            if team is None:
                raise _unknown()
            named = (team.budget_id, team.member_budget_id)
            own, of_member = [None if one is None else await find_budget(connection, one) for one in named]
        return team, own, of_member

    async def get(self, tenant: Tenant, team_id: str, member_page: int) -> TeamDetail:
        """Raises NotFound."""
        at = now()
        async with transaction(self._engine) as connection:
            team = await rows.find_team(connection, tenant, team_id)
            if team is None:
                raise _unknown()
            budget_id = team.member_budget_id
            offset = (member_page - 1) * MEMBERS_A_PAGE
            members, member_count = await list_members(connection, team_id, MEMBERS_A_PAGE, offset)
            newest = Page(1, MOST_SHOWN, "created_at", descending=True)
            keys, key_count = await list_keys(connection, tenant, KeyFilter(team_id=team_id), newest, at)
            projects, project_count = await list_projects(connection, tenant, team_id, MOST_SHOWN, 0)
            above = None if team.organization_id is None else await find_organization(connection, team.organization_id)
            of_members = None if budget_id is None else await find_budget(connection, budget_id)
        # What each has spent is the store's work, and none waits for another.
        stand, member_views, key_views, views_of_projects = await asyncio.gather(
            self._read(lambda connection: standings(connection, "team", {(team_id,): team.budget_id}, at)),
            self._read(lambda connection: membership_views(connection, members, {team_id: budget_id})),
            self._read(lambda connection: views(connection, keys, at)),
            self._read(lambda connection: project_views(connection, projects)),
        )
        return TeamDetail(
            team,
            stand[(team_id,)],
            of_members,
            Belongings(member_count, key_count),
            member_views,
            key_views,
            views_of_projects,
            project_count,
            above is not None and above.blocked,
        )

    async def _read(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        async with transaction(self._engine) as connection:
            return await work(connection)

    async def keys_of_project(self, tenant: Tenant, project_id: str) -> Sequence[KeyView]:
        """The newest."""
        at = now()
        async with transaction(self._engine) as connection:
            newest = Page(1, MOST_SHOWN, "created_at", descending=True)
            found, _ = await list_keys(connection, tenant, KeyFilter(project_id=project_id), newest, at)
            return await views(connection, found, at)

    async def people_of(self, organization_id: str, team_id: str) -> Sequence[tuple[str, str]]:
        """Id and name of those of the organization who are not in the team; for who may read of it."""
        async with reading(self._engine) as connection:
            people = await members_of_organizations(connection, [organization_id])
            present = {one.user_id for one in await members_of_teams(connection, [team_id], MOST_CHOICES)}
        names = [(str(one.user_id), one.user_alias or one.user_email or one.user_id) for one in people]
        return [one for one in names if one[0] not in present][:MOST_CHOICES]

    async def find_member(self, tenant: Tenant, team_id: str, user_id: str) -> tuple[StoredTeam, MembershipView]:
        """Raises NotFound."""
        async with transaction(self._engine) as connection:
            team = await rows.find_team(connection, tenant, team_id)
            member = None if team is None else await find_membership(connection, team_id, user_id)
            if team is None or member is None:
                raise NotFound("There is no such member, or the team is not yours to see.")
            return team, (await membership_views(connection, [member], {team_id: team.member_budget_id}))[0]


def _unknown() -> NotFound:
    return NotFound("There is no such team, or it is not yours to see.")
