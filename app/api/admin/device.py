"""Approving programs that sign in, without the page: what waits under a code, yes or no."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, check_names, read_body
from app.api.admin.queries import read_query
from app.api.admin.term_fields import read_optional, require_text
from app.api.security import Access, Caller
from app.api.sign_in.desk import SignInDesk, address_of
from app.base.errors import Forbidden, NotFound, Unprocessable
from app.domain.sign_in import show_user_code
from app.storage.postgres.sign_ins import StoredAuthorization

AnyRequest = Request[Any, Any, Any]
HINT = "the eight letters that the program shows"


class DeviceRoutes(Controller):
    """Everybody signs in as oneself; who reaches everything may name another person."""

    path = "/device"
    request_max_body_size = MOST_BODY_BYTES

    @get("/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], sign_in_desk: NamedDependency[SignInDesk]
    ) -> Response[bytes]:
        await access.require_caller(request)
        code = read_query(request, ("user_code",)).get("user_code")
        if code is None:
            raise Unprocessable(f'"user_code" is missing; {HINT}', param="user_code")
        return answer(_render(await sign_in_desk.find_waiting(code, address_of(request)), "pending"))

    @post("/approve", status_code=200)
    async def approve(
        self, request: AnyRequest, access: NamedDependency[Access], sign_in_desk: NamedDependency[SignInDesk]
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        _check_is_not_narrowed(caller)
        body = await read_body(request)
        check_names(body, {"user_code", "user_id", "team_id"}, ())
        code = require_text(body, "user_code", HINT)
        user_id, team_id = _person(caller, read_optional(body, "user_id")), read_optional(body, "team_id")
        await sign_in_desk.find_waiting(code, address_of(request))
        found = await sign_in_desk.sign_in.approve(code, user_id, team_id, caller.actor, has_chosen="team_id" in body)
        return answer(_render(found, "approved"))

    @post("/deny", status_code=200)
    async def deny(
        self, request: AnyRequest, access: NamedDependency[Access], sign_in_desk: NamedDependency[SignInDesk]
    ) -> Response[bytes]:
        caller = await access.require_caller(request)
        body = await read_body(request)
        check_names(body, {"user_code"}, ())
        code = require_text(body, "user_code", HINT)
        await sign_in_desk.find_waiting(code, address_of(request))
        return answer(_render(await sign_in_desk.sign_in.deny(code, caller.actor), "denied"))


def _check_is_not_narrowed(caller: Caller) -> None:
    """Raises Forbidden for a key that has bounds of its own: the program's key would have only those of the person."""
    if caller.principal is None or caller.tenant.everything:
        return
    key = caller.principal.key
    if key.models or key.limits or key.budgets or key.allowed_routes or key.expires_at or key.project_id:
        raise Forbidden(
            f'key "…{key.last_four}" has models, limits, a budget, routes, a project or an end of its own, which the '
            "program's key would not have; approve at /ui/device, or with a key that has none"
        )


def _person(caller: Caller, named: str | None) -> str:
    """Raises Unprocessable where nobody is meant, NotFound for another person."""
    own = caller.standing.user_id
    if named is not None and named != own and not caller.tenant.everything:
        raise NotFound(f'no such user: "{named}"; you sign in as yourself', param="user_id")
    if named is None and own is None:
        if caller.tenant.everything:
            raise Unprocessable('"user_id" is missing: who is signed in; see GET /user/list', param="user_id")
        raise Forbidden("this key belongs to nobody who could be signed in; use a key of your own")
    return named or own or ""


def _render(found: StoredAuthorization, state: str) -> dict[str, Any]:
    return {
        "user_code": show_user_code(found.user_code),
        "status": state,
        "client": found.client_name,
        "address": found.client_address,
        "created_at": found.created_at,
        "expires_at": found.expires_at,
    }
