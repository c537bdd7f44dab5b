"""What a program asks that signs in: where to, a code to show, tokens for it, and the end (RFC 8414, 8628, 6749, 7009).

Claude Code's /login speaks it: no client id, no scope, unknown parameters are ignored.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.device_sign_in import DeviceSignIn, Granted
from app.api.sign_in.desk import SignInDesk, address_of, name_of
from app.base.errors import GatewayError, GrantRefused, RateLimited, StorageUnavailable
from app.base.ids import new_id
from app.domain.sign_in import (
    CODE_LIFE,
    DEVICE_CODE_GRANT,
    KEY_LIFE,
    POLL_EVERY_S,
    REFRESH_GRANT,
    may_be_device_code,
    may_be_refresh_token,
)

AnyRequest = Request[Any, Any, Any]
PROTOCOL_VERSION = 1
_MOST_BODY_BYTES = 16_384
_MOST_FIELDS = 50
_HOURS_S = 3600
_NOT_COUNTED = frozenset({"authorization_pending", "slow_down"})


class OAuthRoutes(Controller):
    """Nobody is asked for a key here; errors are in OAuth's shape. The app has them where programs may sign in."""

    request_max_body_size = _MOST_BODY_BYTES
    include_in_schema = False

    @get("/.well-known/oauth-authorization-server")
    async def discover(self, request: AnyRequest) -> Response[bytes]:
        base = _base(request)
        return _answer(
            {
                "issuer": base,
                "device_authorization_endpoint": f"{base}/oauth/device_authorization",
                "token_endpoint": f"{base}/oauth/token",
                "revocation_endpoint": f"{base}/oauth/revoke",
                "grant_types_supported": [DEVICE_CODE_GRANT, REFRESH_GRANT],
                "token_endpoint_auth_methods_supported": ["none"],
                "gateway_protocol_version": PROTOCOL_VERSION,
            }
        )

    @post("/oauth/device_authorization", status_code=200)
    async def begin(self, request: AnyRequest, sign_in_desk: NamedDependency[SignInDesk]) -> Response[bytes]:
        sign_in = sign_in_desk.sign_in
        try:
            begun = await sign_in.begin(name_of(request), address_of(request))
        except GatewayError as error:
            return _refusal(error)
        page = f"{_base(request)}/ui/device"
        return _answer(
            {
                "device_code": begun.device_code,
                "user_code": begun.user_code,
                "verification_uri": page,
                "verification_uri_complete": f"{page}?user_code={begun.user_code}",
                "expires_in": int(CODE_LIFE.total_seconds()),
                "interval": POLL_EVERY_S,
            }
        )

    @post("/oauth/token", status_code=200)
    async def token(self, request: AnyRequest, sign_in_desk: NamedDependency[SignInDesk]) -> Response[bytes]:
        sign_in, address = sign_in_desk.sign_in, address_of(request)
        try:
            sign_in_desk.check_tokens(address)
            return _answer(_tokens(await _grant(sign_in, await _read_form(request), address)))
        except GrantRefused as refused:
            if refused.code not in _NOT_COUNTED:
                sign_in_desk.note_wrong_token(address)
            return _refusal(refused)
        except GatewayError as error:
            return _refusal(error)

    @post("/oauth/revoke", status_code=200)
    async def revoke(self, request: AnyRequest, sign_in_desk: NamedDependency[SignInDesk]) -> Response[bytes]:
        sign_in, address = sign_in_desk.sign_in, address_of(request)
        try:
            sign_in_desk.check_tokens(address)
            token = (await _read_form(request)).get("token", "")
            if not token:
                raise GrantRefused('"token" is missing', code="invalid_request")
            if not await sign_in.revoke(token, address):
                sign_in_desk.note_wrong_token(address)
        except GatewayError as error:
            return _refusal(error)
        return _answer({})  # RFC 7009 2.2: also for a token that nobody knows


async def _grant(sign_in: DeviceSignIn, form: Mapping[str, str], address: str) -> Granted:
    match form.get("grant_type"):
        case "urn:ietf:params:oauth:grant-type:device_code":
            code = form.get("device_code", "")
            if not may_be_device_code(code):
                raise GrantRefused('"device_code" is missing, or was not made here', code="invalid_grant")
            return await sign_in.redeem(code, address)
        case "refresh_token":
            token = form.get("refresh_token", "")
            if not may_be_refresh_token(token):
                message = '"refresh_token" is missing, or was not made here; sign in again'
                raise GrantRefused(message, code="invalid_grant", status=401)
            return await sign_in.refresh(token, address)
        case None | "":
            raise GrantRefused('"grant_type" is missing', code="invalid_request")
        case other:
            message = f'"grant_type" is "{other[:80]}"; there are {DEVICE_CODE_GRANT} and {REFRESH_GRANT}'
            raise GrantRefused(message, code="unsupported_grant_type")


async def _read_form(request: AnyRequest) -> Mapping[str, str]:
    """The fields of the form; of a name that stands twice the last. Raises GrantRefused."""
    try:
        return dict(parse_qsl((await request.body()).decode(), max_num_fields=_MOST_FIELDS))
    except ValueError as error:  # not UTF-8, or too many
        raise GrantRefused("the body must be a form of at most 50 fields", code="invalid_request") from error


def _tokens(granted: Granted) -> dict[str, Any]:
    email = {} if granted.email is None else {"email": granted.email}
    return {
        "access_token": granted.access_token,
        "token_type": "Bearer",
        "expires_in": KEY_LIFE.count * _HOURS_S,
        "refresh_token": granted.refresh_token,
        **email,
    }


def _base(request: AnyRequest) -> str:
    """The address that the program called us by: what it is told lies there too."""
    return str(request.base_url).rstrip("/")


def _answer(content: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    given = {"request-id": new_id("req"), "cache-control": "no-store", **(headers or {})}
    return Response(msgspec.json.encode(content), status_code=status, headers=given, media_type="application/json")


def _refusal(error: GatewayError) -> Response[bytes]:
    """RFC 6749 5.2; ``retry-after`` where there is one."""
    words = {RateLimited: "slow_down", StorageUnavailable: "temporarily_unavailable"}
    word = error.code if isinstance(error, GrantRefused) else words.get(type(error), "invalid_request")
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return _answer({"error": word, "error_description": error.message}, error.status, headers)
