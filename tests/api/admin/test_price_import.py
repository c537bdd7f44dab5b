"""A public list of prices: what it would change is told first, and nothing absurd gets in."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from app.base.ids import new_id
from app.storage.postgres import tables
from tests.api.support import Answer, Door

pytestmark = pytest.mark.services


def listed(model: str, price: Any = 0.000003, **further: Any) -> dict[str, Any]:
    entry = {"litellm_provider": "anthropic", "mode": "chat", "max_tokens": 64000, "supports_vision": True}
    return {
        "sample_spec": {"litellm_provider": "one of the providers", "input_cost_per_token": 0},
        model: entry | {"input_cost_per_token": price, "output_cost_per_token": 0.000015} | further,
        "somebody/else": {"litellm_provider": "nobody_known", "input_cost_per_token": 1},
    }


async def imported(door: Door, models: dict[str, Any], **fields: object) -> Answer:
    return await door.post("/price/import", {"prices": models, **fields})


def of(answer: Answer, model: str) -> list[dict[str, Any]]:
    """The changes of one model: other tests import into the same database."""
    assert answer.status == 200, answer.text
    return [change for change in answer.fields["changes"] if change["model"] == model]


@pytest.fixture
def model() -> str:
    return f"claude-{new_id('m')}"


async def in_force(door: Door, model: str) -> dict[str, Any]:
    found: dict[str, Any] = (await door.get("/price/info", model=model, provider="anthropic")).fields["prices"][0]
    return found


async def test_a_list_is_compared_written_once_and_then_changes_nothing(admin_door: Door, model: str) -> None:
    dry = of(await imported(admin_door, listed(model), dry_run=True), model)

    assert [(change["change"], change["before"]) for change in dry] == [("added", {})]
    assert dry[0]["after"]["output_cost_per_token"] == Decimal("0.000015")
    assert (await in_force(admin_door, model))["price_source"] == "fallback"
    assert of(await imported(admin_door, listed(model)), model) == dry
    assert (await in_force(admin_door, model))["price_source"] == "imported"
    assert of(await imported(admin_door, listed(model)), model) == []
    (changed,) = of(await imported(admin_door, listed(model, "0.0000045")), model)
    assert changed["before"]["input_cost_per_token"] == Decimal("0.000003")
    assert changed["after"]["input_cost_per_token"] == Decimal("0.0000045")
    assert len((await admin_door.get("/price/list", model=model, kind="imported")).fields) == 2


async def test_a_price_that_no_list_names_any_more_is_told_and_stays(admin_door: Door, model: str) -> None:
    await imported(admin_door, listed(model))

    (removed,) = of(await imported(admin_door, listed(f"claude-{new_id('m')}")), model)

    assert (removed["change"], removed["after"]) == ("removed", {})
    assert (await in_force(admin_door, model))["price_source"] == "imported"


@pytest.mark.parametrize("price", [0.00003, 0.0000003, 0])
async def test_a_tenfold_change_needs_to_be_allowed(admin_door: Door, model: str, price: float) -> None:
    await imported(admin_door, listed(model))

    (told,) = of(await imported(admin_door, listed(model, price), dry_run=True), model)
    refused = await imported(admin_door, listed(model, price))

    assert "input" in told["large"]
    assert (refused.status, refused.error["param"]) == (422, "allow_large_changes")
    assert model in refused.error["message"]
    assert (await in_force(admin_door, model))["input_cost_per_token"] == Decimal("0.000003")
    await imported(admin_door, listed(model, price), allow_large_changes=True)
    assert (await in_force(admin_door, model))["input_cost_per_token"] == Decimal(str(price))


@pytest.mark.parametrize("price", [-0.000001, "NaN", "dear", 2000, True, [1]])
async def test_one_absurd_price_refuses_the_whole_list(admin_door: Door, model: str, price: object) -> None:
    other = f"claude-{new_id('m')}"
    refused = await imported(admin_door, {**listed(other), **listed(model, price)})

    assert (refused.status, refused.error["param"]) == (422, f"prices.{model}.input_cost_per_token")
    assert (await in_force(admin_door, other))["price_source"] == "fallback"


async def test_service_tiers_and_long_prompts_are_imported_too(admin_door: Door, model: str) -> None:
    further: dict[str, Any] = {
        "input_cost_per_token_above_200k_tokens": 0.000006,
        "input_cost_per_token_priority": 0.000009,
        "search_context_cost_per_query": {"search_context_size_medium": 0.01},
        "cache_read_input_token_cost": None,
    }
    await imported(admin_door, listed(model, **further))

    told = await in_force(admin_door, model)

    assert told["input_cost_per_token_above_200k_tokens"] == Decimal("0.000006")
    assert told["input_cost_per_token_priority"] == Decimal("0.000009")
    assert told["search_context_cost_per_query"] == Decimal("0.01")


async def test_an_import_is_in_the_audit(admin_door: Door, model: str) -> None:
    await imported(admin_door, listed(model))
    (row,) = (await admin_door.get("/price/list", model=model)).fields

    async with admin_door.engine.begin() as connection:
        query = select(tables.audit.c.after).where(tables.audit.c.object_id == row["price_id"])
        (after,) = (await connection.execute(query)).scalars()
    assert after["added"] == 1
