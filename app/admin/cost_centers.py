"""Cost centres of organizations, teams, projects and users: who may say them, how they are kept, which there are."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.actor import Actor
from app.base.errors import Forbidden
from app.domain.roles import Tenant
from app.storage.postgres import cost_centers as rows
from app.storage.postgres.cost_centers import Charged
from app.storage.postgres.engine import reading

FIELD = "cost_center"


class CostCenters:
    """Reads only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def known(self, tenant: Tenant) -> Sequence[str]:
        """Those that anybody of the tenant ever had, in the order of their texts."""
        async with reading(self._engine) as connection:
            return await rows.list_cost_centers(connection, tenant)


async def keep_cost_center(
    connection: AsyncConnection, kind: Charged, owner_id: str, columns: Mapping[str, Any]
) -> dict[str, Any]:
    """The columns without the cost centre, which is no column of its owner; what is said of it is set.

    In the transaction of the change, before anything of it is audited.
    """
    if FIELD in columns:
        await rows.set_cost_center(connection, kind, owner_id, columns[FIELD])
    return {name: value for name, value in columns.items() if name != FIELD}


def check_may_charge(columns: Mapping[str, Any], held: str | None, team_id: str, actor: Actor) -> None:
    """Who pays is a matter of the books. Raises Forbidden for who has a part of the team's work to run, no more.

    What is ``held`` already may be said again.
    """
    changes = columns.get(FIELD, held or "") != (held or "")
    reaches = actor.tenant.everything or team_id in actor.standing.teams_of_organizations
    if changes and not reaches:
        raise Forbidden(
            f'"{FIELD}" says who pays, which a proxy_admin or an org_admin of the organization sets; leave it out',
            param=FIELD,
        )
