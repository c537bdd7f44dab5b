"""The admin and finance routes together, and what they need from whoever builds the app."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from litestar.di import Provide
from litestar.types import ControllerRouterHandler
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.access_group_budgets import AccessGroupBudgets
from app.admin.access_groups import AccessGroups
from app.admin.aggregates import Aggregates
from app.admin.alerts import Alerts
from app.admin.assigned_groups import AssignedGroups
from app.admin.audit import AuditTrail
from app.admin.budgets import SharedBudgets
from app.admin.closing import Closing
from app.admin.credentials import Credentials
from app.admin.customers import Customers
from app.admin.device_sign_in import DeviceSignIn
from app.admin.key_reading import KeyReading
from app.admin.keys import Keys
from app.admin.litellm.take_over import LiteLLMTakeOver
from app.admin.live_catalog import LiveCatalog
from app.admin.live_prices import PriceKeeper
from app.admin.managed_settings import ManagedSettings
from app.admin.memberships import TeamMembers
from app.admin.models import Models
from app.admin.organization_members import OrganizationMembers
from app.admin.organizations import Organizations
from app.admin.price_import import PriceImport
from app.admin.price_view import PriceView
from app.admin.prices import PriceAdmin
from app.admin.processes import Processes
from app.admin.productivity import Productivity
from app.admin.projects import Projects
from app.admin.repricing import Repricing
from app.admin.resealing import Resealing
from app.admin.retention import Exports, ReceiptRetention
from app.admin.serving_budgets import ServingBudgets
from app.admin.sessions import Sessions
from app.admin.spend import Spend
from app.admin.tags import Tags
from app.admin.teams import Teams
from app.admin.users import Users
from app.api.admin.access_groups import AccessGroupBudgetRoutes, AccessGroupRoutes
from app.api.admin.alerts import AlertRoutes
from app.api.admin.assigned_groups import AssignedGroupRoutes, UnifiedGroupRoutes
from app.api.admin.audit import AuditRoutes
from app.api.admin.budgets import BudgetRoutes
from app.api.admin.credentials import CredentialRoutes
from app.api.admin.customers import CustomerRoutes, EndUserRoutes
from app.api.admin.device import DeviceRoutes
from app.api.admin.imports import ImportRoutes
from app.api.admin.key_more import MoreKeyRoutes
from app.api.admin.key_self import KeySelfRoutes
from app.api.admin.keys import KeyRoutes
from app.api.admin.managed_settings import ManagedSettingsRoutes
from app.api.admin.models import ModelAdminRoutes
from app.api.admin.organizations import OrganizationMemberRoutes, OrganizationRoutes
from app.api.admin.price_import import PriceImportRoutes
from app.api.admin.prices import PriceRoutes, PriceTermRoutes
from app.api.admin.processes import ProcessRoutes
from app.api.admin.projects import ProjectRoutes
from app.api.admin.resealing import ResealingRoutes
from app.api.admin.serving_budgets import ServingBudgetRoutes
from app.api.admin.tags import TagRoutes
from app.api.admin.teams import TeamMemberRoutes, TeamRoutes
from app.api.admin.users import UserRoutes
from app.api.finance.routes import finance_routes
from app.api.plain_litestar import Given
from app.api.security import Access
from app.api.sign_in.desk import SignInDesk
from app.domain.alerts import DestinationKind
from app.domain.retention import KEEP_FOR_EVER, Retention
from app.gateway.own_usage import OwnUsage
from app.providers.egress import Egress
from app.storage.books import Books
from app.storage.principals import Principals
from app.storage.spending import SpendingReader


@dataclass(frozen=True, slots=True)
class Shared:
    """What the routes have in common with the data plane of their process."""

    catalog: LiveCatalog
    prices: PriceKeeper
    books: Books
    processes: Processes


def admin_routes() -> list[ControllerRouterHandler]:
    """For ``route_handlers``; give the app ``admin_dependencies`` too."""
    return [
        KeyRoutes,
        MoreKeyRoutes,
        KeySelfRoutes,
        TeamRoutes,
        TeamMemberRoutes,
        ProjectRoutes,
        UserRoutes,
        OrganizationRoutes,
        OrganizationMemberRoutes,
        BudgetRoutes,
        ServingBudgetRoutes,
        CustomerRoutes,
        EndUserRoutes,
        TagRoutes,
        ModelAdminRoutes,
        CredentialRoutes,
        ResealingRoutes,
        AccessGroupRoutes,
        AccessGroupBudgetRoutes,
        AssignedGroupRoutes,
        UnifiedGroupRoutes,
        AlertRoutes,
        DeviceRoutes,
        ManagedSettingsRoutes,
        *finance_routes(),
        PriceRoutes,
        PriceTermRoutes,
        PriceImportRoutes,
        AuditRoutes,
        ImportRoutes,
        ProcessRoutes,
    ]


@dataclass(frozen=True, slots=True)
class AdminRules:
    """What the settings say: ``channels`` that alerts take, how long receipts are kept, whether programs sign in."""

    channels: Mapping[str, DestinationKind] = field(default_factory=dict)
    retention: Retention = KEEP_FOR_EVER
    programs_sign_in: bool = False


def admin_dependencies(
    engine: AsyncEngine,
    principals: Principals,
    master_key: str,
    shared: Shared,
    egress: Egress,
    rules: AdminRules = AdminRules(),
) -> dict[str, Provide]:
    """For ``dependencies``: what the handlers ask for by these names."""
    pepper = principals.pepper
    catalog, price_keeper = shared.catalog, shared.prices
    keys = Keys(engine, principals, pepper, catalog.current)
    groups = AccessGroups(engine, catalog)
    return {
        "audit_trail": Given(AuditTrail(engine)),
        "alerts": Given(Alerts(engine, catalog.cipher, egress, rules.channels)),
        "access": Given(Access(engine, principals, master_key)),
        "keys": Given(keys),
        "key_reading": Given(KeyReading(engine, pepper)),
        "own_usage": Given(OwnUsage(SpendingReader(engine))),
        "teams": Given(Teams(engine, principals, catalog.current)),
        "projects": Given(Projects(engine, principals, catalog.current)),
        "users": Given(Users(engine, principals, keys)),
        "organizations": Given(Organizations(engine, principals)),
        "organization_members": Given(OrganizationMembers(engine, principals)),
        "serving_budgets": Given(ServingBudgets(engine, catalog)),
        "shared_budgets": Given(SharedBudgets(engine, principals)),
        "customers": Given(Customers(engine, principals)),
        "tags": Given(Tags(engine, principals)),
        "access_groups": Given(groups),
        "access_group_budgets": Given(AccessGroupBudgets(engine, catalog, groups)),
        "assigned_groups": Given(AssignedGroups(engine, principals, catalog)),
        "credentials": Given(Credentials(engine, catalog, egress)),
        "resealing": Given(Resealing(engine, catalog.cipher)),
        "models": Given(Models(engine, catalog, egress)),
        "team_members": Given(TeamMembers(engine, principals)),
        "spend": Given(Spend(engine)),
        "sessions": Given(Sessions(engine)),
        "productivity": Given(Productivity(engine)),
        "aggregates": Given(Aggregates(engine)),
        "exports": Given(Exports(engine)),
        "receipt_retention": Given(ReceiptRetention(engine, rules.retention)),
        "price_admin": Given(PriceAdmin(engine, price_keeper, catalog)),
        "repricing": Given(Repricing(engine, shared.books, catalog, price_keeper)),
        "price_import": Given(PriceImport(engine, price_keeper, catalog)),
        "price_view": Given(PriceView(catalog, price_keeper)),
        "processes": Given(shared.processes),
        "closing": Given(Closing(engine)),
        "managed_settings": Given(ManagedSettings(engine)),
        "sign_in_desk": Given(
            SignInDesk(engine, DeviceSignIn(engine, principals, keys), is_open=rules.programs_sign_in)
        ),
        "litellm_take_over": Given(LiteLLMTakeOver(engine, principals)),
    }
