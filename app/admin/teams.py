"""Use cases of teams: create, change, block, delete, read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import UNSET, UnsetType
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetTerms, BudgetWords, Life, check_below_parent, write_budget
from app.admin.cost_centers import keep_cost_center
from app.admin.group_names import groups_of, with_groups
from app.admin.key_reading import KeyView, views
from app.admin.key_removal import remove_keys_of
from app.admin.memberships import Member, MembershipView, MemberTerms, add_member, membership_views
from app.admin.narrowing import CurrentCatalog, check_narrower, check_step_down
from app.admin.projects import remove_project
from app.admin.standings import Standing, snapshot, standings
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import TeamId, new_id
from app.domain.access import NO_MODELS
from app.domain.roles import EVERYTHING
from app.storage.postgres import keys as key_rows
from app.storage.postgres import teams as rows
from app.storage.postgres.budgets import StoredBudget, delete_own_budgets, find_budget, find_budgets
from app.storage.postgres.engine import transaction
from app.storage.postgres.key_owners import forget_owner
from app.storage.postgres.keys import KeyFilter, Page
from app.storage.postgres.memberships import StoredMembership, members_of_teams
from app.storage.postgres.names import hold_name
from app.storage.postgres.organizations import find_organization, hold_organization, organization_budget
from app.storage.postgres.projects import lock_projects_of_team
from app.storage.postgres.teams import StoredTeam, TeamFilter
from app.storage.principals import Principals

MOST_KEYS_SHOWN = 1_000
MEMBER_BUDGET_WORDS = BudgetWords("team_member_budget", "soft_budget")


@dataclass(frozen=True, slots=True)
class TeamTerms:
    """``columns`` of teams that are set; ``member_budget`` is for members without an own; ``members`` of a new team.

    ``group_ids`` are access groups, which stand among its models.
    """

    columns: Mapping[str, Any] = field(default_factory=dict)
    budget: BudgetTerms = field(default_factory=BudgetTerms)
    member_budget: BudgetTerms = field(default_factory=BudgetTerms)
    members: Sequence[Member] = ()
    group_ids: Sequence[str] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class TeamView:
    """A team, where it stands, what a member may spend without a budget of its own, and its members.

    ``group_ids`` are the access groups among its models.
    """

    team: StoredTeam
    standing: Standing
    member_budget: StoredBudget | None
    members: list[StoredMembership]
    group_ids: tuple[str, ...] = ()

    @property
    def team_id(self) -> TeamId:
        return self.team.team_id


class Teams:
    """``principals`` is told after each commit, for the sake of the team's keys."""

    def __init__(self, engine: AsyncEngine, principals: Principals, catalog: CurrentCatalog | None = None) -> None:
        """``catalog`` tells which models an allow-list's groups stand for."""
        self._catalog = catalog
        self._engine = engine
        self._principals = principals

    async def create(self, terms: TeamTerms, actor: Actor) -> TeamView:
        """Raises Unprocessable: a taken id or alias, an unknown organization, a budget above its."""
        team_id = terms.columns.get("team_id") or new_id("team")
        async with transaction(self._engine) as connection:
            terms = await _naming_groups(connection, terms, ())
            values = await keep_cost_center(connection, "team", team_id, terms.columns)
            values |= {"team_id": team_id, "created_by": actor.name, "updated_by": actor.name}
            self._check_step_down(terms, ())
            await self._check_organization(connection, terms)
            await _check_alias(connection, team_id, values.get("organization_id"), values.get("team_alias"))
            values |= await self._write_budgets(connection, terms, None, values.get("organization_id"), actor)
            values.pop("spare_ids")
            try:
                await rows.insert_team(connection, values)
            except IntegrityError as error:
                raise Unprocessable(
                    f'"team_id" is taken: "{team_id}"; choose another, or leave it out', param="team_id"
                ) from error
            team = await rows.find_team(connection, EVERYTHING, team_id)
            assert team is not None
            after = await _snapshot(connection, team)
            await record_change(connection, actor, Change("team.new", "team", team_id, None, after))
            for member in terms.members:
                await add_member(connection, team, member, MemberTerms(), actor)
            view = (await team_views(connection, [team]))[0]
        await self._principals.announce(f"team:{team_id}")
        return view

    async def update(self, team_id: str, terms: TeamTerms, actor: Actor) -> TeamView:
        """Raises NotFound, and Unprocessable as ``create``."""
        async with transaction(self._engine) as connection:
            view = await self.change(connection, team_id, terms, actor)
        await self._principals.announce(f"team:{team_id}")
        return view

    async def change_models(self, team_id: str, models: Sequence[str], actor: Actor, *, adds: bool) -> TeamView:
        """Put them on the team's list, or take them off. Where there was none, those added are the list then; one that
        loses all allows nothing, rather than everything. Raises as ``update``."""
        async with transaction(self._engine) as connection:
            before = await _get(connection, team_id, lock=True)
            kept = [entry for entry in before.models if entry not in models]
            listed = list(dict.fromkeys([*before.models, *models])) if adds else kept
            if before.models and not listed:
                listed = [NO_MODELS]
            view = await self.change(connection, team_id, TeamTerms({"models": listed}), actor)
        await self._principals.announce(f"team:{team_id}")
        return view

    async def change(self, connection: AsyncConnection, team_id: str, terms: TeamTerms, actor: Actor) -> TeamView:
        """``update`` in the transaction of the caller, who announces it."""
        before = await _get(connection, team_id, lock=True)
        earlier = await _snapshot(connection, before)
        terms = await _naming_groups(connection, terms, before.models)
        self._check_step_down(terms, before.models)
        await self._check_organization(connection, terms)
        organization_id = terms.columns.get("organization_id", before.organization_id)
        alias = terms.columns.get("team_alias", before.team_alias)
        await _check_alias(connection, team_id, organization_id, alias)
        values = await keep_cost_center(connection, "team", team_id, terms.columns)
        values |= {"updated_at": now(), "updated_by": actor.name}
        values |= await self._write_budgets(connection, terms, before, organization_id, actor)
        spare_ids = values.pop("spare_ids")
        await rows.update_team(connection, team_id, values)
        await delete_own_budgets(connection, spare_ids)
        if organization_id != before.organization_id:
            await rows.move_keys(connection, team_id, organization_id)
        team = await _get(connection, team_id)
        after = await _snapshot(connection, team)
        await record_change(connection, actor, Change("team.update", "team", team_id, earlier, after))
        return (await team_views(connection, [team]))[0]

    async def block(self, team_id: str, actor: Actor, *, blocked: bool) -> TeamView:
        """All keys of a blocked team are refused. Raises NotFound."""
        async with transaction(self._engine) as connection:
            before = await _get(connection, team_id, lock=True)
            values = {"blocked": blocked, "updated_at": now(), "updated_by": actor.name}
            await rows.update_team(connection, team_id, values)
            team = await _get(connection, team_id)
            action = "team.block" if blocked else "team.unblock"
            change = Change(
                action, "team", team_id, await _snapshot(connection, before), await _snapshot(connection, team)
            )
            await record_change(connection, actor, change)
            view = (await team_views(connection, [team]))[0]
        await self._principals.announce(f"team:{team_id}")
        return view

    async def delete(self, team_ids: Sequence[str], actor: Actor) -> list[StoredTeam]:
        """All, with their projects, keys and memberships, or none; receipts stay. Raises NotFound for one unknown."""
        async with transaction(self._engine) as connection:
            deleted = [await remove_team(connection, team_id, actor) for team_id in sorted(set(team_ids))]
        for team in deleted:
            await self._principals.announce(f"team:{team.team_id}")
        return deleted

    async def get(self, team_id: str, most_keys: int) -> tuple[TeamView, list[KeyView], list[MembershipView]]:
        """The team, its keys (newest first), and where its members stand. Raises NotFound."""
        at = now()
        async with transaction(self._engine) as connection:
            team = await _get(connection, team_id)
            page = Page(1, most_keys, "created_at", descending=True)
            found, _ = await key_rows.list_keys(connection, EVERYTHING, KeyFilter(team_id=team_id), page, at)
            view = (await team_views(connection, [team]))[0]
            members = await membership_views(connection, view.members, {team_id: team.member_budget_id})
            return view, await views(connection, found, at), members

    async def list(self, wanted: TeamFilter, number: int, size: int) -> tuple[list[TeamView], int]:
        """One page, newest first, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            found, total = await rows.list_teams(connection, EVERYTHING, wanted, size, (number - 1) * size)
            return await team_views(connection, found), total

    async def _check_organization(self, connection: AsyncConnection, terms: TeamTerms) -> None:
        organization = terms.columns.get("organization_id")
        if organization is not None and not await hold_organization(connection, organization):
            raise Unprocessable(
                f'"organization_id" is not the id of an organization: "{organization}"; '
                "make it first with POST /organization/new",
                param="organization_id",
            )

    async def _write_budgets(
        self,
        connection: AsyncConnection,
        terms: TeamTerms,
        before: StoredTeam | None,
        organization_id: str | None,
        actor: Actor,
    ) -> dict[str, Any]:
        """The columns that name the budgets, and ``spare_ids``: rows to delete once they are written."""
        own, member = await _present(connection, before)
        life = None if before is None else Life(before.created_at)
        written = await write_budget(connection, terms.budget, own, actor, life=life)
        of_member = await write_budget(connection, terms.member_budget, member, actor, MEMBER_BUDGET_WORDS, life)
        budget = None if written.budget_id is None else await find_budget(connection, written.budget_id)
        if terms.budget.is_set or "organization_id" in terms.columns:
            above = None if organization_id is None else await organization_budget(connection, organization_id)
            check_below_parent(budget, above, BudgetWords(), await _named(connection, organization_id))
        await self._check_narrower(connection, terms, organization_id)
        if terms.member_budget.is_set and of_member.budget_id is not None:
            default = await find_budget(connection, of_member.budget_id)
            check_below_parent(default, budget, MEMBER_BUDGET_WORDS, "the team")
            _check_member_limits(default, terms, before)
        return {
            "budget_id": written.budget_id,
            "member_budget_id": of_member.budget_id,
            "spare_ids": [written.spare_id, of_member.spare_id],
        }

    def _check_step_down(self, terms: TeamTerms, models: Sequence[str]) -> None:
        catalog = None if self._catalog is None else self._catalog()
        check_step_down(terms.columns, terms.columns.get("models", models), catalog)

    async def _check_narrower(self, connection: AsyncConnection, terms: TeamTerms, organization_id: str | None) -> None:
        above = None if organization_id is None else await find_organization(connection, organization_id)
        if above is not None:
            of = f'the organization "{above.organization_alias or organization_id}"'
            check_narrower(terms.columns, above, of, None if self._catalog is None else self._catalog())


async def team_views(connection: AsyncConnection, found: Sequence[StoredTeam]) -> list[TeamView]:
    """The teams with what belongs to them, in five queries for all."""
    stand = await standings(connection, "team", {(team.team_id,): team.budget_id for team in found}, now())
    defaults = await find_budgets(connection, {team.member_budget_id for team in found if team.member_budget_id})
    members: dict[str, list[StoredMembership]] = {team.team_id: [] for team in found}
    for member in await members_of_teams(connection, list(members)):
        members[member.team_id].append(member)
    groups = await groups_of(connection, (team.models for team in found))
    return [
        TeamView(
            team,
            stand[(team.team_id,)],
            defaults.get(team.member_budget_id or ""),
            members[team.team_id],
            tuple(entry for entry in team.models if entry in groups),
        )
        for team in found
    ]


async def remove_team(connection: AsyncConnection, team_id: str, actor: Actor) -> StoredTeam:
    """In the transaction of the caller, who announces it. Raises NotFound."""
    team = await _get(connection, team_id, lock=True)
    before = await _snapshot(connection, team)
    members = await members_of_teams(connection, [team_id])
    await remove_keys_of(connection, {"team_id": team_id}, actor)
    for project_id in await lock_projects_of_team(connection, team_id):
        await remove_project(connection, project_id, actor)
    await forget_owner(connection, "team_id", team_id)
    await rows.delete_team(connection, team_id)
    await delete_own_budgets(
        connection, [team.budget_id, team.member_budget_id, *(member.budget_id for member in members)]
    )
    before["members"] = [[member.user_id, member.role] for member in members]
    await record_change(connection, actor, Change("team.delete", "team", team_id, before, None))
    return team


async def _naming_groups(connection: AsyncConnection, terms: TeamTerms, present: Sequence[str]) -> TeamTerms:
    """The groups that are asked for stand in the column of models."""
    models = await with_groups(connection, terms.columns.get("models", UNSET), terms.group_ids, present)
    return terms if models is UNSET else replace(terms, columns={**terms.columns, "models": list(models)})


async def _get(connection: AsyncConnection, team_id: str, *, lock: bool = False) -> StoredTeam:
    team = await rows.find_team(connection, EVERYTHING, team_id, lock=lock)
    if team is None:
        raise NotFound(f'no such team: "{team_id}"; see GET /team/list', param="team_id")
    return team


async def _check_alias(
    connection: AsyncConnection, team_id: str, organization_id: str | None, alias: str | None
) -> None:
    if alias is None:
        return
    await hold_name(connection, "team_alias", f"{organization_id or ''}:{alias}")
    holder = await rows.find_team_id_by_alias(connection, organization_id, alias)
    if holder is not None and holder != team_id:
        raise Unprocessable(
            f'"team_alias" is taken: "{alias}" names the team "{holder}"; choose another', param="team_alias"
        )


def _check_member_limits(default: StoredBudget | None, terms: TeamTerms, before: StoredTeam | None) -> None:
    """Raises Unprocessable for a limit of each member above the team's own."""
    for column, name in (
        ("requests_per_minute", "team_member_rpm_limit"),
        ("tokens_per_minute", "team_member_tpm_limit"),
    ):
        limit = getattr(default, column, None)
        most = terms.columns.get(column, getattr(before, column, None))
        if limit is not None and most is not None and limit > most:
            raise Unprocessable(f'"{name}" is {limit}, above the {most} of the team; give at most that', param=name)


async def _named(connection: AsyncConnection, organization_id: str | None) -> str:
    found = None if organization_id is None else await find_organization(connection, organization_id)
    return f'the organization "{(found and found.organization_alias) or organization_id}"'


async def _present(
    connection: AsyncConnection, team: StoredTeam | None
) -> tuple[StoredBudget | None, StoredBudget | None]:
    """The team's budget and its members' default."""
    if team is None:
        return None, None
    named = [budget_id for budget_id in (team.budget_id, team.member_budget_id) if budget_id is not None]
    found = await find_budgets(connection, named)
    return found.get(team.budget_id or ""), found.get(team.member_budget_id or "")


async def _snapshot(connection: AsyncConnection, team: StoredTeam) -> dict[str, Any]:
    budget, member_budget = await _present(connection, team)
    return snapshot(team, budget=budget, member_budget=member_budget)
