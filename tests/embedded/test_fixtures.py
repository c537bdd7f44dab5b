"""The fixtures that the other tests stand on."""

import asyncpg
import pytest
import redis

pytestmark = pytest.mark.services


async def test_each_worker_has_an_empty_database_and_an_empty_redis(database_url: str, redis_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        name = await connection.fetchval("SELECT current_database()")
        tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()
    assert name.startswith("keyhouse_test_")
    assert tables == 0
    with redis.Redis.from_url(redis_url) as client:
        assert client.connection_pool.connection_kwargs["db"] > 0
        assert client.ping()
