"""The routes of access groups, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency

from app.admin.access_group_budgets import AccessGroupBudgets
from app.admin.access_groups import AccessGroups, AccessGroupView
from app.admin.standings import Standing
from app.api.admin import fields
from app.api.admin.answers import answer, number
from app.api.admin.budget_fields import OWN_BUDGET
from app.api.admin.fields import MOST_BODY_BYTES, Body, Readers, check_names, is_null, read_body
from app.api.admin.queries import path_text
from app.api.admin.tenancy_answers import render_optional_budget
from app.api.admin.term_fields import read_budget, require_text
from app.api.security import Access

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /access_group/list"
_BUDGET: Readers = {name: reader for name, reader in OWN_BUDGET.items() if name != "model_max_budget"}
_NOT_ENFORCED = frozenset({"budget_id"})


class AccessGroupRoutes(Controller):
    """Admins alone."""

    path = "/access_group"
    request_max_body_size = MOST_BODY_BYTES

    @post("/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], access_groups: NamedDependency[AccessGroups]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"access_group", "model_names", "model_ids"}, ())
        name = require_text(body, "access_group", HINT)
        return answer(_render_change(await access_groups.create(name, *_read_models(body), actor)))

    @put("/{access_group:str}/update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], access_groups: NamedDependency[AccessGroups]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"model_names", "model_ids"}, ())
        name = path_text(request, "access_group")
        return answer(_render_change(await access_groups.update(name, *_read_models(body), actor)))

    @delete("/{access_group:str}/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], access_groups: NamedDependency[AccessGroups]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        name = path_text(request, "access_group")
        count = await access_groups.delete(name, actor)
        message = f"Access group '{name}' deleted successfully"
        return answer({"access_group": name, "models_updated": count, "message": message})

    @get("/list")
    async def list_groups(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        access_groups: NamedDependency[AccessGroups],
        access_group_budgets: NamedDependency[AccessGroupBudgets],
    ) -> Response[bytes]:
        await access.require_admin(request)
        found = access_groups.all()
        standings = await access_group_budgets.of([view.access_group for view in found])
        return answer({"access_groups": [_render(view, standings[view.access_group]) for view in found]})

    @get("/{access_group:str}/info")
    async def info(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        access_groups: NamedDependency[AccessGroups],
        access_group_budgets: NamedDependency[AccessGroupBudgets],
    ) -> Response[bytes]:
        await access.require_admin(request)
        view = access_groups.get(path_text(request, "access_group"))
        return answer(_render(view, await access_group_budgets.get(view.access_group)))


class AccessGroupBudgetRoutes(Controller):
    """What all calls of the models in a group may cost. Admins alone."""

    path = "/access_group/{access_group:str}/budget"
    request_max_body_size = MOST_BODY_BYTES

    @put("", status_code=200)
    async def put(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        access_group_budgets: NamedDependency[AccessGroupBudgets],
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, _BUDGET.keys(), _NOT_ENFORCED)
        name = path_text(request, "access_group")
        return answer(_render_budget(name, await access_group_budgets.put(name, read_budget(body, _BUDGET), actor)))

    @get("")
    async def get(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        access_group_budgets: NamedDependency[AccessGroupBudgets],
    ) -> Response[bytes]:
        await access.require_admin(request)
        name = path_text(request, "access_group")
        return answer(_render_budget(name, await access_group_budgets.get(name)))

    @delete("", status_code=200)
    async def delete(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        access_group_budgets: NamedDependency[AccessGroupBudgets],
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        name = path_text(request, "access_group")
        await access_group_budgets.delete(name, actor)
        message = f"the access group '{name}' has no budget any more"
        return answer({"access_group": name, "budget_deleted": True, "message": message})


def _read_models(body: Body) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names, ids = body.get("model_names", b"null"), body.get("model_ids", b"null")
    return (
        () if is_null(names) else fields.read_texts("model_names", names),
        () if is_null(ids) else fields.read_texts("model_ids", ids),
    )


def _render(view: AccessGroupView, standing: Standing) -> dict[str, Any]:
    return {
        "access_group": view.access_group,
        "model_names": list(view.model_names),
        "deployment_count": view.deployment_count,
        "spend": None if standing.budget is None else number(standing.spend_nanousd),
        "budget": render_optional_budget(standing.budget, standing.resets_at),
        "in_file": view.in_file,
    }


def _render_budget(name: str, standing: Standing) -> dict[str, Any]:
    """Spend is counted since there is a budget."""
    return {
        "access_group": name,
        "spend": number(standing.spend_nanousd),
        "total_spend": number(standing.total_spend_nanousd),
        "budget": render_optional_budget(standing.budget, standing.resets_at),
    }


def _render_change(view: AccessGroupView) -> dict[str, Any]:
    return {
        "access_group": view.access_group,
        "model_names": list(view.model_names),
        "model_ids": None,
        "models_updated": view.deployment_count,
    }
