"""The audit trail: who changed what, when, from where, with what stood before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import new_id
from app.storage.postgres.tables import audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """``before`` is None for what was made, ``after`` for what is gone; neither ever holds a secret."""

    at: datetime
    actor: str
    changed_by: str | None
    client_address: str | None
    action: str
    object_type: str
    object_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


async def insert_entry(connection: AsyncConnection, entry: AuditEntry) -> None:
    values = {name: getattr(entry, name) for name in AuditEntry.__slots__}
    await connection.execute(insert(audit).values(audit_id=new_id("audit"), **values))


async def list_entries(connection: AsyncConnection, object_type: str, object_id: str) -> list[AuditEntry]:
    """What happened to one thing, oldest first."""
    query = select(*(audit.c[name] for name in AuditEntry.__slots__)).where(
        audit.c.object_type == object_type, audit.c.object_id == object_id
    )
    rows = await connection.execute(query.order_by(audit.c.at, audit.c.audit_id))
    return [AuditEntry(**row._mapping) for row in rows]
