"""The pool and its transactions."""

import pytest
from sqlalchemy import text

from app.base.errors import StorageUnavailable
from app.storage.postgres.engine import create_engine, driver_url, reading, transaction


def test_the_url_is_what_the_driver_wants() -> None:
    url = driver_url("postgresql://ada:s%40fe@db.example.org:6432/keyhouse?sslmode=require")
    assert url.render_as_string(hide_password=False) == (
        "postgresql+asyncpg://ada:s%40fe@db.example.org:6432/keyhouse?prepared_statement_cache_size=500&ssl=require"
    )
    unknown = driver_url("postgresql://db/keyhouse?prepared_statement_cache_size=0")
    assert unknown.query["prepared_statement_cache_size"] == "0"
    assert driver_url("postgres://db/keyhouse").drivername == "postgresql+asyncpg"
    for wrong in ("mysql://db/keyhouse", "db:5432", ""):
        with pytest.raises(ValueError, match="DATABASE_URL"):
            driver_url(wrong)


async def test_postgres_out_of_reach_is_storage_unavailable() -> None:
    engine = create_engine("postgresql://keyhouse@127.0.0.1:1/keyhouse")
    for opening in (transaction, reading):
        with pytest.raises(StorageUnavailable, match="does not answer"):
            async with opening(engine):
                pass
    await engine.dispose()


@pytest.mark.services
async def test_a_connection_that_is_cut_is_storage_unavailable_and_the_next_one_works(database_url: str) -> None:
    engine = create_engine(database_url, pool_size=1, max_overflow=0)
    with pytest.raises(StorageUnavailable, match="went away"):
        async with transaction(engine) as connection:
            await connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    async with transaction(engine) as connection:
        assert (await connection.execute(text("SELECT 1"))).scalar() == 1
    await engine.dispose()


@pytest.mark.services
async def test_a_transaction_that_fails_leaves_nothing(database_url: str) -> None:
    engine = create_engine(database_url)
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  so does the write before
        async with transaction(engine) as connection:
            await connection.execute(text("CREATE TABLE left_behind (x int)"))
            raise ZeroDivisionError
    async with reading(engine) as connection:
        assert (await connection.execute(text("SELECT to_regclass('left_behind')"))).scalar() is None
    await engine.dispose()


@pytest.mark.services
@pytest.mark.parametrize("sqlstate", ["57P02", "57P03", "53300", "08006"])
async def test_whatever_a_dying_or_starting_server_says_is_storage_unavailable(
    database_url: str, sqlstate: str
) -> None:
    engine = create_engine(database_url)
    with pytest.raises(StorageUnavailable, match="went away"):
        async with reading(engine) as connection:
            await connection.execute(text(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{sqlstate}'; END $$"))
    await engine.dispose()
