"""What an identity provider calls when somebody signs out there (OpenID Connect Back-Channel Logout 1.0, 2.5)."""

from typing import Any
from urllib.parse import parse_qs

import msgspec
from litestar import Controller, Request, Response, post
from litestar.di import NamedDependency

from app.api.ui.access import Pages, visit_of
from app.base.errors import GatewayError, InvalidRequest, NotFound
from app.identity.id_tokens import LONGEST_TOKEN

AnyRequest = Request[Any, Any, Any]
_MOST_BODY_BYTES = LONGEST_TOKEN + 4096
_MOST_FIELDS = 20


class IssuerLogoutRoute(Controller):
    """No page, and no form of ours: the signature of the token says who calls."""

    include_in_schema = False
    request_max_body_size = _MOST_BODY_BYTES

    @post("/ui/sso/backchannel-logout", status_code=200)
    async def log_out(self, request: AnyRequest, pages: NamedDependency[Pages]) -> Response[bytes]:
        if pages.issuer_logout is None:
            raise NotFound("There is no single sign-on here.")
        try:
            token = _read_token(await request.body())
            await pages.issuer_logout.end(token, visit_of(request).address)
        except GatewayError as error:
            return _answer(400, {"error": "invalid_request", "error_description": error.message})
        return _answer(200, {})


def _read_token(body: bytes) -> str:
    try:
        found = parse_qs(body.decode("ascii"), max_num_fields=_MOST_FIELDS).get("logout_token", [])
    except ValueError as error:
        raise InvalidRequest("the body is no form") from error
    if len(found) != 1:
        raise InvalidRequest('"logout_token" is missing: send one, as application/x-www-form-urlencoded')
    return found[0]


def _answer(status: int, content: object) -> Response[bytes]:
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json", headers=headers)
