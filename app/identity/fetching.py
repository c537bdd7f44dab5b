"""Small JSON documents of an identity provider: fetched from safe addresses, within bounds of time and size."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import msgspec

from app.base.errors import UpstreamError, UpstreamUnreachable
from app.domain.catalog import Timeouts
from app.protocols.scanning import UNREADABLE
from app.providers.provider import Header, Upstream, UpstreamRequest

MOST_BYTES = 512 * 1024
FETCHED_WITHIN_S = 15.0
PROVIDER = "single sign-on"
_TIMEOUTS = Timeouts(connect_s=5, first_byte_s=10, idle_s=5, total_s=15)
_AGENT: tuple[Header, Header] = ((b"user-agent", b"Keyhouse"), (b"accept", b"application/json"))


class Fetcher:
    """Follows no redirect. ``http`` makes the connections."""

    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def get(self, url: str, *headers: Header) -> tuple[int, dict[str, Any]]:
        return await self._fetch(UpstreamRequest(PROVIDER, "GET", url, [*_AGENT, *headers], b"", _TIMEOUTS))

    async def post_form(self, url: str, body: bytes, *headers: Header) -> tuple[int, dict[str, Any]]:
        kind = (b"content-type", b"application/x-www-form-urlencoded")
        return await self._fetch(UpstreamRequest(PROVIDER, "POST", url, [*_AGENT, kind, *headers], body, _TIMEOUTS))

    async def _fetch(self, request: UpstreamRequest) -> tuple[int, dict[str, Any]]:
        """The status and the object. Raises UpstreamUnreachable for no answer, and for one that is no object."""
        host = urlsplit(request.url).hostname
        try:
            async with asyncio.timeout(FETCHED_WITHIN_S):
                status, body = await self._read(request)
        except (UpstreamError, TimeoutError) as error:
            raise UpstreamUnreachable(
                f"{host} does not answer; try again shortly, and tell an admin if this lasts", provider=PROVIDER
            ) from error
        try:
            return status, msgspec.json.decode(body, type=dict[str, Any])
        except UNREADABLE as error:
            raise UpstreamUnreachable(
                f"{host} answered {status} with what is no JSON object at {urlsplit(request.url).path}; "
                "an admin should check KEYHOUSE_OIDC_ISSUER",
                provider=PROVIDER,
            ) from error

    async def _read(self, request: UpstreamRequest) -> tuple[int, bytes]:
        reply = await self._http.send(request)
        try:
            found = bytearray()
            while chunk := await reply.next_chunk(_TIMEOUTS.idle_s):
                found += chunk
                if len(found) > MOST_BYTES:
                    raise UpstreamUnreachable("the answer is too large", provider=PROVIDER)
            return reply.status, bytes(found)
        finally:
            reply.close()
