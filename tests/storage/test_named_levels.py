"""The cache of what is set for customers and tags, over a real Postgres and a real Redis."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from redis.asyncio import Redis
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.actor import Actor
from app.admin.budget_terms import BudgetTerms
from app.admin.budgets import SharedBudgets, SharedBudgetTerms
from app.admin.customers import Customers, CustomerTerms
from app.admin.tags import Tags, TagTerms
from app.base.errors import StorageUnavailable
from app.base.ids import new_id
from app.domain.limits import RateLimits
from app.domain.tenancy import budget_of_setting
from app.storage.named_levels import CustomerDefaults, NamedLevels
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.principals import EVERYTHING, Principals
from tests.storage.ledger_support import until

pytestmark = pytest.mark.services
ADMIN = Actor()
FIVE = BudgetTerms(limit_nanousd=5)


@dataclass
class House:
    engine: AsyncEngine
    principals: Principals
    statements: list[str]

    def levels(self, defaults: CustomerDefaults = CustomerDefaults()) -> NamedLevels:  # noqa: B008
        return NamedLevels(self.engine, self.principals, defaults)

    @property
    def customers(self) -> Customers:
        return Customers(self.engine, self.principals)

    @property
    def tags(self) -> Tags:
        return Tags(self.engine, self.principals)


@pytest.fixture
async def house(database_url: str, redis_url: str) -> AsyncIterator[House]:
    await upgrade(database_url)
    engine, redis = create_engine(database_url), Redis.from_url(redis_url)
    statements: list[str] = []
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    yield House(engine, Principals(engine, redis, b"pepper"), statements)
    await redis.aclose()
    await engine.dispose()


async def test_what_is_set_for_a_customer_and_a_tag_is_a_level_each(house: House) -> None:
    customer, tag = new_id("user"), new_id("team")
    columns = {"models": ["claude-*"], "default_model": "m", "requests_per_minute": 3, "customer_alias": "Ada"}
    await house.customers.create(customer, CustomerTerms(columns, FIVE), ADMIN)
    await house.tags.create(tag, TagTerms({"tokens_per_day": 7}, FIVE), ADMIN)
    of_customer, of_tag = await house.levels().find((customer, "nobody"), (tag, "nothing"))
    assert (of_customer.title, of_customer.models, of_customer.default_model) == ('customer "Ada"', ("claude-*",), "m")
    assert of_customer.limits == (RateLimits(requests=3),)
    assert (of_tag.scope, of_tag.limits) == (f"tag:{tag}", (RateLimits(tokens=7, window_s=86_400),))
    assert [budget.limit_nanousd for budget in (*of_customer.budgets, *of_tag.budgets)] == [5, 5]


async def test_warm_names_are_found_without_asking_any_store_known_or_not(house: House) -> None:
    customer = new_id("user")
    await house.customers.create(customer, CustomerTerms({"blocked": True}), ADMIN)
    levels = house.levels()
    first = await levels.find((customer, "nobody"), ("nothing",))
    assert [level.blocked for level in first] == [True]
    house.statements.clear()
    for _ in range(50):
        assert levels.peek((customer, "nobody"), ("nothing",)) == first
        assert await levels.find((customer,), ()) == first
    assert house.statements == []


async def test_a_change_is_heard_at_once_and_of_nobody_else_anything_is_read_again(house: House) -> None:
    customer, other = new_id("user"), new_id("user")
    for name in (customer, other):
        await house.customers.create(name, CustomerTerms(budget=FIVE), ADMIN)
    levels = house.levels()
    await levels.find((customer,), ())
    await levels.find((other,), ())
    await house.customers.block([customer], ADMIN, blocked=True)
    assert levels.peek((other,), ()) is not None
    assert levels.peek((customer,), ()) is None
    assert [level.blocked for level in await levels.find((customer,), ())] == [True]
    await house.customers.delete([customer], ADMIN)
    assert await levels.find((customer,), ()) == ()


async def test_a_change_in_another_process_is_heard(house: House, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        customer = new_id("user")
        await house.customers.create(customer, CustomerTerms({"blocked": True}), ADMIN)
        levels = house.levels()
        watching = asyncio.create_task(house.principals.watch())

        async def has_heard() -> bool:
            await levels.find((customer,), ())
            await redis.publish("kh:keys", f"customer:{customer}")
            await asyncio.sleep(0.01)
            return levels.peek((customer,), ()) is None

        await until(has_heard)
        watching.cancel()


async def test_customers_without_a_budget_have_the_default_one(house: House) -> None:
    rich, known, stranger = new_id("user"), new_id("user"), new_id("user")
    await house.customers.create(rich, CustomerTerms(budget=BudgetTerms(limit_nanousd=99)), ADMIN)
    await house.customers.create(known, CustomerTerms({"requests_per_minute": 1}), ADMIN)
    by_amount = house.levels(CustomerDefaults(budget_of_setting("max_end_user_budget", 7)))
    shared = await SharedBudgets(house.engine, house.principals).create(None, SharedBudgetTerms(FIVE), ADMIN)
    by_budget = house.levels(CustomerDefaults(budget_id=shared.budget_id))
    for levels, default in ((by_amount, 7), (by_budget, 5)):
        found = await levels.find((rich, known, stranger), ())
        assert [level.budgets[0].limit_nanousd for level in found] == [99, default, default]
        assert found[1].limits == (RateLimits(requests=1),)


async def test_what_is_known_serves_while_postgres_is_away_and_the_rest_is_refused(house: House) -> None:
    customer = new_id("user")
    await house.customers.create(customer, CustomerTerms(budget=FIVE), ADMIN)
    away = create_engine("postgresql://nobody@127.0.0.1:1/none")
    levels = house.levels()
    known = await levels.find((customer,), ())
    levels._engine = away
    assert await levels.find((customer,), ()) == known
    with pytest.raises(StorageUnavailable):
        await levels.find((new_id("user"),), ())
    house.principals._drop(EVERYTHING)
    with pytest.raises(StorageUnavailable):
        await levels.find((customer,), ())
    await away.dispose()
