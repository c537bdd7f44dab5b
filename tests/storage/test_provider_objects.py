"""What providers keep: whose it is, in which order it is listed, and when its results were first read."""

from collections.abc import AsyncIterator
from dataclasses import replace as replaced
from datetime import timedelta

import pytest
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base import clock
from app.base.errors import StorageUnavailable
from app.base.ids import KeyId, TeamId, new_id
from app.domain.access import Principal
from app.domain.keys import VirtualKey
from app.domain.provider_objects import PageAsked, ProviderObject, may_handle
from app.storage.books import insert_receipts
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.postgres.provider_objects import ProviderObjectStore
from tests.storage.ledger_support import make_receipt

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    await upgrade(database_url)
    opened = create_engine(database_url)
    yield opened
    await opened.dispose()


@pytest.fixture
def store(engine: AsyncEngine) -> ProviderObjectStore:
    return ProviderObjectStore(engine)


def principal(key_id: str, team_id: str | None = None, *, is_admin: bool = False) -> Principal:
    team = TeamId(team_id) if team_id is not None else None
    return Principal(VirtualKey(KeyId(key_id), "abcd", clock.now(), team_id=team), is_admin=is_admin)


def batch(key_id: str, *, team_id: str | None = None, age_s: int = 0) -> ProviderObject:
    return ProviderObject(
        kind="batch",
        object_id=new_id("msgbatch"),
        organization_id=None,
        team_id=team_id,
        user_id=None,
        key_id=key_id,
        provider="anthropic",
        api_base="https://provider.example",
        deployment_id="dep_1",
        created_at=clock.now() - timedelta(seconds=age_s),
        facts=b"{}",
    )


async def test_what_was_noted_is_found_as_it_was_until_it_is_removed(store: ProviderObjectStore) -> None:
    record = batch(new_id("key"), team_id="team_1")
    assert await store.add(record)
    assert await store.find("batch", record.object_id) == record
    assert await store.find("file", record.object_id) is None
    await store.remove("batch", record.object_id)
    assert await store.find("batch", record.object_id) is None


async def test_a_name_is_given_once_and_the_first_owner_keeps_it(store: ProviderObjectStore) -> None:
    record = batch(new_id("key"))
    assert await store.add(record)
    assert not await store.add(replace(record, key_id="key_other"))
    found = await store.find("batch", record.object_id)
    assert found is not None
    assert found.key_id == record.key_id


@pytest.mark.parametrize(
    ("asking", "sees"),
    [
        (principal("key_a", "team_x"), ["own", "of the team"]),
        (principal("key_b", "team_x"), ["own", "of the team"]),
        (principal("key_c"), ["alone"]),
        (principal("key_d", "team_y"), []),
        (principal("key_master", is_admin=True), ["own", "of the team", "alone"]),
    ],
)
async def test_a_key_sees_its_own_and_its_teams(store: ProviderObjectStore, asking: Principal, sees: list[str]) -> None:
    mark = new_id("x")
    records = {
        "own": batch(f"key_a{mark}", team_id=f"team_x{mark}"),
        "of the team": batch(f"key_b{mark}", team_id=f"team_x{mark}"),
        "alone": batch(f"key_c{mark}"),
    }
    for record in records.values():
        await store.add(record)
    key = asking.key
    team = TeamId(f"{key.team_id}{mark}") if key.team_id is not None else None
    asking = replaced(asking, key=replaced(key, key_id=KeyId(f"{key.key_id}{mark}"), team_id=team))
    expected = {records[name].object_id for name in sees}
    page = await store.page("batch", asking, PageAsked(100))
    ours = {record.object_id for record in records.values()}
    assert {record.object_id for record in page} & ours == expected
    assert {record.object_id for record in records.values() if may_handle(asking, record)} == expected


async def test_pages_run_from_the_newest_to_the_oldest_and_back(store: ProviderObjectStore) -> None:
    key_id = new_id("key")
    records = [batch(key_id, age_s=age_s) for age_s in range(5)]
    for record in records:
        await store.add(record)
    names = [record.object_id for record in records]
    asking = principal(key_id)

    async def page(asked: PageAsked) -> list[str]:
        return [record.object_id for record in await store.page("batch", asking, asked)]

    assert await page(PageAsked(2)) == names[:2]
    assert await page(PageAsked(2, after=names[1])) == names[2:4]
    assert await page(PageAsked(2, after=names[3])) == names[4:]
    assert await page(PageAsked(2, before=names[3])) == names[1:3]
    assert await page(PageAsked(9, only=(names[4], names[0], "unknown"))) == [names[0], names[4]]
    assert await page(PageAsked(2, after="unknown")) == []


async def test_the_time_of_the_first_reading_stays_however_often_it_is_read(store: ProviderObjectStore) -> None:
    record = batch(new_id("key"))
    await store.add(record)
    first = clock.now()
    assert await store.begin_results(record.object_id, first) == first
    assert await store.begin_results(record.object_id, first + timedelta(days=9)) == first
    await store.end_results(record.object_id, first)
    await store.end_results(record.object_id, first + timedelta(days=9))
    found = await store.find("batch", record.object_id)
    assert found is not None
    assert found.booked_at == first


async def test_what_is_booked_is_known_by_its_name_and_time(store: ProviderObjectStore, engine: AsyncEngine) -> None:
    at = clock.now()
    names = [new_id("msgbatch") + ":a" for _ in range(3)]
    async with engine.begin() as connection:
        await insert_receipts(connection, [make_receipt(name, 1, at=at) for name in names[:2]])
    assert await store.find_booked(names, at) == set(names[:2])
    assert await store.find_booked(names, at + timedelta(seconds=1)) == set()


async def test_without_postgres_nothing_is_said() -> None:
    engine = create_engine("postgresql://keyhouse@127.0.0.1:1/keyhouse")
    with pytest.raises(StorageUnavailable):
        await ProviderObjectStore(engine).find("batch", "msgbatch_1")
    await engine.dispose()
