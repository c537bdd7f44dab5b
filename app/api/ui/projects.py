"""The pages of projects, the parts of a team's work: the list, one, a new one, and what changes one."""

from collections.abc import Mapping
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.people import Person
from app.admin.projects import Projects, ProjectView
from app.api.admin.projects import read_new_project, read_project_update
from app.api.ui.access import Pages
from app.api.ui.desk import Desk
from app.api.ui.forms import (
    BUDGET_READERS,
    LIMIT_READERS,
    Filled,
    Reader,
    as_body,
    filled,
    json_object,
    plain,
    pretty,
    read_fields,
    read_list,
    refused,
    shown_budget,
    shown_limits,
    text,
)
from app.api.ui.lists import page_of, read_listing, read_text
from app.api.ui.segments import last_word, read_segment, segment
from app.api.ui.team_form import PERIODS
from app.base.errors import CallerError

AnyRequest = Request[Any, Any, Any]
_PAGE = 25
_READERS: Mapping[str, Reader] = {
    "project_alias": text, "description": text, "team_id": text, **BUDGET_READERS, **LIMIT_READERS,
    "cost_center": text, "metadata": json_object,
}  # fmt: skip


class ProjectPages(Controller):
    """On the services of ``/project/*``, with the same actions: each keeps to the person's teams by itself."""

    include_in_schema = False

    @get("/ui/projects")
    async def list_projects(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        projects: NamedDependency[Projects],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "project.read")
        tenant = person.reach("project.read")
        listing = read_listing(request, filters={"team": None})
        wanted = (listing.chosen("team") or None, listing.number, _PAGE, listing.search or None)
        found, total = await projects.list(tenant, *wanted)
        ids = [str(view.project.project_id) for view in found]
        values: dict[str, Any] = {"views": found, **page_of(listing, total, _PAGE)}
        values |= {"month": await desk.of_month(person, "project_id", ids), "teams": await _teams(desk, person)}
        values |= {"names": await desk.naming.names("team", [view.project.team_id for view in found])}
        values |= {"may_make": _may_make(person), "done": request.query_params.get("done")}
        return pages.show(request, "projects.html", person, **values)

    @get("/ui/projects/new")
    async def new_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], desk: NamedDependency[Desk]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "project.change")
        form = filled({"budget_duration": "month", "team_id": read_text(request, "team_id")})
        return await _show_form(request, pages, desk, person, (None, form))

    @post("/ui/projects/new", status_code=200)
    async def create(
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        projects: NamedDependency[Projects],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "project.change")
        form = await pages.read_form(request)
        try:
            body = read_fields(form, _READERS, changes=False) | read_list(form, "models", changes=False)
            if "max_budget" not in body:
                body.pop("budget_duration", None)
            actor = await desk.actor(person, "POST /project/new", body)
            view = await projects.create(read_new_project(body), actor)
        except CallerError as error:
            again = refused(form, _READERS, ["models"], error)
            return await _show_form(request, pages, desk, person, (None, again))
        return pages.go(f"/ui/projects/{segment(view.project.project_id)}?done=made")

    @get("/ui/projects/{project:str}")
    async def project_page(
        self,
        request: AnyRequest,
        project: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        projects: NamedDependency[Projects],
    ) -> Response[bytes]:
        person, project_id = await pages.require_page(request, "project.read"), read_segment(project)
        view = await projects.get(person.reach("project.read"), project_id)
        team_id = str(view.project.team_id)
        values: dict[str, Any] = {"view": view, "done": request.query_params.get("done")}
        models, people = await desk.largest_by_each(person, ("model", "user"), "project_id", project_id)
        values |= {"models": models, "people": people}
        values |= {"team_name": (await desk.naming.names("team", [team_id])).get(team_id, team_id)}
        values |= {"keys": await desk.teams.keys_of_project(person.reach("key.read"), project_id)}
        values |= {"may_change": _may_change(person, view), "groups": desk.groups()}
        values |= {"names": await desk.naming.names("user", [key.key.user_id for key in values["keys"]])}
        return pages.show(request, "project.html", person, **values)

    @get("/ui/projects/{project:str}/edit")
    async def edit_page(
        self,
        request: AnyRequest,
        project: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        projects: NamedDependency[Projects],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "project.change")
        view = await projects.get(person.reach("project.change"), read_segment(project))
        form = filled(_shown(view), {"models": view.project.models})
        return await _show_form(request, pages, desk, person, (view, form))

    @post("/ui/projects/{project:str}/edit", status_code=200)
    async def change(
        self,
        request: AnyRequest,
        project: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        projects: NamedDependency[Projects],
    ) -> Response[bytes]:
        person, project_id = await pages.require_page(request, "project.change"), read_segment(project)
        form = await pages.read_form(request)
        view = await projects.get(person.reach("project.change"), project_id)
        try:
            body = read_fields(form, _READERS, changes=True) | read_list(form, "models", changes=True)
            await _update(projects, desk, person, body | as_body(project_id=project_id))
        except CallerError as error:
            again = refused(form, _READERS, ["models"], error)
            return await _show_form(request, pages, desk, person, (view, again))
        return pages.go(f"/ui/projects/{segment(project_id)}?done=changed")

    @post(["/ui/projects/{project:str}/block", "/ui/projects/{project:str}/unblock"], status_code=200)
    async def block(
        self,
        request: AnyRequest,
        project: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        projects: NamedDependency[Projects],
    ) -> Response[bytes]:
        person, project_id = await pages.require_page(request, "project.change"), read_segment(project)
        await pages.read_form(request)
        verb = last_word(request)
        await _update(projects, desk, person, as_body(project_id=project_id, blocked=verb == "block"))
        return pages.go(f"/ui/projects/{segment(project_id)}?done={verb}ed")

    @post("/ui/projects/{project:str}/delete", status_code=200)
    async def delete(
        self,
        request: AnyRequest,
        project: FromPath[str],
        pages: NamedDependency[Pages],
        desk: NamedDependency[Desk],
        projects: NamedDependency[Projects],
    ) -> Response[bytes]:
        person, project_id = await pages.require_page(request, "project.change"), read_segment(project)
        await pages.read_form(request)
        await projects.delete(
            [project_id], await desk.actor_on(person, "POST /project/delete", project_ids=[project_id])
        )
        return pages.go("/ui/projects?done=deleted")


async def _update(projects: Projects, desk: Desk, person: Person, body: dict[str, bytes]) -> None:
    project_id, terms = read_project_update(body)
    await projects.update(project_id, terms, await desk.actor(person, "POST /project/update", body))


async def _teams(desk: Desk, person: Person, action: str = "project.read") -> list[tuple[str, str]]:
    return await desk.naming.teams_of(person.reach(action))


def _may_make(person: Person) -> bool:
    tenant = person.tenant("project.change")
    return tenant is not None and (tenant.everything or bool(tenant.team_ids))


def _may_change(person: Person, view: ProjectView) -> bool:
    tenant = person.tenant("project.change")
    return tenant is not None and (tenant.everything or view.project.team_id in tenant.team_ids)


def _shown(view: ProjectView) -> dict[str, str]:
    project = view.project
    return {
        "project_alias": plain(project.project_alias),
        "description": plain(project.description),
        "team_id": project.team_id,
        **shown_budget(view.standing.budget),
        **shown_limits(project),
        "cost_center": plain(project.cost_center),
        "metadata": pretty(project.metadata),
    }


async def _show_form(
    request: AnyRequest, pages: Pages, desk: Desk, person: Person, shown: tuple[ProjectView | None, Filled]
) -> Response[bytes]:
    view, form = shown
    values: dict[str, Any] = {"view": view, "f": form, "periods": PERIODS} | desk.model_choices(person)
    values |= {"teams": await _teams(desk, person, "project.change")}
    values |= {
        "shared": await desk.shared_budgets(person),
        "centers": await desk.cost_centers(person, "project.change"),
    }
    return pages.show_form(request, "project_form.html", person, form.error, **values)
