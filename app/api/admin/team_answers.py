"""Teams as LiteLLM answers them, with every field that its clients read; what we do not keep is null or empty."""

from typing import Any

from app.admin.teams import TeamView
from app.api.admin.budget_answers import render_limits
from app.api.admin.tenancy_answers import render_optional_budget, render_standing
from app.storage.postgres.memberships import StoredMembership

_UNUSED = (
    "team_member_permissions",
    "router_settings",
    "default_team_member_models",
    "model_id",
    "policies",
    "litellm_model_table",
    "object_permission",
    "object_permission_id",
)


def render_team(view: TeamView) -> dict[str, Any]:
    team = view.team
    return {
        **dict.fromkeys(_UNUSED),
        **render_standing(view.standing),
        "team_alias": team.team_alias,
        "team_id": team.team_id,
        "organization_id": team.organization_id,
        "admins": [],
        "members": [],
        "members_with_roles": [render_member(member) for member in view.members],
        "metadata": team.metadata,
        "cost_center": team.cost_center,
        "models": team.models,
        "allowed_model_region": team.allowed_model_region,
        "access_group_ids": view.group_ids,
        "blocked": team.blocked,
        **render_limits(team),
        "team_member_budget_table": render_optional_budget(view.member_budget),
        "model_spend": {},
        "allow_team_guardrail_config": False,
        "created_at": team.created_at,
        "updated_at": team.updated_at,
    }


def render_member(member: StoredMembership) -> dict[str, Any]:
    return {
        "user_id": member.user_id,
        "user_email": member.user_email,
        "user_alias": member.user_alias,
        "role": member.role,
    }
