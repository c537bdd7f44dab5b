"""Stand-ins for what the data plane needs from outside: keys, catalogue, ledger, hosts."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.base.errors import StorageUnavailable, UpstreamBroken
from app.domain.access import Principal
from app.domain.catalog import Catalog
from app.domain.spend import Admitted, BudgetStanding, Claim, Growth, Receipt, Refused
from app.providers.provider import Header, UpstreamReply, UpstreamRequest


@dataclass
class KnownPrincipals:
    by_digest: dict[bytes, Principal] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)
    down: bool = False

    async def find(self, digest: bytes) -> Principal | None:
        if self.down:
            raise StorageUnavailable("Postgres does not answer")
        self.asked.append(digest)
        return self.by_digest.get(digest)

    def peek(self, digest: bytes) -> Principal | None:
        return None

    def remembers(self, digest: bytes) -> bool:
        return digest in self.asked and digest in self.by_digest


@dataclass
class OneCatalog:
    catalog: Catalog

    def current(self) -> Catalog:
        return self.catalog


@dataclass
class NotingLedger:
    """Answers as told, and notes what was said to it. ``failures`` settles fail before one succeeds."""

    outcomes: list[Admitted | Refused] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    settled: list[Receipt] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    renewed: list[tuple[str, Receipt | None]] = field(default_factory=list)
    grown: list[Sequence[Growth]] = field(default_factory=list)
    growth_refused: BudgetStanding | None = None
    failures: int = 0

    async def reserve(self, claim: Claim) -> Admitted | Refused:
        self.claims.append(claim)
        return self.outcomes.pop(0) if self.outcomes else Admitted(None, None, ())

    async def grow(self, request_id: str, growths: Sequence[Growth]) -> tuple[int, ...] | BudgetStanding | None:
        self.grown.append(growths)
        return self.growth_refused or tuple(growth.wanted_nanousd for growth in growths)

    async def settle(self, receipt: Receipt, tokens: int) -> bool:
        if self.failures:
            self.failures -= 1
            raise StorageUnavailable("Redis does not answer")
        self.settled.append(receipt)
        return True

    def start_settling(self, receipt: Receipt, tokens: int) -> "asyncio.Future[bool]":
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.failures:
            self.failures -= 1
            answer.set_exception(StorageUnavailable("Redis does not answer"))
        else:
            self.settled.append(receipt)
            answer.set_result(True)
        return answer

    async def release(self, request_id: str) -> None:
        self.released.append(request_id)

    async def renew(self, holds: Sequence[tuple[str, Receipt | None]]) -> list[str]:
        self.renewed.extend(holds)
        return []


@dataclass
class ScriptedReply:
    """``chunks`` one by one; an exception among them is raised; None waits for ever."""

    status: int
    headers: Sequence[Header]
    chunks: list[bytes | Exception | None]
    closed: bool = False

    async def next_chunk(self, wait_s: float) -> bytes:
        await asyncio.sleep(0)
        if not self.chunks:
            return b""
        if self.chunks[0] is None:
            await asyncio.wait_for(asyncio.Event().wait(), wait_s)
        chunk = self.chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        assert chunk is not None
        return chunk

    def close(self) -> None:
        self.closed = True


@dataclass
class ScriptedUpstream:
    """Gives its replies in turn; an exception among them is raised."""

    replies: list[ScriptedReply | Exception]
    requests: list[UpstreamRequest] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        self.requests.append(request)
        await asyncio.sleep(0)
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply


def broken() -> UpstreamBroken:
    return UpstreamBroken('provider "anthropic" broke off its answer', provider="anthropic")
