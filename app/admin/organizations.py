"""Use cases of organizations: create, change, delete, read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.admin.budget_terms import BudgetTerms, Life, write_budget
from app.admin.cost_centers import keep_cost_center
from app.admin.key_removal import remove_keys_of
from app.admin.standings import Standing, snapshot, standings
from app.admin.teams import TeamView, remove_team, team_views
from app.base.clock import now
from app.base.errors import NotFound, Unprocessable
from app.base.ids import new_id
from app.storage.postgres import organizations as rows
from app.storage.postgres.budgets import delete_own_budgets, find_budget
from app.storage.postgres.engine import transaction
from app.storage.postgres.key_owners import forget_owner
from app.storage.postgres.memberships import StoredOrganizationMembership, members_of_organizations
from app.storage.postgres.names import hold_name
from app.storage.postgres.organizations import OrganizationFilter, StoredOrganization
from app.storage.postgres.teams import teams_of_organizations
from app.storage.postgres.tenant_spend import Owner
from app.storage.principals import Principals


@dataclass(frozen=True, slots=True)
class OrganizationTerms:
    """``columns`` of organizations that are set."""

    columns: Mapping[str, Any] = field(default_factory=dict)
    budget: BudgetTerms = field(default_factory=BudgetTerms)


@dataclass(frozen=True, slots=True)
class OrganizationView:
    """An organization, where it stands, and what belongs to it."""

    organization: StoredOrganization
    standing: Standing
    members: list[StoredOrganizationMembership]
    teams: list[TeamView]


class Organizations:
    """``principals`` is told after each commit, for the sake of the organization's keys."""

    def __init__(self, engine: AsyncEngine, principals: Principals) -> None:
        self._engine = engine
        self._principals = principals

    async def create(self, terms: OrganizationTerms, actor: Actor) -> OrganizationView:
        """Raises Unprocessable: a taken id or alias, a budget that cannot be."""
        organization_id = terms.columns.get("organization_id") or new_id("org")
        async with transaction(self._engine) as connection:
            await _check_alias(connection, organization_id, terms.columns.get("organization_alias"))
            written = await write_budget(connection, terms.budget, None, actor)
            values = await keep_cost_center(connection, "organization", organization_id, terms.columns)
            values |= {"organization_id": organization_id, "budget_id": written.budget_id}
            values |= {"created_by": actor.name, "updated_by": actor.name}
            try:
                await rows.insert_organization(connection, values)
            except IntegrityError as error:
                raise Unprocessable(
                    f'"organization_id" is taken: "{organization_id}"; choose another, or leave it out',
                    param="organization_id",
                ) from error
            view = await _record(connection, actor, "organization.new", organization_id, None)
        await self._principals.announce(f"organization:{organization_id}")
        return view

    async def update(self, organization_id: str, terms: OrganizationTerms, actor: Actor) -> OrganizationView:
        """Raises NotFound, and Unprocessable as ``create``."""
        async with transaction(self._engine) as connection:
            before = await get_organization(connection, organization_id, lock=True)
            earlier = await _snapshot(connection, before)
            await _check_alias(connection, organization_id, terms.columns.get("organization_alias"))
            present = None if before.budget_id is None else await find_budget(connection, before.budget_id)
            written = await write_budget(connection, terms.budget, present, actor, life=Life(before.created_at))
            values = await keep_cost_center(connection, "organization", organization_id, terms.columns)
            values |= {"budget_id": written.budget_id, "updated_at": now(), "updated_by": actor.name}
            await rows.update_organization(connection, organization_id, values)
            await delete_own_budgets(connection, [written.spare_id])
            view = await _record(connection, actor, "organization.update", organization_id, earlier)
        await self._principals.announce(f"organization:{organization_id}")
        return view

    async def delete(self, organization_ids: Sequence[str], actor: Actor) -> list[OrganizationView]:
        """All of them, with their teams, keys and memberships, or none; receipts and users stay.

        Raises NotFound for one unknown.
        """
        deleted: list[OrganizationView] = []
        async with transaction(self._engine) as connection:
            for organization_id in sorted(set(organization_ids)):
                deleted.append(await _remove(connection, organization_id, actor))  # noqa: PERF401  each is a step
        for view in deleted:
            await self._principals.announce(f"organization:{view.organization.organization_id}")
            for team in view.teams:
                await self._principals.announce(f"team:{team.team_id}")
        return deleted

    async def get(self, organization_ids: Sequence[str]) -> list[OrganizationView]:
        """In the order asked for. Raises NotFound."""
        async with transaction(self._engine) as connection:
            found = [await get_organization(connection, organization_id) for organization_id in organization_ids]
            return await organization_views(connection, found)

    async def list(self, wanted: OrganizationFilter, number: int, size: int) -> tuple[list[OrganizationView], int]:
        """One page, newest first, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            found, total = await rows.list_organizations(connection, wanted, size, (number - 1) * size)
            return await organization_views(connection, found), total


async def organization_views(
    connection: AsyncConnection, found: Sequence[StoredOrganization]
) -> list[OrganizationView]:
    """The organizations with what belongs to them, in a few queries for all."""
    owners: dict[Owner, str | None] = {
        (organization.organization_id,): organization.budget_id for organization in found
    }
    stand = await standings(connection, "organization", owners, now())
    organization_ids = [organization.organization_id for organization in found]
    members: dict[str, list[StoredOrganizationMembership]] = {one: [] for one in organization_ids}
    for member in await members_of_organizations(connection, organization_ids):
        members[member.organization_id].append(member)
    teams: dict[str | None, list[TeamView]] = {one: [] for one in organization_ids}
    for team in await team_views(connection, await teams_of_organizations(connection, organization_ids)):
        teams[team.team.organization_id].append(team)
    return [
        OrganizationView(organization, stand[(one,)], members[one], teams[one])
        for organization in found
        for one in (organization.organization_id,)
    ]


async def get_organization(
    connection: AsyncConnection, organization_id: str, *, lock: bool = False
) -> StoredOrganization:
    """Raises NotFound."""
    found = await rows.find_organization(connection, organization_id, lock=lock)
    if found is None:
        raise NotFound(
            f'no such organization: "{organization_id}"; see GET /organization/list', param="organization_id"
        )
    return found


async def _remove(connection: AsyncConnection, organization_id: str, actor: Actor) -> OrganizationView:
    organization = await get_organization(connection, organization_id, lock=True)
    before = await _snapshot(connection, organization)
    view = (await organization_views(connection, [organization]))[0]
    before["members"] = [[member.user_id, member.role] for member in view.members]
    before["teams"] = [team.team_id for team in view.teams]
    for team in view.teams:
        await remove_team(connection, team.team_id, actor)
    await remove_keys_of(connection, {"organization_id": organization_id}, actor)
    await forget_owner(connection, "organization_id", organization_id)
    await rows.delete_organization(connection, organization_id)
    await delete_own_budgets(connection, [organization.budget_id, *(member.budget_id for member in view.members)])
    await record_change(connection, actor, Change("organization.delete", "organization", organization_id, before, None))
    return view


async def _record(
    connection: AsyncConnection, actor: Actor, action: str, organization_id: str, before: Mapping[str, Any] | None
) -> OrganizationView:
    organization = await get_organization(connection, organization_id)
    after = await _snapshot(connection, organization)
    await record_change(connection, actor, Change(action, "organization", organization_id, before, after))
    return (await organization_views(connection, [organization]))[0]


async def _check_alias(connection: AsyncConnection, organization_id: str, alias: str | None) -> None:
    if alias is None:
        return
    await hold_name(connection, "organization_alias", alias)
    holder = await rows.find_organization_id_by_alias(connection, alias)
    if holder is not None and holder != organization_id:
        raise Unprocessable(
            f'"organization_alias" is taken: "{alias}" names the organization "{holder}"; choose another',
            param="organization_alias",
        )


async def _snapshot(connection: AsyncConnection, organization: StoredOrganization) -> dict[str, Any]:
    budget_id = organization.budget_id
    return snapshot(organization, budget=None if budget_id is None else await find_budget(connection, budget_id))
