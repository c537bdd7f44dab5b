"""Budgets and pages as LiteLLM answers them at every level of tenancy."""

from datetime import datetime
from typing import Any

from litestar import Response

from app.admin.memberships import MembershipView
from app.admin.standings import Standing
from app.api.admin.answers import answer, number, optional_number
from app.api.admin.budget_answers import render_limits, render_parts
from app.storage.postgres.budgets import StoredBudget


def render_budget(budget: StoredBudget, resets_at: datetime | None = None) -> dict[str, Any]:
    """A row of LiteLLM's budget table."""
    return {
        "budget_id": budget.budget_id,
        "max_budget": optional_number(budget.limit_nanousd),
        "soft_budget": optional_number(budget.soft_limit_nanousd),
        **render_limits(budget),
        **_render_parts(budget),
        "allowed_models": None,
        "pooled": budget.pooled,
        "budget_duration": budget.duration,
        "on_exceed": budget.on_exceed,
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
        "on_exceed": None if budget is None else budget.on_exceed,
        "budget_reset_at": standing.resets_at,
        "budget_id": None if budget is None else budget.budget_id,
        **_render_parts(budget),
        "spend": number(standing.spend_nanousd),
        "total_spend": number(standing.total_spend_nanousd),
    }


def _render_parts(budget: StoredBudget | None) -> dict[str, Any]:
    if budget is None:
        return render_parts(None, None, None, None, None)
    return render_parts(
        budget.timezone, budget.windows, budget.model_budgets, budget.increase_nanousd, budget.increase_until
    )


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
        **render_limits(member),
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
