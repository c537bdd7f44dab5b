"""One shared connection to a single Redis: everything that is said in one turn of the loop goes out in one write."""

import asyncio
import contextlib
import random
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import hiredis

from app.base.errors import StorageUnavailable
from app.storage.redis.script import Answer, Script

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
# What a server says that is up but not able to serve: starting, failed over, full, in the hands of a slow script.
_NOT_NOW = ("LOADING", "READONLY", "MASTERDOWN", "OOM", "BUSY", "NOREPLICAS", "MISCONF", "CLUSTERDOWN", "TRYAGAIN")
_NOT_US = ("NOAUTH", "WRONGPASS", "NOPERM")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one Redis listens, and how to speak to it. ``path`` (a unix socket) goes before ``host`` and ``port``."""

    host: str = "localhost"
    port: int = 6379
    path: str | None = None
    tls: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = None
    database: int = 0

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


class _Connection(asyncio.Protocol):
    """Commands out, replies in, in the same order. One deadline timer serves all, as all wait equally long."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str, timeout_s: float) -> None:
        self._loop = loop
        self._name = name
        self._timeout_s = timeout_s
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.lost: asyncio.Future[None] = loop.create_future()

    def send(self, command: bytes) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = self._loop.create_future()
        if self._transport is None:
            future.set_exception(self._gone())
            return future
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(command)
        self._waiting.append((future, self._loop.time() + self._timeout_s))
        if self._timer is None:
            self._timer = self._loop.call_later(self._timeout_s, self._expire)
        return future

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        reader, waiting = self._reader, self._waiting
        try:
            reader.feed(data)
            # RESP2 has no booleans: False is "not whole yet".
            while (reply := reader.gets()) is not False:
                future, _ = waiting.popleft()
                if not future.done():
                    if isinstance(reply, hiredis.ReplyError):
                        future.set_exception(reply)
                    else:
                        future.set_result(reply)
        except (hiredis.ProtocolError, IndexError):
            # Out of step, replies would go to the wrong callers.
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        while self._waiting:
            future, _ = self._waiting.popleft()
            if not future.done():
                error = self._gone()
                error.__cause__ = exc
                future.set_exception(error)
        if not self.lost.done():
            self.lost.set_result(None)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None:
            self._transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))

    def _expire(self) -> None:
        """Fail the calls whose time is up; their places stay, as their replies may still come."""
        now = self._loop.time()
        self._timer = None
        for future, deadline in self._waiting:
            if deadline > now:
                self._timer = self._loop.call_later(deadline - now, self._expire)
                break
            if not future.done():
                future.set_exception(
                    StorageUnavailable(f"Redis at {self._name} gave no answer within {self._timeout_s:g} s")
                )
        if self._waiting:
            oldest = self._waiting[0][1]
            if oldest + self._timeout_s <= now:
                self.abort()
            elif self._timer is None:
                self._timer = self._loop.call_later(oldest + self._timeout_s - now, self._expire)

    def _gone(self) -> StorageUnavailable:
        return StorageUnavailable(f"the connection to Redis at {self._name} is lost")


def _pack(parts: tuple[bytes | str | int, ...]) -> bytes:
    # The stub declares a tuple of one.
    return hiredis.pack_command(parts)  # type: ignore[arg-type, no-any-return]


class Pipe:
    """A ScriptRunner on a single Redis. It belongs to the event loop of its first call.

    Calls fail at once while the server cannot be reached; the pipe itself keeps trying, at most a second apart.
    ``taught``: scripts that the server is told with each connection. One that is begun by ``start`` belongs there: the
    first run of any other is refused, and comes a moment later than what was said after it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout_s: float = 2.0,
        connect_timeout_s: float = 2.0,
        taught: Sequence[Script] = (),
    ) -> None:
        self._endpoint = endpoint
        self._taught = taught
        self._timeout_s = timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._connection: _Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._attempt: asyncio.Future[None] | None = None
        self._failure: BaseException | None = None
        self._closed = False
        self.connections = 0

    async def run(self, script: Script, keys: list[bytes], arguments: list[bytes | str | int]) -> Answer:
        connection = self._connection or await self._connect()
        command = _pack(("EVALSHA", script.digest, len(keys), *keys, *arguments))
        try:
            try:
                return await connection.send(command)
            except hiredis.ReplyError as error:
                if not str(error).startswith("NOSCRIPT"):
                    raise
            # Both go out in one write, so nothing can come between them.
            loaded = connection.send(_pack(("SCRIPT", "LOAD", script.source)))
            _, answer = await asyncio.gather(loaded, connection.send(command))
        except hiredis.ReplyError as error:
            raise self._refusal(script, error) from error
        else:
            return answer

    def start(self, script: Script, keys: list[bytes], arguments: list[bytes | str | int]) -> asyncio.Future[Answer]:
        connection = self._connection
        if connection is None:
            return asyncio.ensure_future(self.run(script, keys, arguments))
        return connection.send(_pack(("EVALSHA", script.digest, len(keys), *keys, *arguments)))

    async def close(self) -> None:
        self._closed = True
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.abort()
            await connection.lost

    def _refusal(self, script: Script, error: Exception) -> Exception:
        text = str(error)
        if text.startswith("READONLY") and self._connection is not None:
            # This was a master once; the name may point to another server by now.
            self._connection.abort()
        if text.startswith(_NOT_NOW):
            return StorageUnavailable(f"Redis at {self._endpoint} cannot serve now: {text[:200]}")
        if text.startswith(_NOT_US):
            return StorageUnavailable(f"Redis at {self._endpoint} refuses our user; check REDIS_URL: {text[:200]}")
        return RuntimeError(f'Redis at {self._endpoint} refused the script "{script.name}": {text[:500]}')

    async def _connect(self) -> _Connection:
        """Wait for the attempt under way, never for the pause between two."""
        if self._closed:
            raise StorageUnavailable(f"the pipe to Redis at {self._endpoint} is closed")
        if self._keeper is None:
            self._attempt = asyncio.get_running_loop().create_future()
            self._keeper = asyncio.create_task(self._keep())
        if self._attempt is not None:
            await asyncio.wait((self._attempt,))
        if self._connection is None:
            raise StorageUnavailable(f"Redis at {self._endpoint} cannot be reached") from self._failure
        return self._connection

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        pause_s = _FIRST_PAUSE_S
        while True:
            attempt = self._attempt = self._attempt or loop.create_future()
            try:
                self._connection = await self._open(loop)
            except (OSError, TimeoutError, StorageUnavailable, hiredis.ReplyError) as error:
                self._failure = error
            finally:
                self._attempt = None
                if not attempt.done():
                    attempt.set_result(None)
            if self._connection is not None:
                self.connections += 1
                pause_s = _FIRST_PAUSE_S
                await asyncio.wait((self._connection.lost,))
                self._connection = None
            else:
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311  spreads clients, guards nothing
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _Connection:
        endpoint = self._endpoint

        def build() -> _Connection:
            return _Connection(loop, str(endpoint), self._timeout_s)

        async with asyncio.timeout(self._connect_timeout_s):
            if endpoint.path is not None:
                _, connection = await loop.create_unix_connection(build, endpoint.path)
            else:
                _, connection = await loop.create_connection(build, endpoint.host, endpoint.port, ssl=endpoint.tls)
            try:
                await self._greet(connection)
            except BaseException:
                connection.abort()
                raise
        return connection

    async def _greet(self, connection: _Connection) -> None:
        endpoint = self._endpoint
        if endpoint.password is not None:
            name = () if endpoint.username is None else (endpoint.username,)
            await connection.send(_pack(("AUTH", *name, endpoint.password)))
        if endpoint.database:
            await connection.send(_pack(("SELECT", endpoint.database)))
        await connection.send(_pack(("PING",)))
        for script in self._taught:
            await connection.send(_pack(("SCRIPT", "LOAD", script.source)))
