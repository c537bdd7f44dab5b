"""The migrations, from nothing to the schema of the code, on databases of their own."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from app.base.errors import StorageUnavailable
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import LOCK_NUMBER, MigrationFailed, upgrade
from app.storage.postgres.partitions import create_partitions
from app.storage.postgres.tables import receipts
from tests.conftest import RunningServers

pytestmark = pytest.mark.services


@pytest.fixture
async def empty_url(servers: RunningServers) -> AsyncIterator[str]:
    name = f"keyhouse_migrations_{secrets.token_hex(6)}"
    owner = await asyncpg.connect(servers.database_url)
    await owner.execute(f"CREATE DATABASE {name}")
    yield urlsplit(servers.database_url)._replace(path=f"/{name}").geturl()
    await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await owner.close()


def differences(connection: Connection) -> list[object]:
    def is_schema(name: str | None, kind: str, _parents: object) -> bool:
        return not (kind == "table" and name is not None and name.startswith("receipts_"))

    context = MigrationContext.configure(connection, opts={"include_name": is_schema, "compare_server_default": True})
    return list(compare_metadata(context, receipts.metadata))


async def test_the_migrations_make_exactly_the_tables_of_the_code(empty_url: str) -> None:
    await upgrade(empty_url)
    engine = create_engine(empty_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_four_replicas_may_start_at_once(empty_url: str, capfd: pytest.CaptureFixture[str]) -> None:
    await asyncio.gather(*(upgrade(empty_url) for _ in range(4)))
    connection = await asyncpg.connect(empty_url)
    assert await connection.fetchval("SELECT count(*) FROM alembic_version") == 1
    assert await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    await connection.close()
    assert capfd.readouterr() == ("", "")


async def test_receipts_of_any_month_find_a_partition(empty_url: str) -> None:
    await upgrade(empty_url)
    connection = await asyncpg.connect(empty_url)
    partitions = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'receipts'::regclass ORDER BY 1"
    names = [row[0] for row in await connection.fetch(partitions)]
    assert len(names) == 4
    assert "receipts_default" in names
    assert f"receipts_{datetime.now(UTC):%Y_%m}" in names
    await connection.close()


async def test_partitions_are_made_ahead_even_when_the_default_holds_rows_of_a_month(empty_url: str) -> None:
    await upgrade(empty_url)
    engine = create_engine(empty_url)
    insert = (
        "INSERT INTO receipts (request_id, attempt, started_at, duration_ms, key_id, route, model_asked, model_served,"
        " provider, deployment_id, protocol_in, protocol_out, streamed, price_version, price_source, usage_source,"
        " status) VALUES ('r', 1, '2031-05-06 07:08:09+00', 1, 'k', '/', 'm', 'm', 'p', 'd', 'a', 'a', false, 'v',"
        " 'config', 'provider', 'ok')"
    )
    async with engine.begin() as connection:
        await connection.exec_driver_sql(insert)
        await create_partitions(connection, datetime(2031, 4, 30, tzinfo=UTC))
        await create_partitions(connection, datetime(2031, 4, 30, tzinfo=UTC))
        found = await connection.exec_driver_sql(
            "SELECT to_regclass('receipts_2031_05'), to_regclass('receipts_2031_06')"
        )
        may, june = tuple(found.one())
        assert may is None
        assert june is not None
        assert (await connection.exec_driver_sql("SELECT count(*) FROM receipts")).scalar() == 1
    await engine.dispose()


async def test_a_database_that_is_newer_than_the_code_is_left_alone(empty_url: str) -> None:
    await upgrade(empty_url)
    connection = await asyncpg.connect(empty_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(MigrationFailed, match='newer than this Keyhouse: it stands at schema "9999"'):
        await upgrade(empty_url)
    assert await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0
    await connection.close()


async def test_who_waits_too_long_for_another_migration_is_told(empty_url: str) -> None:
    holder = await asyncpg.connect(empty_url)
    await holder.execute("SELECT pg_advisory_lock($1)", LOCK_NUMBER)
    with pytest.raises(MigrationFailed, match="another process has been migrating this database for 1 s"):
        await upgrade(empty_url, lock_timeout_s=1)
    await holder.close()


async def test_a_server_that_is_not_there_is_named_as_the_cause() -> None:
    with pytest.raises(StorageUnavailable, match="Is DATABASE_URL right"):
        await upgrade("postgresql://keyhouse@127.0.0.1:1/keyhouse")
