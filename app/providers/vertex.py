"""Google Vertex AI: each request bears an access token, which google-auth gets for the credentials that are given."""

import asyncio
import importlib
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast
from urllib.parse import urlsplit

import msgspec

from app.base import clock
from app.base.errors import UpstreamRejected, UpstreamUnreachable
from app.domain.catalog import Timeouts
from app.protocols.scanning import UNREADABLE
from app.providers.provider import Upstream, UpstreamReply, UpstreamRequest
from app.providers.refusals import RefusedReply, explained, messages_error, refusal_of_status
from app.providers.tokens import TIMEOUTS, Token, Tokens, ask

METADATA = "http://metadata.google.internal"
_METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
_METADATA_TIMEOUTS = Timeouts(connect_s=3, first_byte_s=10, idle_s=5, total_s=15)
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_KINDS = {
    "authorized_user": ("google.oauth2.credentials", "from_authorized_user_info"),
    "external_account": ("google.auth.identity_pool", "from_info"),
    "external_account_authorized_user": ("google.auth.external_account_authorized_user", "from_info"),
    "impersonated_service_account": (
        "google.auth.impersonated_credentials",
        "from_impersonated_service_account_info",
    ),
    "service_account": ("google.oauth2.service_account", "from_service_account_info"),
}
"""The ``type`` of credentials in JSON, and whose ``Credentials`` are made of it how. None of them runs a program."""
_AWS_TOKEN = "urn:ietf:params:aws:token-type:aws4_request"  # noqa: S105  a kind of token
_SERVICE = "Google's identity service"
_LASTS_S = 3600.0
_REASON_MOST_CHARACTERS = 200
_OTHER_ADDRESSES = {
    "https://global-aiplatform.googleapis.com/": "https://aiplatform.googleapis.com/",
    "https://us-aiplatform.googleapis.com/": "https://aiplatform.us.rep.googleapis.com/",
    "https://eu-aiplatform.googleapis.com/": "https://aiplatform.eu.rep.googleapis.com/",
}
"""Locations that are no region have an address of another form."""
_CLAUDE_CALLS = (":rawPredict", ":streamRawPredict")


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float = _LASTS_S


class _Fault(msgspec.Struct):
    message: str


class _Refused(msgspec.Struct):
    """Google's shape of an error. Anthropic's has a ``type`` beside it."""

    error: _Fault
    type: str = ""


class VertexUpstream:
    """Implements the Upstream interface. Without ``vertex_credentials``: those of gcloud, else of the machine."""

    def __init__(self, http: Upstream, metadata: str = METADATA) -> None:
        self._http = http
        self._metadata = metadata
        self._tokens = Tokens()

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        option = request.options.get("vertex_credentials")
        written = "" if option is None else option.reveal().strip()
        token = await self._tokens.get(option, lambda: self._fetch(request, written))
        headers = [header for header in request.headers if header[0] != b"authorization"]
        headers.append((b"authorization", b"Bearer " + token.encode()))
        request = msgspec.structs.replace(request, url=_moved(request.url), headers=headers)
        reply = await self._http.send(request)
        if reply.status == 401:
            self._tokens.forget(option)
        if reply.status >= 400 and urlsplit(request.url).path.endswith(_CLAUDE_CALLS):
            return _refused(reply, request.provider)
        return reply

    async def _fetch(self, asking: UpstreamRequest, written: str) -> Token:
        """``written`` is the option: JSON, the path of a file of it, or nothing."""
        provider = asking.provider
        failures = await asyncio.to_thread(_failures)
        try:
            info = await asyncio.to_thread(_read_info, written)
        except (OSError, ValueError) as error:
            raise _no_token(provider, f"they are no JSON and no file of it: {type(error).__name__}") from None
        if info is None:
            return await self._ask_machine(provider)
        transport = _Transport(self._http, asking, asyncio.get_running_loop())
        try:
            return await asyncio.to_thread(_get_token, info, transport)
        except failures as error:
            raise _no_token(provider, _reason(error)) from None

    async def _ask_machine(self, provider: str) -> Token:
        """The token of the service account that Google gave to this machine or pod."""
        request = UpstreamRequest(
            provider=provider,
            method="GET",
            url=self._metadata + _METADATA_PATH,
            headers=[(b"metadata-flavor", b"Google"), (b"accept", b"application/json")],
            body=b"",
            timeouts=_METADATA_TIMEOUTS,
        )
        asked_s = time.monotonic()
        try:
            status, body = await ask(self._http, request, _SERVICE)
        except UpstreamUnreachable:
            raise _no_token(provider, "none are set, and this machine has none of Google's") from None
        try:
            granted = msgspec.json.decode(body, type=_Granted, strict=False)
        except UNREADABLE:
            raise _no_token(provider, f"this machine's own gave status {status}") from None
        return Token(granted.access_token, asked_s + granted.expires_in)


class _Response(NamedTuple):
    """What google-auth reads of an answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _Transport:
    """Carries google-auth's requests, which it makes in a thread, over the client of the loop."""

    def __init__(self, http: Upstream, asking: UpstreamRequest, loop: asyncio.AbstractEventLoop) -> None:
        self._http = http
        self._asking = asking
        self._loop = loop

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> _Response:
        request = UpstreamRequest(
            provider=self._asking.provider,
            method=method,
            url=url,
            headers=[(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            body=body.encode() if isinstance(body, str) else body or b"",
            timeouts=TIMEOUTS,
            guarded=self._asking.guarded,
        )
        status, data = asyncio.run_coroutine_threadsafe(ask(self._http, request, _SERVICE), self._loop).result()
        return _Response(status, {}, data)


class _Credentials(Protocol):
    """What is used of google-auth's. ``expiry`` is in UTC, and does not say so."""

    token: str | None
    expiry: datetime | None

    def refresh(self, request: _Transport) -> None: ...


def _failures() -> tuple[type[Exception], ...]:
    """What google-auth raises: its own, and what its code runs into with odd credentials and odd answers."""
    known = importlib.import_module("google.auth.exceptions").GoogleAuthError
    return (known, ValueError, TypeError, KeyError, AttributeError, OSError)


def _read_info(written: str) -> dict[str, object] | None:
    """None where none are given. Raises OSError, ValueError."""
    if written.startswith("{"):
        return msgspec.json.decode(written, type=dict[str, object])
    if written:
        return msgspec.json.decode(Path(written).read_bytes(), type=dict[str, object])
    gcloud = Path(importlib.import_module("google.auth._cloud_sdk").get_application_default_credentials_path())
    return msgspec.json.decode(gcloud.read_bytes(), type=dict[str, object]) if gcloud.is_file() else None


def _get_token(info: dict[str, object], transport: _Transport) -> Token:
    kind = info.get("type")
    module, maker = _KINDS.get(kind if isinstance(kind, str) else "", ("", ""))
    if info.get("subject_token_type") == _AWS_TOKEN:
        module = "google.auth.aws"
    if not module:
        raise ValueError(f"no credentials of the type {kind!r} are known")
    made: Any = getattr(importlib.import_module(module).Credentials, maker)(info)
    scoped: Any = importlib.import_module("google.auth.credentials").with_scopes_if_required(made, _SCOPES)
    credentials = cast("_Credentials", scoped)
    credentials.refresh(transport)
    if not credentials.token:
        raise ValueError("there is no token in the answer")
    lasts_s = _LASTS_S
    if credentials.expiry is not None:
        lasts_s = (credentials.expiry - clock.now().replace(tzinfo=None)).total_seconds()
    return Token(credentials.token, time.monotonic() + lasts_s)


def _moved(url: str) -> str:
    for address, other in _OTHER_ADDRESSES.items():
        if url.startswith(address):
            return other + url.removeprefix(address)
    return url


def _reason(error: Exception) -> str:
    """The first line of what Google said; it holds neither the key nor what was signed with it."""
    if isinstance(error, TypeError | KeyError | AttributeError):
        return f"they or the answer to them are not what google-auth expects: {type(error).__name__}"
    said = str(error.args[0]) if error.args else ""
    return said.partition("\n")[0].strip()[:_REASON_MOST_CHARACTERS] or type(error).__name__


def _no_token(provider: str, reason: str) -> UpstreamRejected:
    return UpstreamRejected(
        f'there is no token for provider "{provider}" with its credentials ({reason}); an admin should set '
        "vertex_credentials to the JSON of a service account or to the path of its file",
        provider=provider,
        status=502,
    )


def _refused(reply: UpstreamReply, provider: str) -> UpstreamReply:
    refusal, name = refusal_of_status(reply.status), str(reply.status)

    def render(body: bytes) -> bytes:
        text = ""
        bare = body.strip()
        if bare.startswith(b"["):  # Google wraps the errors of its streams so
            bare = bare[1:-1]
        try:
            refused = msgspec.json.decode(bare, type=_Refused)
        except UNREADABLE:
            pass
        else:
            if refused.type:
                return body
            text = refused.error.message
        return messages_error(refusal, explained(refusal, provider, name, text))

    return RefusedReply(reply, refusal, render)
