"""The user routes over real stores."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.storage.postgres.audit import list_entries
from app.storage.postgres.tables import organizations
from tests.api.admin.test_teams import count_rows
from tests.api.support import Door

pytestmark = pytest.mark.services


async def test_a_new_user_gets_a_key_unless_it_is_not_wanted(admin_door: Door) -> None:
    asked = {
        "user_email": "ada@example.com",
        "user_alias": "Ada",
        "user_role": "internal_user",
        "max_budget": 25.5,
        "budget_duration": "30d",
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "models": ["claude-*"],
        "metadata": {"desk": 7},
    }
    made = (await admin_door.post("/user/new", {**asked, "key_alias": "ada's key", "duration": "90d"})).fields
    assert {name: made[name] for name in asked} == {**asked, "max_budget": Decimal("25.5")}
    assert made["key"].startswith("sk-kh-")
    info = (await admin_door.get("/key/info", headers={"x-api-key": made["key"]})).fields["info"]
    assert (info["user_id"], info["key_alias"], info["max_budget"]) == (made["user_id"], "ada's key", None)
    without = (await admin_door.post("/user/new", {"auto_create_key": False})).fields
    assert (without["key"], without["user_id"][:5]) == ("", "user_")
    shown = (await admin_door.get("/user/info", user_id=without["user_id"])).fields
    assert (shown["keys"], shown["teams"]) == ([], [])


async def test_a_new_user_joins_teams_and_organizations(admin_door: Door) -> None:
    async with admin_door.engine.begin() as connection:
        await connection.execute(organizations.insert().values(organization_id="org_of_users"))
    plain = (await admin_door.post("/team/new", {})).fields["team_id"]
    capped = (await admin_door.post("/team/new", {"max_budget": 10})).fields["team_id"]
    joins = [plain, {"team_id": capped, "max_budget_in_team": 4, "user_role": "admin"}]
    made = (await admin_door.post("/user/new", {"teams": joins, "organizations": ["org_of_users"]})).fields
    assert sorted(made["teams"]) == sorted([plain, capped])
    assert [row["organization_id"] for row in made["organization_memberships"]] == ["org_of_users"]
    info = (await admin_door.get("/user/info", user_id=made["user_id"])).fields
    assert sorted(team["team_id"] for team in info["teams"]) == sorted([plain, capped])
    membership = (await admin_door.get("/team/info", team_id=capped)).fields["team_memberships"][0]
    assert (membership["role"], membership["litellm_budget_table"]["max_budget"]) == ("admin", 4)
    before = await count_rows(admin_door)
    above = {"teams": [plain, {"team_id": capped, "max_budget_in_team": 11}], "user_id": "half written"}
    refused = await admin_door.post("/user/new", above)
    assert (refused.status, refused.error["param"]) == (422, "max_budget_in_team")
    assert await count_rows(admin_door) == before


async def test_an_update_changes_what_it_names_by_id_or_by_address(admin_door: Door) -> None:
    made = (await admin_door.post("/user/new", {"user_email": "turing@example.com", "max_budget": 5})).fields
    change = {"user_email": "Turing@example.com", "max_budget": 6, "user_role": "auditor"}
    changed = (await admin_door.post("/user/update", change)).fields
    assert (changed["user_id"], changed["data"]["max_budget"]) == (made["user_id"], 6)
    renamed = {"user_id": made["user_id"], "user_email": "alan@example.com", "max_budget": None}
    row = (await admin_door.post("/user/update", renamed)).fields["data"]
    assert (row["user_email"], row["max_budget"], row["user_role"]) == ("alan@example.com", None, "auditor")
    async with admin_door.engine.connect() as connection:
        entries = await list_entries(connection, "user", made["user_id"])
    assert [entry.action for entry in entries] == ["user.new", "user.update", "user.update"]
    assert (await admin_door.post("/user/update", {"user_id": "nobody"})).status == 404
    assert (await admin_door.post("/user/update", {"user_email": "nobody@example.com"})).status == 404


async def test_an_address_is_taken_once_in_any_case_even_by_two_at_once(admin_door: Door) -> None:
    bodies = [{"user_email": text} for text in ("once@example.com", "Once@Example.com", "ONCE@example.com")]
    answers = await asyncio.gather(*(admin_door.post("/user/new", body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [200, 422, 422]
    other = (await admin_door.post("/user/new", {})).fields["user_id"]
    taken = await admin_door.post("/user/update", {"user_id": other, "user_email": "once@EXAMPLE.com"})
    assert (taken.status, taken.error["param"]) == (422, "user_email")


async def test_a_deleted_user_takes_keys_and_memberships_along(admin_door: Door) -> None:
    team_id = (await admin_door.post("/team/new", {})).fields["team_id"]
    made = (await admin_door.post("/user/new", {"teams": [team_id], "max_budget": 3})).fields
    await admin_door.book(made["token"], datetime.now(UTC), 5, user_id=made["user_id"])
    assert (await admin_door.post("/user/delete", {"user_ids": [made["user_id"], "nobody"]})).status == 404
    assert (await admin_door.post("/user/delete", {"user_ids": [made["user_id"]]})).text == "1"
    assert (await admin_door.get("/key/info", headers={"x-api-key": made["key"]})).status == 401
    assert (await admin_door.get("/user/info", user_id=made["user_id"])).status == 404
    assert (await admin_door.get("/team/info", team_id=team_id)).fields["team_memberships"] == []
    assert (await admin_door.post("/user/new", {"user_id": made["user_id"]})).status == 200


async def test_what_a_user_spent_is_told_with_the_keys(admin_door: Door) -> None:
    made = (await admin_door.post("/user/new", {})).fields
    await admin_door.book(made["token"], datetime.now(UTC), 3_150_001, user_id=made["user_id"])
    info = (await admin_door.get("/user/info", user_id=made["user_id"])).fields
    assert info["user_info"]["spend"] == Decimal("0.003150001")
    assert [key["token"] for key in info["keys"]] == [made["token"]]
    alone = (await admin_door.get("/v2/user/info", user_id=made["user_id"])).fields
    assert alone["spend"] == Decimal("0.003150001")


async def test_the_list_of_users_is_paged_and_filtered(admin_door: Door) -> None:
    made = [
        (await admin_door.post("/user/new", {"user_email": f"page{number}@list.example.com"})).fields["user_id"]
        for number in range(5)
    ]
    query = {"user_email": "@LIST.example", "page_size": "2", "page": "3"}
    page = (await admin_door.get("/user/list", query=query)).fields
    assert (page["total"], page["page"], page["page_size"], page["total_pages"]) == (5, 3, 2, 3)
    assert [(row["user_id"], row["key_count"]) for row in page["users"]] == [(made[0], 1)]
    both = (await admin_door.get("/user/list", query={"user_ids": f"{made[0]},{made[3]}"})).fields
    assert both["total"] == 2
    assert (await admin_door.get("/user/list", query={"role": "king"})).error["param"] == "role"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"user_role": "king"}, "user_role"),
        ({"user_email": "ada"}, "user_email"),
        ({"user_email": "a b@example.com"}, "user_email"),
        ({"max_budget": -1}, "max_budget"),
        ({"budget_duration": "30 days"}, "budget_duration"),
        ({"teams": ["none"]}, "teams"),
        ({"teams": "none"}, "teams"),
        ({"teams": [{"team_id": "none", "colour": 1}]}, "colour"),
        ({"teams": ["a", "a"]}, "teams"),
        ({"organizations": ["none"]}, "organizations"),
        ({"team_id": "none"}, "team_id"),
        ({"password": "secret"}, "password"),
        ({"spend": 5}, "spend"),
        ({"user_emial": "x"}, "user_emial"),
        ({"user_id": ""}, "user_id"),
        ({"budget_id": "bud_none"}, "budget_id"),
        ({"auto_create_key": "no"}, "auto_create_key"),
    ],
)
async def test_a_bad_field_of_a_user_is_named_and_nothing_is_written(
    admin_door: Door, body: dict[str, object], param: str
) -> None:
    before = await count_rows(admin_door)
    answer = await admin_door.post("/user/new", body)
    assert (answer.status, answer.error["param"]) == (422, param)
    assert await count_rows(admin_door) == before


async def test_a_user_id_is_taken_once(admin_door: Door) -> None:
    await admin_door.new_key(user_id="named by a key")
    taken = await admin_door.post("/user/new", {"user_id": "named by a key"})
    assert (taken.status, taken.error["param"]) == (422, "user_id")
    assert (await admin_door.post("/user/update", {"user_id": "named by a key", "max_budget": 1})).status == 200
