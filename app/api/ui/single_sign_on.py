"""The two ends of single sign-on in a browser: sent away to the identity provider, and back from it."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.single_sign_on import ATTEMPT_LIFE, NotLetIn, SingleSignOn, wanted_page
from app.api.ui.access import HOME, Pages, safe_next, visit_of
from app.api.ui.cookies import TICKET, VISIT
from app.api.ui.sign_in import enter, show_sign_in
from app.api.ui.sign_out import SIGNED_OUT
from app.base.errors import CallerError, GatewayError, NotFound, UpstreamError

AnyRequest = Request[Any, Any, Any]
START = "/ui/sso"
CALLBACK = "/ui/sso/callback"
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
        response.cookies.append(pages.cookies.write(request, TICKET, ticket, int(ATTEMPT_LIFE.total_seconds())))
        return response

    @get(CALLBACK)
    async def finish(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        single_sign_on = _require(pages)
        ticket = pages.cookies.read(request, TICKET) or ""
        answer = {name: value for name in _ANSWER if (value := request.query_params.get(name, "")[:_LONGEST_VALUE])}
        try:
            token, wanted = await single_sign_on.finish(ticket, answer, _callback(request, pages), visit_of(request))
        except (CallerError, UpstreamError) as error:
            leave = await _way_out(request, pages, error)
            response = show_sign_in(request, pages, safe_next(wanted_page(ticket) or HOME), "", error, leave)
        else:
            response = await enter(request, pages, token, safe_next(wanted))
        response.cookies.append(pages.cookies.write(request, TICKET, "", 0))
        return response


def _require(pages: Pages) -> SingleSignOn:
    if pages.single_sign_on is None:
        raise NotFound("There is no single sign-on here. An operator can set it up with KEYHOUSE_OIDC_ISSUER.")
    return pages.single_sign_on


async def _way_out(request: AnyRequest, pages: Pages, error: GatewayError) -> str | None:
    """For somebody whom the provider would only send back as the same person."""
    if not isinstance(error, NotLetIn):
        return None
    visit = pages.cookies.read(request, VISIT)
    state = "" if visit is None else pages.people.sign_out_state(visit)
    return await _require(pages).sign_out_address(error.id_token, pages.address(request, SIGNED_OUT), state)


def _callback(request: AnyRequest, pages: Pages) -> str:
    """The same at both ends, and registered at the identity provider."""
    return pages.address(request, CALLBACK)
