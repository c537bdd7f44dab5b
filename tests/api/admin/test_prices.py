"""Dated prices, discounts and margins as admins set them, and what each process makes of them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis
from sqlalchemy import insert, select

from app.admin.live_prices import PRICE_CHANNEL, PriceKeeper
from app.base.clock import now
from app.base.ids import new_id
from app.domain.catalog import Deployment
from app.domain.pricing import PriceSheet, always
from app.providers.prices import LivePrices
from app.storage.postgres import tables
from app.storage.redis.announcements import Announcements
from tests.api.support import Answer, Door
from tests.domain.records import deployment, flat_rates

pytestmark = pytest.mark.services

BUNDLED = always(PriceSheet("bundled", "bundled", flat_rates(1)))


def fresh_model() -> str:
    return f"model-{new_id('m')}"


def place(model: str) -> Deployment:
    return deployment(model, prices=BUNDLED)


async def new_price(door: Door, model: str, **fields: object) -> Answer:
    prices = {"input_cost_per_token": 3e-06, "output_cost_per_token": 15e-06}
    return await door.post("/price/new", {"provider": "anthropic", "model": model, **prices, **fields})


@pytest.fixture
async def elsewhere(admin_door: Door, redis_url: str) -> AsyncIterator[PriceKeeper]:
    """The prices of another process."""
    redis = Redis.from_url(redis_url)
    yield PriceKeeper(LivePrices(), admin_door.engine, Announcements(redis, PRICE_CHANNEL))
    await redis.aclose()


async def audited(door: Door, object_id: str) -> list[str]:
    async with door.engine.begin() as connection:
        query = select(tables.audit.c.action).where(tables.audit.c.object_id == object_id)
        query = query.order_by(tables.audit.c.sequence)
        return list((await connection.execute(query)).scalars())


async def test_a_price_holds_from_its_instant_on_and_what_is_not_written_follows(admin_door: Door) -> None:
    model = fresh_model()
    soon = (now() + timedelta(days=1)).isoformat()
    first = await new_price(admin_door, model, cache_read_input_token_cost="0.0000001")
    second = await new_price(admin_door, model, input_cost_per_token=4e-06, effective_from=soon)

    assert (first.status, second.status) == (200, 200), second.text
    made = first.fields
    assert made["input_cost_per_token"] == Decimal("0.000003")
    assert made["cache_read_input_token_cost"] == Decimal("0.0000001")
    assert made["cache_creation_input_token_cost_above_1hr"] == Decimal("0.000006")
    listed = (await admin_door.get("/price/list", model=model.upper())).fields
    assert [row["price_id"] for row in listed] == [second.fields["price_id"], made["price_id"]]
    today = (await admin_door.get("/price/info", model=model, provider="anthropic")).fields["prices"][0]
    then = (await admin_door.get("/price/info", model=model, provider="anthropic", at=soon)).fields["prices"][0]
    assert (today["price_source"], today["price_version"]) == ("database", f"database:{made['price_id']}")
    assert (today["input_cost_per_token"], then["input_cost_per_token"]) == (Decimal("0.000003"), Decimal("0.000004"))
    assert await audited(admin_door, made["price_id"]) == ["price.new"]


async def test_the_lists_of_models_show_the_price_that_holds(admin_door: Door) -> None:
    model, name = fresh_model(), f"name-{new_id('n')}"
    params = {"model": f"anthropic/{model}", "api_key": "k"}
    assert (await admin_door.post("/model/new", {"model_name": name, "litellm_params": params})).status == 200

    async def shown() -> tuple[str, Decimal, Decimal]:
        rows = (await admin_door.get("/model/info")).fields["data"]
        info = next(row["model_info"] for row in rows if row["model_name"] == name)
        (group,) = (await admin_door.get("/model_group/info", model_group=name)).fields["data"]
        return info["price_source"], info["input_cost_per_token"], group["input_cost_per_token"]

    assert await shown() == ("fallback", Decimal("0.000005"), Decimal("0.000005"))
    await new_price(admin_door, model)
    assert await shown() == ("database", Decimal("0.000003"), Decimal("0.000003"))


async def test_a_price_that_has_not_begun_can_be_deleted_and_one_in_force_is_withdrawn(admin_door: Door) -> None:
    model = fresh_model()
    begun = (await new_price(admin_door, model)).fields["price_id"]
    later = (await new_price(admin_door, model, effective_from="2199-01-01")).fields["price_id"]

    assert (await admin_door.post("/price/delete", {"price_id": later})).status == 200
    assert (await admin_door.post("/price/delete", {"price_id": later})).status == 404
    refused = await admin_door.post("/price/delete", {"price_id": begun})
    assert (refused.status, refused.error["param"]) == (422, "price_id")
    withdrawn = await admin_door.post("/price/withdraw", {"provider": "anthropic", "model": model})
    assert withdrawn.fields["withdrawn"] is True
    shown = (await admin_door.get("/price/info", model=model, provider="anthropic")).fields["prices"][0]
    assert shown["price_source"] == "fallback"
    assert await audited(admin_door, later) == ["price.new", "price.delete"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"provider": "anthropc"}, "provider"),
        ({"input_cost_per_token": -1}, "input_cost_per_token"),
        ({"input_cost_per_token": "free"}, "input_cost_per_token"),
        ({"input_cost_per_token": 1e9}, "input_cost_per_token"),
        ({"output_cost_per_token": None}, "output_cost_per_token"),
        ({"output_cost_per_token": None, "input_cost_per_token": None}, "input_cost_per_token"),
        ({"input_cost_per_second": 1}, "input_cost_per_second"),
        ({"effective_from": "tomorrow"}, "effective_from"),
        ({"effective_from": "0001-01-01T00:00:00+14:00"}, "effective_from"),
        ({"organization_id": "org_of_nobody"}, "organization_id"),
        ({"model": ""}, "model"),
    ],
)
async def test_a_price_that_cannot_be_is_refused_by_name_and_nothing_is_written(
    admin_door: Door, fields: dict[str, Any], param: str
) -> None:
    model = fresh_model()
    refused = await new_price(admin_door, **{"model": model, **fields})

    assert (refused.status, refused.error["param"]) == (422, param), refused.text
    assert (await admin_door.get("/price/list", model=model)).fields == []


async def test_two_prices_cannot_begin_at_one_instant(admin_door: Door) -> None:
    model = fresh_model()
    made = await new_price(admin_door, model, effective_from="2026-01-01T00:00:00Z")
    again = await new_price(admin_door, model, effective_from="2026-01-01T01:00:00+01:00")

    assert (made.status, again.status, again.error["param"]) == (200, 422, "effective_from")


async def test_an_organization_has_its_own_price_discount_and_margin(admin_door: Door, elsewhere: PriceKeeper) -> None:
    model, owner = fresh_model(), f"org_{new_id('o')}"
    async with admin_door.engine.begin() as connection:
        await connection.execute(insert(tables.organizations).values(organization_id=owner))
    await new_price(admin_door, model)
    await new_price(admin_door, model, organization_id=owner, input_cost_per_token=1e-06)
    client = admin_door.client
    master = {"authorization": "Bearer sk-master-of-the-tests-1234567890"}
    query = {"organization_id": owner}
    discount = {"anthropic": 0.25}
    margin = {"global": {"percentage": 0.1, "fixed_amount": 0.002}}
    assert (await client.patch("/config/cost_discount_config", params=query, json=discount, headers=master)).is_success
    assert (await client.patch("/config/cost_margin_config", params=query, json=margin, headers=master)).is_success

    told = (await admin_door.get("/config/cost_margin_config", organization_id=owner)).fields
    assert told == {"values": {"global": {"percentage": Decimal("0.1"), "fixed_amount": Decimal("0.002")}}}
    await elsewhere.refresh()
    prices = elsewhere.prices
    ours, theirs = (prices.sheet(place(model), one, now()) for one in (owner, None))
    assert (ours.rates.input, ours.terms.fixed_nanousd) == (825_000_000 * ours.millions, 2_000_000)
    assert theirs.rates.input == 3_000_000_000
    assert (await client.patch("/config/cost_discount_config", params=query, json={}, headers=master)).is_success
    assert (await admin_door.get("/config/cost_discount_config", organization_id=owner)).fields == {"values": {}}
    assert await audited(admin_door, owner) == ["price.discount", "price.margin", "price.discount"]


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("discount", {"anthropic": 1.5}, "anthropic"),
        ("discount", {"anthropic": 0.0000000001}, "anthropic"),
        ("discount", {"antropic": 0.1}, "antropic"),
        ("margin", {"openai": {"percent": 1}}, "percent"),
        ("margin", {"openai": "a lot"}, "openai"),
        ("margin", {"openai": {"fixed_amount": -1}}, "openai.fixed_amount"),
    ],
)
async def test_a_share_that_cannot_be_is_refused_by_name(
    admin_door: Door, path: str, body: dict[str, Any], param: str
) -> None:
    answer = await admin_door.client.patch(
        f"/config/cost_{path}_config", json=body, headers={"authorization": "Bearer sk-master-of-the-tests-1234567890"}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param), answer.text


async def test_another_process_hears_of_a_price(admin_door: Door, elsewhere: PriceKeeper) -> None:
    model = fresh_model()
    watching = asyncio.create_task(elsewhere.watch())
    try:
        await new_price(admin_door, model)
        async with asyncio.timeout(60):
            while elsewhere.prices.sheet(place(model), None, now()).source != "database":  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.01)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
