"""The routes of projects, the parts of a team's work, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, delete, get, post
from litestar.di import NamedDependency
from msgspec import UNSET

from app.admin.projects import Projects, ProjectTerms, ProjectView
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.budget_answers import render_limits
from app.api.admin.budget_fields import BUDGET, LIMITS
from app.api.admin.fields import MOST_BODY_BYTES, Body, Readers, check_names, read_body, read_terms
from app.api.admin.queries import read_query
from app.api.admin.tenancy_answers import paged, render_optional_budget, render_standing
from app.api.admin.term_fields import PAGE, read_budget, read_page, require_text, require_texts
from app.api.security import Access
from app.base.errors import Unprocessable

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /project/list"
_DEFAULT_PAGE = 100
_COLUMNS: Readers = {
    "project_alias": ("project_alias", fields.read_text, None),
    "description": ("description", fields.read_text, None),
    "team_id": ("team_id", fields.read_text, UNSET),
    "models": ("models", fields.read_text_list, []),
    "blocked": ("blocked", fields.read_flag, UNSET),
    "metadata": ("metadata", fields.read_metadata, {}),
    "cost_center": ("cost_center", fields.read_cost_center, ""),
    **LIMITS,
}
_NEW: Readers = {"project_id": ("project_id", fields.read_text, UNSET), **_COLUMNS}
_NOT_ENFORCED = frozenset(
    {
        "allowed_models", "guardrails", "model_itpm_limit", "model_otpm_limit", "object_permission", "policies", "tags",
    }
)  # fmt: skip


class ProjectRoutes(Controller):
    """Each works on the projects of the teams that the caller's roles reach; others do not exist for it."""

    path = "/project"
    request_max_body_size = MOST_BODY_BYTES

    @post("/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], projects: NamedDependency[Projects]
    ) -> Response[bytes]:
        actor = (await access.require_caller(request)).actor
        terms = read_new_project(await read_body(request))
        return answer(_render(await projects.create(terms, actor)))

    @post("/update", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], projects: NamedDependency[Projects]
    ) -> Response[bytes]:
        actor = (await access.require_caller(request)).actor
        project_id, terms = read_project_update(await read_body(request))
        return answer(_render(await projects.update(project_id, terms, actor)))

    @delete("/delete", status_code=200)
    async def remove(
        self, request: AnyRequest, access: NamedDependency[Access], projects: NamedDependency[Projects]
    ) -> Response[bytes]:
        return await _delete(request, access, projects)

    @post("/delete", status_code=200)
    async def remove_by_post(
        self, request: AnyRequest, access: NamedDependency[Access], projects: NamedDependency[Projects]
    ) -> Response[bytes]:
        return await _delete(request, access, projects)

    @get("/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], projects: NamedDependency[Projects]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        project_id = read_query(request, ("project_id",)).get("project_id")
        if project_id is None:
            raise Unprocessable(f'"project_id" is missing; {HINT}', param="project_id")
        return answer(_render(await projects.get(tenant, project_id)))

    @get("/list")
    async def list_projects(
        self, request: AnyRequest, access: NamedDependency[Access], projects: NamedDependency[Projects]
    ) -> Response[bytes]:
        tenant = (await access.require_caller(request)).tenant
        query = read_query(request, ("team_id", *PAGE))
        number, size = read_page(query, _DEFAULT_PAGE)
        found, total = await projects.list(tenant, query.get("team_id"), number, size)
        return paged([_render(view) for view in found], total, number, size)


def read_new_project(body: Body) -> ProjectTerms:
    """Raises Unprocessable."""
    check_names(body, {*_NEW, *BUDGET}, _NOT_ENFORCED)
    require_text(body, "team_id", "a project is a part of a team's work; see GET /team/list")
    return ProjectTerms(read_terms(body, _NEW), read_budget(body))


def read_project_update(body: Body) -> tuple[str, ProjectTerms]:
    """The project meant, and the terms that change. Raises Unprocessable."""
    check_names(body, {*_COLUMNS, *BUDGET, "project_id"}, _NOT_ENFORCED)
    terms = ProjectTerms(read_terms(body, _COLUMNS), read_budget(body))
    return require_text(body, "project_id", HINT), terms


async def _delete(request: AnyRequest, access: Access, projects: Projects) -> Response[bytes]:
    actor = (await access.require_caller(request)).actor
    body = await read_body(request)
    check_names(body, {"project_ids"}, ())
    deleted = await projects.delete(require_texts(body, "project_ids", HINT), actor)
    return answer([_render(view) for view in deleted])


def _render(view: ProjectView) -> dict[str, Any]:
    project, standing = view.project, view.standing
    return {
        **render_standing(standing),
        **render_limits(project),
        "project_id": project.project_id,
        "project_alias": project.project_alias,
        "description": project.description,
        "team_id": project.team_id,
        "models": project.models,
        "blocked": project.blocked,
        "metadata": project.metadata,
        "cost_center": project.cost_center,
        "model_spend": {},
        "object_permission": None,
        "object_permission_id": None,
        "litellm_budget_table": render_optional_budget(standing.budget, standing.resets_at),
        "created_at": project.created_at,
        "created_by": project.created_by,
        "updated_at": project.updated_at,
        "updated_by": project.updated_by,
    }
