"""The schema of the book of record, as SQLAlchemy Core tables; Alembic compares the migrations with it.

Money is ``bigint`` nano-dollars, time ``timestamptz``, ids prefixed text (app.base.ids), open maps ``jsonb``.
A module of this folder that is not imported here is unknown to Alembic.
"""

from app.storage.postgres.tables import activity, closing, reports  # noqa: F401  registers their tables
from app.storage.postgres.tables.alerts import (
    alert_deliveries,
    alert_destinations,
    alert_events,
)
from app.storage.postgres.tables.audit import (
    audit,
    audit_head,
)
from app.storage.postgres.tables.catalog import (
    access_group_budgets,
    access_groups,
    deployments,
    provider_credentials,
)
from app.storage.postgres.tables.cost_centers import cost_centers
from app.storage.postgres.tables.departed import departed
from app.storage.postgres.tables.keys import (
    keys,
    retired_key_digests,
)
from app.storage.postgres.tables.managed_settings import managed_settings
from app.storage.postgres.tables.people import (
    browser_sessions,
    group_grants,
    identities,
    invitations,
    passwords,
    saved_views,
    sign_in_attempts,
)
from app.storage.postgres.tables.prices import (
    price_terms,
    prices,
)
from app.storage.postgres.tables.receipts import (
    provider_objects,
    receipts,
    response_owners,
)
from app.storage.postgres.tables.sign_in import (
    device_authorizations,
    refresh_tokens,
    sign_ins,
)
from app.storage.postgres.tables.tenancy import (
    budget_standings,
    budgets,
    customers,
    memberships,
    organization_memberships,
    organizations,
    projects,
    tags,
    teams,
    users,
)

__all__ = [
    "access_group_budgets",
    "access_groups",
    "alert_deliveries",
    "alert_destinations",
    "alert_events",
    "audit",
    "audit_head",
    "browser_sessions",
    "budget_standings",
    "budgets",
    "cost_centers",
    "customers",
    "departed",
    "deployments",
    "device_authorizations",
    "group_grants",
    "identities",
    "invitations",
    "keys",
    "managed_settings",
    "memberships",
    "organization_memberships",
    "organizations",
    "passwords",
    "price_terms",
    "prices",
    "projects",
    "provider_credentials",
    "provider_objects",
    "receipts",
    "refresh_tokens",
    "response_owners",
    "retired_key_digests",
    "saved_views",
    "sign_in_attempts",
    "sign_ins",
    "tags",
    "teams",
    "users",
]
