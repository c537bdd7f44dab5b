"""Demo data: a company whose books are right, the same each time, and never beside somebody's own data."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.aggregates import Aggregates
from app.admin.audit import AuditTrail
from app.admin.demo_data.company import keys_for, people_for
from app.admin.demo_data.filling import DemoData
from app.admin.demo_data.plan import Plan
from app.base.errors import Unprocessable
from app.providers.price_book import PriceBook
from app.storage.postgres import tables
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.engine import create_engine
from tests.conftest import RunningServers, fresh_database
from tests.fakes.prices import bundled_prices

AT = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
RECEIPTS = 3_000


@pytest.fixture(scope="module")
async def engine(servers: RunningServers, migrated: str) -> AsyncIterator[AsyncEngine]:
    with fresh_database(servers, migrated) as url:
        engine = create_engine(url)
        yield engine
        await engine.dispose()


def _demo_data(engine: AsyncEngine) -> DemoData:
    return DemoData(engine, b"a pepper", CredentialCipher(b"a secret"), PriceBook(bundled_prices()))


@pytest.mark.services
async def test_a_database_with_anything_in_it_is_left_alone_and_what_is_in_it_is_named(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(tables.users.insert().values(user_id="somebody"))
    with pytest.raises(Unprocessable, match="this one holds 1 users"):
        await _demo_data(engine).fill(RECEIPTS)
    async with engine.begin() as connection:
        assert (await connection.execute(select(func.count()).select_from(tables.teams))).scalar_one() == 0
        await connection.execute(tables.users.delete())


@pytest.mark.services
async def test_demo_data_go_into_an_empty_database_once_and_their_sums_and_audit_hold(engine: AsyncEngine) -> None:
    filled = await _demo_data(engine).fill(RECEIPTS)
    assert filled.receipts is not None
    assert RECEIPTS * 0.7 < filled.receipts < RECEIPTS * 1.6

    sums = Aggregates(engine)
    extent = await sums.extent()
    assert extent is not None
    days = await sums.compare(*extent)
    assert 59 <= len(days) <= 61
    assert [day.day for day in days if not day.agrees] == []
    assert (await AuditTrail(engine).verify()).faults == ()

    async with engine.connect() as connection:
        found = (await connection.execute(select(func.count(), func.sum(tables.receipts.c.cost_nanousd)))).one()
        of_keys = (await connection.execute(select(func.sum(tables.keys.c.spend_nanousd)))).scalar_one()
        alerts = set((await connection.execute(select(tables.alert_events.c.kind))).scalars())
        late = select(func.count()).where(tables.receipts.c.started_at > func.now())
        assert (await connection.execute(late)).scalar_one() == 0
    assert found[0] == filled.receipts
    assert found[1] == of_keys
    assert {"deployment.ejected", "key.expiring"} <= alerts

    again = await _demo_data(engine).fill(RECEIPTS)
    assert again.receipts is None
    assert again.password == filled.password


def test_the_same_seed_gives_the_same_calls_and_another_seed_others() -> None:
    keys = keys_for(people_for(RECEIPTS))

    def calls(seed: int) -> list[object]:
        plan = Plan(keys, RECEIPTS, seed, AT, PriceBook(bundled_prices()))
        return [run for day in plan.days for run in plan.runs(day)]

    assert calls(7) == calls(7)
    assert calls(7) != calls(8)


def test_weekends_are_quiet_and_a_larger_company_has_more_people() -> None:
    keys = keys_for(people_for(50_000))
    plan = Plan(keys, 50_000, 7, AT, PriceBook(bundled_prices()))
    calls = {day.date(): sum(run.calls for run in plan.runs(day)) for day in plan.days}
    on_weekends = [count for day, count in calls.items() if day.weekday() >= 5]
    on_workdays = [count for day, count in calls.items() if day.weekday() < 4]
    assert max(on_weekends) < sum(on_workdays) / len(on_workdays) / 2
    assert len(people_for(5_000_000)) > 200
