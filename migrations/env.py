"""How Alembic reaches the database: over the connection it is handed, or to ``-x database_url=…``."""

import asyncio

from alembic import context
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from app.storage.postgres.tables import receipts


def include_name(name: str | None, kind: str, _parents: object) -> bool:
    """Partitions are made as months pass; they are no part of the schema."""
    return not (kind == "table" and name is not None and name.startswith("receipts_"))


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=receipts.metadata, include_name=include_name)
    with context.begin_transaction():
        context.run_migrations()


async def migrate_over_new_connection(database_url: str) -> None:
    engine = create_async_engine(database_url.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    migrate(handed_over)
else:
    asyncio.run(migrate_over_new_connection(context.get_x_argument(as_dictionary=True)["database_url"]))
