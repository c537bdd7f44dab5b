"""From a grant to a provider's answer: the request that goes out, and the head that comes back."""

from collections.abc import Sequence
from functools import lru_cache

from app.gateway.call import Call, Grant
from app.protocols.codec import Dialect, Header, Outgoing
from app.providers.hosts import HOSTS, endpoint_url
from app.providers.provider import Upstream, UpstreamReply, UpstreamRequest

# Everything else passes, known or not: an open list (Anthropic's contract for gateways asks for that).
_NOT_FORWARDED = frozenset(
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


async def dispatch(call: Call, grant: Grant, upstream: Upstream) -> tuple[Outgoing, UpstreamReply]:
    """Send the call to the grant's deployment. Raises UpstreamUnreachable, UpstreamTimeout."""
    deployment = grant.deployment
    if grant.envelope is not None:
        outgoing = call.codec.rewrite(
            grant.envelope, deployment.upstream_model, Dialect(deployment.provider), call.headers
        )
    else:
        outgoing = Outgoing(call.body)
    host = HOSTS[deployment.provider]
    url = _url(host, deployment.api_base, call.upstream_path)
    if call.query:
        url = f"{url}?{call.query.decode('latin-1')}"
    request = UpstreamRequest(
        provider=deployment.provider,
        method=call.method,
        url=url,
        headers=_headers_out(call, grant),
        body=outgoing.body,
        timeouts=deployment.timeouts,
    )
    return outgoing, await upstream.send(request)


_url = lru_cache(maxsize=1024)(endpoint_url)


def _headers_out(call: Call, grant: Grant) -> list[Header]:
    deployment = grant.deployment
    host = HOSTS[deployment.provider]
    own = [(name.lower().encode(), value.encode()) for name, value in deployment.headers.items()]
    if deployment.api_key is not None:
        own.append(host.credential_header(deployment.api_key.reveal()))
    replaced = {name for name, _ in own}
    named_by_connection = _connection_headers(call.headers)
    headers = [
        (name, value)
        for name, value in call.headers
        if name not in _NOT_FORWARDED
        and not name.startswith(_NOT_FORWARDED_PREFIXES)
        and name not in replaced
        and name not in named_by_connection
    ]
    given = {name for name, _ in headers}
    own += [header for header in host.default_headers if header[0] not in given and header[0] not in replaced]
    # The usage scanner reads text, and the client gets the very bytes, so neither side compresses.
    return [*headers, *own, (b"accept-encoding", b"identity")]


def _connection_headers(headers: Sequence[Header]) -> set[bytes]:
    """RFC 9110 7.6.1: headers named in Connection concern one hop only."""
    return {
        token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")
    } - {b"keep-alive", b"close"}


def headers_back(call: Call, grant: Grant, reply: UpstreamReply) -> list[Header]:
    """The provider's headers but for those of one hop; its request id beside ours; our limits in place of its own."""
    ours: list[Header] = [(b"request-id", call.request_id.encode())]
    if grant.admitted is not None and reply.status < 400:
        ours += call.codec.limit_headers(grant.admitted, int(call.started_at.timestamp()))
    replaced = {name for name, _ in ours}
    strip_limits = grant.admitted is not None and bool(grant.admitted.budgets)
    headers: list[Header] = []
    for name, value in reply.headers:
        name = name.lower()
        if name == b"request-id":
            ours.append((b"x-keyhouse-upstream-request-id", value))
        if name in _NOT_RETURNED or name in replaced:
            continue
        if strip_limits and name.startswith(b"anthropic-ratelimit-"):
            continue
        headers.append((name, value))
    return headers + ours
