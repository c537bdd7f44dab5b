"""Own Redis servers that a test may kill, and claims and receipts for the ledger."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from redis.asyncio import Redis

from app.base import clock
from app.base.ids import BudgetId, new_id
from app.domain.limits import RateLimits
from app.domain.pricing import Cost
from app.domain.spend import BudgetClaim, Claim, RateClaim, Receipt
from app.domain.usage import Usage
from app.embedded.binaries import find_valkey
from app.embedded.places import Places
from app.embedded.processes import wait_until

KEY_ID = "key_alpha"


class RedisServer:
    """A server of our own on a unix socket, which keeps its data over a restart when it is told to."""

    def __init__(
        self, program: Path, folder: Path, arguments: Sequence[str] = (), settings: Path | None = None
    ) -> None:
        self._folder = folder
        self._socket = folder / "s"
        sentinel = () if settings is None else (str(settings), "--sentinel")
        own = ("--port", "0", "--unixsocket", str(self._socket), "--dir", str(folder), "--save", "")
        self._command = [str(program), *sentinel, *own, *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
        if not wait_until(self._answers, 20):
            raise AssertionError((self._folder / "log").read_text())

    def kill(self) -> None:
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _answers(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self._socket))
                probe.sendall(b"PING\r\n")
                return probe.recv(5) in {b"+PONG", b"-NOAU"}
            except OSError:
                return False


@contextmanager
def redis_server(kind: str = "valkey", *arguments: str, settings: Path | None = None) -> Iterator[RedisServer]:
    """A running server: the embedded ``valkey``, or the machine's own ``redis-server`` where there is one.

    ``settings`` makes it a sentinel.
    """
    # A short path: that of a unix socket has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="kh-"))
    server = RedisServer(find_program(kind, folder), folder, arguments, settings)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)


def find_program(kind: str, home: Path) -> Path:
    if kind == "valkey":
        return find_valkey(Places(control=home, data=home, account=None))
    return Path(shutil.which(kind) or kind)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what happens in another process, at most a minute."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110  no event of this loop tells
            await asyncio.sleep(0.02)


async def counter(redis: Redis, name: str = "bud_alpha:1:1") -> tuple[int, int]:
    counted = await redis.hgetall(f"{{kh}}:budget:{name}")
    return int(counted["spent"]), int(counted["held"])


async def lease_s(redis: Redis, request_id: str, name: str = "{kh}:leases") -> float:
    ends_ms = await redis.zscore(name, request_id)
    assert ends_ms is not None
    return ends_ms / 1000 - clock.now().timestamp()


async def contents(redis: Redis) -> dict[str, object]:
    contents: dict[str, object] = {}
    async for name in redis.scan_iter("*"):
        match await redis.type(name):
            case "hash":
                contents[name] = await redis.hgetall(name)
            case "zset":
                contents[name] = await redis.zrange(name, 0, -1, withscores=True)
            case _:
                contents[name] = await redis.get(name)
    return contents


def make_receipt(
    request_id: str,
    cost: int = 0,
    *,
    key_id: str = KEY_ID,
    at: datetime | None = None,
    team_id: str | None = "team_alpha",
    user_id: str | None = None,
    organization_id: str | None = None,
    project_id: str | None = None,
) -> Receipt:
    return Receipt(
        request_id=request_id,
        attempt=1,
        started_at=at or clock.now(),
        duration_ms=1200,
        first_byte_ms=300,
        organization_id=organization_id,
        team_id=team_id,
        user_id=user_id,
        key_id=key_id,
        customer_id=None,
        tags=("blue", 'a "quoted" \\ {one}, with comma'),
        session_id="5c0b7d5e",
        agent_id=None,
        route="/v1/messages",
        model_asked="claude",
        model_served="claude-sonnet-4-5",
        provider="anthropic",
        deployment_id="dep_alpha",
        protocol_in="anthropic_messages",
        protocol_out="anthropic_messages",
        streamed=True,
        usage=Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, output=5),
        cost=Cost(output=cost, total=cost),
        price_version="2026-11",
        price_source="bundled",
        usage_source="provider",
        status="ok",
        finish_reason="end_turn",
        project_id=project_id,
    )


def make_budget(
    limit: int,
    hold: int,
    *,
    counter: str = "bud_alpha:1:1",
    scope: str = KEY_ID,
    start: datetime | None = None,
    end: datetime | None = None,
    counting_since: datetime | None = None,
) -> BudgetClaim:
    begin = start or clock.now() + timedelta(seconds=60)
    return BudgetClaim(
        counter=counter,
        budget_id=BudgetId("bud_alpha"),
        scope=scope,
        limit_nanousd=limit,
        hold_nanousd=hold,
        start=begin,
        end=end,
        counting_since=counting_since or begin,
    )


def make_claim(
    *budgets: BudgetClaim,
    request_id: str | None = None,
    limits: RateLimits | None = None,
    rates: tuple[RateClaim, ...] = (),
    tokens: int = 10,
    orphan: Receipt | None = None,
    scope: str = KEY_ID,
) -> Claim:
    name = request_id or (orphan.request_id if orphan else new_id("req"))
    hold = budgets[0].hold_nanousd if budgets else 0
    return Claim(
        request_id=name,
        rates=rates if limits is None else (RateClaim(scope, limits), *rates),
        tokens=tokens,
        budgets=budgets,
        if_orphaned=orphan or make_receipt(name, hold, key_id=scope),
    )
