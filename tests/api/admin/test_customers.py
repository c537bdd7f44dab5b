"""The routes of customers over real stores."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.storage.postgres.audit import list_entries
from tests.api.admin.test_teams import count_rows
from tests.api.support import Door

pytestmark = pytest.mark.services


@pytest.mark.parametrize("kind", ["customer", "end_user"])
async def test_a_customer_is_made_changed_and_deleted(admin_door: Door, kind: str) -> None:
    name = f"ishaan of {kind}"
    made = (await admin_door.post(f"/{kind}/new", {"user_id": name, "alias": "Ishaan"})).fields
    assert (made["user_id"], made["alias"]) == (name, "Ishaan")
    assert (await admin_door.post(f"/{kind}/update", {"user_id": name, "alias": None})).fields["alias"] is None
    assert (await admin_door.get(f"/{kind}/info", end_user_id=name)).fields["blocked"] is False
    unknown = await admin_door.post(f"/{kind}/delete", {"user_ids": [name, "nobody"]})
    assert (unknown.status, unknown.error["param"]) == (404, "user_id")
    assert (await admin_door.post(f"/{kind}/delete", {"user_ids": [name]})).fields["deleted_customers"] == 1
    assert (await admin_door.get(f"/{kind}/info", end_user_id=name)).status == 404
    async with admin_door.engine.connect() as connection:
        actions = [entry.action for entry in await list_entries(connection, "customer", name)]
    assert actions == [f"customer.{action}" for action in ("new", "update", "delete")]


async def test_what_a_customer_spent_is_told(admin_door: Door) -> None:
    key = await admin_door.new_key()
    await admin_door.post("/customer/new", {"user_id": "a spender"})
    await admin_door.book(key["token"], datetime.now(UTC), 3_150_001, customer_id="a spender")
    row = (await admin_door.get("/customer/info", end_user_id="a spender")).fields
    assert row["spend"] == Decimal("0.003150001")


async def test_a_customer_has_what_every_level_has(admin_door: Door) -> None:
    terms = {"max_budget": 5, "budget_duration": "day", "rpm_limit": 3, "models": ["claude-*"], "default_model": "m"}
    made = (await admin_door.post("/customer/new", {"user_id": "held to much", **terms})).fields
    assert {name: made[name] for name in terms} == terms
    assert made["litellm_budget_table"]["max_budget"] == 5


async def test_customers_are_blocked_also_before_they_are_known(admin_door: Door) -> None:
    await admin_door.post("/customer/new", {"user_id": "known"})
    blocked = await admin_door.post("/customer/block", {"user_ids": ["known", "never seen"]})
    assert [row["user_id"] for row in blocked.fields["blocked_users"]] == ["known", "never seen"]
    assert (await admin_door.get("/customer/info", end_user_id="never seen")).fields["blocked"] is True
    await admin_door.post("/customer/unblock", {"user_ids": ["known"]})
    assert (await admin_door.get("/customer/info", end_user_id="known")).fields["blocked"] is False


async def test_the_list_of_customers_is_paged_and_searched(admin_door: Door) -> None:
    for number in range(3):
        await admin_door.post("/customer/new", {"user_id": f"paged-{number}", "alias": "Of The List"})
    page = await admin_door.get("/customer/list", query={"search": "of the list", "page": "2", "page_size": "2"})
    assert [row["user_id"] for row in page.fields] == ["paged-0"]
    assert (page.headers["x-total-count"], page.headers["x-total-pages"]) == ("3", "2")


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("new", {}, 422, "user_id"),
        ("new", {"user_id": "x", "max_budget": -1}, 422, "max_budget"),
        ("new", {"user_id": "x", "budget_duration": "30 days"}, 422, "budget_duration"),
        ("new", {"user_id": "x", "budget_id": "none"}, 422, "budget_id"),
        ("new", {"user_id": "x", "allowed_model_region": " "}, 422, "allowed_model_region"),
        ("new", {"user_id": "x", "rpm_limit": -1}, 422, "rpm_limit"),
        ("new", {"user_id": "x", "spend": 3}, 422, "spend"),
        ("new", {"user_id": "x", "blokced": True}, 422, "blokced"),
        ("update", {"user_id": "nobody", "alias": "x"}, 404, "user_id"),
        ("delete", {"user_ids": []}, 422, "user_ids"),
    ],
)
async def test_a_bad_field_of_a_customer_is_named_and_nothing_is_written(
    admin_door: Door, path: str, body: dict[str, object], status: int, param: str
) -> None:
    before = await count_rows(admin_door)
    answer = await admin_door.post(f"/customer/{path}", body)
    assert (answer.status, answer.error["param"]) == (status, param)
    assert await count_rows(admin_door) == before


async def test_a_customer_is_made_once_and_by_no_virtual_key(admin_door: Door) -> None:
    assert (await admin_door.post("/customer/new", {"user_id": "made once"})).status == 200
    assert (await admin_door.post("/customer/new", {"user_id": "made once"})).error["param"] == "user_id"
    headers = {"x-api-key": (await admin_door.new_key())["key"]}
    for path in ("new", "update", "delete", "block", "unblock"):
        assert (await admin_door.post(f"/customer/{path}", {}, headers)).status == 403
