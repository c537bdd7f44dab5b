"""``keyhouse spend``: months are closed, exported and dropped from the terminal of a running gateway."""

import asyncio
import gzip
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base import clock
from app.base.ids import new_id
from app.storage.books import Books
from app.storage.postgres.engine import create_engine
from app.storage.postgres.tables.reports import SESSION_DAYS, SPEND_BY_SESSION
from tests.conftest import RunningServers, fresh_database
from tests.contract.terminal import keyhouse
from tests.fakes.gateway_process import GatewayProcess
from tests.fakes.months import months_ago
from tests.storage.ledger_support import make_receipt, redis_server

pytestmark = [pytest.mark.services, pytest.mark.contract]

NO_LEDGER: Any = None


@pytest.fixture
async def engine(servers: RunningServers, migrated: str) -> AsyncIterator[AsyncEngine]:
    """On a database of its own: a month is closed for everybody."""
    with fresh_database(servers, migrated) as url:
        opened = create_engine(url)
        batch = [make_receipt(new_id("req"), 5, at=months_ago(count) + timedelta(days=3)) for count in (4, 1, 1)]
        await Books(opened, NO_LEDGER).book_directly(batch)
        yield opened
        await opened.dispose()


@pytest.fixture
async def house(engine: AsyncEngine, tmp_path: Path) -> AsyncIterator[GatewayProcess]:
    with redis_server() as redis:
        database_url = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        process = GatewayProcess(
            tmp_path / "home",
            {"DATABASE_URL": database_url, "REDIS_URL": redis.url, "KEYHOUSE_RECEIPTS_RETENTION": "2mo"},
        )
        process.start()
        yield process
        process.stop()


async def test_a_month_is_closed_exported_and_dropped(
    house: GatewayProcess, engine: AsyncEngine, tmp_path: Path
) -> None:
    old, last = f"{months_ago(4):%Y-%m}", f"{months_ago(1):%Y-%m}"
    status, said, errors = await keyhouse(house, "spend", "close", last)
    assert status == 0, errors
    assert [line.split()[0] for line in said.splitlines()] == [f"{months_ago(count):%Y-%m}" for count in (4, 3, 2, 1)]
    assert "2 requests  0.00000001 USD  sha256:" in said.splitlines()[-1]
    assert (await keyhouse(house, "spend", "close", last))[1] == f"{last} is closed already\n"
    status, said, _ = await keyhouse(house, "spend", "closes", "--verify")
    assert (status, said.count("  unchanged")) == (0, 4)

    _, said, _ = await keyhouse(house, "spend", "retention")
    assert said.splitlines()[0] == "receipts are kept 2mo; export required"
    assert f"keyhouse spend export --month {old}" in said.splitlines()[1]
    target = tmp_path / "old.jsonl.gz"
    status, said, errors = await keyhouse(house, "spend", "export", "--month", old, "--to", str(target))
    assert status == 0, errors
    content = gzip.decompress(await asyncio.to_thread(target.read_bytes))
    assert said == f"{target}  1 receipts  0.000000005 USD  sha256:{hashlib.sha256(content).hexdigest()}\n"
    assert not target.with_name("old.jsonl.gz.part").exists()
    _, said, _ = await keyhouse(house, "spend", "retention", "--run")
    assert said.splitlines() == [f"{old}  1 receipts dropped", "receipts are kept 2mo; export required"]
    async with engine.connect() as connection:
        for table in (SPEND_BY_SESSION, *SESSION_DAYS):
            kept = (await connection.execute(select(func.min(table.c.bucket), func.sum(table.c.requests)))).one()
            assert (kept[0] > months_ago(1), kept[1]) == (True, 2)
    status, _, errors = await keyhouse(house, "spend", "export", "--month", f"{clock.now():%Y-%m}")
    assert (status, "not over yet" in errors) == (1, True)

    days = ("--from", f"{months_ago(4):%Y-%m-%d}", "--to", f"{clock.now():%Y-%m-%d}")
    _, said, _ = await keyhouse(house, "spend", "report", *days)
    assert said.splitlines()[-1] == "0.000000015 USD"
    _, said, _ = await keyhouse(house, "spend", "report", "--format", "focus", *days)
    assert said.startswith("BilledCost,")

    async with engine.begin() as connection:
        await connection.execute(text("UPDATE spend_days SET cost_nanousd = cost_nanousd + 1"))
    status, said, _ = await keyhouse(house, "spend", "closes", "--verify")
    assert (status, said.count("  CHANGED")) == (1, 2)
