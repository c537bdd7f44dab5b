"""The pages of tags: the labels of calls for which a budget or limits are set."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.people import Person
from app.admin.tags import Tags, TagView
from app.api.ui.access import Pages
from app.api.ui.budget_form import EXCEEDED, PERIODS, TAG, read_tag_form, typed_budget
from app.api.ui.lists import page_of, read_id, read_listing
from app.base.errors import CallerError

AnyRequest = Request[Any, Any, Any]
_PAGE = 30


class TagPages(Controller):
    """On the services of ``/tag/*``; what is spent on tags is for who sees all of the tenancy."""

    include_in_schema = False

    @get("/ui/budgets/tags")
    async def list_all(
        self, request: AnyRequest, pages: NamedDependency[Pages], tags: NamedDependency[Tags]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "tenancy.read")
        listing = read_listing(request)
        found, total = await tags.list(listing.number, _PAGE)
        values: dict[str, Any] = {"views": found, **page_of(listing, total, _PAGE)}
        values |= {"may_change": person.may("settings.change"), "periods": PERIODS}
        values |= {"done": request.query_params.get("done")}
        return pages.show(request, "tags.html", person, **values)

    @get("/ui/budgets/tags/edit")
    async def edit_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], tags: NamedDependency[Tags]
    ) -> Response[bytes]:
        """Without ``name`` it is a new one."""
        person = await pages.require_page(request, "settings.change")
        name = read_id(request, "name")
        if not name:
            return _show_form(request, pages, person, dict.fromkeys(TAG, "") | {"budget_duration": "month"})
        [view] = await tags.get([name])
        return _show_form(request, pages, person, _typed(view), view)

    @post("/ui/budgets/tags/edit", status_code=200)
    async def save(
        self, request: AnyRequest, pages: NamedDependency[Pages], tags: NamedDependency[Tags]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        actor = person.actor("settings.change")
        view = (await tags.get([form.raw("name")]))[0] if form.text("known") else None
        try:
            name, terms = read_tag_form(form)
            await (tags.create(name, terms, actor) if view is None else tags.update(name, terms, actor))
        except CallerError as error:
            return _show_form(request, pages, person, {one: form.text(one) for one in TAG}, view, error)
        return pages.go(f"/ui/budgets/tags?done={'changed' if view else 'made'}")

    @post("/ui/budgets/tags/delete", status_code=200)
    async def delete(
        self, request: AnyRequest, pages: NamedDependency[Pages], tags: NamedDependency[Tags]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        await tags.delete(form.raw("name"), person.actor("settings.change"))
        return pages.go("/ui/budgets/tags?done=deleted")


def _show_form(
    request: AnyRequest,
    pages: Pages,
    person: Person,
    typed: dict[str, str],
    view: TagView | None = None,
    error: CallerError | None = None,
) -> Response[bytes]:
    values: dict[str, Any] = {"typed": typed, "view": view, "error": error, "periods": PERIODS, "exceeded": EXCEEDED}
    return pages.show_form(request, "tag_form.html", person, error, **values)


def _typed(view: TagView) -> dict[str, str]:
    typed = typed_budget(view.standing.budget, view.tag)
    return typed | {"name": view.tag.tag, "description": view.tag.description or ""}
