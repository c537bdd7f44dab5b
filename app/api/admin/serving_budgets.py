"""The route that tells where the budgets of providers and deployments stand, with LiteLLM's path and fields."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.serving_budgets import ServingBudgets
from app.api.admin.answers import answer, number
from app.api.security import Access
from app.domain.alert_words import BudgetFacts


class ServingBudgetRoutes(Controller):
    """For whoever may read settings."""

    path = "/provider"

    @get("/budgets")
    async def list_all(
        self,
        request: Request[Any, Any, Any],
        access: NamedDependency[Access],
        serving_budgets: NamedDependency[ServingBudgets],
    ) -> Response[bytes]:
        await access.require_admin(request)
        found: dict[str, dict[str, Any]] = {"providers": {}, "deployments": {}}
        for watched, facts in await serving_budgets.list():
            kind, name, *model = watched.ids
            further = {"model_name": model[0]} if model else {}
            found[f"{kind}s"][name] = _render(facts) | further
        return answer(found)


def _render(facts: BudgetFacts) -> dict[str, Any]:
    duration = facts.budget.duration
    return {
        "budget_limit": number(facts.limit_nanousd or 0),
        "time_period": None if duration is None else str(duration),
        "spend": number(facts.spent_nanousd),
        "budget_reset_at": facts.window.end,
    }
