"""Pricing receipts anew writes adjustments dated now, once, and everything that adds receipts up follows."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import select

from app.base.clock import now
from app.base.ids import BudgetId, new_id
from app.domain.spend import Admitted, BudgetClaim, Claim
from app.storage.books import Books
from app.storage.postgres import tables
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.api.support import Answer, Door
from tests.gateway.examples import RECEIPT

pytestmark = pytest.mark.services

DAY = "2026-03-02"
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Past:
    """Three calls of a model in March, priced at 3 and 15 dollars a million, one whose price its provider told, and one
    on its caller's own login. ``model`` is nobody else's."""

    door: Door
    key: str
    model: str
    requests: list[str]

    async def reprice(self, **fields: object) -> dict[str, Any]:
        answer = await self.door.post(
            "/spend/reprice", {"start_date": DAY, "end_date": DAY, "model": self.model, **fields}
        )
        assert answer.status == 200, answer.text
        days: list[dict[str, Any]] = answer.fields["days"]
        return days[0]

    async def report(self, first: str, last: str) -> Answer:
        query = {"start_date": first, "end_date": last, "key_id": self.key, "group_by": "model"}
        return await self.door.get("/spend/report", query=query)

    async def receipts(self) -> list[Any]:
        async with self.door.engine.begin() as connection:
            query = select(tables.receipts).where(tables.receipts.c.key_id == self.key)
            return list(await connection.execute(query.order_by(tables.receipts.c.started_at)))


@pytest.fixture
async def past(admin_door: Door) -> Past:
    key, model = (await admin_door.new_key(max_budget=100))["token"], f"model-{new_id('m')}"
    served = {"model_asked": model, "model_served": model, "deployment_id": "dep_gone", "price_source": "bundled"}
    requests = [
        await admin_door.book(
            key, AT, 15_000_000 * count + 3_000_000, **served, input_tokens=1000, output_tokens=1000 * count,
            input_cost_nanousd=3_000_000, output_cost_nanousd=15_000_000 * count,
        )
        for count in (1, 2, 3)
    ]  # fmt: skip
    await admin_door.book(key, AT, 500, **served | {"price_source": "reported"})
    await admin_door.book(key, AT, 0, **served, input_tokens=1000, notional_nanousd=3_000_000)
    return Past(admin_door, key, model, requests)


async def set_price(past: Past, input_dollars: str, output_dollars: str) -> None:
    prices = {"input_cost_per_token": input_dollars, "output_cost_per_token": output_dollars}
    place = {"provider": "anthropic", "model": past.model, "effective_from": "2026-01-01T00:00:00Z"}
    assert (await past.door.post("/price/new", {**place, **prices})).status == 200


async def test_a_dry_run_tells_and_writes_nothing(past: Past) -> None:
    await set_price(past, "0.000002", "0.00001")

    told = await past.reprice(dry_run=True)

    assert (told["receipts"], told["adjusted"], told["skipped"]) == (3, 3, 0)
    assert (told["spend_before"], told["spend_after"]) == (Decimal("0.099"), Decimal("0.066"))
    assert told["by_model"] == {past.model: Decimal("-0.033")}
    assert len(await past.receipts()) == 5


async def test_adjustments_are_dated_now_and_the_past_stays_byte_for_byte(past: Past) -> None:
    before = await past.report(DAY, DAY)
    old_rows = {row.request_id: row for row in await past.receipts()}
    await set_price(past, "0.000002", "0.00001")
    began = now()

    told = await past.reprice()

    assert told["difference"] == Decimal("-0.033")
    assert (await past.report(DAY, DAY)).text == before.text
    rows = await past.receipts()
    assert {row.request_id: row for row in rows if row.kind == "usage"} == old_rows
    adjustments = [row for row in rows if row.kind == "adjustment"]
    assert sorted(row.request_id for row in adjustments) == sorted(past.requests)
    for row in adjustments:
        old = old_rows[row.request_id]
        assert row.started_at >= began
        assert (row.attempt, row.input_tokens, row.price_source) == (old.attempt, 0, "database")
        assert row.cost_nanousd + old.cost_nanousd == 2_000_000 + 10_000_000 * (old.output_tokens // 1000)
        parts = (row.input_cost_nanousd, row.cache_read_cost_nanousd, row.cache_write_cost_nanousd)
        assert sum(parts) + row.output_cost_nanousd + row.other_cost_nanousd == row.cost_nanousd
    today = now().date().isoformat()
    (sums,) = (await past.report(today, today)).fields["data"]
    assert (sums["cost"], sums["requests"]) == (Decimal("-0.033"), 0)


async def test_a_second_run_writes_nothing_and_a_third_follows_the_next_price(past: Past) -> None:
    await set_price(past, "0.000002", "0.00001")
    await past.reprice()

    again = await past.reprice()

    assert (again["adjusted"], again["difference"]) == (0, 0)
    assert again["spend_before"] == Decimal("0.066")
    await past.door.post("/price/new", {
        "provider": "anthropic", "model": past.model, "effective_from": "2026-02-01T00:00:00Z",
        "input_cost_per_token": 0, "output_cost_per_token": 0,
    })  # fmt: skip
    assert (await past.reprice())["spend_after"] == 0
    assert sum(row.cost_nanousd for row in await past.receipts()) == 500
    info = (await past.door.get("/key/info", key=past.key)).fields["info"]
    assert info["total_spend"] == Decimal("0.0000005")


async def test_the_sums_agree_and_the_run_is_in_the_audit(past: Past) -> None:
    await set_price(past, "0.000002", "0.00001")
    await past.reprice()

    for day in (DAY, now().date().isoformat()):
        checked = await past.door.get("/spend/aggregates/check", start_date=day, end_date=day)
        assert [one["agrees"] for one in checked.fields["days"]] == [True]
    async with past.door.engine.begin() as connection:
        query = select(tables.audit.c.object_id).where(tables.audit.c.action == "spend.reprice")
        assert DAY in list((await connection.execute(query)).scalars())


async def test_the_counters_of_budgets_follow(past: Past, redis_url: str) -> None:
    scripts = script_runner(redis_url)
    ledger = RedisLedger(scripts)
    ledger.on_missing_counter = Books(past.door.engine, ledger).rebuild
    since = now() - timedelta(hours=1)
    budget = BudgetClaim(f"{past.key}:1:1", BudgetId("bud_1"), past.key, 10**12, 0, since, None, now())
    name = new_id("req")
    assert isinstance(await ledger.reserve(Claim(name, (), 0, (budget,), replace(RECEIPT, request_id=name))), Admitted)
    await set_price(past, "0.000002", "0.00001")

    await past.reprice()

    assert await ledger.find_counter(budget) == (-33_000_000, 0)
    await ledger.release(name)
    await ledger.close()
    await scripts.close()


async def test_what_has_no_price_now_is_skipped_rather_than_charged_the_fallback(past: Past) -> None:
    told = await past.reprice()

    assert (told["receipts"], told["adjusted"], told["skipped"]) == (3, 0, 3)
    assert told["spend_before"] == told["spend_after"]


async def test_a_request_that_cannot_be_is_refused_by_name(admin_door: Door) -> None:
    for body, param in (
        ({"end_date": DAY}, "start_date"),
        ({"start_date": "2026-01-01", "end_date": "2026-03-01"}, "end_date"),
        ({"start_date": DAY, "end_date": DAY, "dry_run": "yes"}, "dry_run"),
        ({"start_date": DAY, "end_date": DAY, "modell": "x"}, "modell"),
    ):
        refused = await admin_door.post("/spend/reprice", body)
        assert (refused.status, refused.error["param"]) == (422, param)
