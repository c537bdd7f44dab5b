"""The admin and finance routes together, and what they need from whoever builds the app."""

from typing import Any

from litestar.di import Provide
from litestar.types import ControllerRouterHandler
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.aggregates import Aggregates
from app.admin.audit import AuditTrail
from app.admin.budgets import SharedBudgets
from app.admin.customers import Customers
from app.admin.key_reading import KeyReading
from app.admin.keys import Keys
from app.admin.memberships import TeamMembers
from app.admin.organization_members import OrganizationMembers
from app.admin.organizations import Organizations
from app.admin.spend import Spend
from app.admin.teams import Teams
from app.admin.users import Users
from app.api.admin.audit import AuditRoutes
from app.api.admin.budgets import BudgetRoutes
from app.api.admin.customers import CustomerRoutes, EndUserRoutes
from app.api.admin.key_more import MoreKeyRoutes
from app.api.admin.keys import KeyRoutes
from app.api.admin.organizations import OrganizationMemberRoutes, OrganizationRoutes
from app.api.admin.teams import TeamMemberRoutes, TeamRoutes
from app.api.admin.users import UserRoutes
from app.api.finance.routes import finance_routes
from app.api.security import Access
from app.storage.principals import Principals


def admin_routes() -> list[ControllerRouterHandler]:
    """For ``route_handlers``; give the app ``admin_dependencies`` too."""
    return [
        KeyRoutes,
        MoreKeyRoutes,
        TeamRoutes,
        TeamMemberRoutes,
        UserRoutes,
        OrganizationRoutes,
        OrganizationMemberRoutes,
        BudgetRoutes,
        CustomerRoutes,
        EndUserRoutes,
        *finance_routes(),
        AuditRoutes,
    ]


def admin_dependencies(engine: AsyncEngine, principals: Principals, master_key: str) -> dict[str, Provide]:
    """For ``dependencies``: access, audit_trail, keys, key_reading, teams, spend."""
    pepper = principals.pepper
    keys = Keys(engine, principals, pepper)
    return {
        "audit_trail": _provide(AuditTrail(engine)),
        "access": _provide(Access(engine, principals, master_key)),
        "keys": _provide(keys),
        "key_reading": _provide(KeyReading(engine, pepper)),
        "teams": _provide(Teams(engine, principals)),
        "users": _provide(Users(engine, principals, keys)),
        "organizations": _provide(Organizations(engine, principals)),
        "organization_members": _provide(OrganizationMembers(engine, principals)),
        "shared_budgets": _provide(SharedBudgets(engine, principals)),
        "customers": _provide(Customers(engine, principals)),
        "team_members": _provide(TeamMembers(engine, principals)),
        "spend": _provide(Spend(engine)),
        "aggregates": _provide(Aggregates(engine)),
    }


def _provide(thing: Any) -> Provide:  # noqa: ANN401  each of its own type
    return Provide(lambda: thing, sync_to_thread=False)
