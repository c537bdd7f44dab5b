"""The routes of models, with LiteLLM's paths, fields and answers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from litestar import Controller, Request, Response, get, patch, post
from litestar.di import NamedDependency

from app.admin.models import Models
from app.admin.price_view import PriceView
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, check_names, read_body
from app.api.admin.model_answers import pages_of, render_entry, render_group, render_row, render_unserved
from app.api.admin.model_fields import read_model_change, read_new_model
from app.api.admin.queries import path_text, read_query
from app.api.admin.term_fields import PAGE, read_page, require_text
from app.api.security import Access, Caller
from app.base.errors import NotFound, Unprocessable
from app.domain.access import is_allowed, may_use_deployment
from app.domain.catalog import Deployment, Model

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /model/info"
_DEFAULT_PAGE = 50


class ModelAdminRoutes(Controller):
    """Admins change models; whoever has a key reads of those that it may use."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/model/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], models: NamedDependency[Models]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        return answer(render_row(await models.create(read_new_model(await read_body(request)), actor)))

    @post("/model/update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], models: NamedDependency[Models]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        terms = read_model_change(await read_body(request))
        deployment_id = terms.info.get("id")
        if not isinstance(deployment_id, str):
            raise Unprocessable(f'"model_info" must name the model: {{"id": "…"}}; {HINT}', param="model_info.id")
        return answer(render_row(await models.update(deployment_id, terms, actor)))

    @patch("/model/{model_id:str}/update", status_code=200)
    async def change(
        self, request: AnyRequest, access: NamedDependency[Access], models: NamedDependency[Models]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        terms = read_model_change(await read_body(request))
        model_id = path_text(request, "model_id")
        if terms.info.get("id", model_id) != model_id:
            raise Unprocessable('"model_info.id" is another than that of the path', param="model_info.id")
        return answer(render_row(await models.update(model_id, terms, actor)))

    @post(["/model/block", "/model/unblock"], status_code=200)
    async def block(
        self, request: AnyRequest, access: NamedDependency[Access], models: NamedDependency[Models]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"model_id"}, ())
        blocked = request.scope["path"].endswith("/block")
        return answer(render_row(await models.block(require_text(body, "model_id", HINT), actor, blocked=blocked)))

    @post("/model/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], models: NamedDependency[Models]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"id"}, ())
        deleted = await models.delete(require_text(body, "id", HINT), actor)
        return answer({"message": f"Model: {deleted.deployment_id} deleted successfully"})

    @get(["/model/info", "/v1/model/info"])
    async def info(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        models: NamedDependency[Models],
        price_view: NamedDependency[PriceView],
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        # Whoever may use a model sees it, so there are no further ones of teams to include.
        wanted = read_query(request, ("litellm_model_id", "include_team_models")).get("litellm_model_id")
        rows = [row for row in _entries(models, price_view, caller) if wanted in (None, row["model_info"]["id"])]
        if wanted is not None and not rows:
            raise NotFound(f'no such model: "{wanted}"; see GET /model/info', param="litellm_model_id")
        return answer({"data": rows})

    @get("/v2/model/info")
    async def page(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        models: NamedDependency[Models],
        price_view: NamedDependency[PriceView],
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        query = read_query(request, ("model", "modelId", "search", "access_group", *PAGE))
        number, size = read_page(query, _DEFAULT_PAGE)
        rows: Iterator[dict[str, Any]] = _entries(models, price_view, caller)
        if (name := query.get("model")) is not None:
            rows = (row for row in rows if row["model_name"] == name)
        if (model_id := query.get("modelId")) is not None:
            rows = (row for row in rows if row["model_info"]["id"] == model_id)
        if (search := query.get("search")) is not None:
            rows = (row for row in rows if search.lower() in row["model_name"].lower())
        if (group := query.get("access_group")) is not None:
            rows = (row for row in rows if group in row["model_info"].get("access_groups", ()))
        return answer(pages_of(rows, number, size))

    @get("/model_group/info")
    async def groups(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        models: NamedDependency[Models],
        price_view: NamedDependency[PriceView],
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        wanted = read_query(request, ("model_group",)).get("model_group")
        found = [
            render_group(_priced(model, price_view, _organization(caller)))
            for model in models.catalog.current().models
            if wanted in (None, model.name) and any(_visible(caller, model))
        ]
        return answer({"data": found})


def _entries(models: Models, price_view: PriceView, caller: Caller) -> Iterator[dict[str, Any]]:
    stored = {one.deployment_id: one for one in models.catalog.deployments}
    everything = caller.tenant.everything
    for model in models.catalog.current().models:
        for deployment in _visible(caller, model):
            row = stored.pop(deployment.deployment_id, None)
            priced = price_view.priced(deployment, _organization(caller))
            yield render_entry(model, priced, row, addresses=everything)
    if everything:
        for row in stored.values():
            yield render_unserved(row, models.catalog.why_unusable(row.deployment_id))


def _priced(model: Model, price_view: PriceView, organization_id: str | None) -> Model:
    """With the prices that hold now."""
    return replace(model, deployments=tuple(price_view.priced(one, organization_id) for one in model.deployments))


def _organization(caller: Caller) -> str | None:
    return None if caller.principal is None else caller.principal.key.organization_id


def _visible(caller: Caller, model: Model) -> list[Deployment]:
    """Of a model that is listed or written, the deployments that serve this caller."""
    if caller.principal is None or caller.tenant.everything:
        return list(model.deployments)
    if not model.listed or not is_allowed(caller.principal, model):
        return []
    principal = caller.principal
    return [deployment for deployment in model.deployments if may_use_deployment(principal, deployment)]
