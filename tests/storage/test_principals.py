"""The cache of principals, over a real Postgres and a real Redis; time is turned by hand."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor
from app.admin.budget_terms import BudgetTerms
from app.admin.key_terms import KeyTerms
from app.admin.keys import Keys
from app.admin.teams import Teams, TeamTerms
from app.base import clock as clock_module
from app.base.errors import StorageUnavailable
from app.domain.budgets import Duration
from app.domain.keys import digest_key
from app.storage import principals as module
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.principals import Principals

pytestmark = pytest.mark.services
PEPPER = b"pepper of the tests"
ADMIN = Actor()
FIVE = BudgetTerms(limit_nanousd=5)


class Clock:
    """The monotonic clock of the cache, and the wall clock, moved together."""

    def __init__(self) -> None:
        self.ahead_s = 0.0


@dataclass
class House:
    engine: AsyncEngine
    principals: Principals
    keys: Keys
    teams: Teams
    statements: list[str]
    clock: Clock

    async def new_key(self, terms: KeyTerms = KeyTerms()) -> tuple[str, bytes]:  # noqa: B008
        issued = await self.keys.generate(terms, ADMIN)
        return issued.view.key.key_id, digest_key(PEPPER, issued.secret)


@pytest.fixture
async def house(database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    await upgrade(database_url)
    clock = Clock()
    true_monotonic, true_now = time.monotonic, clock_module.now

    class Time:
        @staticmethod
        def monotonic() -> float:
            return true_monotonic() + clock.ahead_s

    monkeypatch.setattr(module, "time", Time)
    monkeypatch.setattr(module, "now", lambda: true_now() + timedelta(seconds=clock.ahead_s))
    engine = create_engine(database_url)
    redis = Redis.from_url(redis_url)
    statements: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    principals = Principals(engine, redis, PEPPER)
    yield House(engine, principals, Keys(engine, principals, PEPPER), Teams(engine, principals), statements, clock)
    await redis.aclose()
    await engine.dispose()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110  what others do is polled
            await asyncio.sleep(0.005)


async def test_a_warm_key_is_found_without_asking_any_store(house: House) -> None:
    key_id, digest = await house.new_key(KeyTerms(models=("claude-*",), budget=FIVE, tags=("a",)))
    first = await house.principals.find(digest)
    assert first is not None
    assert first.key.key_id == key_id
    assert first.key.models == ("claude-*",)
    assert [budget.limit_nanousd for budget in first.key.budgets] == [5]
    house.statements.clear()
    for _ in range(100):
        assert await house.principals.find(digest) is first
    assert house.statements == []


async def test_many_callers_of_one_cold_key_cost_one_read(house: House) -> None:
    _, digest = await house.new_key()
    await house.principals.announce("*")
    house.statements.clear()
    found = await asyncio.gather(*(house.principals.find(digest) for _ in range(50)))
    assert len(set(map(id, found))) == 1
    assert len(house.statements) == 1


async def test_an_aged_key_is_served_at_once_and_refreshed_behind(house: House) -> None:
    key_id, digest = await house.new_key()
    first = await house.principals.find(digest)
    async with house.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE keys SET tags = '{new}' WHERE key_id = $1", (key_id,))
    house.clock.ahead_s += 11
    assert await house.principals.find(digest) is first

    async def refreshed() -> bool:
        principal = await house.principals.find(digest)
        return principal is not None and principal.key.tags == ("new",)

    await until(refreshed)


async def test_a_key_not_asked_for_in_half_a_minute_is_read_again_first(house: House) -> None:
    key_id, digest = await house.new_key()
    await house.principals.find(digest)
    async with house.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE keys SET blocked = true WHERE key_id = $1", (key_id,))
    house.clock.ahead_s += 31
    principal = await house.principals.find(digest)
    assert principal is not None
    assert principal.key.blocked


async def test_an_unknown_key_is_remembered_for_a_few_seconds_only(house: House) -> None:
    digest = digest_key(PEPPER, "sk-nobody-has-this-key-at-all")
    assert await house.principals.find(digest) is None
    house.statements.clear()
    assert await house.principals.find(digest) is None
    assert house.statements == []
    house.clock.ahead_s += 6
    assert await house.principals.find(digest) is None
    assert len(house.statements) == 2


async def test_a_key_that_was_asked_for_before_it_was_made_works_once_it_is(house: House) -> None:
    secret = "sk-chosen-by-the-admin-of-tests"
    digest = digest_key(PEPPER, secret)
    assert await house.principals.find(digest) is None
    await house.keys.generate(KeyTerms(), ADMIN, secret)
    assert await house.principals.find(digest) is not None


async def test_a_change_reaches_another_process_before_its_copy_has_aged(house: House, redis_url: str) -> None:
    team = await house.teams.create(TeamTerms(), ADMIN)
    key_id, digest = await house.new_key(KeyTerms(team_id=team.team_id))
    redis = Redis.from_url(redis_url)
    other = Principals(house.engine, redis, PEPPER)
    watching = asyncio.create_task(other.watch())
    heard = asyncio.Event()
    true_hear = other._hear
    other._hear = lambda kind, data: (true_hear(kind, data), heard.set())  # type: ignore[method-assign,assignment,func-returns-value]
    async with asyncio.timeout(60):
        await heard.wait()
    assert await other.find(digest) is not None

    async with asyncio.timeout(9):
        await house.keys.block(key_id, ADMIN, blocked=True)
        while not (found := await other.find(digest)) or not found.key.blocked:  # noqa: ASYNC110  what others do is polled
            await asyncio.sleep(0.002)
        await house.teams.block(team.team_id, ADMIN, blocked=True)
        while (found := await other.find(digest)) is None or found.team is None or not found.team.blocked:  # noqa: ASYNC110  what others do is polled
            await asyncio.sleep(0.002)
        await house.keys.delete([key_id], [], ADMIN)
        while await other.find(digest) is not None:  # noqa: ASYNC110  what others do is polled
            await asyncio.sleep(0.002)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await redis.aclose()


async def test_a_change_above_a_key_is_announced_by_the_name_of_its_level(house: House) -> None:
    team = await house.teams.create(TeamTerms(), ADMIN)
    key_id, digest = await house.new_key(KeyTerms(team_id=team.team_id, user_id="ada", budget=FIVE))
    found = await house.principals.find(digest)
    assert found is not None
    (budget,) = found.key.budgets
    for name in (key_id, f"team:{team.team_id}", "user:ada", f"budget:{budget.budget_id}"):
        known = await house.principals.find(digest)
        await house.principals.announce("user:bob")
        assert await house.principals.find(digest) is known
        await house.principals.announce(name)
        assert await house.principals.find(digest) is not known


async def test_a_line_that_was_cut_drops_everything_once_it_is_back(house: House, redis_url: str) -> None:
    key_id, digest = await house.new_key()
    redis = Redis.from_url(redis_url)
    watching = asyncio.create_task(house.principals.watch())

    async def subscribed() -> bool:
        return bool((await redis.pubsub_numsub("kh:keys"))[0][1])

    await until(subscribed)
    await house.principals.find(digest)
    async with house.engine.begin() as connection:  # a change whose announcement is lost
        await connection.exec_driver_sql("UPDATE keys SET blocked = true WHERE key_id = $1", (key_id,))
    await redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")  # type: ignore[no-untyped-call]

    async def blocked() -> bool:
        found = await house.principals.find(digest)
        return found is not None and found.key.blocked

    await until(blocked)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await redis.aclose()


async def test_the_old_key_works_through_its_grace_and_not_a_moment_longer(house: House) -> None:
    key_id, old = await house.new_key()
    grace = Duration(1, "h")
    issued = await house.keys.regenerate(key_id, KeyTerms(), ADMIN, supplied=None, grace=grace)
    new = digest_key(PEPPER, issued.secret)
    for digest in (old, new):
        found = await house.principals.find(digest)
        assert found is not None
        assert found.key.key_id == key_id
    house.clock.ahead_s += 3_585
    assert await house.principals.find(old) is not None
    house.clock.ahead_s += 15  # what was read just now is still good, but for its end
    assert await house.principals.find(old) is None
    assert await house.principals.find(new) is not None


async def test_without_grace_the_old_key_and_all_before_it_stop_at_once(house: House) -> None:
    key_id, first = await house.new_key()
    hour = Duration(1, "h")
    second = await house.keys.regenerate(key_id, KeyTerms(), ADMIN, supplied=None, grace=hour)
    assert await house.principals.find(first) is not None
    third = await house.keys.regenerate(key_id, KeyTerms(), ADMIN, supplied=None, grace=None)
    assert await house.principals.find(first) is None
    assert await house.principals.find(digest_key(PEPPER, second.secret)) is None
    assert await house.principals.find(digest_key(PEPPER, third.secret)) is not None


async def test_while_postgres_is_away_known_keys_work_for_minutes_and_unknown_ones_say_why(
    house: House, redis_url: str
) -> None:
    _, digest = await house.new_key()
    away = create_engine("postgresql://keyhouse@127.0.0.1:1/keyhouse")
    redis = Redis.from_url(redis_url)
    principals = Principals(away, redis, PEPPER)
    principals._engine = house.engine
    assert await principals.find(digest) is not None
    principals._engine = away
    for ahead_s in (11, 20, 60, 200):
        house.clock.ahead_s += ahead_s
        assert await principals.find(digest) is not None
    with pytest.raises(StorageUnavailable):
        await principals.find(b"never seen")
    house.clock.ahead_s += 10
    with pytest.raises(StorageUnavailable):
        await principals.find(digest)
    await redis.aclose()


async def test_redis_away_does_not_undo_a_change(house: House) -> None:
    nowhere = Redis.from_url("redis://127.0.0.1:1")
    principals = Principals(house.engine, nowhere, PEPPER)
    keys = Keys(house.engine, principals, PEPPER)
    issued = await keys.generate(KeyTerms(), ADMIN)
    digest = digest_key(PEPPER, issued.secret)
    assert await principals.find(digest) is not None
    await keys.delete([issued.secret], [], ADMIN)
    assert await principals.find(digest) is None
    await nowhere.aclose()


async def test_a_cold_key_is_found_right_after_postgres_cut_every_connection(house: House) -> None:
    _, digest = await house.new_key()
    async with house.engine.connect() as one, house.engine.connect() as two:
        pids = [(await each.exec_driver_sql("SELECT pg_backend_pid()")).scalar() for each in (one, two)]
    killer = create_engine(house.engine.url.set(drivername="postgresql").render_as_string(hide_password=False))
    async with killer.connect() as connection:
        for pid in pids:
            await connection.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")
    await killer.dispose()
    assert await house.principals.find(digest) is not None
