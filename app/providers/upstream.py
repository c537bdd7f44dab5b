"""The only sender of model traffic: pooled HTTP/1.1 connections, each used by one call at a time."""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from app.base.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from app.providers.decoding import decoded
from app.providers.egress import Egress, NotReachable
from app.providers.provider import Header, Upstream, UpstreamReply, UpstreamRequest
from app.providers.wire import BrokenOff, Connection

_IDLE_MOST_S = 50.0
"""Shorter than the minute after which load balancers commonly close an idle connection."""
_SWEEP_EVERY_S = 10.0


class Origin(NamedTuple):
    """``guarded`` ones have connections of their own, each made to an address that may be reached."""

    tls: bool
    host: str
    port: int
    guarded: bool = False


class HttpReply:
    """The UpstreamReply of a connection."""

    __slots__ = ("_connection", "_provider", "headers", "status")

    def __init__(self, connection: Connection, provider: str) -> None:
        self._connection = connection
        self._provider = provider
        self.status = connection.status
        self.headers: Sequence[Header] = connection.headers

    async def next_chunk(self, wait_s: float) -> bytes:
        try:
            return await self._connection.next_chunk(wait_s)
        except BrokenOff as error:
            raise UpstreamBroken(
                f'provider "{self._provider}" broke off its answer: {error}', provider=self._provider
            ) from error

    def close(self) -> None:
        self._connection.release()


class HttpUpstream:
    """Implements the Upstream interface. ``close`` drops all connections. ``egress`` is asked of guarded requests."""

    def __init__(self, tls: ssl.SSLContext | None = None, egress: Egress | None = None) -> None:
        self._tls = tls
        self._egress = egress or Egress()
        self._idle: dict[Origin, deque[Connection]] = {}
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        origin, host, target = parse_url(request.url)
        if request.guarded:
            origin = origin._replace(guarded=True)
        head = _head(request, host, target)
        without_body = request.method == "HEAD"
        while True:
            connection = self._take(origin) or await self._connect(origin, request)
            fresh = connection.calls == 0
            try:
                wait_s = request.timeouts.first_byte_s
                await connection.request(head, request.body, wait_s, without_body=without_body)
            except TimeoutError as error:
                raise UpstreamTimeout(
                    f'provider "{request.provider}" sent no answer in {request.timeouts.first_byte_s} s',
                    provider=request.provider,
                ) from error
            except BrokenOff as error:
                # A kept connection that the host had closed meanwhile: nothing was answered, so another one is safe.
                if fresh or error.answered:
                    raise _unreachable(request, str(error)) from error
            else:
                return decoded(HttpReply(connection, request.provider), request.provider)

    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for connections in self._idle.values():
            for connection in connections:
                connection.drop()
        self._idle.clear()

    def _take(self, origin: Origin) -> Connection | None:
        """The connection used last, so that the others grow old and are let go."""
        connections = self._idle.get(origin)
        while connections:
            connection = connections.pop()
            if connection.usable and time.monotonic() - connection.idle_since_s < _IDLE_MOST_S:
                return connection
            connection.drop()
        return None

    async def _connect(self, origin: Origin, request: UpstreamRequest) -> Connection:
        try:
            async with asyncio.timeout(request.timeouts.connect_s):
                hosts = [origin.host]
                if origin.guarded:
                    hosts = await self._egress.addresses(origin.host, origin.port)
                return await self._open(origin, hosts)
        except NotReachable as error:
            raise UpstreamUnreachable(
                f'provider "{request.provider}" is not called: {error}', provider=request.provider
            ) from error
        except TimeoutError as error:
            raise UpstreamTimeout(
                f'provider "{request.provider}" took no connection in {request.timeouts.connect_s} s',
                provider=request.provider,
            ) from error
        except (OSError, ValueError) as error:
            raise _unreachable(request, type(error).__name__) from error

    async def _open(self, origin: Origin, hosts: Sequence[str]) -> Connection:
        """To the first of ``hosts`` that takes it: addresses of a guarded origin, so that no name is asked again."""
        loop = asyncio.get_running_loop()
        for host in hosts:
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(lambda free: self._keep(origin, free)),
                    host,
                    origin.port,
                    ssl=self._tls_context() if origin.tls else None,
                    server_hostname=origin.host if origin.tls else None,
                )
            except OSError:
                if host == hosts[-1]:
                    raise
            else:
                return connection
        raise OSError("the name has no address")

    def _keep(self, origin: Origin, connection: Connection) -> None:
        if self._closed:
            connection.drop()
            return
        self._idle.setdefault(origin, deque()).append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_EVERY_S, self._sweep)

    def _sweep(self) -> None:
        oldest_s = time.monotonic() - _IDLE_MOST_S
        for origin, connections in list(self._idle.items()):
            while connections and (connections[0].idle_since_s < oldest_s or not connections[0].usable):
                connections.popleft().drop()
            if not connections:
                del self._idle[origin]
        waiting = bool(self._idle)
        self._sweeper = asyncio.get_running_loop().call_later(_SWEEP_EVERY_S, self._sweep) if waiting else None

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = ssl.create_default_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


class Upstreams:
    """Implements the Upstream interface over several: a provider named in ``inside`` is answered in this process."""

    def __init__(self, http: Upstream, inside: Mapping[str, Upstream]) -> None:
        self._http = http
        self._inside = inside

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        return await self._inside.get(request.provider, self._http).send(request)


def _head(request: UpstreamRequest, host: bytes, target: bytes) -> bytes:
    """The request line and headers. Raises UpstreamUnreachable for a header that would end its line early."""
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), target), b"host: " + host]
    lines += map(b": ".join, request.headers)
    if request.body or request.method not in {"GET", "HEAD", "DELETE"}:
        lines.append(b"content-length: %d" % len(request.body))
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
        raise _unreachable(request, "a header holds a line break")
    return head + b"\r\n\r\n"


@lru_cache(maxsize=1024)
def parse_url(url: str) -> tuple[Origin, bytes, bytes]:
    """The origin, the host header and the request target of a URL. Raises UpstreamUnreachable for what is no URL."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
        wrong = (
            "has a port that is none; give 1 to 65535"
            if port == -1
            else "is no address; give http:// or https:// and a host"
        )
        raise UpstreamUnreachable(f'"{parts.scheme}://{parts.hostname}" {wrong}', provider="")
    tls = parts.scheme == "https"
    hostname = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    host = hostname if port is None else f"{hostname}:{port}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    origin = Origin(tls, parts.hostname, port or (443 if tls else 80))
    return origin, host.encode("idna" if not host.isascii() else "ascii"), target.encode("latin-1", "replace")


def _unreachable(request: UpstreamRequest, reason: str) -> UpstreamUnreachable:
    return UpstreamUnreachable(
        f'provider "{request.provider}" cannot be reached ({reason}); '
        "if this lasts, an admin should check its api_base and the network",
        provider=request.provider,
    )
