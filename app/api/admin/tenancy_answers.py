"""Budgets and pages as LiteLLM answers them at every level of tenancy."""

from datetime import datetime
from typing import Any

from litestar import Response

from app.admin.memberships import MembershipView
from app.admin.standings import Standing
from app.api.admin.answers import answer, number, optional_number
from app.storage.postgres.budgets import StoredBudget


def render_budget(budget: StoredBudget, resets_at: datetime | None = None) -> dict[str, Any]:
    """A row of LiteLLM's budget table."""
    return {
        "budget_id": budget.budget_id,
        "max_budget": optional_number(budget.limit_nanousd),
        "soft_budget": optional_number(budget.soft_limit_nanousd),
        "max_parallel_requests": budget.max_parallel_requests,
        "tpm_limit": budget.tokens_per_minute,
        "rpm_limit": budget.requests_per_minute,
        "tpd_limit": None,
        "model_max_budget": None,
        "allowed_models": None,
        "temp_budget_increase": None,
        "temp_budget_expiry": None,
        "budget_duration": budget.duration,
        "budget_reset_at": resets_at,
        "created_at": budget.created_at,
        "created_by": budget.created_by,
        "updated_at": budget.updated_at,
        "updated_by": budget.updated_by,
    }


def render_optional_budget(budget: StoredBudget | None, resets_at: datetime | None = None) -> dict[str, Any] | None:
    return None if budget is None else render_budget(budget, resets_at)


def render_standing(standing: Standing) -> dict[str, Any]:
    """The budget's fields as they stand in the row of its owner, and what was spent."""
    budget = standing.budget
    return {
        "max_budget": None if budget is None else optional_number(budget.limit_nanousd),
        "soft_budget": None if budget is None else optional_number(budget.soft_limit_nanousd),
        "budget_duration": None if budget is None else budget.duration,
        "budget_reset_at": standing.resets_at,
        "budget_id": None if budget is None else budget.budget_id,
        "spend": number(standing.spend_nanousd),
        "total_spend": number(standing.total_spend_nanousd),
    }


def render_membership(view: MembershipView) -> dict[str, Any]:
    """A row of LiteLLM's table of team members; ``budget_source`` is member, team_default or null."""
    member, standing = view.membership, view.standing
    source = None if standing.budget is None else "team_default" if view.of_team else "member"
    return {
        "user_id": member.user_id,
        "user_email": member.user_email,
        "user_alias": member.user_alias,
        "team_id": member.team_id,
        "role": member.role,
        "budget_id": None if standing.budget is None else standing.budget.budget_id,
        "budget_source": source,
        "spend": number(standing.spend_nanousd),
        "total_spend": number(standing.total_spend_nanousd),
        "tpm_limit": member.tokens_per_minute,
        "rpm_limit": member.requests_per_minute,
        "max_parallel_requests": member.max_parallel_requests,
        "litellm_budget_table": render_optional_budget(standing.budget, standing.resets_at),
    }


def paged(content: object, total: int, page: int, size: int) -> Response[bytes]:
    """A bare list, as LiteLLM answers it, with its paging in headers."""
    response = answer(content)
    response.headers["x-total-count"] = str(total)
    response.headers["x-page"] = str(page)
    response.headers["x-total-pages"] = str(total_pages(total, size))
    return response


def total_pages(total: int, size: int) -> int:
    return -(-total // size)
