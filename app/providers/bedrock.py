"""Amazon Bedrock: requests signed with AWS's Signature Version 4, streams and refusals as those of the Messages API."""

import asyncio
import importlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from app.base.errors import UpstreamBroken, UpstreamRejected
from app.protocols.scanning import UNREADABLE
from app.providers.event_stream import EventStreamDecoder, Message
from app.providers.provider import Header, Upstream, UpstreamReply, UpstreamRequest
from app.providers.refusals import (
    CREDENTIAL,
    Refusal,
    RefusedReply,
    chat_error,
    explained,
    messages_error,
    refusal_of_status,
)
from app.providers.upstream import parse_url

_SERVICE = "bedrock"
_EVENT_STREAM = b"application/vnd.amazon.eventstream"
_SIGNED = frozenset({b"content-type"})
_SIGNED_PREFIX = b"x-amz"
_ADDED = ("X-Amz-Date", "X-Amz-Security-Token", "Authorization")
_REPLACED = frozenset({b"authorization", b"x-amz-date", b"x-amz-security-token"})
_INVOKE = "/model/"
"""Below it models take and give their own JSON; elsewhere Bedrock speaks OpenAI's."""
_REFUSALS = {
    "accessdeniedexception": CREDENTIAL,
    "expiredtokenexception": CREDENTIAL,
    "incompletesignatureexception": CREDENTIAL,
    "invalidclienttokenid": CREDENTIAL,
    "invalidsignatureexception": CREDENTIAL,
    "missingauthenticationtokenexception": CREDENTIAL,
    "unrecognizedclientexception": CREDENTIAL,
    "internalserverexception": Refusal(500, "api_error"),
    "modelerrorexception": Refusal(502, "api_error"),
    "modelnotreadyexception": Refusal(503, "overloaded_error"),
    "modelstreamerrorexception": Refusal(502, "api_error"),
    "modeltimeoutexception": Refusal(504, "timeout_error"),
    "resourcenotfoundexception": Refusal(404, "not_found_error"),
    "servicequotaexceededexception": Refusal(429, "rate_limit_error"),
    "serviceunavailableexception": Refusal(503, "overloaded_error"),
    "throttlingexception": Refusal(429, "rate_limit_error"),
    "validationexception": Refusal(400, "invalid_request_error"),
}
"""AWS's names of what went wrong, in lower case; its statuses (424, 408) would mislead a client of the Messages API."""


class _Part(msgspec.Struct):
    """The payload of a ``chunk``: one event of the Messages API in base64."""

    data: bytes = msgspec.field(name="bytes")


class _Event(msgspec.Struct):
    type: str


class _Text(msgspec.Struct):
    lower: str = msgspec.field(name="message", default="")
    upper: str = msgspec.field(name="Message", default="")


_decode_part = msgspec.json.Decoder(_Part).decode
_decode_event = msgspec.json.Decoder(_Event).decode
_decode_text = msgspec.json.Decoder(_Text).decode


class BedrockUpstream:
    """Implements the Upstream interface. A bearer token wins over keys, keys over what AWS's own tools would find."""

    def __init__(self, http: Upstream) -> None:
        self._http = http
        self._signing: _Signing | None = None
        self._loading = asyncio.Lock()

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        path = urlsplit(request.url).path
        if _INVOKE in path:
            request = _accepting_json(request)
        reply = await self._http.send(await self._authorized(request))
        if reply.status >= 400:
            return _refused(reply, request.provider, chat=_INVOKE not in path)
        if any(name == b"content-type" and value.startswith(_EVENT_STREAM) for name, value in reply.headers):
            return EventStreamReply(reply, request.provider)
        return reply

    async def _authorized(self, request: UpstreamRequest) -> UpstreamRequest:
        headers = [header for header in request.headers if header[0] not in _REPLACED]
        bearer = request.options.get("aws_bearer_token")
        if bearer is not None:
            headers.append((b"authorization", b"Bearer " + bearer.reveal().strip().encode()))
        else:
            signing = await self._load_signing()
            headers += signing.sign(request, headers, await signing.keys(request))
        return msgspec.structs.replace(request, headers=headers)

    async def _load_signing(self) -> "_Signing":
        # Loaded when first needed, in a thread: it takes longer than a call, and most gateways have no Bedrock.
        if self._signing is None:
            async with self._loading:
                if self._signing is None:
                    self._signing = await asyncio.to_thread(_Signing)
        return self._signing


class _Keys(NamedTuple):
    access_key: str
    secret_key: str
    token: str | None


class _Found(Protocol):
    def get_frozen_credentials(self) -> _Keys: ...


class _Signing:
    """What is used of botocore: its signature and, for who gives no keys, its chain of sources of credentials."""

    def __init__(self) -> None:
        self._signer: Any = importlib.import_module("botocore.auth").SigV4Auth
        self._request: Any = importlib.import_module("botocore.awsrequest").AWSRequest
        errors = importlib.import_module("botocore.exceptions")
        self._errors = (errors.BotoCoreError, errors.ClientError, OSError, ValueError, KeyError)
        self._found: _Found | None = None
        self._finding = asyncio.Lock()

    def sign(self, request: UpstreamRequest, headers: Sequence[Header], keys: _Keys) -> list[Header]:
        """The headers to add. Signed are those alone that AWS demands, as others may change on their way."""
        _, host, _ = parse_url(request.url)
        signed = {"host": host.decode()}
        for name, value in headers:
            if name in _SIGNED or name.startswith(_SIGNED_PREFIX):
                signed[name.decode("latin-1")] = value.decode("latin-1")
        signable = self._request(request.method, request.url, headers=signed, data=request.body)
        self._signer(keys, _SERVICE, _region(request)).add_auth(signable)
        added = ((name, signable.headers.get(name)) for name in _ADDED)
        return [(name.lower().encode(), value.encode()) for name, value in added if value]

    async def keys(self, request: UpstreamRequest) -> _Keys:
        options = request.options
        key, secret, token = (
            options.get(name) for name in ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        )
        if key is not None and secret is not None:
            return _Keys(
                key.reveal().strip(), secret.reveal().strip(), None if token is None else token.reveal().strip()
            )
        if key is not None or secret is not None:
            raise _no_credentials(request, "only one of aws_access_key_id and aws_secret_access_key is set")
        try:
            found = await self._default_keys()
        except self._errors as error:
            raise _no_credentials(request, f"looking for them failed with {type(error).__name__}") from error
        if found is None:
            raise _no_credentials(request, "there are none")
        return found

    async def _default_keys(self) -> _Keys | None:
        """What AWS's own tools would use here: found once, and renewed in a thread, as it may ask a service."""
        if self._found is None or self._must_renew():
            async with self._finding:
                if self._found is None:
                    self._found = await asyncio.to_thread(_find_credentials)
                if self._found is None:
                    return None
                if self._must_renew():
                    return await asyncio.to_thread(self._found.get_frozen_credentials)
        return self._found.get_frozen_credentials()

    def _must_renew(self) -> bool:
        must_renew = getattr(self._found, "refresh_needed", None)
        return must_renew is not None and bool(must_renew())


def _find_credentials() -> _Found | None:
    session: Any = importlib.import_module("botocore.session").get_session()
    found: _Found | None = session.get_credentials()
    return found


def _region(request: UpstreamRequest) -> str:
    """As configured, else as the address has it: ``bedrock-runtime.us-east-1.amazonaws.com``."""
    option = request.options.get("aws_region_name")
    if option is not None:
        return option.reveal().strip()
    labels = (urlsplit(request.url).hostname or "").split(".")
    return labels[1] if len(labels) > 2 else "us-east-1"


def _no_credentials(request: UpstreamRequest, reason: str) -> UpstreamRejected:
    return UpstreamRejected(
        f'provider "{request.provider}" cannot be called without AWS credentials ({reason}); an admin should set '
        "aws_access_key_id and aws_secret_access_key, or aws_bearer_token, or give the machine a role",
        provider=request.provider,
        status=502,
    )


def _accepting_json(request: UpstreamRequest) -> UpstreamRequest:
    """There ``accept`` is the type of the model's own answer, in a stream as well, and it has no other."""
    headers = [header for header in request.headers if header[0] != b"accept"]
    return msgspec.structs.replace(request, headers=[*headers, (b"accept", b"application/json")])


def _refused(reply: UpstreamReply, provider: str, *, chat: bool) -> UpstreamReply:
    given = next((value for name, value in reply.headers if name == b"x-amzn-errortype"), b"")
    name = given.decode("latin-1").partition(":")[0].strip()
    refusal = _REFUSALS.get(name.lower()) or refusal_of_status(reply.status)
    render_error = chat_error if chat else messages_error

    def render(body: bytes) -> bytes:
        text = _text(body)
        if not text and b'"error"' in body:
            return body  # said by the model's own API
        return render_error(refusal, explained(refusal, provider, name or str(reply.status), text))

    return RefusedReply(reply, refusal, render)


def _text(body: bytes) -> str:
    try:
        told = _decode_text(body)
    except UNREADABLE:
        return ""
    return told.lower or told.upper


class EventStreamReply:
    """The UpstreamReply of a stream: server-sent events of the Messages API, made of Amazon's messages."""

    def __init__(self, reply: UpstreamReply, provider: str) -> None:
        self._reply = reply
        self._provider = provider
        self._decoder = EventStreamDecoder()
        self.status = reply.status
        self.headers: Sequence[Header] = [
            *(header for header in reply.headers if header[0] not in {b"content-type", b"content-length"}),
            (b"content-type", b"text/event-stream; charset=utf-8"),
        ]

    async def next_chunk(self, wait_s: float) -> bytes:
        decoder = self._decoder
        while decoder.failure is None:
            chunk = await self._reply.next_chunk(wait_s)
            if not chunk:
                if decoder.at_boundary:
                    return b""
                raise self._broken("it ends in the middle of a message")
            messages = decoder.feed(chunk)
            if messages and (events := b"".join([_event(message, self._provider) for message in messages])):
                return events
        raise self._broken(decoder.failure)

    def close(self) -> None:
        self._reply.close()

    def _broken(self, reason: str) -> UpstreamBroken:
        return UpstreamBroken(f'provider "{self._provider}" broke off its answer: {reason}', provider=self._provider)


def _event(message: Message, provider: str) -> bytes:
    """Empty for what says nothing to a client of the Messages API."""
    headers = message.headers
    kind = headers.get(":message-type")
    if kind == "event":
        return _chunk(message.payload) if headers.get(":event-type") == "chunk" else b""
    if kind not in {"exception", "error"}:
        return b""
    name = headers.get(":exception-type") or headers.get(":error-code") or kind
    text = _text(message.payload) or headers.get(":error-message") or ""
    refusal = _REFUSALS.get(name.lower()) or Refusal(500, "api_error")
    return b"event: error\ndata: %b\n\n" % messages_error(refusal, explained(refusal, provider, name, text))


def _chunk(payload: bytes) -> bytes:
    try:
        data = _decode_part(payload).data
        kind = _decode_event(data).type
    except UNREADABLE:
        return b""
    if not kind.isidentifier():
        return b""
    if b"\n" in data or b"\r" in data:  # between the tokens of the JSON, where a blank does as well
        data = data.replace(b"\n", b" ").replace(b"\r", b" ")
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)
