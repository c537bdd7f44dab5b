"""The fixtures that the other tests stand on."""

import asyncpg
import pytest
import redis

from tests.conftest import RunningServers, fresh_database

pytestmark = pytest.mark.services


async def test_a_fresh_database_is_empty_and_gone_afterwards(servers: RunningServers) -> None:
    with fresh_database(servers) as url:
        connection = await asyncpg.connect(url)
        try:
            name = await connection.fetchval("SELECT current_database()")
            tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        finally:
            await connection.close()
        assert name.startswith("keyhouse_test_")
        assert tables == 0
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)


async def test_each_worker_has_a_database_and_a_redis_of_its_own(
    servers: RunningServers, database_url: str, redis_url: str
) -> None:
    assert database_url != servers.database_url
    with redis.Redis.from_url(redis_url) as client:
        assert client.connection_pool.connection_kwargs["db"] > 0
        assert client.ping()
