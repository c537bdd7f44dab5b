"""From a grant to a provider's answer: the request that goes out, and the head that comes back."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import compress
from operator import itemgetter

from msgspec import structs

from app.base.errors import UpstreamUnreadable
from app.domain.catalog import Deployment
from app.domain.spend import Admitted
from app.domain.tenancy import serving_of
from app.gateway.call import Call, Grant, Outbound
from app.gateway.exchange import losses_header
from app.gateway.own_login import with_own_login
from app.gateway.route import SteppedDown
from app.protocols.codec import Header
from app.providers.host_table import HOSTS
from app.providers.hosts import endpoint_url
from app.providers.provider import Upstream, UpstreamReply, UpstreamRequest

# Everything else passes, known or not: an open list (Anthropic's contract for gateways asks for that).
NOT_FORWARDED = frozenset(
    {
        b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key", b"cookie",
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade", b"expect", b"host", b"content-length", b"accept-encoding",
        b"forwarded", b"x-real-ip", b"via",
    }
)  # fmt: skip
_NOT_FORWARDED_PREFIXES = (b"x-forwarded-", b"x-keyhouse-", b"x-litellm-")
_NOT_RETURNED = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-connection", b"te", b"trailer",
        b"transfer-encoding", b"upgrade", b"content-length", b"set-cookie", b"request-id", b"server", b"date",
    }
)  # fmt: skip
_REQUEST_ID = b"request-id"
_UPSTREAM_ID = b"x-keyhouse-upstream-request-id"
_REQUEST_IDS = frozenset({b"request-id", b"x-request-id", b"x-amzn-requestid", b"apim-request-id"})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GREATEST_STATUS = 599  # RFC 9110 15

_NAME = itemgetter(0)
_LAYOUTS_REMEMBERED = 128  # of at most 64 KB each, whatever somebody sends


async def dispatch(call: Call, grant: Grant, upstream: Upstream) -> UpstreamReply:
    """Send the call to the grant's deployment. Raises UpstreamUnreachable, UpstreamTimeout, UpstreamUnreadable for a
    head that no client may see, and ModelNotAllowed where the caller's own login may not be sent there."""
    assert grant.exchange is not None
    deployment, outbound = grant.deployment, grant.exchange.outbound()
    url = endpoint_url(deployment.api_base, outbound.path, outbound.version_path)
    if outbound.query:
        url = f"{url}{'&' if '?' in url else '?'}{outbound.query.decode('latin-1')}"
    request = UpstreamRequest(
        provider=deployment.provider,
        method=call.method,
        url=url,
        headers=_headers_out(call, deployment, outbound, own_login=grant.principal.own_login),
        body=outbound.body,
        timeouts=deployment.timeouts,
        options=deployment.options,
        guarded=deployment.guarded,
    )
    reply = await upstream.send(request)
    if reply.status in _REDIRECTS or reply.status > _GREATEST_STATUS:
        reply.close()
        raise _no_answer(deployment, reply)
    return reply


def _no_answer(deployment: Deployment, reply: UpstreamReply) -> UpstreamUnreadable:
    """The SDKs follow redirects, with their key: what is meant for us would lead callers elsewhere."""
    what = f"the status {reply.status}, which HTTP does not have"
    if reply.status in _REDIRECTS:
        # Where to is not told: it may be an address within the operator's network, or hold a token.
        what = f"a redirect ({reply.status}), which is not followed"
    return UpstreamUnreadable(
        f'provider "{deployment.provider}" answered with {what}; an admin should check its api_base',
        provider=deployment.provider,
    )


def _headers_out(call: Call, deployment: Deployment, outbound: Outbound, *, own_login: bool) -> list[Header]:
    host = HOSTS[deployment.provider]
    own = [header for header in outbound.headers if header[0] not in NOT_FORWARDED]
    own += [(name.lower().encode(), value.encode()) for name, value in deployment.headers.items()]
    if own_login:
        own = with_own_login(own, call, deployment)
    elif deployment.api_key is not None:
        own += host.credential_headers(deployment.api_key.reveal())
    replaced = set(map(_NAME, own))
    headers: list[Header] = []
    if outbound.forwards_headers:
        replaced |= _connection_headers(call.headers)
        names = tuple(map(_NAME, call.headers))
        headers = list(compress(call.headers, _forwarded(names, frozenset(replaced))))
    given = set(map(_NAME, headers))
    own += [header for header in host.default_headers if header[0] not in given and header[0] not in replaced]
    # The usage scanner reads text, and the client gets the very bytes, so neither side compresses.
    return [*headers, *(header for header in own if header[1]), (b"accept-encoding", b"identity")]


@lru_cache(maxsize=_LAYOUTS_REMEMBERED)
def _forwarded(names: tuple[bytes, ...], replaced: frozenset[bytes]) -> tuple[bool, ...]:
    """Which headers of a request go on; a program sends the same ones with each of its calls."""
    return tuple(
        name not in NOT_FORWARDED and name not in replaced and not name.startswith(_NOT_FORWARDED_PREFIXES)
        for name in names
    )


def _connection_headers(headers: Sequence[Header]) -> set[bytes]:
    """RFC 9110 7.6.1: headers named in Connection concern one hop only."""
    if b"connection" not in map(_NAME, headers):
        return set()
    return {
        token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")
    } - {b"keep-alive", b"close"}


def headers_back(call: Call, grant: Grant, reply: UpstreamReply, content_type: bytes | None = None) -> list[Header]:
    """Towards the client. With the provider's own bytes (``content_type`` None) go its headers but for those of one
    hop; its request id stands beside ours, and our limits replace its own."""
    ours = own_headers(call, grant, refused=reply.status >= 400)
    if content_type is not None:
        upstream_id = [(_UPSTREAM_ID, value) for name, value in reply.headers if name in _REQUEST_IDS]
        return [(b"content-type", content_type), *upstream_id[:1], *ours]
    names = tuple(map(_NAME, reply.headers))
    limited = grant.admitted is not None and bool(grant.admitted.budgets)
    headers = list(compress(reply.headers, _returned(names, frozenset(map(_NAME, ours)), limited)))
    headers += ours
    if _REQUEST_ID in names:
        headers += [(_UPSTREAM_ID, value) for name, value in reply.headers if name == _REQUEST_ID]
    return headers


@lru_cache(maxsize=_LAYOUTS_REMEMBERED)
def _returned(names: tuple[bytes, ...], replaced: frozenset[bytes], limited: bool) -> tuple[bool, ...]:  # noqa: FBT001
    """Which headers of an answer go back. ``limited``: our budgets stand in the place of the provider's limits."""
    return tuple(
        name not in _NOT_RETURNED
        and name not in replaced
        and not (limited and name.startswith(b"anthropic-ratelimit-"))
        for name in names
    )


def own_headers(call: Call, grant: Grant, *, refused: bool = False) -> list[Header]:
    """What we say ourselves: the request's name, where its limits stand, what a translation left out."""
    ours: list[Header] = [(b"request-id", call.request_id.encode())]
    if grant.admitted is not None and not refused:
        ours += call.codec.limit_headers(_own_limits(grant, grant.admitted), int(call.started_at.timestamp()))
    if grant.exchange is not None and grant.exchange.losses:
        ours.append((b"x-keyhouse-losses", losses_header(grant.exchange.losses)))
    if grant.stepped is not None and grant.stepped.at is not None:
        ours.append((b"x-keyhouse-step-down", _step_down_header(grant.stepped)))
    return ours


def _own_limits(grant: Grant, admitted: Admitted) -> Admitted:
    """Without the budgets of the deployment, which are the operator's, and not where the caller's end."""
    if not grant.deployment.budgets:
        return admitted
    own = tuple(one for one in admitted.budgets if serving_of(one.claim.scope) is None)
    return structs.replace(admitted, budgets=own)


def _step_down_header(stepped: SteppedDown) -> bytes:
    """``claude-haiku-4-5; from=claude-opus-4-8; at=80%``."""
    return f"{stepped.served}; from={stepped.asked_for}; at={stepped.at}".encode("ascii", "replace")
