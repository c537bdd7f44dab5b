"""The routes of team members over real stores."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.storage.postgres.audit import list_entries
from tests.api.admin.test_teams import count_rows
from tests.api.support import Door

pytestmark = pytest.mark.services


async def new_team(door: Door, **fields: object) -> str:
    answer = await door.post("/team/new", fields)
    assert answer.status == 200, answer.text
    team_id: str = answer.fields["team_id"]
    return team_id


async def test_a_member_has_a_budget_of_its_own_inside_the_teams(admin_door: Door) -> None:
    team_id = await new_team(admin_door, max_budget=100, team_member_budget=3)
    body = {"team_id": team_id, "member": {"role": "user", "user_id": "krish@example.com"}, "max_budget_in_team": 10}
    added = (await admin_door.post("/team/member_add", body)).fields
    assert [member["user_id"] for member in added["members_with_roles"]] == ["krish@example.com"]
    row = added["updated_team_memberships"][0]
    assert (row["litellm_budget_table"]["max_budget"], row["budget_source"], row["role"]) == (10, "member", "user")
    change = {"team_id": team_id, "user_id": "krish@example.com", "max_budget_in_team": 12.5, "role": "admin"}
    changed = (await admin_door.post("/team/member_update", {**change, "rpm_limit": 4})).fields
    assert (str(changed["max_budget_in_team"]), changed["role"], changed["rpm_limit"]) == ("12.500000", "admin", 4)
    default = (await admin_door.post("/team/member_update", {**change, "max_budget_in_team": None})).fields
    assert (default["max_budget_in_team"], default["budget_source"], default["rpm_limit"]) == (3, "team_default", 4)
    async with admin_door.engine.connect() as connection:
        entries = await list_entries(connection, "team", team_id)
    assert [entry.action for entry in entries] == ["team.new", "team.member_add", *["team.member_update"] * 2]


@pytest.mark.parametrize("path", ["member_add", "member_update"])
async def test_a_member_may_not_have_more_than_the_team(admin_door: Door, path: str) -> None:
    team_id = await new_team(admin_door, max_budget=20, members_with_roles=[{"user_id": "ada", "role": "user"}])
    who = {"member": {"user_id": "bob", "role": "user"}} if path == "member_add" else {"user_id": "ada"}
    before = await count_rows(admin_door)
    refused = await admin_door.post(f"/team/{path}", {"team_id": team_id, **who, "max_budget_in_team": 25})
    assert (refused.status, refused.error["param"]) == (422, "max_budget_in_team")
    assert "25.000000" in refused.error["message"]
    assert "20.000000" in refused.error["message"]
    assert await count_rows(admin_door) == before


async def test_a_list_of_members_is_added_whole_or_not_at_all(admin_door: Door) -> None:
    team_id = await new_team(admin_door)
    two = [{"user_id": "one of two", "role": "user"}, {"user_email": "two@example.com", "role": "admin"}]
    before = await count_rows(admin_door)
    twice = await admin_door.post("/team/member_add", {"team_id": team_id, "member": [*two, two[0]]})
    assert (twice.status, twice.error["param"]) == (422, "user_id")
    assert await count_rows(admin_door) == before
    assert len((await admin_door.post("/team/member_add", {"team_id": team_id, "member": two})).fields["members"]) == 0
    info = (await admin_door.get("/team/info", team_id=team_id)).fields
    assert [row["role"] for row in info["team_memberships"]] == ["user", "admin"]


async def test_a_member_who_leaves_loses_the_keys_of_the_team(admin_door: Door) -> None:
    team_id = await new_team(admin_door, members_with_roles=[{"user_email": "leaver@example.com", "role": "user"}])
    info = (await admin_door.get("/team/info", team_id=team_id)).fields
    user_id = info["team_memberships"][0]["user_id"]
    of_team = await admin_door.new_key(team_id=team_id, user_id=user_id)
    elsewhere = await admin_door.new_key(user_id=user_id)
    gone = {"team_id": team_id, "user_email": "Leaver@example.com"}
    assert (await admin_door.post("/team/member_delete", gone)).fields["members_with_roles"] == []
    assert (await admin_door.get("/key/info", headers={"x-api-key": of_team["key"]})).status == 401
    assert (await admin_door.get("/key/info", headers={"x-api-key": elsewhere["key"]})).status == 200
    again = await admin_door.post("/team/member_delete", gone)
    assert (again.status, again.error["param"]) == (422, "user_email")


async def test_what_a_member_spent_in_the_team_is_told(admin_door: Door) -> None:
    team_id = await new_team(admin_door, members_with_roles=[{"user_id": "spender", "role": "user"}])
    key = await admin_door.new_key(team_id=team_id, user_id="spender")
    await admin_door.book(key["token"], datetime.now(UTC), 7, team_id=team_id, user_id="spender")
    await admin_door.book(key["token"], datetime.now(UTC), 90, user_id="spender")
    row = (await admin_door.get("/team/info", team_id=team_id)).fields["team_memberships"][0]
    assert row["spend"] == Decimal("0.000000007")


@pytest.mark.parametrize(
    ("path", "fields", "status", "param"),
    [
        ("member_add", {"member": {"user_id": "x", "role": "user"}, "team_id": "none"}, 404, "team_id"),
        ("member_add", {"team_id": "none"}, 422, "member"),
        ("member_add", {"member": {"user_id": "x", "role": "user"}}, 422, "team_id"),
        ("member_add", {"member": {"user_id": "x", "role": "owner"}}, 422, "role"),
        ("member_add", {"member": {"user_id": "x", "colour": "red"}}, 422, "colour"),
        ("member_add", {"member": []}, 422, "member"),
        ("member_update", {"user_id": "nobody at all"}, 422, "user_id"),
        ("member_update", {"user_email": "nobody@example.com"}, 422, "user_email"),
        ("member_update", {}, 422, "user_id"),
        ("member_update", {"user_id": "x", "max_budget_in_team": -1}, 422, "max_budget_in_team"),
        ("member_update", {"user_id": "x", "budget_duration": "30 days"}, 422, "budget_duration"),
        ("member_update", {"user_id": "x", "allowed_models": ["a"]}, 422, "allowed_models"),
        ("member_delete", {"user_id": "nobody at all"}, 422, "user_id"),
    ],
)
async def test_a_bad_field_of_a_member_is_named(
    admin_door: Door, path: str, fields: dict[str, object], status: int, param: str
) -> None:
    body = {"team_id": await new_team(admin_door), **fields} if param != "team_id" else fields
    answer = await admin_door.post(f"/team/{path}", body)
    assert (answer.status, answer.error["param"]) == (status, param)
