"""Use case: whatever is kept encrypted is sealed anew under the present key, so that a former one can be forgotten."""

from collections import Counter
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor, Change, record_change
from app.storage.postgres.credentials import CredentialCipher, Sealed, Undecipherable
from app.storage.postgres.engine import transaction
from app.storage.postgres.sealed_rows import SEALED_KINDS, SealedRow, list_sealed, write_sealed


@dataclass(slots=True)
class Resealed:
    """By kind: what was sealed anew, and what was under the present key already. ``unreadable`` are rows that no known
    key opens: they are left as they are."""

    key_id: str
    sealed_anew: Counter[str] = field(default_factory=Counter)
    sealed_already: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)


class Resealing:
    def __init__(self, engine: AsyncEngine, cipher: CredentialCipher) -> None:
        self._engine = engine
        self._cipher = cipher

    async def run(self, actor: Actor, *, dry_run: bool) -> Resealed:
        """All in one transaction; with ``dry_run`` it tells what would be done, and does nothing."""
        done = Resealed(self._cipher.key_id)
        async with transaction(self._engine) as connection:
            for kind in SEALED_KINDS:
                for row in await list_sealed(connection, kind):
                    anew = self._seal_anew(row, done)
                    if anew is not None and not dry_run:
                        await write_sealed(connection, anew)
            if not dry_run:
                after = {"sealed_anew": dict(done.sealed_anew), "unreadable": [name for _, name in done.unreadable]}
                await record_change(connection, actor, Change("credential.reseal", "key_id", done.key_id, None, after))
        return done

    def _seal_anew(self, row: SealedRow, done: Resealed) -> SealedRow | None:
        """None where there is nothing to do, or nothing that can be done."""
        sealed = row.sealed
        try:
            plain = self._cipher.decrypt(row.row_id, sealed.ciphertext, sealed.nonce, sealed.encryption_key_id)
        except Undecipherable:
            done.unreadable.append((row.kind, row.row_id))
            return None
        if sealed.encryption_key_id == self._cipher.key_id:
            done.sealed_already[row.kind] += 1
            return None
        done.sealed_anew[row.kind] += 1
        return SealedRow(row.kind, row.row_id, Sealed(*self._cipher.encrypt(row.row_id, plain), self._cipher.key_id))
