"""The routes of tags, the labels of calls, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.tags import Tags, TagTerms, TagView
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.budget_answers import render_limits
from app.api.admin.budget_fields import BUDGET, LIMITS
from app.api.admin.fields import MOST_BODY_BYTES, Body, Readers, check_names, read_body, read_terms
from app.api.admin.queries import read_query
from app.api.admin.tenancy_answers import paged, render_optional_budget, render_standing
from app.api.admin.term_fields import PAGE, read_budget, read_page, require_text, require_texts
from app.api.security import Access

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /tag/list"
_DEFAULT_PAGE = 100
_COLUMNS: Readers = {"description": ("description", fields.read_text, None), **LIMITS}
# LiteLLM's choice of deployments by tag.
_NOT_ENFORCED = frozenset({"models", "model_info"})


class TagRoutes(Controller):
    """Admins alone change tags and read what is set for them."""

    path = "/tag"
    request_max_body_size = MOST_BODY_BYTES

    @post("/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], tags: NamedDependency[Tags]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        name, terms = read_tag(await read_body(request))
        view = await tags.create(name, terms, actor)
        return answer({"message": f'the tag "{name}" is made', "tag": _render(view)})

    @post("/update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], tags: NamedDependency[Tags]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        name, terms = read_tag(await read_body(request))
        view = await tags.update(name, terms, actor)
        return answer({"message": f'the tag "{name}" is changed', "tag": _render(view)})

    @post("/info", status_code=200)
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], tags: NamedDependency[Tags]
    ) -> Response[bytes]:
        await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"names"}, ())
        found = await tags.get(require_texts(body, "names", HINT))
        return answer({view.tag.tag: _render(view) for view in found})

    @post("/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], tags: NamedDependency[Tags]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {"name"}, ())
        name = require_text(body, "name", HINT)
        await tags.delete(name, actor)
        return answer({"message": f'nothing is set for the tag "{name}" any more'})

    @get("/list")
    async def list_tags(
        self, request: AnyRequest, access: NamedDependency[Access], tags: NamedDependency[Tags]
    ) -> Response[bytes]:
        await access.require_admin(request)
        number, size = read_page(read_query(request, PAGE), _DEFAULT_PAGE)
        found, total = await tags.list(number, size)
        return paged([_render(view) for view in found], total, number, size)


def read_tag(body: Body) -> tuple[str, TagTerms]:
    check_names(body, {*_COLUMNS, *BUDGET, "name"}, _NOT_ENFORCED)
    return require_text(body, "name", HINT), TagTerms(read_terms(body, _COLUMNS), read_budget(body))


def _render(view: TagView) -> dict[str, Any]:
    tag, standing = view.tag, view.standing
    return {
        **render_standing(standing),
        **render_limits(tag),
        "name": tag.tag,
        "description": tag.description,
        "models": [],
        "model_info": None,
        "litellm_budget_table": render_optional_budget(standing.budget, standing.resets_at),
        "created_at": tag.created_at,
        "created_by": tag.created_by,
        "updated_at": tag.updated_at,
        "updated_by": tag.updated_by,
    }
