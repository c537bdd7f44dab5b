"""The use cases of keys without HTTP: what is one transaction, and what follows from what."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor
from app.admin.budget_terms import BudgetTerms
from app.admin.key_terms import KeyTerms
from app.admin.keys import Keys
from app.base.errors import Unprocessable
from app.domain.budgets import Duration
from app.domain.keys import digest_key
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.principals import Principals

pytestmark = pytest.mark.services
PEPPER = b"pepper of the tests"
ADMIN = Actor(client_address="203.0.113.9")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    await upgrade(database_url)
    opened = create_engine(database_url)
    yield opened
    await opened.dispose()


@pytest.fixture
async def principals(engine: AsyncEngine, redis_url: str) -> AsyncIterator[Principals]:
    redis = Redis.from_url(redis_url)
    yield Principals(engine, redis, PEPPER)
    await redis.aclose()


@pytest.fixture
def keys(engine: AsyncEngine, principals: Principals) -> Keys:
    return Keys(engine, principals, PEPPER)


async def count(engine: AsyncEngine, query: str) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text(query))).scalar_one())


async def test_a_key_whose_audit_line_cannot_be_written_is_not_made(engine: AsyncEngine, keys: Keys) -> None:
    before = await count(engine, "SELECT count(*) FROM keys")
    with pytest.raises(DBAPIError):
        await keys.generate(KeyTerms(user_id="nobody-yet"), Actor(changed_by="a\0b"))
    assert await count(engine, "SELECT count(*) FROM keys") == before
    assert await count(engine, "SELECT count(*) FROM users WHERE user_id = 'nobody-yet'") == 0


async def test_a_refused_update_changes_nothing_of_the_key(keys: Keys) -> None:
    issued = await keys.generate(KeyTerms(limits={"requests_per_minute": 1}), ADMIN)
    with pytest.raises(Unprocessable):
        await keys.update(issued.secret, KeyTerms(limits={"requests_per_minute": 2}, team_id="team_none"), ADMIN)
    view = await keys.update(issued.secret, KeyTerms(), ADMIN)
    assert view.key.requests_per_minute == 1


async def test_changes_at_the_same_time_all_count(keys: Keys) -> None:
    issued = await keys.generate(KeyTerms(), ADMIN)
    changes = (
        KeyTerms(limits={"requests_per_minute": 1}),
        KeyTerms(limits={"tokens_per_minute": 2}),
        KeyTerms(limits={"max_parallel_requests": 3}),
        KeyTerms(budget=BudgetTerms(limit_nanousd=4)),
        KeyTerms(budget=BudgetTerms(duration=Duration(1, "d"))),
    )
    await asyncio.gather(*(keys.update(issued.secret, terms, ADMIN) for terms in changes))
    key = (await keys.update(issued.secret, KeyTerms(), ADMIN)).key
    assert (key.requests_per_minute, key.tokens_per_minute, key.max_parallel_requests) == (1, 2, 3)
    assert (key.limit_nanousd, key.budget_duration) == (4, "1d")


async def test_a_user_is_made_when_first_named_and_once(engine: AsyncEngine, keys: Keys) -> None:
    await asyncio.gather(*(keys.generate(KeyTerms(user_id="grace"), ADMIN) for _ in range(5)))
    assert await count(engine, "SELECT count(*) FROM users WHERE user_id = 'grace'") == 1


async def test_a_window_without_limit_refuses_nothing_until_the_limit_comes(keys: Keys, principals: Principals) -> None:
    issued = await keys.generate(KeyTerms(budget=BudgetTerms(duration=Duration(1, "d"))), ADMIN)
    digest = digest_key(PEPPER, issued.secret)
    unlimited = await principals.find(digest)
    assert unlimited is not None
    assert unlimited.key.budgets == ()
    view = await keys.update(issued.secret, KeyTerms(budget=BudgetTerms(limit_nanousd=7)), ADMIN)
    limited = await principals.find(digest)
    assert limited is not None
    (budget,) = limited.key.budgets
    assert (budget.limit_nanousd, budget.duration) == (7, Duration(1, "d"))
    assert budget.anchor == view.key.created_at
    assert budget.counting_since > view.key.created_at


async def test_a_key_takes_the_organization_of_its_team(
    engine: AsyncEngine, keys: Keys, principals: Principals
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO organizations (organization_id) VALUES ('org_one')"))
        await connection.execute(
            text(
                "INSERT INTO teams (team_id, organization_id, created_by, updated_by) "
                "VALUES ('team_of_one', 'org_one', 'x', 'x')"
            )
        )
    issued = await keys.generate(KeyTerms(team_id="team_of_one"), ADMIN)
    found = await principals.find(digest_key(PEPPER, issued.secret))
    assert found is not None
    assert found.key.organization_id == "org_one"
    alone = await keys.update(issued.secret, KeyTerms(team_id=None), ADMIN)
    assert (alone.key.team_id, alone.key.organization_id) == (None, None)
