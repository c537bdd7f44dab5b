"""Users as LiteLLM answers them, with every field that its clients read; what we do not keep is null or empty."""

from typing import Any

from app.admin.users import UserView
from app.api.admin.budget_answers import render_limits
from app.api.admin.tenancy_answers import render_standing

_UNUSED = (
    "team_id",
    "sso_user_id",
    "object_permission_id",
    "object_permission",
    "password_reset_required",
    "last_breach_check_at",
)


def render_user(view: UserView) -> dict[str, Any]:
    user = view.user
    return {
        **dict.fromkeys(_UNUSED),
        **render_standing(view.standing),
        "user_id": user.user_id,
        "user_alias": user.user_alias,
        "user_email": user.user_email,
        "user_role": user.user_role,
        "organization_id": user.organization_id,
        "teams": [membership.team_id for membership in view.teams],
        "models": user.models,
        "metadata": user.metadata,
        "cost_center": user.cost_center,
        "blocked": user.blocked,
        **render_limits(user),
        "allowed_cache_controls": [],
        "policies": [],
        "model_spend": {},
        "organization_memberships": [
            {
                "user_id": membership.user_id,
                "organization_id": membership.organization_id,
                "user_role": membership.role,
                "budget_id": membership.budget_id,
                "created_at": membership.created_at,
            }
            for membership in view.organizations
        ],
        "created_at": user.created_at,
        "updated_at": user.updated_at,
    }
