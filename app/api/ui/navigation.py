"""The sidebar, as data: which page is there for whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from app.admin.people import Person
from app.domain.roles import Tenant


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the sidebar, below the heading ``group``. ``icon`` is a symbol of ``icons.html``; it is shown to who
    may do ``action``, and where ``for_others`` is set, only to who reaches more than what is the person's own."""

    path: str
    title: str
    icon: str
    action: str
    group: str = ""
    for_others: bool = False


ENTRIES: tuple[Entry, ...] = (
    Entry("/ui", "Overview", "overview", "spend.reports"),
    Entry("/ui/my-keys", "My keys", "own-key", "key.read"),
    Entry("/ui/my-spend", "My spend", "own-spend", "spend.reports"),
    Entry("/ui/my-limits", "My limits", "limits", "key.read"),
    Entry("/ui/connect", "Connect", "connect", "key.read"),
    Entry("/ui/playground", "Playground", "playground", "key.change"),
    Entry("/ui/requests", "Requests", "requests", "spend.logs"),
    Entry("/ui/spend", "Explorer", "spend", "spend.reports", "Spend"),
    Entry("/ui/chargeback", "Chargeback", "chargeback", "spend.reports", "Spend", for_others=True),
    Entry("/ui/months", "Months", "months", "spend.books", "Spend"),
    Entry("/ui/keys", "Keys", "key", "key.read", "Manage", for_others=True),
    Entry("/ui/teams", "Teams", "team", "team.read", "Manage"),
    Entry("/ui/projects", "Projects", "project", "project.read", "Manage"),
    Entry("/ui/people", "People", "people", "tenancy.read", "Manage"),
    Entry("/ui/organizations", "Organizations", "organization", "organization.read", "Manage"),
    Entry("/ui/customers", "Customers", "customer", "tenancy.read", "Manage"),
    Entry("/ui/budgets", "Budgets", "budget", "key.read", "Manage"),
    Entry("/ui/models", "Models", "model", "model.read", "Models", for_others=True),
    Entry("/ui/credentials", "Credentials", "credential", "settings.read", "Models"),
    Entry("/ui/alerts", "Alerts", "warning", "alert.read", "System"),
    Entry("/ui/audit", "Audit", "audit", "audit.read", "System"),
    Entry("/ui/settings", "Settings", "settings", "settings.read", "System"),
)
"""In the order of the sidebar; those of one group stand together. The groups: none, Spend, Manage, Models, System."""


def navigation_for(person: Person) -> list[tuple[str, Sequence[Entry]]]:
    """Each group that holds anything for this person, with its entries."""
    found = [entry for entry in ENTRIES if _is_for(person, entry)]
    return [(group, list(entries)) for group, entries in groupby(found, key=lambda entry: entry.group)]


def reaches_others(tenant: Tenant) -> bool:
    return tenant.everything or bool(tenant.organization_ids or tenant.team_ids)


def owner_pages(person: Person, team_id: str | None) -> Mapping[str, bool]:
    """Of which owners of what belongs to a team this person may open the page."""
    teams, projects = person.tenant("team.read"), person.tenant("project.read")
    return {
        "team": teams is not None and (teams.everything or team_id in teams.team_ids),
        "project": projects is not None and (projects.everything or team_id in projects.team_ids),
        "user": person.may("tenancy.read"),
    }


def _is_for(person: Person, entry: Entry) -> bool:
    tenant = person.tenant(entry.action)
    return tenant is not None and (not entry.for_others or reaches_others(tenant))
