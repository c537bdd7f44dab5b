"""The forms of a team and of its members: their fields become those of ``/team/*``, read by the same readers."""

from collections.abc import Mapping

from app.admin.memberships import MembershipView
from app.api.ui.access import Form
from app.api.ui.forms import (
    BUDGET_READERS,
    LIMIT_READERS,
    Reader,
    json_object,
    number,
    plain,
    plain_usd,
    pretty,
    read_fields,
    read_list,
    shown_budget,
    shown_limits,
    text,
)
from app.base.errors import Unprocessable
from app.storage.postgres.budgets import StoredBudget
from app.storage.postgres.teams import StoredTeam

PERIODS = (
    ("", "in all, never anew"), ("day", "by day"), ("week", "by week"), ("month", "by month"),
    ("quarter", "by quarter"), ("year", "by year"),
)  # fmt: skip
TEAM_READERS: Mapping[str, Reader] = {
    "team_alias": text, "organization_id": text, **BUDGET_READERS, **LIMIT_READERS, "metadata": json_object,
    "cost_center": text, "allowed_model_region": text,
    "team_member_budget": number, "team_member_budget_duration": text, "team_member_rpm_limit": number,
    "team_member_tpm_limit": number,
}  # fmt: skip
MEMBER_READERS: Mapping[str, Reader] = {
    "role": text, "max_budget_in_team": number, "budget_duration": text, "rpm_limit": number, "tpm_limit": number,
}  # fmt: skip
NEW_TEAM: Mapping[str, str] = {"budget_duration": "month", "team_member_budget_duration": "month"}
_BUDGETS = {"max_budget": "budget_duration", "team_member_budget": "team_member_budget_duration"}


def read_team(form: Form, *, changes: bool) -> dict[str, bytes]:
    """The body of ``/team/new`` or ``/team/update``, without the team's id. Raises Unprocessable."""
    body = read_fields(form, TEAM_READERS, changes=changes) | read_list(form, "models", changes=changes)
    for amount, period in _BUDGETS.items():
        if not changes and amount not in body:
            body.pop(period, None)
    if body.get("team_alias", b"null" if not changes else b"") == b"null":
        raise Unprocessable('"team_alias" is missing; give the team a name', param="team_alias")
    return body


def shown_team(team: StoredTeam, budget: StoredBudget | None, of_member: StoredBudget | None) -> dict[str, str]:
    member = shown_budget(of_member)
    return {
        "team_alias": plain(team.team_alias),
        "organization_id": plain(team.organization_id),
        **shown_budget(budget),
        **shown_limits(team),
        "allowed_model_region": plain(team.allowed_model_region),
        "cost_center": plain(team.cost_center),
        "metadata": pretty(team.metadata),
        "team_member_budget": member["max_budget"],
        "team_member_budget_duration": member["budget_duration"],
        "team_member_rpm_limit": plain(None if of_member is None else of_member.requests_per_minute),
        "team_member_tpm_limit": plain(None if of_member is None else of_member.tokens_per_minute),
    }


def shown_member(view: MembershipView) -> dict[str, str]:
    """A budget that is the team's for each member is not the member's own."""
    budget = None if view.of_team else view.standing.budget
    member = view.membership
    return {
        "role": member.role,
        "max_budget_in_team": plain_usd(None if budget is None else budget.limit_nanousd),
        "budget_duration": plain(None if budget is None else budget.duration),
        "rpm_limit": plain(member.requests_per_minute),
        "tpm_limit": plain(member.tokens_per_minute),
    }
