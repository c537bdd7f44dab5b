"""The only sender of model traffic: pooled HTTP/1.1 connections over aiohttp.

httpx's default transport costs about a millisecond of CPU a request and grows with its pool, so it is not used here.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import lru_cache

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from app.base.errors import UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from app.providers.provider import Header, Upstream, UpstreamReply, UpstreamRequest

_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=None)
_STALE_CONNECTION_S = 0.25


class HttpReply:
    """An aiohttp response behind the UpstreamReply interface."""

    __slots__ = ("_provider", "_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse, provider: str) -> None:
        self._response = response
        self._provider = provider
        self.status = response.status
        self.headers: Sequence[Header] = response.raw_headers

    async def next_chunk(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, ConnectionError) as error:
            raise UpstreamBroken(
                f'provider "{self._provider}" broke off its answer ({type(error).__name__})', provider=self._provider
            ) from error

    def close(self) -> None:
        # aiohttp has already given the connection back if the body was read to its end; otherwise this drops it.
        self._response.close()


class HttpUpstream:
    """Implements the Upstream interface; opened and closed inside the running event loop."""

    def __init__(self) -> None:
        self._opened: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60, keepalive_timeout=50)
        self._opened = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=_NO_TIMEOUT,
            skip_auto_headers=_AUTO_HEADERS,
            max_line_size=65_536,
            max_field_size=65_536,
            read_bufsize=2**18,
        )

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    @property
    def _session(self) -> aiohttp.ClientSession:
        assert self._opened is not None, "open() was not called"
        return self._opened

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        started = time.monotonic()
        try:
            return await self._send_once(request)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError) as error:
            # A pooled connection that the host had closed meanwhile: nothing was answered, so one fresh try is safe.
            if time.monotonic() - started > _STALE_CONNECTION_S:
                raise _unreachable(request, error) from error
        try:
            return await self._send_once(request)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError) as error:
            raise _unreachable(request, error) from error

    async def _send_once(self, request: UpstreamRequest) -> HttpReply:
        timeouts = request.timeouts
        headers = CIMultiDict((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers)
        try:
            async with asyncio.timeout(timeouts.first_byte_s):
                response = await self._session.request(
                    request.method,
                    _url(request.url),
                    data=request.body or None,
                    headers=headers,
                    allow_redirects=False,
                    timeout=_connect_within(timeouts.connect_s),
                )
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            raise
        except TimeoutError as error:
            raise UpstreamTimeout(
                f'provider "{request.provider}" did not answer: no connection in {timeouts.connect_s} s '
                f"or no first byte in {timeouts.first_byte_s} s",
                provider=request.provider,
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _unreachable(request, error) from error
        return HttpReply(response, request.provider)


def _unreachable(request: UpstreamRequest, error: BaseException) -> UpstreamUnreachable:
    return UpstreamUnreachable(
        f'provider "{request.provider}" cannot be reached ({type(error).__name__}); '
        "if this lasts, an admin should check its api_base and the network",
        provider=request.provider,
    )


@lru_cache(maxsize=1024)
def _url(url: str) -> URL:
    return URL(url, encoded=True)


@lru_cache(maxsize=64)
def _connect_within(connect_s: int) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, connect=None, sock_read=None, sock_connect=connect_s)


class Upstreams:
    """Implements the Upstream interface over several: a provider named in ``inside`` is answered in this process."""

    def __init__(self, http: Upstream, inside: Mapping[str, Upstream]) -> None:
        self._http = http
        self._inside = inside

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        return await self._inside.get(request.provider, self._http).send(request)
