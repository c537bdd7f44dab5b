"""Use cases that read virtual keys: one, or a page of them, with what they have spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.admin.group_names import groups_of
from app.admin.key_parts import PartUse, uses_of_parts
from app.base.clock import now
from app.base.errors import NotFound
from app.base.ids import BudgetId
from app.base.money import NanoUSD
from app.domain.budgets import Budget, parse_period, window_at
from app.domain.keys import digest_imported, digest_key
from app.domain.roles import EVERYTHING, Tenant
from app.storage.postgres import keys as rows
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.keys import KeyFilter, Page, RetiredSecret, StoredKey
from app.storage.postgres.owner_spend import spend_of_keys

KeyStatus = Literal["active", "blocked", "expired", "deleted"]
SINCE_EVER = datetime(1970, 1, 1, tzinfo=UTC)
_SHA256_HEX_LENGTH = 64


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key, its state now and its spend; ``spend_nanousd`` is of the window that ends at ``budget_resets_at``.

    ``group_ids`` are the access groups among its models.
    """

    key: StoredKey
    status: KeyStatus
    spend_nanousd: NanoUSD
    total_spend_nanousd: NanoUSD
    budget_resets_at: datetime | None
    group_ids: tuple[str, ...] = ()


class KeyReading:
    """What is asked about keys; changes nothing."""

    def __init__(self, engine: AsyncEngine, pepper: bytes) -> None:
        self._engine = engine
        self._pepper = pepper

    async def find(self, reference: str, tenant: Tenant) -> KeyView | None:
        """By key id, whole key, or SHA-256 of the key in hex; deleted keys too."""
        async with transaction(self._engine) as connection:
            found = await find_referenced(connection, tenant, self._pepper, reference)
            return None if found is None else (await views(connection, [found], now()))[0]

    async def parts(self, key: StoredKey) -> list[PartUse]:
        """Where its budget's further windows and budgets of single models stand."""
        if not key.budget_windows and not key.model_budgets:
            return []
        async with transaction(self._engine) as connection:
            return await uses_of_parts(connection, key.key_id, now())

    async def earlier_secrets(self, key_id: str) -> Sequence[RetiredSecret]:
        """Those before the present one that still work."""
        async with reading(self._engine) as connection:
            return await rows.list_retired(connection, key_id, now())

    async def find_id(self, reference: str, tenant: Tenant = EVERYTHING) -> str:
        """The key id behind a reference; the reference itself when no key is known by it.

        Raises NotFound for a key that is not the tenant's, as for one that never was.
        """
        async with transaction(self._engine) as connection:
            found = await find_referenced(connection, tenant, self._pepper, reference)
        if found is None and not tenant.everything:
            raise NotFound(f'no such key: "{shown(reference)}"', param="api_key")
        return reference if found is None else found.key_id

    async def aliases(self, tenant: Tenant, wanted: KeyFilter, number: int, size: int) -> tuple[Sequence[str], int]:
        """One page of the names of keys, and how many there are on all pages."""
        async with transaction(self._engine) as connection:
            return await rows.list_aliases(connection, tenant, wanted, size, (number - 1) * size)

    async def list(self, tenant: Tenant, wanted: KeyFilter, page: Page) -> tuple[list[KeyView], int]:
        """One page, and how many keys there are on all pages."""
        at = now()
        async with transaction(self._engine) as connection:
            found, total = await rows.list_keys(connection, tenant, wanted, page, at)
            return await views(connection, found, at), total


async def find_referenced(
    connection: AsyncConnection, tenant: Tenant, pepper: bytes, reference: str, *, lock: bool = False
) -> StoredKey | None:
    """The key meant by a whole key, by its SHA-256 in hex (LiteLLM's token), or by our key id."""
    if "\0" in reference:  # which Postgres takes for an error in the query
        return None
    if reference.startswith("sk-"):
        return await rows.find_key_by_digest(connection, tenant, digest_key(pepper, reference), lock=lock)
    if len(reference) == _SHA256_HEX_LENGTH:
        try:
            sha256 = bytes.fromhex(reference)
        except ValueError:
            return None
        return await rows.find_key_by_digest(connection, tenant, digest_imported(pepper, sha256), lock=lock)
    return await rows.find_key(connection, tenant, reference, lock=lock)


def shown(reference: str) -> str:
    """A reference as an error may repeat it: of a whole key, only the end."""
    return f"sk-...{reference[-4:]}" if reference.startswith("sk-") else reference


async def views(connection: AsyncConnection, found: Sequence[StoredKey], at: datetime) -> list[KeyView]:
    """The keys with their spend, in two queries for all."""
    windows = {key.key_id: _window(key, at) for key in found}
    spend = await spend_of_keys(connection, [(key_id, start) for key_id, (start, _) in windows.items()])
    groups = await groups_of(connection, (key.models for key in found))
    return [
        KeyView(
            key,
            _status(key, at),
            spend[key.key_id].window_nanousd,
            spend[key.key_id].total_nanousd,
            windows[key.key_id][1],
            tuple(entry for entry in key.models if entry in groups),
        )
        for key in found
    ]


def _window(key: StoredKey, at: datetime) -> tuple[datetime, datetime | None]:
    if key.budget_duration in (None, "total") or key.budget_id is None:
        return key.budget_reset_at or SINCE_EVER, None
    assert key.budget_duration is not None
    assert key.budget_anchor is not None
    assert key.budget_counting_since is not None
    budget = Budget(
        BudgetId(key.budget_id),
        key.limit_nanousd or 0,
        parse_period(key.budget_duration),
        key.budget_anchor,
        key.budget_counting_since,
        reset_at=key.budget_reset_at,
        zone=key.budget_timezone or "UTC",
    )
    window = window_at(budget, at)
    return window.start, window.end


def _status(key: StoredKey, at: datetime) -> KeyStatus:
    if key.deleted_at is not None:
        return "deleted"
    if key.blocked:
        return "blocked"
    if key.expires_at is not None and at >= key.expires_at:
        return "expired"
    return "active"
