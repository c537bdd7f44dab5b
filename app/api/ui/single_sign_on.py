"""The two ends of single sign-on in a browser: sent away to the identity provider, and back from it."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from app.admin.single_sign_on import ATTEMPT_LIFE, SingleSignOn
from app.api.ui.access import HOME, Pages, safe_next, visit_of
from app.api.ui.sign_in import enter, show_sign_in
from app.base.errors import CallerError, NotFound, UpstreamError

AnyRequest = Request[Any, Any, Any]
START = "/ui/sso"
CALLBACK = "/ui/sso/callback"
TICKET_COOKIE = "keyhouse_sso"
_ANSWER = ("code", "state", "iss", "error", "error_description")
_LONGEST_VALUE = 8_192


class SingleSignOnPages(Controller):
    """Plain links and redirects: a form could not lead to another host under our policy."""

    include_in_schema = False

    @get(START)
    async def begin(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        single_sign_on = _require(pages)
        wanted = safe_next(request.query_params.get("next", HOME))
        try:
            ticket, address = await single_sign_on.begin(wanted, _callback(request, pages))
        except UpstreamError as error:
            return show_sign_in(request, pages, wanted, "", error)
        response = pages.go(address)
        response.cookies.append(_ticket(request, ticket, int(ATTEMPT_LIFE.total_seconds())))
        return response

    @get(CALLBACK)
    async def finish(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        single_sign_on = _require(pages)
        ticket = request.cookies.get(TICKET_COOKIE, "")
        answer = {name: value for name in _ANSWER if (value := request.query_params.get(name, "")[:_LONGEST_VALUE])}
        try:
            token, wanted = await single_sign_on.finish(ticket, answer, _callback(request, pages), visit_of(request))
        except (CallerError, UpstreamError) as error:
            response = show_sign_in(request, pages, HOME, "", error)
        else:
            response = await enter(request, pages, token, safe_next(wanted))
        response.cookies.append(_ticket(request, "", 0))
        return response


def _require(pages: Pages) -> SingleSignOn:
    if pages.single_sign_on is None:
        raise NotFound("There is no single sign-on here. An operator can set it up with KEYHOUSE_OIDC_ISSUER.")
    return pages.single_sign_on


def _callback(request: AnyRequest, pages: Pages) -> str:
    """The same at both ends, and registered at the identity provider."""
    return pages.address(request, CALLBACK)


def _ticket(request: AnyRequest, value: str, max_age_s: int) -> Cookie:
    return Cookie(
        TICKET_COOKIE, value=value, path=START, max_age=max_age_s, httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
