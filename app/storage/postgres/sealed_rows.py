"""Everything that is kept encrypted, of whatever table: found by the key that sealed it, and sealed anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Table, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.credentials import Sealed, sealed_values
from app.storage.postgres.tables import alert_destinations, deployments, provider_credentials

SealedKind = Literal["credential", "model", "alert_destination"]
SEALED_KINDS: tuple[SealedKind, ...] = get_args(SealedKind)
_TABLES: Mapping[SealedKind, tuple[Table, str]] = {
    "credential": (provider_credentials, "credential_id"),
    "model": (deployments, "deployment_id"),
    "alert_destination": (alert_destinations, "destination_id"),
}


@dataclass(frozen=True, slots=True)
class SealedRow:
    """``row_id`` is the associated data of the cipher."""

    kind: SealedKind
    row_id: str
    sealed: Sealed


async def list_sealed(connection: AsyncConnection, kind: SealedKind) -> list[SealedRow]:
    """All that have something sealed, in the order of their ids, locked until the transaction ends."""
    table, name = _TABLES[kind]
    columns = [table.c[part] for part in Sealed.__slots__]
    query = select(table.c[name], *columns).where(table.c.ciphertext.is_not(None)).order_by(table.c[name])
    rows = await connection.execute(query.with_for_update())
    return [SealedRow(kind, row[0], Sealed(*row[1:])) for row in rows]


async def write_sealed(connection: AsyncConnection, row: SealedRow) -> None:
    """The values are what they were, so nothing else of the row changes."""
    table, name = _TABLES[row.kind]
    await connection.execute(update(table).where(table.c[name] == row.row_id).values(**sealed_values(row.sealed)))
