"""The page of saved views: addresses of lists and of the explorer that somebody keeps under names."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.saved_views import SavedViews
from app.api.ui.access import Pages
from app.api.ui.forms import Filled, filled, refused
from app.base.errors import CallerError, NotFound, Unprocessable

AnyRequest = Request[Any, Any, Any]
PAGE = "/ui/views"
PAGES_WITH_VIEWS: Mapping[str, str] = {
    "/ui/spend": "Explorer", "/ui/requests": "Requests", "/ui/keys": "Keys", "/ui/my-keys": "My keys",
    "/ui/budgets": "Budgets",
}  # fmt: skip
"""What a saved view may be of."""
_LONGEST_ADDRESS = 2_000
_OF_A_MOMENT = frozenset({"page", "cursor", "done", "pick", "find", "filter", "value"})
"""Parameters that say where one is in a list, or what was just clicked: no part of a view."""
_DONE = {"saved": "The view is saved.", "renamed": "The view has its new name.", "deleted": "The view is deleted."}


class SavedViewPages(Controller):
    """Of whoever is signed in, whatever the role: a view shows what its reader may see, each time it is opened."""

    include_in_schema = False

    @get(PAGE)
    async def page(
        self, request: AnyRequest, pages: NamedDependency[Pages], saved_views: NamedDependency[SavedViews]
    ) -> Response[bytes]:
        address = request.query_params.get("address", "")
        return await _show(
            request, pages, saved_views, filled({"address": read_view_address(address) if address else ""})
        )

    @get("/ui/views/menu")
    async def menu(
        self, request: AnyRequest, pages: NamedDependency[Pages], saved_views: NamedDependency[SavedViews]
    ) -> Response[bytes]:
        """Those of one page, for the menu there."""
        person = await pages.signed_in_person(request)
        of = request.query_params.get("of", "")
        views = [one for one in await saved_views.list(person.user_id) if _page_of(one.address) == of]
        return pages.show(request, "saved_views_menu.html", person, views=views)

    @post(PAGE, status_code=200)
    async def change(
        self, request: AnyRequest, pages: NamedDependency[Pages], saved_views: NamedDependency[SavedViews]
    ) -> Response[bytes]:
        """Save, rename or delete one."""
        person = await pages.signed_in_person(request)
        form = await pages.read_form(request)
        done, name, view_id = form.text("do"), form.text("name"), form.text("view_id")
        try:
            match done:
                case "saved":
                    await saved_views.save(person.user_id, name, read_view_address(form.text("address")))
                case "renamed":
                    await saved_views.rename(person.user_id, view_id, name)
                case "deleted":
                    await saved_views.delete(person.user_id, view_id)
                case _:
                    raise NotFound("There is no such thing to do with a view.")
        except CallerError as error:
            return await _show(request, pages, saved_views, refused(form, ["name", "address", "view_id"], [], error))
        return pages.go(f"{PAGE}?done={done}")


def read_view_address(written: str) -> str:
    """A page of ours that has views, without what is of a moment. Raises Unprocessable for anything else."""
    try:
        parts = urlsplit(written) if len(written) <= _LONGEST_ADDRESS and written.isprintable() else None
    except ValueError:  # half an address of IPv6
        parts = None
    if parts is None or parts.scheme or parts.netloc or parts.path not in PAGES_WITH_VIEWS:
        raise Unprocessable(
            f'"{written[:60]}" is no address that can be saved; open one of {", ".join(PAGES_WITH_VIEWS.values())} '
            "and choose Views there",
            param="address",
        )
    asked = [(name, value) for name, value in parse_qsl(parts.query) if name not in _OF_A_MOMENT]
    return f"{parts.path}?{urlencode(asked)}" if asked else parts.path


def _page_of(address: str) -> str:
    return address.partition("?")[0]


async def _show(request: AnyRequest, pages: Pages, saved_views: SavedViews, form: Filled) -> Response[bytes]:
    person = await pages.signed_in_person(request)
    views = [(one, PAGES_WITH_VIEWS.get(_page_of(one.address), "")) for one in await saved_views.list(person.user_id)]
    address = form.value("address")
    values: dict[str, Any] = {"views": views, "f": form, "of": PAGES_WITH_VIEWS.get(_page_of(address), "")}
    values |= {"done": _DONE.get(request.query_params.get("done", ""))}
    return pages.show_form(request, "saved_views.html", person, form.error, **values)
