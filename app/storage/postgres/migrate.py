"""Bringing a database to the schema of this code, once, however many processes start together."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

import app
from app.base.clock import now
from app.base.errors import GatewayError, StorageUnavailable
from app.storage.postgres.engine import UNREACHABLE, create_engine
from app.storage.postgres.partitions import create_partitions

# Any number will do, as long as every replica of Keyhouse takes the same one.
LOCK_NUMBER = 0x6B65_7968_6F75_7365  # "keyhouse"
LOCK_TIMEOUT_S = 120
_LOCK_NOT_AVAILABLE = "55P03"


class MigrationFailed(GatewayError):
    """The database cannot be brought to the schema of this code; the message says what to do."""

    code = "migration_failed"


async def upgrade(database_url: str, *, lock_timeout_s: int = LOCK_TIMEOUT_S) -> tuple[str | None, str]:
    """Run the migrations that are missing, and make the partitions of this month and the next two.

    Gives the schema that was found, None for an empty database, and that of now. Needs a direct connection: behind a
    pooler in transaction mode the lock would not hold.
    Raises MigrationFailed, or StorageUnavailable when Postgres does not answer.
    """
    engine = create_engine(database_url, pool_size=1, max_overflow=0)
    try:
        async with engine.connect() as connection:
            await _lock(connection, lock_timeout_s)
            try:
                before, newest = await schema_of(connection)
                await connection.rollback()
                await connection.run_sync(_upgrade)
                await create_partitions(connection, now())
                await connection.commit()
            finally:
                await connection.rollback()
                await connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": LOCK_NUMBER})
                await connection.commit()
    except UNREACHABLE as error:
        raise StorageUnavailable(f"Postgres does not answer: {error}. Is DATABASE_URL right?") from error
    finally:
        await engine.dispose()
    return before, newest


async def schema_of(connection: AsyncConnection) -> tuple[str | None, str]:
    """At which schema the database stands, None for an empty one, and at which this code ends."""
    present = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    config = Config()
    config.set_main_option("script_location", str(_migrations()).replace("%", "%%"))
    newest = ScriptDirectory.from_config(config).get_current_head()
    assert newest is not None
    return present, newest


async def _lock(connection: AsyncConnection, timeout_s: int) -> None:
    """A lock of the session, so that it outlives the transactions of the migrations."""
    await connection.execute(text(f"SET lock_timeout = '{timeout_s}s'"))
    try:
        await connection.execute(text("SELECT pg_advisory_lock(:number)"), {"number": LOCK_NUMBER})
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        raise MigrationFailed(
            f"another process has been migrating this database for {timeout_s} s; "
            "when it is done, or has been ended, start again"
        ) from error
    await connection.execute(text("SET lock_timeout = 0"))
    await connection.commit()


def _upgrade(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_migrations()).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = MigrationContext.configure(connection).get_current_heads()
    connection.rollback()
    for revision in present:
        if revision not in known:
            raise MigrationFailed(
                f'the database is newer than this Keyhouse: it stands at schema "{revision}", this code ends at '
                f'"{max(known)}"; install the newer Keyhouse, or restore the backup from before the upgrade'
            )
    command.upgrade(config, "head")


def _migrations() -> Path:
    """The folder beside the package ``app``: in a checkout at its top, installed in site-packages."""
    folder = Path(app.__file__).resolve().parent.parent / "migrations"
    if not (folder / "env.py").is_file():
        raise MigrationFailed(f'the migrations are not where they should be ("{folder}"); install Keyhouse again')
    return folder
