"""Organizations as LiteLLM answers them, with every field that its clients read."""

from typing import Any

from app.admin.organizations import OrganizationView
from app.api.admin.budget_answers import render_limits
from app.api.admin.team_answers import render_team
from app.api.admin.tenancy_answers import render_optional_budget, render_standing
from app.storage.postgres.memberships import StoredOrganizationMembership


def render_organization(view: OrganizationView) -> dict[str, Any]:
    organization = view.organization
    budget = render_optional_budget(view.standing.budget, view.standing.resets_at)
    limits = render_limits(organization)
    return {
        **render_standing(view.standing),
        **limits,
        "organization_id": organization.organization_id,
        "organization_alias": organization.organization_alias,
        "models": organization.models,
        "allowed_model_region": organization.allowed_model_region,
        "blocked": organization.blocked,
        "metadata": organization.metadata,
        "cost_center": organization.cost_center,
        "model_spend": {},
        "litellm_budget_table": None if budget is None else {**budget, **limits},
        "object_permission": None,
        "object_permission_id": None,
        "users": None,
        "members": [render_organization_member(member) for member in view.members],
        "teams": [render_team(team) for team in view.teams],
        "created_at": organization.created_at,
        "created_by": organization.created_by,
        "updated_at": organization.updated_at,
        "updated_by": organization.updated_by,
    }


def render_organization_member(member: StoredOrganizationMembership) -> dict[str, Any]:
    return {
        "user_id": member.user_id,
        "user_email": member.user_email,
        "user_alias": member.user_alias,
        "organization_id": member.organization_id,
        "user_role": member.role,
        "budget_id": member.budget_id,
        "litellm_budget_table": None,
        "created_at": member.created_at,
        "updated_at": member.created_at,
    }
