"""Where alerts go, as set at run time; the address is encrypted, for whoever knows it can write there."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain.roles import Tenant
from app.storage.postgres.tables import alert_destinations


@dataclass(frozen=True, slots=True)
class StoredDestination:
    """``shown`` is what may be seen of the address; ``alert_kinds`` empty is all; ``team_id`` None hears of all."""

    destination_id: str
    name: str
    kind: str
    team_id: str | None
    shown: str
    alert_kinds: tuple[str, ...]
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class SealedAddress:
    ciphertext: bytes
    nonce: bytes
    encryption_key_id: str


_STORED = select(*(alert_destinations.c[name] for name in StoredDestination.__slots__))
_SEALED = tuple(SealedAddress.__slots__)


async def insert_destination(
    connection: AsyncConnection, destination: StoredDestination, address: SealedAddress
) -> None:
    values = {name: getattr(destination, name) for name in StoredDestination.__slots__}
    values |= {name: getattr(address, name) for name in _SEALED}
    values["alert_kinds"] = list(destination.alert_kinds)
    await connection.execute(insert(alert_destinations).values(**values))


async def list_destinations(
    connection: AsyncConnection, tenant: Tenant, team_ids: Collection[str] = ()
) -> list[StoredDestination]:
    """Those of the tenant, oldest first; of these teams only, where any are named."""
    query = _STORED.where(*_within(tenant)).order_by(alert_destinations.c.created_at)
    if team_ids:
        query = query.where(alert_destinations.c.team_id.in_(team_ids))
    return [_stored(row) for row in await connection.execute(query)]


async def find_destination(
    connection: AsyncConnection, tenant: Tenant, destination_id: str
) -> StoredDestination | None:
    query = _STORED.where(alert_destinations.c.destination_id == destination_id, *_within(tenant))
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else _stored(row)


async def find_address(connection: AsyncConnection, destination_id: str) -> SealedAddress | None:
    """For whoever delivers."""
    columns = (alert_destinations.c[name] for name in _SEALED)
    query = select(*columns).where(alert_destinations.c.destination_id == destination_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else SealedAddress(**row._mapping)


async def delete_destination(connection: AsyncConnection, destination_id: str) -> None:
    """What waits for it is given up by whoever delivers."""
    await connection.execute(delete(alert_destinations).where(alert_destinations.c.destination_id == destination_id))


def _within(tenant: Tenant) -> list[ColumnElement[bool]]:
    return [] if tenant.everything else [alert_destinations.c.team_id.in_(tenant.team_ids)]


def _stored(row: object) -> StoredDestination:
    values = {name: getattr(row, name) for name in StoredDestination.__slots__}
    return StoredDestination(**values | {"alert_kinds": tuple(values["alert_kinds"])})
