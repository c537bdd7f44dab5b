"""Errors as pages, in the look of all others."""

from collections.abc import Callable
from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException

from app.api.ui.access import Pages, SignInNeeded, StaleForm, form_address, sign_in_address
from app.api.ui.forms import in_words
from app.api.ui.lists import BeyondLastPage
from app.base.errors import GatewayError, InvalidRequest, MethodNotAllowed, NotFound, TooLarge
from app.base.ids import new_id
from app.base.logs import get_logger

Handler = Callable[[Request[Any, Any, Any], Exception], Response[bytes]]
_TITLES = {
    400: "This cannot be read", 403: "Not for your role", 404: "Not found", 405: "Not like this", 413: "Too large",
    422: "This cannot be", 429: "Too many attempts", 503: "Back in a moment",
}  # fmt: skip


@get("/ui/{rest:path}", include_in_schema=False)
async def no_such_page(request: Request[Any, Any, Any], pages: NamedDependency[Pages]) -> Response[bytes]:
    """Whoever is signed in keeps the sidebar there too."""
    await pages.find_person(request)
    raise NotFound("There is no such page.")


def page_error_handler(pages: Pages) -> Handler:
    """Of all paths of pages, those too that there are not."""
    log = get_logger()

    def handle(request: Request[Any, Any, Any], exception: Exception) -> Response[bytes]:
        if isinstance(exception, SignInNeeded):
            return _to_sign_in(pages, request)
        if isinstance(exception, BeyondLastPage):
            return pages.go(exception.address)
        error = _as_gateway_error(exception)
        message = in_words(error.message)
        if error.status == 500:
            request_id = new_id("req")
            message = f"An unexpected failure. Tell an admin this number: {request_id}"
            log.error("unexpected failure", request_id=request_id, path=request.scope["path"], exc_info=exception)
        title = _TITLES.get(error.status, "Something went wrong")
        values = {"title": title, "message": message, "form_address": None}
        if isinstance(error, StaleForm):
            values |= {"title": "This form is too old", "form_address": form_address(request)}
        person = getattr(request.state, "signed_in", None)
        response = pages.show(request, "error.html", person, status=error.status, **values)
        if error.retry_after_s is not None:
            response.headers["retry-after"] = str(error.retry_after_s)
        return response

    return handle


def _to_sign_in(pages: Pages, request: Request[Any, Any, Any]) -> Response[bytes]:
    address = sign_in_address(request)
    response = pages.go(address)
    if "hx-request" in request.headers:
        # htmx would put the page of a redirect into the middle of this one.
        response.status_code = 204
        response.headers["hx-redirect"] = address
    return response


def _as_gateway_error(exception: Exception) -> GatewayError:
    if isinstance(exception, GatewayError):
        return exception
    if isinstance(exception, HTTPException) and exception.status_code < 500:
        match exception.status_code:
            case 404:
                return NotFound("There is no such page.")
            case 405:
                return MethodNotAllowed("This page does not take that.")
            case 413:
                return TooLarge("The form is too large.")
            case _:
                return InvalidRequest("The request cannot be read.")
    return GatewayError(str(exception))
