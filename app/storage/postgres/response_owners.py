"""Who made the responses that providers keep: noted with their receipts, found by name, dropped after their time."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain.provider_objects import ResponseOwner
from app.domain.spend import Receipt
from app.storage.postgres.engine import reading
from app.storage.postgres.tables import response_owners

_TABLE = response_owners.c
# Written out, as each length of a list would be another statement.
_NOTE = """
INSERT INTO response_owners (response_id, key_id, team_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) ON CONFLICT DO NOTHING
"""
# OpenAI keeps a response for 30 days, and need not be prompt.
_DROP = "DELETE FROM response_owners WHERE noted_at < now() - interval '35 days'"


class ResponseOwnerStore:
    """The ResponseOwners port."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def find(self, response_id: str) -> ResponseOwner | None:
        query = select(_TABLE.key_id, _TABLE.team_id).where(_TABLE.response_id == response_id)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else ResponseOwner(row.key_id, row.team_id)


async def note_owners(connection: AsyncConnection, booked: Sequence[Receipt]) -> None:
    """Before these receipts are in the book: should we die in between, they are booked again, and noted again. The
    first owner of a name stays."""
    named = [(one.kept_as, one.key_id, one.team_id) for one in booked if one.kept_as is not None]
    if named:
        await connection.exec_driver_sql(_NOTE, tuple(map(list, zip(*named, strict=True))))


async def drop_owners(connection: AsyncConnection) -> int:
    """Those of responses that no provider keeps any more; how many they were."""
    return (await connection.exec_driver_sql(_DROP)).rowcount
