"""Use cases of projects, the parts of a team's work: create, change, delete, read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetTerms, BudgetWords, Life, check_below_parent, write_budget
from app.admin.cost_centers import check_may_charge, keep_cost_center
from app.admin.narrowing import CurrentCatalog, check_narrower
from app.admin.standings import Standing, snapshot, standings
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.domain.roles import EVERYTHING, Tenant
from app.storage.postgres import projects as rows
from app.storage.postgres.budgets import delete_own_budgets, find_budget
from app.storage.postgres.engine import transaction
from app.storage.postgres.key_owners import forget_owner
from app.storage.postgres.names import hold_name
from app.storage.postgres.projects import StoredProject
from app.storage.postgres.teams import StoredTeam, hold_team
from app.storage.principals import Principals


@dataclass(frozen=True, slots=True)
class ProjectTerms:
    """``columns`` of projects that are set."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    budget: BudgetTerms = field(default_factory=BudgetTerms)


@dataclass(frozen=True, slots=True)
class ProjectView:
    project: StoredProject
    standing: Standing


class Projects:
    """``principals`` is told after each commit, for the sake of the project's keys."""

    def __init__(self, engine: AsyncEngine, principals: Principals, catalog: CurrentCatalog | None = None) -> None:
        """``catalog`` tells which models an allow-list's groups stand for."""
        self._catalog = catalog
        self._engine = engine
        self._principals = principals

    async def create(self, terms: ProjectTerms, actor: Actor) -> ProjectView:
        """Raises Unprocessable: a taken id or alias, more than the team may; NotFound for a team of others."""
        project_id = terms.columns.get("project_id") or new_id("proj")
        async with transaction(self._engine) as connection:
            team = await _team_of(connection, terms.columns["team_id"], actor)
            check_may_charge(terms.columns, None, team.team_id, actor)
            await _check_alias(connection, project_id, team.team_id, terms.columns.get("project_alias"))
            written = await write_budget(connection, terms.budget, None, actor)
            values = await keep_cost_center(connection, "project", project_id, terms.columns)
            values |= {"project_id": project_id, "budget_id": written.budget_id}
            values |= {"created_by": actor.name, "updated_by": actor.name}
            self._check_narrower(values, team)
            await _check_budget(connection, values["budget_id"], team)
            try:
                await rows.insert_project(connection, values)
            except IntegrityError as error:
                raise Unprocessable(
                    f'"project_id" is taken: "{project_id}"; choose another, or leave it out', param="project_id"
                ) from error
            view = await _record(connection, actor, "project.new", project_id, None)
        await self._principals.announce(f"project:{project_id}")
        return view

    async def update(self, project_id: str, terms: ProjectTerms, actor: Actor) -> ProjectView:
        """Raises NotFound, and Unprocessable as ``create``, and for a project with keys that is to leave its team."""
        async with transaction(self._engine) as connection:
            before = await _get(connection, actor.tenant, project_id, lock=True)
            earlier = await _snapshot(connection, before)
            team = await _team_of(connection, terms.columns.get("team_id", before.team_id), actor)
            check_may_charge(terms.columns, before.cost_center, team.team_id, actor)
            if team.team_id != before.team_id:
                await _check_empty(connection, project_id, "team_id", "it cannot go to another team")
                await forget_owner(connection, "project_id", project_id)
            await _check_alias(
                connection, project_id, team.team_id, terms.columns.get("project_alias", before.project_alias)
            )
            present = None if before.budget_id is None else await find_budget(connection, before.budget_id)
            written = await write_budget(connection, terms.budget, present, actor, life=Life(before.created_at))
            values = await keep_cost_center(connection, "project", project_id, terms.columns)
            values |= {"budget_id": written.budget_id, "updated_at": now(), "updated_by": actor.name}
            moves = team.team_id != before.team_id
            self._check_narrower(snapshot(before) | values if moves else values, team)
            if moves or terms.budget.is_set:
                await _check_budget(connection, written.budget_id, team)
            await rows.update_project(connection, project_id, values)
            await delete_own_budgets(connection, [written.spare_id])
            view = await _record(connection, actor, "project.update", project_id, earlier)
        await self._principals.announce(f"project:{project_id}")
        return view

    async def delete(self, project_ids: Sequence[str], actor: Actor) -> list[ProjectView]:
        """All of them or none; receipts stay. Raises NotFound, and Unprocessable for one that still has keys."""
        deleted = []
        async with transaction(self._engine) as connection:
            for project_id in sorted(set(project_ids)):
                found = await _get(connection, actor.tenant, project_id, lock=True, param="project_ids")
                await _check_empty(connection, project_id, "project_ids", "delete them, or take them out of it first")
                deleted += await project_views(connection, [found])
                await remove_project(connection, project_id, actor)
        for project_id in sorted(set(project_ids)):
            await self._principals.announce(f"project:{project_id}")
        return deleted

    async def get(self, tenant: Tenant, project_id: str) -> ProjectView:
        """Raises NotFound."""
        async with transaction(self._engine) as connection:
            return (await project_views(connection, [await _get(connection, tenant, project_id)]))[0]

    async def list(
        self, tenant: Tenant, team_id: str | None, number: int, size: int, search: str | None = None
    ) -> tuple[list[ProjectView], int]:
        """One page, newest first, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            found, total = await rows.list_projects(connection, tenant, team_id, size, (number - 1) * size, search)
            return await project_views(connection, found), total

    def _check_narrower(self, values: Mapping[str, Any], team: StoredTeam) -> None:
        check_narrower(values, team, _named(team), None if self._catalog is None else self._catalog())


async def project_views(connection: AsyncConnection, found: Sequence[StoredProject]) -> list[ProjectView]:
    owners: dict[tuple[str, ...], str | None] = {(one.project_id,): one.budget_id for one in found}
    stand = await standings(connection, "project", owners, now())
    return [ProjectView(one, stand[(one.project_id,)]) for one in found]


async def remove_project(connection: AsyncConnection, project_id: str, actor: Actor) -> None:
    """In the transaction of the caller, who announces it, and saw to it that no living key names it."""
    project = await _get(connection, EVERYTHING, project_id)
    before = await _snapshot(connection, project)
    await forget_owner(connection, "project_id", project_id)
    await rows.delete_project(connection, project_id)
    await delete_own_budgets(connection, [project.budget_id])
    await record_change(connection, actor, Change("project.delete", "project", project_id, before, None))


def _named(team: StoredTeam) -> str:
    return f'the team "{team.team_alias or team.team_id}"'


async def _check_budget(connection: AsyncConnection, budget_id: str | None, team: StoredTeam) -> None:
    if budget_id is not None and team.budget_id is not None:
        own, above = await find_budget(connection, budget_id), await find_budget(connection, team.budget_id)
        check_below_parent(own, above, BudgetWords(), _named(team))


async def _team_of(connection: AsyncConnection, team_id: str, actor: Actor) -> StoredTeam:
    """Held until the transaction ends."""
    if not actor.tenant.everything and team_id not in actor.tenant.team_ids:
        raise NotFound(f'no such team: "{team_id}"', param="team_id")
    team = await hold_team(connection, team_id)
    if team is None:
        raise Unprocessable(
            f'"team_id" is not the id of a team: "{team_id}"; make the team first with POST /team/new', param="team_id"
        )
    return team


async def _check_empty(connection: AsyncConnection, project_id: str, param: str, what: str) -> None:
    if count := await rows.count_keys_of_project(connection, project_id):
        raise Unprocessable(
            f'the project "{project_id}" has {count} {"key" if count == 1 else "keys"}: {what}; '
            f"see GET /key/list?project_id={project_id}",
            param=param,
        )


async def _check_alias(connection: AsyncConnection, project_id: str, team_id: str, alias: str | None) -> None:
    if alias is None:
        return
    await hold_name(connection, "project_alias", f"{team_id}:{alias}")
    holder = await rows.find_project_id_by_alias(connection, team_id, alias)
    if holder is not None and holder != project_id:
        raise Unprocessable(
            f'"project_alias" is taken: "{alias}" names the project "{holder}"; choose another', param="project_alias"
        )


async def _record(
    connection: AsyncConnection, actor: Actor, action: str, project_id: str, before: Mapping[str, Any] | None
) -> ProjectView:
    found = await _get(connection, EVERYTHING, project_id)
    after = await _snapshot(connection, found)
    await record_change(connection, actor, Change(action, "project", project_id, before, after))
    return (await project_views(connection, [found]))[0]


async def _get(
    connection: AsyncConnection, tenant: Tenant, project_id: str, *, lock: bool = False, param: str = "project_id"
) -> StoredProject:
    project = await rows.find_project(connection, tenant, project_id, lock=lock)
    if project is None:
        raise NotFound(f'no such project: "{project_id}"; see GET /project/list', param=param)
    return project


async def _snapshot(connection: AsyncConnection, project: StoredProject) -> dict[str, Any]:
    budget = None if project.budget_id is None else await find_budget(connection, project.budget_id)
    return snapshot(project, budget=budget)
