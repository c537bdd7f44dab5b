"""The pages of teams, people, organizations, projects and customers, together."""

from app.api.ui.desk import Desk
from app.api.ui.people import PeoplePages
from app.api.ui.team_members import TeamMemberPages
from app.api.ui.teams import TeamPages

__all__ = ["TENANCY_PAGES", "Desk"]
TENANCY_PAGES = (TeamPages, TeamMemberPages, PeoplePages)
