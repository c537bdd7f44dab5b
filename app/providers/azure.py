"""Azure's hosts where no key is given: a token of Microsoft Entra ID, given or fetched with a client's secret."""

import time
from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from app.base.errors import UpstreamRejected
from app.base.secret import Secret
from app.protocols.scanning import UNREADABLE
from app.providers.provider import Header, Upstream, UpstreamReply, UpstreamRequest
from app.providers.tokens import TIMEOUTS, Token, Tokens, ask

AUTHORITY = "https://login.microsoftonline.com"
_SCOPE = "https://cognitiveservices.azure.com/.default"
_FOUNDRY_SCOPE = "https://ai.azure.com/.default"
"""What Anthropic's models in Foundry are asked with."""
_SERVICE = "Microsoft Entra ID"
_KEYS = frozenset({b"api-key", b"x-api-key"})
_CLIENT = ("tenant_id", "client_id", "client_secret")
_REASON_MOST_CHARACTERS = 200


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float


class _Refused(msgspec.Struct):
    error: str = ""
    error_description: str = ""


class AzureUpstream:
    """Implements the Upstream interface. A token that is given wins over a key, a key over a client's secret."""

    def __init__(self, http: Upstream, authority: str = AUTHORITY) -> None:
        self._http = http
        self._authority = authority
        self._tokens = Tokens()

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        given = request.options.get("azure_ad_token")
        if given is not None:
            return await self._http.send(_with_token(request, given.reveal().strip()))
        if any(name in _KEYS for name, _ in request.headers):
            return await self._http.send(request)
        options = request.options
        scope = _FOUNDRY_SCOPE if "/anthropic/" in urlsplit(request.url).path else _SCOPE
        key = (scope, *(options.get(name) for name in _CLIENT))
        token = await self._tokens.get(key, lambda: self._fetch(request.provider, options, scope))
        reply = await self._http.send(_with_token(request, token))
        if reply.status == 401:
            self._tokens.forget(key)
        return reply

    async def _fetch(self, provider: str, options: Mapping[str, Secret], scope: str) -> Token:
        missing = [name for name in _CLIENT if name not in options]
        if missing:
            raise UpstreamRejected(
                f'provider "{provider}" has neither a key nor a token; an admin should set api_key, or azure_ad_token, '
                f"or tenant_id, client_id and client_secret ({', '.join(missing)} not set)",
                provider=provider,
                status=502,
            )
        tenant, client, secret = (options[name].reveal() for name in _CLIENT)
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": scope}
        headers: list[Header] = [
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"accept", b"application/json"),
        ]
        request = UpstreamRequest(
            provider=provider,
            method="POST",
            url=f"{self._authority}/{quote(tenant, safe='')}/oauth2/v2.0/token",
            headers=headers,
            body=urlencode(form).encode(),
            timeouts=TIMEOUTS,
        )
        asked_s = time.monotonic()
        status, body = await ask(self._http, request, _SERVICE)
        try:
            granted = msgspec.json.decode(body, type=_Granted, strict=False)
        except UNREADABLE:
            raise UpstreamRejected(
                f'{_SERVICE} gave no token for provider "{provider}" ({_reason(status, body, secret)}); '
                "an admin should check tenant_id, client_id and client_secret",
                provider=provider,
                status=502,
            ) from None
        return Token(granted.access_token, asked_s + granted.expires_in)


def _with_token(request: UpstreamRequest, token: str) -> UpstreamRequest:
    headers = [header for header in request.headers if header[0] not in _KEYS]
    headers.append((b"authorization", b"Bearer " + token.encode()))
    return msgspec.structs.replace(request, headers=headers)


def _reason(status: int, body: bytes, secret: str) -> str:
    try:
        refused = msgspec.json.decode(body, type=_Refused)
    except UNREADABLE:
        return f"status {status}"
    first_line = (refused.error_description or refused.error).partition("\n")[0].strip()
    return first_line.replace(secret, "***")[:_REASON_MOST_CHARACTERS] or f"status {status}"
