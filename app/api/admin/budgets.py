"""The routes of shared budgets, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from msgspec import UNSET

from app.admin.budgets import SharedBudgets, SharedBudgetTerms
from app.admin.standings import window_of
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.budget_fields import LIMITS, OWN_BUDGET
from app.api.admin.fields import MOST_BODY_BYTES, Body, check_names, read_body, read_terms
from app.api.admin.queries import read_query
from app.api.admin.tenancy_answers import paged, render_budget
from app.api.admin.term_fields import PAGE, read_budget, read_optional, read_page, require_text, require_texts
from app.api.security import Access
from app.base.clock import now
from app.base.errors import Unprocessable
from app.storage.postgres.budgets import StoredBudget

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /budget/list"
_DEFAULT_PAGE = 100
_NOT_ENFORCED = frozenset({"budget_reset_at", "allowed_models"})
_SETTINGS = {
    "max_budget": ("Float", "dollars in each window of budget_duration"),
    "soft_budget": ("Float", "above it people are told and nothing is refused"),
    "budget_duration": ("String", 'when the window ends, such as "30d"; without it the budget never resets'),
    "on_exceed": ("String", 'a running answer when the budget is full: "finish" or "cut"'),
    "tpm_limit": ("Integer", "tokens per minute"),
    "rpm_limit": ("Integer", "requests per minute"),
    "tpd_limit": ("Integer", "tokens per day"),
    "max_parallel_requests": ("Integer", "calls at once"),
    "model_rpm_limit": ("Dictionary", "requests per minute, by model"),
    "model_tpm_limit": ("Dictionary", "tokens per minute, by model"),
    "limits": (
        "List",
        "requests, tokens or dollars per minute, hour or day; of one model or of all",
    ),
    "budget_timezone": ("String", "the IANA zone of the calendar; UTC without it"),
    "budget_limits": ("List", "further windows, each with its budget_duration and max_budget"),
    "model_max_budget": ("Dictionary", "dollars by model: its budget_limit and time_period"),
    "temp_budget_increase": ("Float", "dollars on top of max_budget until temp_budget_expiry"),
    "temp_budget_expiry": ("Datetime", "when the increase ends"),
    "pooled": ("Boolean", "one amount for all who name the budget together, not for each"),
}


class BudgetRoutes(Controller):
    """Admins alone change shared budgets and read them."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/budget/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        terms = read_shared_terms(body)
        return answer(_render(await shared_budgets.create(read_optional(body, "budget_id"), terms, actor)))

    @post("/budget/update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        terms = read_shared_terms(body)
        return answer(_render(await shared_budgets.update(require_text(body, "budget_id", HINT), terms, actor)))

    @post("/budget/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"id"}, ())
        return answer(_render(await shared_budgets.delete(require_text(body, "id", HINT), actor)))

    @post("/budget/info", status_code=200)
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"budgets"}, ())
        found = await shared_budgets.get(require_texts(body, "budgets", HINT))
        return answer([_render(budget) for budget in found])

    @get("/budget/settings")
    async def settings(
        self, request: AnyRequest, access: NamedDependency[Access], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        await access.require_admin(request)
        budget_id = read_query(request, ("budget_id",)).get("budget_id")
        if budget_id is None:
            raise Unprocessable(f'"budget_id" is missing; {HINT}', param="budget_id")
        row = _render((await shared_budgets.get([budget_id]))[0])
        return answer(
            [
                {
                    "field_name": name,
                    "field_type": kind,
                    "field_description": meaning,
                    "field_value": row[name],
                    "stored_in_db": True,
                    "field_default_value": None,
                }
                for name, (kind, meaning) in _SETTINGS.items()
            ]
        )

    @get("/budget/list")
    async def list_budgets(
        self, request: AnyRequest, access: NamedDependency[Access], shared_budgets: NamedDependency[SharedBudgets]
    ) -> Response[bytes]:
        await access.require_admin(request)
        number, size = read_page(read_query(request, PAGE), _DEFAULT_PAGE)
        found, total = await shared_budgets.list(number, size)
        return paged([_render(budget) for budget in found], total, number, size)


def read_shared_terms(body: Body) -> SharedBudgetTerms:
    further = {**LIMITS, "pooled": ("pooled", fields.read_flag, UNSET)}
    check_names(body, {*OWN_BUDGET, *further, "budget_id"}, _NOT_ENFORCED)
    return SharedBudgetTerms(read_budget(body, OWN_BUDGET), read_terms(body, further))


def _render(budget: StoredBudget) -> dict[str, Any]:
    return render_budget(budget, window_of(budget, now()).end)
