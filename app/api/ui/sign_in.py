"""The pages before and after everything else: first run, sign-in, invitations."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.admin.password_reset import PasswordReset
from app.admin.passwords import SHORTEST_PASSWORD
from app.admin.people import check_email
from app.api.ui.access import HOME, Pages, safe_next, visit_of
from app.api.ui.cookies import SESSION
from app.api.ui.lists import read_text
from app.base.errors import CallerError, GatewayError, NotFound, Unprocessable

AnyRequest = Request[Any, Any, Any]
INVITATION = "/ui/invitation"
FORGOT = "/ui/forgot"


class SignInPages(Controller):
    """Open to anybody."""

    include_in_schema = False

    @get("/ui/sign-in")
    async def sign_in_page(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        wanted = safe_next(request.query_params.get("next", HOME))
        if await pages.find_person(request) is not None:
            return pages.go(wanted)
        if pages.single_sign_on is None and not await pages.people.is_any_owner():
            return pages.go("/ui/owner")
        return show_sign_in(request, pages, wanted, "")

    @post("/ui/sign-in", status_code=200)
    async def sign_in(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        form = await pages.read_form(request)
        wanted, email = safe_next(form.text("next") or HOME), form.text("email")
        try:
            token = await pages.people.sign_in(email, form.raw("password"), visit_of(request))
        except CallerError as error:
            return show_sign_in(request, pages, wanted, email, error)
        return await enter(request, pages, token, wanted)

    @get("/ui/owner")
    async def owner_page(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        return await _show_owner(request, pages, "")

    @post("/ui/owner", status_code=200)
    async def make_owner(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        form = await pages.read_form(request)
        email = form.text("email")
        try:
            password = ""
            if pages.people.takes_passwords:
                password = read_new_password(form.raw("password"), form.raw("again"))
            token = await pages.people.make_owner(form.text("admin_key"), email, password, visit_of(request))
        except CallerError as error:
            return await _show_owner(request, pages, email, error)
        return await enter(request, pages, token, HOME)

    @get(INVITATION + "/{token:str}")
    async def invitation_page(
        self, request: AnyRequest, token: FromPath[str], pages: NamedDependency[Pages]
    ) -> Response[bytes]:
        return await _show_invitation(request, pages, token)

    @post(INVITATION + "/{token:str}", status_code=200)
    async def accept_invitation(
        self, request: AnyRequest, token: FromPath[str], pages: NamedDependency[Pages]
    ) -> Response[bytes]:
        form = await pages.read_form(request)
        try:
            password = read_new_password(form.raw("password"), form.raw("again"))
            opened = await pages.people.accept_invitation(token, password, visit_of(request))
        except (Unprocessable, NotFound) as error:
            return await _show_invitation(request, pages, token, error)
        return await enter(request, pages, opened, HOME)

    @get(FORGOT)
    async def forgot_page(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        require_reset(pages)
        return _shown(request, pages, "forgot.html", None, email="", asked=False)

    @post(FORGOT, status_code=200)
    async def ask_for_password(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        """The answer is the same for every address."""
        reset, form = require_reset(pages), await pages.read_form(request)
        email = form.text("email")
        try:
            check_email(email)
            await reset.ask(email, visit_of(request))
        except CallerError as error:
            return _shown(request, pages, "forgot.html", error, email=email, asked=False)
        return _shown(request, pages, "forgot.html", None, email=email, asked=True)


def require_reset(pages: Pages) -> PasswordReset:
    """Raises NotFound where no mail can be sent for it."""
    if pages.password_reset is None:
        raise NotFound("No mail is sent for a lost password here. An admin can give you a link to choose another.")
    return pages.password_reset


async def enter(request: AnyRequest, pages: Pages, token: str, path: str) -> Response[bytes]:
    """A session that this browser had before ends here: nobody goes on in one that somebody else may know."""
    earlier = pages.cookies.read(request, SESSION)
    if earlier:
        await pages.people.sessions.end(earlier)
    return pages.go_signed_in(request, token, path)


def show_sign_in(
    request: AnyRequest,
    pages: Pages,
    wanted: str,
    email: str,
    error: GatewayError | None = None,
    leave: str | None = None,
) -> Response[bytes]:
    """``leave`` is where the identity provider signs somebody out who is not let in here."""
    way = None if pages.single_sign_on is None else pages.single_sign_on.name
    takes_passwords = pages.people.takes_passwords
    values = {"next": wanted, "email": email, "single_sign_on": way, "takes_passwords": takes_passwords}
    values |= {"leave": leave}
    values |= {"forgot": _forgot(pages), "unsent": bool(read_text(request, "unsent"))}
    return _shown(request, pages, "sign_in.html", error, **values)


def _forgot(pages: Pages) -> str | None:
    """Where a lost password is asked for; None where no mail can be sent for it."""
    return FORGOT if pages.password_reset is not None else None


async def _show_owner(
    request: AnyRequest, pages: Pages, email: str, error: CallerError | None = None
) -> Response[bytes]:
    first = not await pages.people.is_any_owner()
    takes_passwords = pages.people.takes_passwords
    return _shown(request, pages, "owner.html", error, email=email, first=first, takes_passwords=takes_passwords)


async def _show_invitation(
    request: AnyRequest, pages: Pages, token: str, error: CallerError | None = None
) -> Response[bytes]:
    if not pages.people.takes_passwords:
        raise NotFound("Nobody has a password here any more. Sign in with single sign-on.")
    email = await pages.people.find_invited(token)
    if email is None:
        return pages.show(request, "link_over.html", None, status=404, forgot=_forgot(pages))
    return _shown(request, pages, "invitation.html", error, email=email)


def _shown(
    request: AnyRequest,
    pages: Pages,
    template: str,
    error: GatewayError | None,
    **values: Any,  # noqa: ANN401
) -> Response[bytes]:
    status = 200 if error is None else error.status
    response = pages.show(request, template, None, status=status, error=error, shortest=SHORTEST_PASSWORD, **values)
    if error is not None and error.retry_after_s is not None:
        response.headers["retry-after"] = str(error.retry_after_s)
    return response


def read_new_password(password: str, again: str) -> str:
    if password != again:
        raise Unprocessable("the two new passwords differ; type the same one twice", param="again")
    return password
