"""What the watch finds in real stores, and that it is told once, by however many."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.alert_watch import AlertWatch
from app.admin.serving_budgets import serving_budgets
from app.base.ids import new_id
from app.base.money import NANO_PER_USD
from app.domain.alert_words import BillingRefusal
from app.domain.alerts import Alert
from app.domain.budgets import Duration
from app.domain.catalog import Catalog, Model
from app.domain.roles import EVERYTHING
from app.domain.tenancy import PLATFORM, Serving, budget_of_serving, budget_of_setting, scope_of_model, scope_of_pool
from app.storage.postgres import tables
from app.storage.postgres.aggregates import rebuild_day
from app.storage.postgres.alert_outbox import Route, drop_events
from app.storage.postgres.alert_sources import list_budgeted
from app.storage.postgres.engine import create_engine
from app.storage.postgres.tables.reports import spend_scopes
from tests.conftest import RunningServers, empty, fresh_database
from tests.gateway.examples import DEPLOYMENT

pytestmark = pytest.mark.services

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
"""A Wednesday, two thirds into its month."""
ANYWHERE = Route("config:slack")
DOLLAR = NANO_PER_USD


@dataclass
class Book:
    engine: AsyncEngine

    async def put(self, table: Any, **values: Any) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(insert(table).values(**values))

    async def change_limit(self, budget_id: str, limit: int) -> None:
        async with self.engine.begin() as connection:
            budget = tables.budgets.c.budget_id == budget_id
            await connection.execute(update(tables.budgets).where(budget).values(limit_nanousd=limit))

    async def budget(self, limit: int | None, duration: str | None = "30d", **values: Any) -> str:
        budget_id = new_id("bud")
        since = datetime(2026, 1, 1, tzinfo=UTC)
        terms = {"budget_id": budget_id, "limit_nanousd": limit, "duration": duration}
        await self.put(tables.budgets, anchor=since, counting_since=since, updated_at=since, **terms | values)
        return budget_id

    async def key(self, **values: Any) -> str:
        key_id = new_id("key")
        since = datetime(2026, 1, 1, tzinfo=UTC)
        given = {"key_id": key_id, "digest": key_id.encode(), "last_four": "4f2a", "created_at": since}
        await self.put(tables.keys, created_by="test", updated_by="test", **given | values)
        return key_id

    async def team(self, team_id: str, **values: Any) -> str:
        await self.put(tables.teams, team_id=team_id, created_by="test", updated_by="test", **values)
        return team_id

    async def spend(self, key_id: str, cost: int, at: datetime = NOON, **values: Any) -> None:
        receipt = {
            "request_id": new_id("req"), "attempt": 1, "started_at": at, "duration_ms": 1, "key_id": key_id,
            "route": "/v1/messages", "model_asked": "m", "model_served": "m", "provider": "anthropic",
            "deployment_id": "d", "protocol_in": "a", "protocol_out": "a", "streamed": False,
            "cost_nanousd": cost, "price_version": "v", "price_source": "config", "usage_source": "provider",
            "status": "ok",
        }  # fmt: skip
        await self.put(tables.receipts, **receipt | values)
        for scope in values.get("scopes", ()):
            await self.put(spend_scopes, scope=scope, bucket=at, cost_nanousd=cost)
        async with self.engine.begin() as connection:
            await rebuild_day(connection, at.date())

    async def deliveries(self) -> list[tuple[str, str]]:
        async with self.engine.connect() as connection:
            events, sent = tables.alert_events, tables.alert_deliveries
            joined = events.join(sent, sent.c.event_id == events.c.event_id)
            rows = await connection.execute(
                select(events.c.title, sent.c.destination_id).select_from(joined).order_by(events.c.event_id)
            )
            return [(row.title, row.destination_id) for row in rows]


@pytest.fixture(scope="module")
async def engine(servers: RunningServers, migrated: str) -> AsyncIterator[AsyncEngine]:
    with fresh_database(servers, migrated) as url:
        engine = create_engine(url)
        yield engine
        await engine.dispose()


@pytest.fixture
async def book(engine: AsyncEngine) -> Book:
    await empty(engine)
    return Book(engine)


def told(alerts: list[Alert]) -> list[tuple[str, int | None]]:
    return [(alert.kind, alert.percent) for alert in alerts if alert.sent]


async def test_each_threshold_of_a_budget_is_told_once_as_spend_grows(book: Book) -> None:
    key = await book.key(budget_id=await book.budget(10 * DOLLAR), key_alias="ci")
    watch = AlertWatch(book.engine, [ANYWHERE])
    seen = []
    for dollars in (4, 1, 0, 3, 1, 1):
        await book.spend(key, dollars * DOLLAR)
        alerts = await watch.look(NOON)
        seen.append([percent for kind, percent in told(alerts) if kind == "budget.threshold_reached"])

    assert seen == [[], [50], [], [75], [90], [100]]
    assert [title for title, _ in await book.deliveries() if "has spent" in title] == [
        f'Key "ci" has spent {percent} % of its budget' for percent in (50, 75, 90, 100)
    ]


async def test_a_leap_over_several_thresholds_is_one_message_and_the_lower_ones_are_noted(book: Book) -> None:
    key = await book.key(budget_id=await book.budget(10 * DOLLAR))
    await book.spend(key, 9 * DOLLAR + 500_000_000)

    alerts = await AlertWatch(book.engine, [ANYWHERE]).look(NOON)

    assert [(alert.percent, alert.sent) for alert in alerts] == [(50, False), (75, False), (90, True)]
    assert len(await book.deliveries()) == 1
    assert await AlertWatch(book.engine, [ANYWHERE]).look(NOON) == []


async def test_four_replicas_and_a_restart_find_one_event(book: Book) -> None:
    key = await book.key(budget_id=await book.budget(10 * DOLLAR))
    await book.spend(key, 5 * DOLLAR)
    replicas = [AlertWatch(book.engine, [ANYWHERE]) for _ in range(4)]

    for _ in range(3):
        await asyncio.gather(*(replica.look(NOON) for replica in replicas))
    await asyncio.gather(*(replica.note_refusal(refusal()) for replica in replicas))

    titles = [title for title, _ in await book.deliveries()]
    assert sorted(titles) == sorted(set(titles))
    assert any("50 %" in title for title in titles)
    assert any("out of credit" in title for title in titles)


async def test_the_next_window_is_told_of_anew(book: Book) -> None:
    key = await book.key(budget_id=await book.budget(10 * DOLLAR, "1d"))
    watch = AlertWatch(book.engine)
    await book.spend(key, 6 * DOLLAR)
    assert ("budget.threshold_reached", 50) in told(await watch.look(NOON + timedelta(hours=11)))

    await book.spend(key, 6 * DOLLAR, NOON + timedelta(days=1))
    assert ("budget.threshold_reached", 50) in told(await watch.look(NOON + timedelta(days=1)))


async def test_a_raised_budget_arms_what_is_not_reached(book: Book) -> None:
    budget = await book.budget(10 * DOLLAR, None)
    key = await book.key(budget_id=budget)
    watch = AlertWatch(book.engine)
    await book.spend(key, 10 * DOLLAR)
    assert told(await watch.look(NOON)) == [("budget.threshold_reached", 100)]

    await book.change_limit(budget, 20 * DOLLAR)
    assert await watch.look(NOON) == []
    await book.spend(key, 5 * DOLLAR)
    assert told(await watch.look(NOON)) == [("budget.threshold_reached", 75)]


async def test_every_level_is_watched_and_says_whose_budget_it_is(book: Book) -> None:
    await book.put(tables.organizations, organization_id="acme", budget_id=await book.budget(DOLLAR, None))
    await book.put(tables.users, user_id="ada", user_alias="Ada", budget_id=await book.budget(DOLLAR, None))
    member_budget = await book.budget(DOLLAR, None)
    await book.team(
        "t1", team_alias="research", organization_id="acme", budget_id=await book.budget(DOLLAR, None),
        member_budget_id=member_budget,
    )  # fmt: skip
    await book.put(tables.memberships, team_id="t1", user_id="ada")
    key = await book.key(team_id="t1", user_id="ada", budget_id=await book.budget(DOLLAR, None))
    await book.spend(key, DOLLAR, organization_id="acme", team_id="t1", user_id="ada")

    alerts = await AlertWatch(book.engine, [ANYWHERE, Route("dest_team", (), "t1")]).look(NOON)

    assert {alert.title for alert in alerts if alert.sent} == {
        'Key "…4f2a" has spent 100 % of its budget',
        'Member "Ada" of team "research" has spent 100 % of its budget',
        'Team "research" has spent 100 % of its budget',
        'User "Ada" has spent 100 % of its budget',
        'Organization "acme" has spent 100 % of its budget',
    }
    to_team = {title for title, destination in await book.deliveries() if destination == "dest_team"}
    assert len(to_team) == 3
    assert not any(title.startswith(("User", "Organization")) for title in to_team)


async def test_several_windows_a_model_a_pool_a_customer_and_a_tag_are_watched_each_by_itself(book: Book) -> None:
    windows = [{"duration": "1d", "limit_nanousd": 4 * DOLLAR}]
    models = {"m": {"duration": "1d", "limit_nanousd": 2 * DOLLAR}}
    own = await book.budget(100 * DOLLAR, "1mo", windows=windows, model_budgets=models)
    pool = await book.budget(6 * DOLLAR, None, shared=True, pooled=True)
    key = await book.key(key_alias="ci", budget_id=own)
    for name in ("a", "b"):
        await book.put(tables.users, user_id=name, budget_id=pool)
    await book.put(tables.customers, customer_id="shop", budget_id=await book.budget(4 * DOLLAR, None))
    await book.put(
        tables.tags, tag="blue", budget_id=await book.budget(4 * DOLLAR, None), created_by="t", updated_by="t"
    )
    of_model = scope_of_model(key, "m")
    await book.spend(
        key, 3 * DOLLAR, scopes=[of_model, scope_of_pool(pool)], user_id="a", customer_id="shop", tags=["blue"]
    )

    alerts = [alert for alert in await AlertWatch(book.engine).look(NOON) if alert.sent and alert.percent]

    assert sorted(alert.title for alert in alerts) == [
        'Customer "shop" has spent 75 % of its budget',
        'Key "ci" has spent 75 % of its budget',
        'Model "m" of key "ci" has spent 100 % of its budget',
        f'Pool "{pool}" has spent 50 % of its budget',
        'Tag "blue" has spent 75 % of its budget',
    ]
    assert "and model_max_budget." in next(one.text for one in alerts if "Model" in one.title)
    assert "and budget_limits." in next(one.text for one in alerts if one.title.startswith("Key"))
    assert f'POST /budget/update with budget_id "{pool}" and max_budget.' in next(
        one.text for one in alerts if "Pool" in one.title
    )


async def test_an_increase_counts_while_it_lasts(book: Book) -> None:
    ends = NOON + timedelta(days=1)
    budget = await book.budget(10 * DOLLAR, None, increase_nanousd=10 * DOLLAR, increase_until=ends)
    await book.spend(await book.key(budget_id=budget), 8 * DOLLAR)
    watch = AlertWatch(book.engine)

    assert await watch.look(NOON) == []
    await book.spend(await book.key(budget_id=budget), DOLLAR, ends)
    assert told(await AlertWatch(book.engine).look(ends)) == [("budget.threshold_reached", 75)]


async def test_a_soft_budget_alone_has_thresholds_and_beside_a_limit_it_is_told_when_reached(book: Book) -> None:
    soft = await book.key(budget_id=await book.budget(None, None, soft_limit_nanousd=4 * DOLLAR))
    both = await book.key(budget_id=await book.budget(100 * DOLLAR, None, soft_limit_nanousd=4 * DOLLAR))
    watch = AlertWatch(book.engine)
    found = []
    for dollars in (2, 1, 1):
        await book.spend(soft, dollars * DOLLAR)
        await book.spend(both, dollars * DOLLAR)
        alerts = await watch.look(NOON)
        found.append(sorted((alert.percent, alert.facts["key_id"] == both) for alert in alerts if alert.sent))

    assert found == [[(50, False)], [(75, False)], [(100, False), (100, True)]]


async def test_a_budget_on_course_to_be_exceeded_is_told_with_the_day(book: Book) -> None:
    key = await book.key(budget_id=await book.budget(100 * DOLLAR), key_alias="ci")
    on_course = await book.key(budget_id=await book.budget(110 * DOLLAR), key_alias="thrifty")
    for day in range(1, 18):
        at = datetime(2026, 11, day, 9, tzinfo=UTC)
        await book.spend(key, 4 * DOLLAR, at)
        await book.spend(on_course, 3 * DOLLAR, at)

    alerts = [alert for alert in await AlertWatch(book.engine).look(NOON) if "course" in alert.title]

    assert [alert.title for alert in alerts] == ['Key "ci" is on course to exceed its budget']
    assert "68.00 of 100.00 USD per month spent; resets on 1 Dec 2026, 00:00 UTC.\nAt this pace 11" in alerts[0].text
    assert re.search(r"and the budget is reached on 2\d Nov 2026, ", alerts[0].text)


async def test_an_hour_far_above_the_usual_is_told_once_a_day(book: Book) -> None:
    key = await book.key(key_alias="ci", team_id=await book.team("t1"))
    for hours in range(3, 40):
        await book.spend(key, DOLLAR // 10, NOON - timedelta(hours=hours), team_id="t1")
    watch = AlertWatch(book.engine)
    assert await watch.look(NOON) == []

    await book.spend(key, 3 * DOLLAR, NOON - timedelta(minutes=20), team_id="t1")

    first = await watch.look(NOON)
    assert [alert.title for alert in first] == [
        'Key "ci" spends far more than usual', 'Team "t1" spends far more than usual',
    ]  # fmt: skip
    assert "3.00 USD in the last hour; 0.10 USD is usual" in first[0].text
    await book.spend(key, 9 * DOLLAR, NOON + timedelta(hours=5), team_id="t1")
    assert await watch.look(NOON + timedelta(hours=5)) == []


async def test_a_model_without_a_price_is_told_once_a_week(book: Book) -> None:
    key = await book.key()
    new: dict[str, Any] = {"price_source": "fallback", "model_served": "new-model", "provider": "openai"}
    await book.spend(key, DOLLAR, **new)
    watch = AlertWatch(book.engine)

    first = await watch.look(NOON)
    assert [alert.title for alert in first] == ['The model "new-model" of openai is used without a known price']
    await book.spend(
        key, DOLLAR, NOON + timedelta(days=1), price_source="fallback", model_served="new-model", provider="openai"
    )
    assert await watch.look(NOON + timedelta(days=1)) == []


async def test_a_key_near_its_end_is_told_a_week_and_a_day_before(book: Book) -> None:
    ends = NOON + timedelta(days=5)
    await book.key(key_alias="ci", expires_at=ends)
    await book.key(key_alias="short", expires_at=ends, created_at=NOON - timedelta(days=1))
    await book.key(key_alias="blocked", expires_at=ends, blocked=True)
    await book.key(key_alias="gone", expires_at=ends, deleted_at=NOON)
    watch = AlertWatch(book.engine)

    titles = [
        [alert.title for alert in await watch.look(at)]
        for at in (NOON, NOON + timedelta(days=1), ends - timedelta(hours=5), ends)
    ]

    assert titles[0] == ['Key "ci" expires within 7 days']
    assert titles[1] == []
    assert sorted(titles[2]) == ['Key "ci" expires within a day', 'Key "short" expires within a day']
    assert titles[3] == []


def refusal() -> BillingRefusal:
    return BillingRefusal("openai", "api.openai.com", "gpt-5", 429, "You exceeded your current quota", NOON)


async def test_an_account_without_credit_is_told_once_a_day(book: Book) -> None:
    watch = AlertWatch(book.engine, [ANYWHERE])

    assert len(await watch.note_refusal(refusal())) == 1
    assert await watch.note_refusal(refusal()) == []
    assert await book.deliveries() == [("Provider openai refuses calls: its account is out of credit", "config:slack")]


async def test_the_budget_of_the_platform_is_watched_over_all_keys(book: Book) -> None:
    budget = budget_of_setting("max_budget", 1_000, Duration(1, "mo"))
    for cost in (500, 300):
        await book.spend(await book.key(), cost, NOON)
    watch = AlertWatch(book.engine, [ANYWHERE], [budget])
    (alert,) = [one for one in await watch.look(NOON) if one.sent and one.percent]
    assert (alert.kind, alert.percent, alert.facts["owner_kind"]) == ("budget.threshold_reached", 75, "platform")
    assert "the platform" in alert.title.lower()
    assert "max_budget of litellm_settings" in alert.text
    assert [one for one in await watch.look(NOON) if one.percent] == []


async def test_the_budgets_of_deployments_and_providers_are_watched_and_say_that_others_serve(book: Book) -> None:
    terms: tuple[tuple[Serving, str, int], ...] = (("deployment", "dep_1", 1_000), ("provider", "openai", 500))
    budgets = tuple(budget_of_serving(kind, name, limit, Duration(1, "mo")) for kind, name, limit in terms)
    place = replace(DEPLOYMENT, budgets=budgets)
    catalog = Catalog((Model("gpt", (place,), "GPT", ""), Model("other", (place,), "Other", "")))
    await book.spend(await book.key(), 800, NOON, scopes=[scope_of_pool(one.budget_id) for one in budgets])
    watch = AlertWatch(book.engine, [ANYWHERE], serving=lambda: serving_budgets(catalog))
    found = {alert.facts["owner_kind"]: alert for alert in await watch.look(NOON) if alert.sent and alert.percent}
    assert {kind: alert.percent for kind, alert in found.items()} == {"deployment": 75, "provider": 100}
    assert found["deployment"].title == 'Deployment "dep_1" of model "gpt" has spent 75 % of its budget'
    assert found["deployment"].facts["deployment_id"] == "dep_1"
    assert "At 100 % other deployments serve its models" in found["deployment"].text
    assert found["provider"].title == "Provider OpenAI has spent 100 % of its budget"
    assert "provider_budget_config" in found["provider"].text
    assert [one for one in await watch.look(NOON) if one.percent] == []


async def test_the_budgets_of_access_groups_are_watched_over_all_keys_and_told_once_in_each_window(book: Book) -> None:
    windows = [{"duration": "month", "limit_nanousd": 9_000}]
    budget_id = await book.budget(1_000, "1d", soft_limit_nanousd=700, windows=windows)
    await book.put(tables.access_group_budgets, access_group="frontier/a b", budget_id=budget_id)
    await book.spend(await book.key(), 800, NOON, scopes=[scope_of_model(PLATFORM, "frontier/a b")])
    await book.spend(await book.key(), 5_000, NOON)  # of a model that is in no group
    watch = AlertWatch(book.engine, [ANYWHERE, Route("dest_team", (), "t1")])
    found = [alert for alert in await watch.look(NOON) if alert.sent and alert.percent]
    assert [(alert.title, alert.percent) for alert in found] == [
        ('Access group "frontier/a b" has spent 75 % of its budget', 75),
        ('Access group "frontier/a b" has spent 100 % of its soft budget', 100),
    ]
    assert "At 100 % calls of its models are refused. To change the budget: PUT /access_group/frontier" in found[0].text
    assert found[0].text.endswith("PUT /access_group/frontier%2Fa%20b/budget with max_budget.")
    assert found[1].text.endswith("with soft_budget.")
    assert (found[0].facts["owner_kind"], found[0].facts["access_group"]) == ("access_group", "frontier/a b")
    assert {where for _, where in await book.deliveries()} == {"config:slack"}
    assert [alert for alert in await AlertWatch(book.engine, [ANYWHERE]).look(NOON) if alert.percent] == []
    tomorrow = NOON + timedelta(days=1)
    await book.spend(await book.key(), 1_000, tomorrow, scopes=[scope_of_model(PLATFORM, "frontier/a b")])
    assert ("budget.threshold_reached", 100) in told(await watch.look(tomorrow))


async def test_what_was_told_goes_after_its_time_but_not_while_the_window_it_tells_of_runs(book: Book) -> None:
    month, ever = await book.budget(10 * DOLLAR), await book.budget(10 * DOLLAR, None)
    keys = [await book.key(key_alias=f"of {one}", budget_id=one) for one in (month, ever)]
    for key in keys:
        await book.spend(key, 5 * DOLLAR)
    watch = AlertWatch(book.engine, [ANYWHERE])
    assert len(told(await watch.look(NOON))) == 2
    async with book.engine.begin() as connection:
        await connection.execute(update(tables.alert_events).values(created_at=NOON - timedelta(days=401)))
        before = NOON - timedelta(days=400)
        in_window = await drop_events(connection, before, NOON, 10)
        after_it = await drop_events(connection, before, NOON + timedelta(days=30), 10)
    assert (in_window, after_it) == (0, 1)
    assert [title for title, _ in await book.deliveries()] == [f'Key "of {ever}" has spent 50 % of its budget']
    assert await AlertWatch(book.engine, [ANYWHERE]).look(NOON + timedelta(days=30)) == []


async def test_a_look_reads_those_who_spent_since_the_last_one_and_now_and_then_all(book: Book) -> None:
    key = await book.key()
    await book.spend(key, 9 * DOLLAR)
    watch = AlertWatch(book.engine, [ANYWHERE])
    await watch.look(NOON)
    async with book.engine.begin() as connection:  # with a time long ago, as a budget that others have had
        given = update(tables.keys).where(tables.keys.c.key_id == key).values(budget_id=await book.budget(10 * DOLLAR))
        await connection.execute(given)
    minutes = [told(await watch.look(NOON + timedelta(minutes=minute))) for minute in (1, 5, 11)]
    assert minutes == [[], [], [("budget.threshold_reached", 90)]]
    await book.spend(key, DOLLAR, NOON + timedelta(minutes=11))
    assert told(await watch.look(NOON + timedelta(minutes=12))) == [("budget.threshold_reached", 100)]


async def test_of_many_budgets_those_are_found_that_were_nearest_to_their_limits(book: Book) -> None:
    watch, month = AlertWatch(book.engine), {}
    for name, dollars in (("low", 1), ("high", 9), ("none", 0), ("middle", 5)):
        month[name] = await book.budget(10 * DOLLAR)
        key = await book.key(budget_id=month[name], key_alias=name)
        if dollars:
            await book.spend(key, dollars * DOLLAR)
    a_day = await book.key(budget_id=await book.budget(10 * DOLLAR, "1d"), key_alias="a day's")
    await book.spend(a_day, 7 * DOLLAR)
    await watch.look(NOON)

    async def found(most: int, at: datetime = NOON, *, farthest: bool = False, search: str = "") -> list[str]:
        async with book.engine.connect() as connection:
            some, more = await list_budgeted(connection, EVERYTHING, "key", search, most, at, farthest=farthest)
            assert more == (not search and most < 5)
            return [one.owner.title.split('"')[1] for one in some]

    assert await found(3) == ["high", "a day's", "middle"]
    assert await found(1, search="low") == ["low"]
    assert await found(2, farthest=True) == ["none", "low"]
    assert await found(2, NOON + timedelta(days=1)) == ["high", "middle"]
    await book.change_limit(month["high"], 900 * DOLLAR)
    await AlertWatch(book.engine).look(NOON + timedelta(days=1))
    assert await found(3, NOON + timedelta(days=1)) == ["middle", "low", "high"]
