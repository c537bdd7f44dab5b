"""What the data plane needs from the outside: keys, the catalogue, the ledger; hosts come by providers.Upstream."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from app.base.money import NanoUSD
from app.domain.access import Principal
from app.domain.activity import Reading
from app.domain.caching import StoredAnswer
from app.domain.catalog import Catalog
from app.domain.idempotency import KeptReply, KnownCall, Ticket
from app.domain.keys import VirtualKey
from app.domain.provider_objects import ObjectKind, PageAsked, ProviderObject, ResponseOwner
from app.domain.spend import Admitted, BudgetStanding, Claim, Growth, Receipt, Refused
from app.domain.tenancy import Level


class Principals(Protocol):
    async def find(self, digest: bytes) -> Principal | None:
        """The principal of a stored key digest, None when there is none. Raises StorageUnavailable."""

    def peek(self, digest: bytes) -> Principal | None:
        """The same from fresh memory alone: None when it may take a store to know."""

    def remembers(self, digest: bytes) -> bool:
        """Whether the digest was a key's when it was last looked up."""


class NamedLevels(Protocol):
    def peek(self, customers: Sequence[str], tags: Sequence[str]) -> tuple[Level, ...] | None:
        """What is set for these customers and tags, from memory alone: None when it may take a store to know."""

    async def find(self, customers: Sequence[str], tags: Sequence[str]) -> tuple[Level, ...]:
        """The same, for certain. Raises StorageUnavailable."""


class CatalogSource(Protocol):
    def current(self) -> Catalog:
        """The catalogue as it is now; no I/O."""


class Ledger(Protocol):
    async def reserve(self, claim: Claim) -> Admitted | Refused:
        """Hold everything the claim asks for, or change nothing. Raises StorageUnavailable."""

    async def grow(self, request_id: str, growths: Sequence[Growth]) -> tuple[int, ...] | BudgetStanding | None:
        """Hold more for a running call: what is then held on each budget, or the standing of the one without room.

        None where nothing is held any more. Raises StorageUnavailable.
        """

    async def settle(self, receipt: Receipt, tokens: int) -> bool:
        """Exchange the hold for what it cost and book the receipt, once however often it is said.

        Raises StorageUnavailable, and may then be repeated.
        """

    def start_settling(self, receipt: Receipt, tokens: int) -> asyncio.Future[Any]:
        """``settle``, begun at once: the command goes out in the loop's next turn.

        When the future fails, ``settle`` is to be said.
        """

    async def release(self, request_id: str) -> None:
        """Give the hold back: nothing was spent. Raises StorageUnavailable."""

    async def renew(self, holds: Sequence[tuple[str, Receipt | None]]) -> list[str]:
        """Keep these holds for another lease, each with the receipt to book should we die; returns those gone."""


class StoredAnswers(Protocol):
    """What the response cache keeps. Every method raises StorageUnavailable."""

    async def find(self, digest: bytes) -> StoredAnswer | None: ...

    async def keep(self, digest: bytes, answer: StoredAnswer, ttl_s: int) -> None:
        """Keep it for so long, or not at all where there is no room."""


class IdempotentCalls(Protocol):
    """Calls that are made once. Every method raises StorageUnavailable."""

    async def begin(self, ticket: Ticket) -> KnownCall | None:
        """None where the call is now under way as this one; else what is known of the one that has its name."""

    async def renew(self, ticket: Ticket) -> None:
        """It is still under way."""

    async def finish(self, ticket: Ticket, answer: KeptReply | None) -> None:
        """It was answered; without ``answer`` it is known that it was, and no more."""

    async def forget(self, ticket: Ticket) -> None:
        """It came to nothing."""


class ActivityStore(Protocol):
    async def add(self, key: VirtualKey, readings: Sequence[Reading], at: datetime) -> None:
        """What was done in sessions of the key; what is said twice counts once. Raises StorageUnavailable."""


class RoutingBoard(Protocol):
    """Where processes say how they see the deployments. Every method raises StorageUnavailable."""

    async def exchange(self, said: bytes) -> dict[str, bytes]:
        """Say it in the place of what this process said before; what the others said last, by their names."""

    async def forget(self, processes: Sequence[str]) -> None: ...


class RefusalBoard(Protocol):
    """Where the last refusal of each key stands for a while. Every method raises StorageUnavailable."""

    async def write(self, said: Mapping[str, bytes]) -> None:
        """By the ids of keys, each in the place of what was written of it before."""

    async def read(self, key_id: str) -> bytes | None: ...


class HealthBoard(Protocol):
    """What the last health checks have found, for all processes. Every method raises StorageUnavailable."""

    async def write(self, found: bytes) -> None: ...

    async def read(self) -> bytes | None: ...


class Spending(Protocol):
    async def since(self, windows: Sequence[tuple[str, datetime]]) -> list[NanoUSD]:
        """What each scope (app.domain.tenancy) has spent since the instant beside it. Raises StorageUnavailable."""


class ProviderObjects(Protocol):
    """What providers keep for callers of ours. Every method raises StorageUnavailable."""

    async def add(self, record: ProviderObject) -> bool:
        """False when an object of that name is known already; nothing is changed then."""

    async def find(self, kind: ObjectKind, object_id: str) -> ProviderObject | None: ...

    async def any(self, kind: ObjectKind) -> bool:
        """Whether there is one that is not deleted."""

    async def find_all(self, kind: ObjectKind, object_ids: Sequence[str]) -> list[ProviderObject]:
        """Those that are known and not deleted."""

    async def page(self, kind: ObjectKind, principal: Principal, asked: PageAsked) -> list[ProviderObject]:
        """Of those that the principal may handle, the newest first."""

    async def remove(self, kind: ObjectKind, object_id: str) -> None: ...

    async def begin_results(self, batch_id: str, at: datetime) -> datetime:
        """When the results were first read: ``at`` the first time, and the same ever after."""

    async def end_results(self, batch_id: str, at: datetime) -> None:
        """All results were read and booked."""

    async def find_booked(self, request_ids: Sequence[str], read_at: datetime) -> set[str]:
        """Those of which the book of record has the receipt."""


class ResponseOwners(Protocol):
    async def find(self, response_id: str) -> ResponseOwner | None:
        """None for one that was not made through us, or is not booked yet. Raises StorageUnavailable."""
