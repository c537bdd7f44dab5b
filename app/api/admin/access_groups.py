"""The routes of access groups, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency

from app.admin.access_groups import AccessGroups, AccessGroupView
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, Body, check_names, is_null, read_body
from app.api.admin.queries import path_text
from app.api.admin.term_fields import require_text
from app.api.security import Access

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /access_group/list"


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
        self, request: AnyRequest, access: NamedDependency[Access], access_groups: NamedDependency[AccessGroups]
    ) -> Response[bytes]:
        await access.require_admin(request)
        return answer({"access_groups": [_render(view) for view in access_groups.all()]})

    @get("/{access_group:str}/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], access_groups: NamedDependency[AccessGroups]
    ) -> Response[bytes]:
        await access.require_admin(request)
        return answer(_render(access_groups.get(path_text(request, "access_group"))))


def _read_models(body: Body) -> tuple[tuple[str, ...], tuple[str, ...]]:
    names, ids = body.get("model_names", b"null"), body.get("model_ids", b"null")
    return (
        () if is_null(names) else fields.read_texts("model_names", names),
        () if is_null(ids) else fields.read_texts("model_ids", ids),
    )


def _render(view: AccessGroupView) -> dict[str, Any]:
    return {
        "access_group": view.access_group,
        "model_names": list(view.model_names),
        "deployment_count": view.deployment_count,
        "spend": None,
        "budget": None,
        "in_file": view.in_file,
    }


def _render_change(view: AccessGroupView) -> dict[str, Any]:
    return {
        "access_group": view.access_group,
        "model_names": list(view.model_names),
        "model_ids": None,
        "models_updated": view.deployment_count,
    }
