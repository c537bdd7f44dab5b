"""Deleting the keys of a team, a user or an organization that is deleted, in the same transaction."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.admin.actor import Actor, Change, record_change
from app.base.clock import now
from app.base.ids import KeyId
from app.domain.roles import EVERYTHING
from app.storage.postgres.key_owners import OwnerColumn, lock_keys_of
from app.storage.postgres.keys import StoredKey, find_key, update_key


async def remove_keys_of(connection: AsyncConnection, owners: Mapping[OwnerColumn, str], actor: Actor) -> list[KeyId]:
    """Archive each key with an audit row of its own; returns their ids, to be announced after the commit."""
    removed = await lock_keys_of(connection, owners)
    for key_id in removed:
        key = await find_key(connection, EVERYTHING, key_id)
        assert key is not None
        await update_key(connection, key_id, {"deleted_at": now(), "deleted_by": actor.name})
        await record_change(connection, actor, Change("key.delete", "key", key_id, _snapshot(key), None))
    return removed


def _snapshot(key: StoredKey) -> dict[str, Any]:
    return {name: getattr(key, name) for name in StoredKey.__slots__}
