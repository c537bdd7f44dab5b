"""Access tokens that an identity service gives for a while: fetched once for all calls, renewed before they end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

from app.base.errors import UpstreamError, UpstreamUnreachable
from app.domain.catalog import Timeouts
from app.providers.provider import Upstream, UpstreamRequest

_RENEW_BEFORE_S = 300.0
_TRY_AGAIN_AFTER_S = 15.0
_ANSWER_MOST_BYTES = 2**20
TIMEOUTS = Timeouts(connect_s=10, first_byte_s=20, idle_s=10, total_s=30)
"""A call waits for its token, so an identity service has less time than a model."""


class Token(NamedTuple):
    """``ends_s`` is an instant of ``time.monotonic``."""

    value: str
    ends_s: float


class Tokens:
    """Tokens by what they are for. Each is fetched by one task at a time, which no caller's departure cancels."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Token] = {}
        self._renew_at_s: dict[Hashable, float] = {}
        self._fetching: dict[Hashable, asyncio.Task[Token]] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Awaitable[Token]]) -> str:
        """Raises what ``fetch`` raises, unless the token that is known is still good."""
        now_s = time.monotonic()
        known = self._known.get(key)
        if known is not None and now_s < self._renew_at_s[key]:
            return known.value
        fetching = self._fetching.get(key)
        if fetching is None:
            fetching = self._fetching[key] = asyncio.ensure_future(self._fetch(key, fetch))
            fetching.add_done_callback(lambda task: self._done(key, task))
        if known is not None and now_s < known.ends_s:
            return known.value  # renewed beside this call
        return (await asyncio.shield(fetching)).value

    def forget(self, key: Hashable) -> None:
        """The host does not take the token any more, whatever was said of its end."""
        self._known.pop(key, None)

    async def _fetch(self, key: Hashable, fetch: Callable[[], Awaitable[Token]]) -> Token:
        token = self._known[key] = await fetch()
        lasts_s = token.ends_s - time.monotonic()
        self._renew_at_s[key] = token.ends_s - min(_RENEW_BEFORE_S, lasts_s / 2)
        return token

    def _done(self, key: Hashable, task: asyncio.Task[Token]) -> None:
        del self._fetching[key]
        if task.cancelled() or task.exception() is not None:
            self._renew_at_s[key] = time.monotonic() + _TRY_AGAIN_AFTER_S


async def ask(http: Upstream, request: UpstreamRequest, service: str) -> tuple[int, bytes]:
    """The status and the body of an identity service's short answer. Raises UpstreamUnreachable."""
    try:
        async with asyncio.timeout(TIMEOUTS.total_s):
            return await _ask(http, request)
    except (TimeoutError, UpstreamError) as error:
        raise UpstreamUnreachable(
            f'{service} did not answer when asked for a token for provider "{request.provider}" '
            f"({type(error).__name__}); if this lasts, an admin should check the network",
            provider=request.provider,
        ) from error


async def _ask(http: Upstream, request: UpstreamRequest) -> tuple[int, bytes]:
    reply = await http.send(request)
    body = b""
    try:
        while len(body) < _ANSWER_MOST_BYTES and (chunk := await reply.next_chunk(TIMEOUTS.idle_s)):
            body += chunk
    finally:
        reply.close()
    return reply.status, body
