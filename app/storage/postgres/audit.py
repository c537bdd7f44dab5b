"""The audit trail: who changed what, when, from where, with what stood before and after; a chain of hashes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Text, bindparam, cast, func, or_, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import new_id
from app.domain.audit_chain import GENESIS, Link, link_hash
from app.storage.postgres.tables import audit, audit_head

# One number for the one writer of the chain: "khaudit" in ASCII.
AUDIT_LOCK = 0x6B686175646974
_HEAD_ID = 1


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """``before`` is None for what was made, ``after`` for what is gone; neither ever holds a secret.

    ``actor`` is a person, or the key of nobody; ``actor_key_id`` the key that was shown, None for the master key.
    """

    at: datetime
    actor: str
    changed_by: str | None
    client_address: str | None
    action: str
    object_type: str
    object_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    actor_key_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """``sequence`` and ``hash`` are None for rows that are older than the chain."""

    audit_id: str
    sequence: int | None
    hash: bytes | None
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to list, in [``since``, ``until``); None does not filter.

    ``changed_by`` is on whose behalf it was done, or who did it where nobody else was named.
    """

    audit_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    actor_key_id: str | None = None
    changed_by: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None


_ENTRY = tuple(AuditEntry.__slots__)
_STORED = select(audit.c.audit_id, audit.c.sequence, audit.c.hash, *(audit.c[name] for name in _ENTRY))
_AS_WRITTEN = text(
    "SELECT before::jsonb::text, after::jsonb::text FROM unnest(:befores, :afters) "
    "WITH ORDINALITY AS entries (before, after, place) ORDER BY place"
).bindparams(bindparam("befores", type_=ARRAY(Text)), bindparam("afters", type_=ARRAY(Text)))
_EQUAL = ("audit_id", "actor", "actor_key_id", "action", "object_type", "object_id")


async def insert_entries(connection: AsyncConnection, entries: Sequence[AuditEntry]) -> None:
    """Add them to the end of the chain in their order, in as many queries as one takes.

    The chain's lock is held until the transaction ends: write them last.
    """
    if not entries:
        return
    await connection.execute(select(func.pg_advisory_xact_lock(AUDIT_LOCK)))
    # As Postgres will give them back, with its own way to write a number: so they can be hashed again.
    written = await connection.execute(
        _AS_WRITTEN,
        {"befores": [_json(entry.before) for entry in entries], "afters": [_json(entry.after) for entry in entries]},
    )
    sequence, last_hash = await find_head(connection)
    rows = []
    for entry, (before, after) in zip(entries, written.all(), strict=True):
        audit_id = new_id("audit")
        own_hash = link_hash(last_hash, audit_id, _content(entry, before, after))
        sequence += 1
        values = {name: getattr(entry, name) for name in _ENTRY}
        values |= {"sequence": sequence, "previous_hash": last_hash, "hash": own_hash}
        rows.append({"audit_id": audit_id, **values})
        last_hash = own_hash
    await connection.execute(insert(audit), rows)
    head = {"sequence": sequence, "hash": last_hash}
    begun = insert(audit_head).values(head_id=_HEAD_ID, **head)
    await connection.execute(begun.on_conflict_do_update(index_elements=["head_id"], set_=head))


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


async def see_one_instant(connection: AsyncConnection) -> None:
    """Let all queries of this transaction see the trail as the first of them does; call it before any."""
    await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


async def find_head(connection: AsyncConnection) -> tuple[int, bytes]:
    """Where the chain ends: the place and hash of its last row; 0 before the first."""
    query = select(audit_head.c.sequence, audit_head.c.hash).where(audit_head.c.head_id == _HEAD_ID)
    row = (await connection.execute(query)).one_or_none()
    return (0, GENESIS) if row is None else (row.sequence, row.hash)


async def list_links(connection: AsyncConnection, after_sequence: int, limit: int) -> list[Link]:
    """The next rows of the chain, in order."""
    columns = [audit.c[name] for name in _ENTRY if name not in ("before", "after")]
    texts = [cast(audit.c.before, Text).label("before"), cast(audit.c.after, Text).label("after")]
    query = select(audit.c.audit_id, audit.c.sequence, audit.c.previous_hash, audit.c.hash, *columns, *texts)
    rows = await connection.execute(
        query.where(audit.c.sequence > after_sequence).order_by(audit.c.sequence).limit(limit)
    )
    return [
        Link(
            row.sequence, row.audit_id, _content(row, row.before, row.after), row.previous_hash or b"", row.hash or b""
        )
        for row in rows
    ]


async def count_unchained(connection: AsyncConnection) -> int:
    """Rows that stand outside of the chain: those that are older than it."""
    query = select(func.count()).select_from(audit).where(audit.c.sequence.is_(None))
    return int((await connection.execute(query)).scalar_one())


async def list_entries(connection: AsyncConnection, object_type: str, object_id: str) -> list[AuditEntry]:
    """What happened to one thing, oldest first."""
    query = _STORED.where(audit.c.object_type == object_type, audit.c.object_id == object_id)
    rows = await connection.execute(query.order_by(audit.c.at, audit.c.audit_id))
    return [_stored(row).entry for row in rows]


async def page_entries(
    connection: AsyncConnection, wanted: AuditFilter, number: int, size: int, *, oldest_first: bool
) -> tuple[list[StoredEntry], int]:
    """One page, counted from 1, and how many entries there are on all pages."""
    conditions = _conditions(wanted)
    total = (await connection.execute(select(func.count()).select_from(audit).where(*conditions))).scalar_one()
    columns = (audit.c.at, audit.c.sequence, audit.c.audit_id)
    order = [column.asc() if oldest_first else column.desc() for column in columns]
    rows = await connection.execute(_STORED.where(*conditions).order_by(*order).limit(size).offset((number - 1) * size))
    return [_stored(row) for row in rows], total


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    conditions = [audit.c[name] == getattr(wanted, name) for name in _EQUAL if getattr(wanted, name) is not None]
    if wanted.since is not None:
        conditions.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(audit.c.at < wanted.until)
    if wanted.changed_by is not None:
        named, nobody = audit.c.changed_by == wanted.changed_by, audit.c.changed_by.is_(None)
        conditions.append(or_(named, nobody & (audit.c.actor == wanted.changed_by)))
    return conditions


def _stored(row: Any) -> StoredEntry:  # noqa: ANN401  a row of audit
    entry = AuditEntry(**{name: getattr(row, name) for name in _ENTRY})
    return StoredEntry(row.audit_id, row.sequence, row.hash, entry)


def _content(row: Any, before: str | None, after: str | None) -> tuple[str | None, ...]:  # noqa: ANN401  entry or row
    return (
        row.at.astimezone(UTC).isoformat(timespec="microseconds"),
        row.actor,
        row.actor_key_id,
        row.changed_by,
        row.client_address,
        row.action,
        row.object_type,
        row.object_id,
        before,
        after,
    )
