"""One's own account: who one is, where one is signed in and by which programs, and the password."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.actor import Actor
from app.admin.passwords import SHORTEST_PASSWORD
from app.admin.people import Person
from app.api.sign_in.desk import SignInDesk
from app.api.ui.access import Pages, visit_of
from app.api.ui.browser_names import name_browser
from app.api.ui.sign_in import read_new_password
from app.base.errors import CallerError

AnyRequest = Request[Any, Any, Any]
PAGE = "/ui/account"
_DONE = {
    "password": "The password is changed. Every other browser is signed out.",
    "session": "That browser is signed out.",
    "program": "The program is signed out; its key works no more.",
}


class AccountPages(Controller):
    """Of whoever is signed in, whatever the role."""

    include_in_schema = False

    @get(PAGE)
    async def account_page(
        self, request: AnyRequest, pages: NamedDependency[Pages], sign_in_desk: NamedDependency[SignInDesk]
    ) -> Response[bytes]:
        return await _show(request, pages, sign_in_desk)

    @post("/ui/account/password", status_code=200)
    async def change_password(
        self, request: AnyRequest, pages: NamedDependency[Pages], sign_in_desk: NamedDependency[SignInDesk]
    ) -> Response[bytes]:
        person = await pages.signed_in_person(request)
        form = await pages.read_form(request)
        try:
            new = read_new_password(form.raw("password"), form.raw("again"))
            token = await pages.people.change_password(person, form.raw("present"), new, visit_of(request))
        except CallerError as error:
            return await _show(request, pages, sign_in_desk, error)
        return pages.go_signed_in(request, token, f"{PAGE}?done=password")

    @post("/ui/account/sessions/{session_id:str}/end", status_code=200)
    async def end_session(
        self, request: AnyRequest, session_id: FromPath[str], pages: NamedDependency[Pages]
    ) -> Response[bytes]:
        person = await pages.signed_in_person(request)
        await pages.read_form(request)
        await pages.people.sessions.end_one(person.user_id, session_id, _actor(person))
        return pages.go(f"{PAGE}?done=session")

    @post("/ui/account/programs/{sign_in_id:str}/end", status_code=200)
    async def end_program(
        self,
        request: AnyRequest,
        sign_in_id: FromPath[str],
        pages: NamedDependency[Pages],
        sign_in_desk: NamedDependency[SignInDesk],
    ) -> Response[bytes]:
        person = await pages.signed_in_person(request)
        await pages.read_form(request)
        await sign_in_desk.programs.end(person.user_id, sign_in_id, _actor(person))
        return pages.go(f"{PAGE}?done=program")


def _actor(person: Person) -> Actor:
    """For what everybody may do with what is the person's own."""
    return Actor(person.user_id, person.address)


async def _show(
    request: AnyRequest, pages: Pages, desk: SignInDesk, error: CallerError | None = None
) -> Response[bytes]:
    person = await pages.signed_in_person(request)
    sessions = await pages.people.sessions.list_of(person.user_id)
    values = {
        "error": error,
        "shortest": SHORTEST_PASSWORD,
        "done": _DONE.get(request.query_params.get("done", "")),
        "ways": await pages.people.ways_in(person.user_id),
        "takes_passwords": pages.people.takes_passwords,
        "single_sign_on": None if pages.single_sign_on is None else pages.single_sign_on.name,
        "sessions": [(name_browser(session.browser), session) for session in sessions],
        "programs": await desk.programs.list_of(person.user_id),
        "programs_sign_in": desk.is_open,
    }
    return pages.show_form(request, "account.html", person, error, **values)
