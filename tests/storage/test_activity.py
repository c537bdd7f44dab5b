"""What was done in sessions is counted once, for its owners, and read by those who reach them."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.ids import new_id
from app.domain.activity import Activity, Measure, Reading
from app.domain.keys import VirtualKey
from app.domain.roles import EVERYTHING, Tenant
from app.storage.activity import ActivityStore
from app.storage.postgres.activity import ActivityFilter, activity_of_sessions, forget_sources, list_activity
from app.storage.postgres.engine import create_engine, transaction
from app.storage.postgres.migrate import upgrade
from app.storage.postgres.tables.activity import activity_sources

pytestmark = pytest.mark.services

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY = NOW.date()


@pytest.fixture(scope="module")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    await upgrade(database_url)
    opened = create_engine(database_url)
    yield opened
    await opened.dispose()


def a_key(user_id: str | None = None, team_id: str | None = None) -> VirtualKey:
    return VirtualKey(new_id("key"), "abcd", NOW, user_id=user_id, team_id=team_id)  # type: ignore[arg-type]  # any text


def reading(
    source: bytes, session_id: str, value: int, measure: Measure = "commits", day: date = TODAY, grows: bool = False
) -> Reading:
    return Reading(source, session_id, day, measure, value, grows)


async def of_session(engine: AsyncEngine, session_id: str, tenant: Tenant = EVERYTHING) -> Activity | None:
    async with transaction(engine) as connection:
        return (await activity_of_sessions(connection, tenant, [session_id])).get(session_id)


async def test_an_export_that_is_said_again_counts_once(engine: AsyncEngine) -> None:
    store, key, session_id = ActivityStore(engine), a_key(), new_id("req")
    export = [reading(b"a", session_id, 2), reading(b"b", session_id, 40, "lines_added")]
    for _ in range(3):
        await store.add(key, export, NOW)
    await store.add(key, [reading(b"c", session_id, 1), reading(b"c", session_id, 1)], NOW)
    assert await of_session(engine, session_id) == Activity(commits=3, lines_added=40)


async def test_a_counter_that_grows_adds_what_is_new_on_the_day_on_which_it_grew(engine: AsyncEngine) -> None:
    store, key, session_id = ActivityStore(engine), a_key(), new_id("req")
    tomorrow = TODAY + timedelta(days=1)
    for value, day in ((3, TODAY), (5, TODAY), (4, TODAY), (9, tomorrow)):
        await store.add(key, [reading(b"a", session_id, value, day=day, grows=True)], NOW)
    async with transaction(engine) as connection:
        cells = await list_activity(
            connection, EVERYTHING, ActivityFilter(only={"key_id": [key.key_id]}), ("key_id",), "day"
        )
    assert sorted((cell.period, cell.group, cell.activity.commits) for cell in cells) == [
        (TODAY, (key.key_id,), 5),
        (tomorrow, (key.key_id,), 4),
    ]


async def test_a_person_who_gets_a_new_key_in_mid_session_is_not_counted_anew(engine: AsyncEngine) -> None:
    store, session_id, user_id = ActivityStore(engine), new_id("req"), new_id("user")
    await store.add(a_key(user_id), [reading(b"a", session_id, 3, grows=True)], NOW)
    await store.add(a_key(user_id), [reading(b"a", session_id, 4, grows=True)], NOW)
    await store.add(a_key(new_id("user")), [reading(b"a", session_id, 3, grows=True)], NOW)
    assert await of_session(engine, session_id, Tenant(user_id=user_id)) == Activity(commits=4)
    assert await of_session(engine, session_id) == Activity(commits=7)


async def test_whoever_reaches_no_row_of_a_session_sees_nothing_of_it(engine: AsyncEngine) -> None:
    store, session_id, team_id = ActivityStore(engine), new_id("req"), new_id("team")
    await store.add(a_key(team_id=team_id), [reading(b"a", session_id, 1)], NOW)
    assert await of_session(engine, session_id, Tenant(team_ids=frozenset({team_id}))) == Activity(commits=1)
    assert await of_session(engine, session_id, Tenant(team_ids=frozenset({new_id("team")}))) is None
    assert await of_session(engine, session_id, Tenant()) is None


async def test_counters_that_will_not_be_heard_of_again_are_forgotten(engine: AsyncEngine) -> None:
    store, key = ActivityStore(engine), a_key()
    await store.add(key, [reading(b"once", "s", 1), reading(b"growing", "s", 1, grows=True)], NOW)
    left = select(func.count()).select_from(activity_sources).where(activity_sources.c.owner == key.key_id)
    for days, expected in ((2, 2), (4, 1), (31, 0)):
        async with transaction(engine) as connection:
            await forget_sources(connection, NOW + timedelta(days=days))
            assert (await connection.execute(left)).scalar_one() == expected
