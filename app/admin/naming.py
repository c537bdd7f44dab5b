"""What people call the teams, users and keys that a page shows, and which teams and organizations one may choose."""

from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.roles import EVERYTHING, Standing, Tenant
from app.storage.postgres.engine import reading
from app.storage.postgres.organizations import OrganizationFilter, list_organizations
from app.storage.postgres.report_names import find_names
from app.storage.postgres.reports import Dimension
from app.storage.postgres.teams import TeamFilter, list_teams

MOST_CHOICES = 500


class Naming:
    """Of ids that the reader was shown already."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def names(self, dimension: Dimension, ids: Collection[str | None]) -> Mapping[str, str]:
        """Of those that have a name."""
        wanted = {one for one in ids if one is not None}
        async with reading(self._engine) as connection:
            return await find_names(connection, dimension, wanted)

    async def teams_for(self, standing: Standing, tenant: Tenant) -> list[tuple[str, str]]:
        """Id and name of the teams in which this person may make keys, by name."""
        return await self.teams_of(tenant, standing.member_of_teams if tenant.user_id is not None else frozenset())

    async def teams_of(self, tenant: Tenant, further: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
        """Id and name of the teams that the tenant holds, and of ``further`` ones, by name."""
        async with reading(self._engine) as connection:
            if tenant.everything:
                found, _ = await list_teams(connection, EVERYTHING, TeamFilter(), MOST_CHOICES, 0)
                named = {str(team.team_id): team.team_alias or team.team_id for team in found}
            else:
                ids = tenant.team_ids | further
                names = await find_names(connection, "team", ids)
                named = {team_id: names.get(team_id, team_id) for team_id in ids}
        return sorted(named.items(), key=lambda one: one[1].lower())

    async def organizations_for(self, tenant: Tenant) -> list[tuple[str, str]]:
        """Id and name of the organizations that the tenant holds, by name."""
        async with reading(self._engine) as connection:
            if tenant.everything:
                found, _ = await list_organizations(connection, OrganizationFilter(), MOST_CHOICES, 0)
                named = {str(one.organization_id): one.organization_alias or one.organization_id for one in found}
            else:
                names = await find_names(connection, "organization", tenant.organization_ids)
                named = {one: names.get(one, one) for one in tenant.organization_ids}
        return sorted(named.items(), key=lambda one: one[1].lower())
