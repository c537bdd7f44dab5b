"""Budgets of access groups by LiteLLM's routes."""

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from app.base.ids import new_id
from app.storage.books import insert_receipts
from app.storage.postgres.audit import list_entries
from tests.api.changes import send
from tests.api.support import Door
from tests.storage.ledger_support import make_receipt

pytestmark = pytest.mark.services


async def test_a_group_has_a_budget_that_is_changed_read_and_taken_away(admin_door: Door) -> None:
    group = new_id("group")
    place = f"/access_group/{group}/budget"
    await admin_door.post("/access_group/new", {"access_group": group, "model_names": ["file-claude"]})
    assert (await admin_door.get(place)).fields["budget"] is None
    made = (await send(admin_door, "PUT", place, {"max_budget": 5, "budget_duration": "month"})).fields
    assert (made["budget"]["max_budget"], made["budget"]["budget_duration"], made["spend"]) == (5, "month", 0)
    changed = (await send(admin_door, "PUT", place, {"soft_budget": 4})).fields["budget"]
    assert (changed["max_budget"], changed["soft_budget"]) == (5, 4)
    receipt = make_receipt(new_id("req"), 7_000_000, at=datetime.now(UTC))
    async with admin_door.engine.begin() as connection:
        await insert_receipts(connection, [replace(receipt, scopes=(f"model:platform:{group}",))])
    assert str((await admin_door.get(place)).fields["spend"]) == "0.007000"
    info = (await admin_door.get(f"/access_group/{group}/info")).fields
    assert (str(info["spend"]), info["budget"]["max_budget"]) == ("0.007000", 5)
    for param, said in (("soft_budget", 6), ("budget_id", "b"), ("colour", 1)):
        refused = await send(admin_door, "PUT", place, {param: said})
        assert (refused.status, refused.error["param"]) == (422, param), refused.text
    assert (await send(admin_door, "DELETE", place, None)).fields["budget_deleted"] is True
    assert (await send(admin_door, "DELETE", place, None)).status == 404
    assert (await send(admin_door, "PUT", place, {})).error["param"] == "max_budget"
    assert (await send(admin_door, "PUT", "/access_group/none/budget", {"max_budget": 1})).status == 404
    async with admin_door.engine.connect() as connection:
        actions = [entry.action for entry in await list_entries(connection, "access_group", group)]
    assert actions[1:] == ["access_group.budget", "access_group.budget", "access_group.budget.delete"]


async def test_a_group_that_goes_takes_its_budget_along(admin_door: Door) -> None:
    group = new_id("group")
    await admin_door.post("/access_group/new", {"access_group": group, "model_names": ["file-claude"]})
    await send(admin_door, "PUT", f"/access_group/{group}/budget", {"max_budget": 5})
    assert (await send(admin_door, "DELETE", f"/access_group/{group}/delete", None)).status == 200
    await admin_door.post("/access_group/new", {"access_group": group, "model_names": ["file-claude"]})
    assert (await admin_door.get(f"/access_group/{group}/budget")).fields["budget"] is None
