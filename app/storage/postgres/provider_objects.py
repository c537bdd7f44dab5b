"""What providers keep for callers of ours, and which of its results are booked: the ProviderObjects port."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Text, exists, func, literal, or_, select, true, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.access import Principal
from app.domain.provider_objects import ObjectKind, PageAsked, ProviderObject
from app.storage.postgres.engine import reading, transaction
from app.storage.postgres.tables import provider_objects

_TABLE = provider_objects.c
_FIELDS = tuple(_TABLE[name] for name in ProviderObject.__struct_fields__)
# The first column of the receipts' primary key, so this looks up one row for each id and no more.
_BOOKED = "SELECT request_id FROM receipts WHERE request_id = ANY($1) AND attempt = 1 AND started_at = $2"


class ProviderObjectStore:
    """Every method raises StorageUnavailable when Postgres does not answer."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, record: ProviderObject) -> bool:
        """False when an object of that name is known already; nothing is changed then."""
        values = {name: getattr(record, name) for name in record.__struct_fields__}
        query = insert(provider_objects).values(values).on_conflict_do_nothing().returning(_TABLE.object_id)
        async with transaction(self._engine) as connection:
            return (await connection.execute(query)).first() is not None

    async def find(self, kind: ObjectKind, object_id: str) -> ProviderObject | None:
        query = select(*_FIELDS).where(_is(kind, object_id), _TABLE.deleted_at.is_(None))
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _record(row)

    async def any(self, kind: ObjectKind) -> bool:
        """Whether there is one that is not deleted."""
        query = select(exists().where(_TABLE.kind == kind, _TABLE.deleted_at.is_(None)))
        async with reading(self._engine) as connection:
            return bool((await connection.execute(query)).scalar_one())

    async def find_all(self, kind: ObjectKind, object_ids: Sequence[str]) -> list[ProviderObject]:
        """Those that are known and not deleted."""
        named = _TABLE.object_id == func.any(literal(list(object_ids), ARRAY(Text)))
        query = select(*_FIELDS).where(_TABLE.kind == kind, named, _TABLE.deleted_at.is_(None))
        async with reading(self._engine) as connection:
            return [_record(row) for row in await connection.execute(query)]

    async def page(self, kind: ObjectKind, principal: Principal, asked: PageAsked) -> list[ProviderObject]:
        """Of those that the principal may handle, the newest first."""
        place = tuple_(_TABLE.created_at, _TABLE.object_id)
        conditions = [_TABLE.kind == kind, _TABLE.deleted_at.is_(None), _may_handle(principal)]
        if asked.only is not None:
            conditions.append(_TABLE.object_id.in_(asked.only))
        if asked.after is not None:
            conditions.append(place < _place_of(kind, asked.after))
        if asked.before is not None:
            conditions.append(place > _place_of(kind, asked.before))
        backwards = asked.before is not None and asked.after is None
        order = (_TABLE.created_at, _TABLE.object_id)
        ordered = order if backwards else tuple(column.desc() for column in order)
        query = select(*_FIELDS).where(*conditions).order_by(*ordered).limit(asked.limit)
        async with reading(self._engine) as connection:
            records = [_record(row) for row in await connection.execute(query)]
        return records[::-1] if backwards else records

    async def remove(self, kind: ObjectKind, object_id: str) -> None:
        """It is gone at the provider; the row stays, so that its receipts keep their origin."""
        async with transaction(self._engine) as connection:
            await connection.execute(
                update(provider_objects).where(_is(kind, object_id)).values(deleted_at=func.now(), facts=b"")
            )

    async def begin_results(self, batch_id: str, at: datetime) -> datetime:
        """When the results were first read: ``at`` the first time, and the same ever after."""
        query = (
            update(provider_objects)
            .where(_is("batch", batch_id))
            .values(results_read_at=func.coalesce(_TABLE.results_read_at, at))
            .returning(_TABLE.results_read_at)
        )
        async with transaction(self._engine) as connection:
            read_at: datetime = (await connection.execute(query)).scalar_one()
        return read_at

    async def end_results(self, batch_id: str, at: datetime) -> None:
        """All results were read and booked."""
        query = update(provider_objects).where(_is("batch", batch_id), _TABLE.booked_at.is_(None))
        async with transaction(self._engine) as connection:
            await connection.execute(query.values(booked_at=at))

    async def find_booked(self, request_ids: Sequence[str], read_at: datetime) -> set[str]:
        """Those of which the book of record has the receipt."""
        async with reading(self._engine) as connection:
            rows = await connection.exec_driver_sql(_BOOKED, (list(request_ids), read_at))
        return set(rows.scalars())


def _is(kind: ObjectKind, object_id: str) -> ColumnElement[bool]:
    return (_TABLE.kind == kind) & (_TABLE.object_id == object_id)


def _may_handle(principal: Principal) -> ColumnElement[bool]:
    """``may_handle`` as a condition."""
    key = principal.key
    if principal.is_admin:
        return true()
    own = _TABLE.key_id == key.key_id
    return own if key.team_id is None else or_(own, _TABLE.team_id == key.team_id)


def _place_of(kind: ObjectKind, object_id: str) -> Any:  # noqa: ANN401  a row value has no public type
    """Nothing stands before or after an object that is not known."""
    return select(_TABLE.created_at, _TABLE.object_id).where(_is(kind, object_id)).scalar_subquery()


def _record(row: Row[Any]) -> ProviderObject:
    return ProviderObject(**row._mapping)
