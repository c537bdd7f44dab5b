"""Queries on the keys of a team, a user or an organization that goes."""

from collections.abc import Mapping
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.base.ids import KeyId
from app.storage.postgres.tables import keys

OwnerColumn = Literal["team_id", "user_id", "organization_id", "project_id"]


async def lock_keys_of(connection: AsyncConnection, owners: Mapping[OwnerColumn, str]) -> list[KeyId]:
    """Keys of all ``owners`` that are not deleted, locked in one order so that no two removals wait for each other."""
    conditions = [keys.c[column] == owner for column, owner in owners.items()]
    query = select(keys.c.key_id).where(*conditions, keys.c.deleted_at.is_(None)).order_by(keys.c.key_id)
    return list((await connection.execute(query.with_for_update())).scalars())


async def forget_owner(connection: AsyncConnection, column: OwnerColumn, owner: str) -> None:
    """What is archived of the owner's keys names it no longer; their receipts and the audit trail do."""
    await connection.execute(update(keys).where(keys.c[column] == owner).values({column: None}))
