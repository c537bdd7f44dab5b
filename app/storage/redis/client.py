"""Connections to whatever REDIS_URL names: one server, a sentinel's master, a cluster."""

import asyncio
import ssl
from typing import Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from app.base.errors import StorageUnavailable
from app.storage.redis.pipe import Endpoint, Pipe
from app.storage.redis.script import Answer, Script, ScriptRunner, load_script

CONNECT_TIMEOUT_S = 2.0
ANSWER_TIMEOUT_S = 2.0
RETRIES = 3
_DEFAULT_PORT = 6379
_SENTINEL_PORT = 26379


def connect(url: str, *, retries: int = RETRIES) -> Redis:
    """A client for general use; nothing is sent before its first command. ``retries`` are with backoff, 0 is none.

    ``redis://``, ``rediss://`` and ``unix://`` as redis-py reads them, and
    ``redis+sentinel://[user:password@]host:port,host:port/service/database``, ``redis+cluster://host:port,host:port``
    (``rediss+…`` with TLS). Raises ValueError for anything else.
    """
    scheme = urlsplit(url).scheme
    options = _options(retries, protocol=2)
    match scheme:
        case "redis" | "rediss" | "unix":
            return Redis.from_url(url, **options)
        case "redis+sentinel" | "rediss+sentinel":
            return _connect_sentinel(url, options)
        case "redis+cluster" | "rediss+cluster":
            return _connect_cluster(url, options)
        case _:
            pass
    raise ValueError(
        f'REDIS_URL begins "{scheme}://"; write redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://'
    )


def script_runner(url: str, *, timeout_s: float = ANSWER_TIMEOUT_S) -> ScriptRunner:
    """What runs the ledger's scripts on this server: the multiplexed pipe where it is a single one."""
    if urlsplit(url).scheme in {"redis", "rediss", "unix"}:
        taught = (load_script("settle"),)
        return Pipe(_endpoint(url), timeout_s=timeout_s, connect_timeout_s=CONNECT_TIMEOUT_S, taught=taught)
    # Scripts are never repeated behind the ledger's back: only it knows which of them may run twice.
    return RedisRunner(connect(url, retries=0))


class RedisRunner:
    """A ScriptRunner over redis-py, for sentinels and clusters."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._failing = True
        self.connections = 0

    async def run(self, script: Script, keys: list[bytes], arguments: list[bytes | str | int]) -> Answer:
        try:
            answer = await self._evaluate(script, keys, arguments)
        except ResponseError as error:
            if str(error).startswith("OOM"):
                raise StorageUnavailable(f"Redis cannot serve now: {error}") from error
            raise RuntimeError(f'Redis refused the script "{script.name}": {error}') from error
        except (RedisError, OSError, TimeoutError) as error:
            self._failing = True
            raise StorageUnavailable(f"Redis does not answer: {str(error)[:200]}") from error
        if self._failing:
            self._failing = False
            self.connections += 1
        return answer

    def start(self, script: Script, keys: list[bytes], arguments: list[bytes | str | int]) -> asyncio.Future[Answer]:
        return asyncio.ensure_future(self.run(script, keys, arguments))

    async def close(self) -> None:
        await self._redis.aclose()
        pool = getattr(self._redis, "connection_pool", None)
        if isinstance(pool, SentinelConnectionPool):
            # The clients that asked the sentinels are not closed with the one of the master.
            for sentinel in pool.sentinel_manager.sentinels:
                await sentinel.aclose()

    async def _evaluate(self, script: Script, keys: list[bytes], arguments: list[bytes | str | int]) -> Answer:
        try:
            return await self._redis.evalsha(script.digest, len(keys), *keys, *arguments)
        except NoScriptError:
            return await self._redis.eval(script.source, len(keys), *keys, *arguments)


def _options(retries: int, protocol: int) -> dict[str, Any]:
    backoff = ExponentialWithJitterBackoff(base=0.05, cap=0.5) if retries else NoBackoff()
    return {
        "protocol": protocol,
        "retry": Retry(backoff, retries),
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "socket_timeout": ANSWER_TIMEOUT_S,
    }


def _endpoint(url: str) -> Endpoint:
    parts: dict[str, Any] = dict(parse_url(url))
    return Endpoint(
        host=parts.get("host", "localhost"),
        port=parts.get("port", _DEFAULT_PORT),
        path=parts.get("path"),
        tls=_tls(parts) if urlsplit(url).scheme == "rediss" else None,
        username=parts.get("username"),
        password=parts.get("password"),
        database=int(parts.get("db", 0)),
    )


def _tls(parts: dict[str, Any]) -> ssl.SSLContext:
    """The names of redis-py: ``ssl_ca_certs``, ``ssl_certfile``, ``ssl_keyfile``, ``ssl_cert_reqs=none``."""
    context = ssl.create_default_context(cafile=parts.get("ssl_ca_certs"))
    if parts.get("ssl_certfile"):
        context.load_cert_chain(parts["ssl_certfile"], parts.get("ssl_keyfile"))
    if parts.get("ssl_cert_reqs") == "none":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _connect_sentinel(url: str, options: dict[str, Any]) -> Redis:
    names, path, login = _many(url, _SENTINEL_PORT)
    service, _, database = path.partition("/")
    if not service:
        raise ValueError("REDIS_URL names no service; write redis+sentinel://host:26379,host:26379/service/0")
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        names,
        sentinel_kwargs={"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": ANSWER_TIMEOUT_S},
        db=int(database or 0),
        **login,
        **options,
    )
    return sentinel.master_for(service)  # type: ignore[no-any-return]


def _connect_cluster(url: str, options: dict[str, Any]) -> Redis:
    names, _, login = _many(url, _DEFAULT_PORT)
    cluster = RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in names], **login, **options)
    # No subclass, but it has the commands that are used here, publish and subscribe among them.
    return cast(Redis, cluster)


def _many(url: str, default_port: int) -> tuple[list[tuple[str, int]], str, dict[str, Any]]:
    """Hosts with ports, the path without its slashes, and what goes with each connection."""
    parts = urlsplit(url)
    account, _, places = parts.netloc.rpartition("@")
    username, _, password = account.partition(":")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    if account:
        options |= {"username": unquote(username) or None, "password": unquote(password)}
    if parts.scheme.startswith("rediss"):
        options["ssl"] = True
    names = []
    for place in places.split(","):
        host, _, port = place.rpartition(":") if ":" in place else (place, "", "")
        if not host or (port and not port.isdigit()):
            raise ValueError(f'REDIS_URL has the address "{place}"; write host:port,host:port')
        names.append((host.strip("[]"), int(port or default_port)))
    return names, parts.path.strip("/"), options
