"""The pages of teams, people, organizations, projects and customers, together."""

from app.api.ui.customers import CustomerPages
from app.api.ui.desk import Desk
from app.api.ui.organization_members import OrganizationMemberPages
from app.api.ui.organization_prices import OrganizationPricePages
from app.api.ui.organizations import OrganizationPages
from app.api.ui.people import PeoplePages
from app.api.ui.projects import ProjectPages
from app.api.ui.team_members import TeamMemberPages
from app.api.ui.teams import TeamPages
from app.api.ui.users import UserPages

__all__ = ["TENANCY_PAGES", "Desk"]
TENANCY_PAGES = (
    TeamPages, TeamMemberPages, ProjectPages, PeoplePages, UserPages, OrganizationPages, OrganizationMemberPages,
    OrganizationPricePages, CustomerPages,
)  # fmt: skip
