"""Queries on users."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.postgres.tables import users


async def ensure_user(connection: AsyncConnection, user_id: str) -> None:
    """Make the row of a user who is named for the first time."""
    await connection.execute(insert(users).values(user_id=user_id).on_conflict_do_nothing())
