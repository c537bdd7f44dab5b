"""The page on which a person lets a program in that waits under a code, or turns it away."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.people import Person
from app.api.sign_in.desk import SignInDesk, address_of
from app.api.ui.access import Form, Pages
from app.base.errors import CallerError
from app.domain.sign_in import show_user_code

AnyRequest = Request[Any, Any, Any]
PAGE = "/ui/device"
_ACTION = "device.approve"
_LONGEST_CODE = 40


class DevicePages(Controller):
    """A code in the address is shown and never approved by itself: anybody can send somebody such a link."""

    include_in_schema = False

    @get(PAGE)
    async def device_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], sign_in_desk: NamedDependency[SignInDesk]
    ) -> Response[bytes]:
        person = await pages.require_page(request, _ACTION)
        assert sign_in_desk.sign_in is not None
        code, done = request.query_params.get("user_code", "").strip(), request.query_params.get("done")
        if done in ("approved", "denied"):
            return pages.show(request, "device_done.html", person, approved=done == "approved")
        if not code:
            return _ask(request, pages, person, "")
        try:
            return await _confirm(request, pages, sign_in_desk, person, code)
        except CallerError as error:
            return _ask(request, pages, person, code[:_LONGEST_CODE], error)

    @post(PAGE, status_code=200)
    async def decide(
        self, request: AnyRequest, pages: NamedDependency[Pages], sign_in_desk: NamedDependency[SignInDesk]
    ) -> Response[bytes]:
        person = await pages.require_page(request, _ACTION)
        form = await pages.read_form(request)
        code, actor = form.text("user_code"), person.actor(_ACTION)
        try:
            await sign_in_desk.find_waiting(code, address_of(request))
            if form.text("decision") != "approve":
                await sign_in_desk.sign_in.deny(code, actor)
                return pages.go(f"{PAGE}?done=denied")
            team_id, has_chosen = _team(form)
            await sign_in_desk.sign_in.approve(code, person.user_id, team_id, actor, has_chosen=has_chosen)
        except CallerError as error:
            return _ask(request, pages, person, code[:_LONGEST_CODE], error)
        return pages.go(f"{PAGE}?done=approved")


def _team(form: Form) -> tuple[str | None, bool]:
    chosen = form.texts("team_id")
    return (chosen[0], True) if chosen else (None, form.text("own") == "yes")


def _ask(
    request: AnyRequest, pages: Pages, person: Person, code: str, error: CallerError | None = None
) -> Response[bytes]:
    status = 200 if error is None else error.status
    response = pages.show(request, "device.html", person, status=status, code=code, error=error)
    if error is not None and error.retry_after_s is not None:
        response.headers["retry-after"] = str(error.retry_after_s)
    return response


async def _confirm(request: AnyRequest, pages: Pages, desk: SignInDesk, person: Person, code: str) -> Response[bytes]:
    found = await desk.find_waiting(code, address_of(request))
    choices = await desk.sign_in.list_choices(person.user_id)
    return pages.show(
        request, "device_confirm.html", person, found=found, code=show_user_code(found.user_code), choices=choices
    )
