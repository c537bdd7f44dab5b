"""Queries on the views that people have saved: each reaches its own alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.tables import saved_views, users


@dataclass(frozen=True, slots=True)
class SavedView:
    """``address`` is a path below /ui, with its query."""

    view_id: str
    name: str
    address: str
    created_at: datetime


_COLUMNS = tuple(saved_views.c[name] for name in SavedView.__slots__)


async def list_views(connection: AsyncConnection, user_id: str) -> Sequence[SavedView]:
    """By name."""
    query = select(*_COLUMNS).where(saved_views.c.user_id == user_id)
    rows = await connection.execute(query.order_by(func.lower(saved_views.c.name), saved_views.c.view_id))
    return [SavedView(*row) for row in rows]


async def hold_views(connection: AsyncConnection, user_id: str) -> Sequence[SavedView]:
    """Those that there are; nobody else changes them until the transaction ends."""
    await connection.execute(select(users.c.user_id).where(users.c.user_id == user_id).with_for_update())
    return await list_views(connection, user_id)


async def insert_view(connection: AsyncConnection, user_id: str, view_id: str, name: str, address: str) -> None:
    values = {"view_id": view_id, "user_id": user_id, "name": name, "address": address}
    await connection.execute(insert(saved_views).values(values))


async def rename_view(connection: AsyncConnection, user_id: str, view_id: str, name: str) -> None:
    own = saved_views.c.user_id == user_id, saved_views.c.view_id == view_id
    await connection.execute(update(saved_views).where(*own).values(name=name))


async def delete_view(connection: AsyncConnection, user_id: str, view_id: str) -> None:
    own = saved_views.c.user_id == user_id, saved_views.c.view_id == view_id
    await connection.execute(delete(saved_views).where(*own))
