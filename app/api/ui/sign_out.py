"""Signing out: of this browser or of all, and, for who came by single sign-on, of the identity provider where wanted.

The provider's own sign-out ends everything that it signed the person in to, so it is offered, and not done unasked.
"""

import secrets
from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.actor import Actor
from app.admin.browser_sessions import Origin
from app.api.ui.access import HOME, SIGN_IN, Pages
from app.api.ui.cookies import SESSION, VISIT

AnyRequest = Request[Any, Any, Any]
SIGN_OUT = "/ui/sign-out"
SIGNED_OUT = "/ui/signed-out"


class SignOutPages(Controller):
    """A session ends here before anything else is asked."""

    include_in_schema = False

    @post(SIGN_OUT, status_code=200)
    async def sign_out(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        await pages.read_form(request)
        token, sessions = pages.cookies.read(request, SESSION) or "", pages.people.sessions
        origin = await sessions.find_origin(token)
        await sessions.end(token)
        return await _leave(request, pages, origin)

    @post("/ui/sign-out-everywhere", status_code=200)
    async def sign_out_everywhere(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        person = await pages.signed_in_person(request)
        await pages.read_form(request)
        sessions = pages.people.sessions
        origin = await sessions.find_origin(pages.cookies.read(request, SESSION) or "")
        await sessions.end_all(person.user_id, Actor(person.user_id, person.address))
        return await _leave(request, pages, origin)

    @get(SIGN_OUT)
    async def look_again(self, pages: NamedDependency[Pages]) -> Response[bytes]:
        """The address of a page that somebody may load once more."""
        return pages.go(SIGN_IN)

    @get(SIGNED_OUT)
    async def signed_out_page(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        """Where the provider leads back to, with what it was given by this browser."""
        if await pages.find_person(request) is not None:
            return pages.go(HOME)
        visit, state = pages.cookies.read(request, VISIT), request.query_params.get("state", "")
        if pages.single_sign_on is None or visit is None:
            return pages.go(SIGN_IN)
        if not secrets.compare_digest(pages.people.sign_out_state(visit).encode(), state.encode("utf-8", "replace")):
            return pages.go(SIGN_IN)
        return pages.show(request, "signed_out.html", None, way=pages.single_sign_on.name, address=None, is_over=True)


async def _leave(request: AnyRequest, pages: Pages, origin: Origin | None) -> Response[bytes]:
    """Not a redirect to the provider: our policy lets no form lead to another host."""
    single_sign_on = pages.single_sign_on
    if single_sign_on is None or origin is None or origin.method != "sso":
        return pages.go_signed_out(request)
    visit = secrets.token_urlsafe(32)
    back, state = pages.address(request, SIGNED_OUT), pages.people.sign_out_state(visit)
    address = await single_sign_on.sign_out_address(origin.id_token, back, state)
    way = single_sign_on.name
    response = pages.show(request, "signed_out.html", None, way=way, address=address, is_over=False)
    response.cookies += [
        pages.cookies.write(request, SESSION, "", 0),
        pages.cookies.write(request, VISIT, visit),
    ]
    return response
