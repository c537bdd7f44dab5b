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
_NEW_S = 60.0
_ANSWER_MOST_BYTES = 2**20
TIMEOUTS = Timeouts(connect_s=10, first_byte_s=20, idle_s=10, total_s=30)
"""A call waits for its token, so an identity service has less time than a model."""


class Token(NamedTuple):
    """``ends_s`` is an instant of ``time.monotonic``."""

    value: str
    ends_s: float


class _Kept(NamedTuple):
    token: Token
    fetched_s: float
    renew_at_s: float


class Tokens:
    """Tokens by what they are for. Each is fetched by one task at a time, which no caller's departure cancels."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, _Kept] = {}
        self._fetching: dict[Hashable, asyncio.Task[Token]] = {}

    async def get(self, key: Hashable, fetch: Callable[[], Awaitable[Token]]) -> str:
        """Raises what ``fetch`` raises, unless the token that is known is still good."""
        now_s = time.monotonic()
        kept = self._kept.get(key)
        if kept is not None and now_s < kept.renew_at_s:
            return kept.token.value
        fetching = self._fetching.get(key)
        if fetching is None:
            fetching = self._fetching[key] = asyncio.ensure_future(self._fetch(key, fetch))
            fetching.add_done_callback(lambda task: self._done(key, task))
        if kept is not None and now_s < kept.token.ends_s:
            return kept.token.value  # renewed beside this call
        return (await asyncio.shield(fetching)).value

    def forget(self, key: Hashable) -> None:
        """The host refuses the token, whatever was said of its end. One that is new would be followed by its like."""
        kept = self._kept.get(key)
        if kept is not None and time.monotonic() - kept.fetched_s >= _NEW_S:
            del self._kept[key]

    async def _fetch(self, key: Hashable, fetch: Callable[[], Awaitable[Token]]) -> Token:
        token = await fetch()
        now_s = time.monotonic()
        renew_at_s = token.ends_s - min(_RENEW_BEFORE_S, (token.ends_s - now_s) / 2)
        self._kept[key] = _Kept(token, now_s, renew_at_s)
        return token

    def _done(self, key: Hashable, task: asyncio.Task[Token]) -> None:
        del self._fetching[key]
        failed = task.cancelled() or task.exception() is not None
        kept = self._kept.get(key)
        if failed and kept is not None:
            again_s = min(time.monotonic() + _TRY_AGAIN_AFTER_S, kept.token.ends_s)
            self._kept[key] = kept._replace(renew_at_s=again_s)


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
