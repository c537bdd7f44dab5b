"""Use cases that read the audit trail: a page of it, one row, and whether its chain is whole."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.errors import NotFound
from app.domain.audit_chain import ChainCheck, Fault
from app.storage.postgres import audit as rows
from app.storage.postgres.audit import AuditFilter, StoredEntry
from app.storage.postgres.engine import transaction

_LINKS_AT_ONCE = 1_000
MOST_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Verdict:
    """``head_hash`` stands for the whole chain: noted elsewhere, it proves later that nothing before it was changed.

    ``unchained`` rows are older than the chain, and not covered by it.
    """

    faults: tuple[Fault, ...]
    checked: int
    unchained: int
    head_sequence: int
    head_hash: bytes


class AuditTrail:
    """Reads only; rows are written by ``record_change``, in the transaction of the change."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def list(
        self, wanted: AuditFilter, page: int, size: int, *, oldest_first: bool = False
    ) -> tuple[list[StoredEntry], int]:
        """One page, counted from 1, and how many entries there are on all pages."""
        async with transaction(self._engine) as connection:
            return await rows.page_entries(connection, wanted, page, size, oldest_first=oldest_first)

    async def get(self, audit_id: str) -> StoredEntry:
        """Raises NotFound."""
        found, _ = await self.list(AuditFilter(audit_id=audit_id), 1, 1)
        if not found:
            raise NotFound(f'no such row of the audit: "{audit_id}"; see GET /audit', param="id")
        return found[0]

    async def verify(self, most: int | None = None) -> Verdict:
        """Go through the whole chain as it stands now, or its last ``most`` rows, which are taken to follow on what
        stands before them; what is written meanwhile is left for the next time.

        ``faults`` are the first ``MOST_FAULTS``.
        """
        async with transaction(self._engine) as connection:
            await rows.see_one_instant(connection)
            sequence, head_hash = await rows.find_head(connection)
            reached, check = 0, ChainCheck()
            if most is not None and sequence > most:
                known = await rows.list_links(connection, sequence - most - 1, 1)
                reached = sequence - most
                if known and known[0].sequence == reached:
                    check = ChainCheck(reached, known[0].hash)
            while links := await rows.list_links(connection, reached, _LINKS_AT_ONCE):
                for link in links:
                    check.feed(link)
                reached = links[-1].sequence
            check.finish(sequence, head_hash)
            unchained = await rows.count_unchained(connection)
        return Verdict(tuple(check.faults[:MOST_FAULTS]), check.checked, unchained, sequence, head_hash)
