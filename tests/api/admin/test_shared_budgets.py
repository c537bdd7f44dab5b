"""The routes of shared budgets over real stores, and those who name one."""

import pytest

from app.storage.postgres.audit import list_entries
from tests.api.admin.test_teams import count_rows
from tests.api.support import Door

pytestmark = pytest.mark.services


async def new_budget(door: Door, **fields: object) -> str:
    answer = await door.post("/budget/new", fields)
    assert answer.status == 200, answer.text
    budget_id: str = answer.fields["budget_id"]
    return budget_id


async def test_a_shared_budget_is_made_changed_shown_and_deleted(admin_door: Door) -> None:
    asked = {
        "max_budget": 10,
        "soft_budget": 8,
        "budget_duration": "1mo",
        "rpm_limit": 6,
        "tpm_limit": 700,
        "on_exceed": "cut",
    }
    budget_id = await new_budget(admin_door, budget_id="silver", **asked)
    row = (await admin_door.post("/budget/info", {"budgets": [budget_id]})).fields[0]
    assert {name: row[name] for name in asked} == asked
    assert row["budget_reset_at"].endswith("-01T00:00:00Z")
    changed = (await admin_door.post("/budget/update", {"budget_id": "silver", "max_budget": 12.5})).fields
    assert (str(changed["max_budget"]), changed["rpm_limit"]) == ("12.500000", 6)
    settings = (await admin_door.get("/budget/settings", budget_id="silver")).fields
    assert {field["field_name"]: field["field_value"] for field in settings}["tpm_limit"] == 700
    listed = await admin_door.get("/budget/list", page_size=1)
    assert [row["budget_id"] for row in listed.fields] == ["silver"]
    assert (await admin_door.post("/budget/delete", {"id": "silver"})).status == 200
    assert (await admin_door.post("/budget/info", {"budgets": ["silver"]})).status == 404
    async with admin_door.engine.connect() as connection:
        actions = [entry.action for entry in await list_entries(connection, "budget", "silver")]
    assert actions == ["budget.new", "budget.update", "budget.delete"]


@pytest.mark.parametrize(
    ("path", "further"),
    [
        ("/key/generate", {}),
        ("/team/new", {}),
        ("/user/new", {}),
        ("/organization/new", {"organization_alias": "shares a budget"}),
    ],
)
async def test_whoever_names_a_shared_budget_has_its_terms(
    admin_door: Door, path: str, further: dict[str, object]
) -> None:
    budget_id = await new_budget(admin_door, max_budget=7, budget_duration="1d")
    made = (await admin_door.post(path, {"budget_id": budget_id, **further})).fields
    assert (made["max_budget"], made["budget_duration"], made["budget_id"]) == (7, "1d", budget_id)
    used = await admin_door.post("/budget/delete", {"id": budget_id})
    assert (used.status, used.error["param"]) == (422, "id")
    assert "1 of " in used.error["message"]
    further = {name: f"another {value}" for name, value in further.items()}
    both = await admin_door.post(path, {"budget_id": budget_id, "max_budget": 3, **further})
    assert (both.status, both.error["param"]) == (422, "budget_id")


async def test_a_key_leaves_a_shared_budget_for_one_of_its_own_and_the_shared_stays(admin_door: Door) -> None:
    budget_id = await new_budget(admin_door, max_budget=7)
    key = await admin_door.new_key(budget_id=budget_id)
    refused = await admin_door.post("/key/update", {"key": key["token"], "max_budget": 9})
    assert (refused.status, refused.error["param"]) == (422, "max_budget")
    same = {"key": key["token"], "max_budget": 7, "budget_id": budget_id}
    assert (await admin_door.post("/key/update", same)).fields["budget_id"] == budget_id
    own = {"key": key["token"], "max_budget": 9, "budget_id": None}
    row = (await admin_door.post("/key/update", own)).fields
    assert row["max_budget"] == 9
    assert row["budget_id"] != budget_id
    back = (await admin_door.post("/key/update", {"key": key["token"], "budget_id": budget_id})).fields
    assert (back["max_budget"], back["budget_id"]) == (7, budget_id)
    await admin_door.post("/key/delete", {"keys": [key["token"]]})
    assert (await admin_door.post("/budget/delete", {"id": budget_id})).status == 200


async def test_a_member_may_name_a_shared_budget_below_the_teams(admin_door: Door) -> None:
    small, large = await new_budget(admin_door, max_budget=5), await new_budget(admin_door, max_budget=50)
    team_id = (await admin_door.post("/team/new", {"max_budget": 20})).fields["team_id"]
    body = {"team_id": team_id, "member": {"user_id": "shares", "role": "user"}}
    refused = await admin_door.post("/team/member_add", {**body, "budget_id": large})
    assert (refused.status, refused.error["param"]) == (422, "max_budget_in_team")
    added = (await admin_door.post("/team/member_add", {**body, "budget_id": small})).fields
    assert added["updated_team_memberships"][0]["budget_id"] == small


async def test_the_own_budget_of_somebody_is_no_shared_one(admin_door: Door) -> None:
    own = (await admin_door.post("/team/new", {"max_budget": 4})).fields["budget_id"]
    assert (await admin_door.post("/team/new", {"budget_id": own})).error["param"] == "budget_id"
    assert (await admin_door.post("/budget/update", {"budget_id": own, "max_budget": 5})).status == 404
    assert (await admin_door.post("/budget/delete", {"id": own})).status == 404


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("new", b'{"max_budget": -1}', 422, "max_budget"),
        ("new", b'{"max_budget": 1e999}', 422, "max_budget"),
        ("new", b'{"budget_duration": "30 days"}', 422, "budget_duration"),
        ("new", b'{"max_budget": 5, "soft_budget": 6}', 422, "soft_budget"),
        ("new", b'{"model_max_budget": {"a": {}}}', 422, "model_max_budget"),
        ("new", b'{"max_bugdet": 5}', 422, "max_bugdet"),
        ("new", b'{"on_exceed": "refuse"}', 422, "on_exceed"),
        ("update", b'{"max_budget": 5}', 422, "budget_id"),
        ("update", b'{"budget_id": "none"}', 404, "budget_id"),
        ("delete", b"{}", 422, "id"),
        ("delete", b'{"id": "none"}', 404, "id"),
        ("info", b'{"budgets": []}', 422, "budgets"),
        ("info", b'{"budgets": ["none"]}', 404, "budgets"),
    ],
)
async def test_a_bad_field_of_a_budget_is_named_and_nothing_is_written(
    admin_door: Door, path: str, body: bytes, status: int, param: str
) -> None:
    before = await count_rows(admin_door)
    answer = await admin_door.post(f"/budget/{path}", body)
    assert (answer.status, answer.error["param"]) == (status, param)
    assert await count_rows(admin_door) == before
