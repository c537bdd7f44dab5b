"""The page of settings: what runs with which, and the settings that Claude Code is given, which can be changed here."""

import platform
from contextlib import suppress
from typing import Any

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.managed_settings import ManagedSettings
from app.admin.models import Models
from app.admin.naming import Naming
from app.admin.people import Person
from app.admin.processes import Processes
from app.api.admin.fields import read_metadata
from app.api.ui.access import Form, Pages
from app.api.ui.lists import read_text
from app.api.ui.machine import Machine
from app.base.errors import CallerError, StorageUnavailable, Unprocessable

AnyRequest = Request[Any, Any, Any]
_LEVELS = ("", "organization_id", "team_id")


class SettingsPages(Controller):
    """The settings of the operator are read only; managed settings are changed as by ``/managed_settings/update``."""

    include_in_schema = False

    @get("/ui/settings")
    async def settings(  # noqa: PLR0913  what the page tells comes from several places
        self,
        request: AnyRequest,
        pages: NamedDependency[Pages],
        machine: NamedDependency[Machine],
        models: NamedDependency[Models],
        managed_settings: NamedDependency[ManagedSettings],
        naming: NamedDependency[Naming],
        processes: NamedDependency[Processes],
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.read")
        catalog = models.catalog.current()
        facts = {
            "Keyhouse": machine.version,
            "Python": platform.python_version(),
            "Public prices": models.catalog.price_book.version,
            "Models": f"{len(catalog.models):,}",
        }
        levels = await managed_settings.list_all()
        names = {
            **await naming.names("team", [one.team_id for one in levels]),
            **await naming.names("organization", [one.organization_id for one in levels]),
        }
        running = None
        with suppress(StorageUnavailable):  # the page says so
            running = await processes.list()
        values: dict[str, Any] = {
            "facts": facts,
            "running": running,
            "groups": machine.settings,
            "levels": levels,
            "names": names,
        }
        values |= {"may_change": person.may("settings.change"), "done": request.query_params.get("done")}
        return pages.show(request, "settings.html", person, **values)

    @get("/ui/settings/managed")
    async def managed(
        self, request: AnyRequest, pages: NamedDependency[Pages], managed_settings: NamedDependency[ManagedSettings]
    ) -> Response[bytes]:
        """Without ``id`` those of everybody; ``of`` says whether it is of a team or of an organization."""
        person = await pages.require_page(request, "settings.change")
        of, owner_id = read_text(request, "of"), read_text(request, "id")
        organization_id, team_id = _owner(of, owner_id) if owner_id else (None, None)
        view = await managed_settings.find(organization_id, team_id)
        text = (
            "" if view.own is None else msgspec.json.format(msgspec.json.encode(view.own.settings), indent=2).decode()
        )
        return _show_form(request, pages, person, {"of": of, "id": owner_id, "settings": text})

    @post("/ui/settings/managed", status_code=200)
    async def save(
        self, request: AnyRequest, pages: NamedDependency[Pages], managed_settings: NamedDependency[ManagedSettings]
    ) -> Response[bytes]:
        person = await pages.require_page(request, "settings.change")
        form = await pages.read_form(request)
        try:
            owner = _owner(form.text("of"), form.text("id"))
            await managed_settings.write(*owner, _read(form), person.actor("settings.change"))
        except CallerError as error:
            typed = {name: form.text(name) for name in ("of", "id", "settings")}
            return _show_form(request, pages, person, typed, error)
        return pages.go("/ui/settings?done=managed")


def _show_form(
    request: AnyRequest, pages: Pages, person: Person, typed: dict[str, str], error: CallerError | None = None
) -> Response[bytes]:
    return pages.show_form(request, "managed_settings.html", person, error, typed=typed, error=error)


def _owner(of: str, owner_id: str) -> tuple[str | None, str | None]:
    """The organization and the team; neither for everybody. Raises Unprocessable."""
    if of not in _LEVELS:
        raise Unprocessable("choose for whom the settings are: everybody, an organization or a team", param="of")
    if of and not owner_id:
        raise Unprocessable(f"the id of the {of.removesuffix('_id')} is missing; its page tells it", param="id")
    return (owner_id if of == "organization_id" else None), (owner_id if of == "team_id" else None)


def _read(form: Form) -> dict[str, Any] | None:
    """An empty text sets nothing any more. Raises Unprocessable."""
    text = form.text("settings")
    return read_metadata("settings", text.encode()) if text else None
