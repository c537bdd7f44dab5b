"""The organization routes over real stores."""

from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest

from app.storage.postgres.audit import list_entries
from tests.api.admin.test_teams import count_rows
from tests.api.support import ADMIN, Door

pytestmark = pytest.mark.services


async def new_organization(door: Door, alias: str, **fields: object) -> str:
    answer = await door.post("/organization/new", {"organization_alias": alias, **fields})
    assert answer.status == 200, answer.text
    organization_id: str = answer.fields["organization_id"]
    return organization_id


async def send(door: Door, method: str, path: str, body: object) -> tuple[int, object]:
    """As LiteLLM's clients do: PATCH and DELETE with a body."""
    content = msgspec.json.encode(body)
    answer = await door.client.request(method, path, content=content, headers=dict(ADMIN))
    return answer.status_code, msgspec.json.decode(answer.content)


async def test_an_organization_has_a_budget_limits_and_models(admin_door: Door) -> None:
    asked = {
        "max_budget": 1000,
        "budget_duration": "30d",
        "on_exceed": "finish",
        "rpm_limit": 60,
        "models": ["claude-*"],
        "metadata": {"a": 1},
    }
    made = (await admin_door.post("/organization/new", {"organization_alias": "physics", **asked})).fields
    assert {name: made[name] for name in asked} == asked
    assert made["organization_id"].startswith("org_")
    assert made["litellm_budget_table"]["max_budget"] == 1000
    assert made["litellm_budget_table"]["rpm_limit"] == 60
    organization_id = made["organization_id"]
    for method in ("PATCH", "POST"):
        change = {"organization_id": organization_id, "max_budget": 5, "models": []}
        status, changed = await send(admin_door, method, "/organization/update", change)
        assert status == 200
        assert isinstance(changed, dict)
        assert (changed["max_budget"], changed["models"], changed["rpm_limit"]) == (5, [], 60)
    async with admin_door.engine.connect() as connection:
        entries = await list_entries(connection, "organization", organization_id)
    assert [entry.action for entry in entries] == ["organization.new", *["organization.update"] * 2]


async def test_an_organization_shows_its_teams_members_and_spend(admin_door: Door) -> None:
    organization_id = await new_organization(admin_door, "shown with all")
    team_id = (await admin_door.post("/team/new", {"organization_id": organization_id})).fields["team_id"]
    member = {"user_email": "boss@shown.example.com", "role": "org_admin"}
    body = {"organization_id": organization_id, "member": member}
    added = (await admin_door.post("/organization/member_add", body)).fields
    assert [row["user_role"] for row in added["updated_organization_memberships"]] == ["org_admin"]
    key = await admin_door.new_key(team_id=team_id)
    await admin_door.book(key["token"], datetime.now(UTC), 7_000_001, team_id=team_id, organization_id=organization_id)
    info = (await admin_door.get("/organization/info", organization_id=organization_id)).fields
    assert [team["team_id"] for team in info["teams"]] == [team_id]
    assert [row["user_email"] for row in info["members"]] == ["boss@shown.example.com"]
    assert info["spend"] == Decimal("0.007000001")
    several = (await admin_door.post("/organization/info", {"organizations": [organization_id]})).fields
    assert [row["organization_id"] for row in several] == [organization_id]
    listed = await admin_door.get("/organization/list", org_alias="SHOWN with")
    assert [row["organization_id"] for row in listed.fields] == [organization_id]
    assert listed.headers["x-total-count"] == "1"


async def test_members_of_an_organization_change_roles_and_leave(admin_door: Door) -> None:
    organization_id = await new_organization(admin_door, "of members")
    body = {"organization_id": organization_id, "member": [{"user_id": "in one org", "role": "internal_user"}]}
    assert (await admin_door.post("/organization/member_add", body)).status == 200
    twice = await admin_door.post("/organization/member_add", body)
    assert (twice.status, twice.error["param"]) == (422, "user_id")
    who = {"organization_id": organization_id, "user_id": "in one org"}
    status, changed = await send(admin_door, "PATCH", "/organization/member_update", {**who, "role": "org_admin"})
    assert isinstance(changed, dict)
    assert (status, changed["user_role"]) == (200, "org_admin")
    status, _ = await send(admin_door, "DELETE", "/organization/member_delete", who)
    assert status == 200
    gone = await admin_door.post("/organization/member_delete", who)
    assert (gone.status, gone.error["param"]) == (422, "user_id")
    async with admin_door.engine.connect() as connection:
        actions = [entry.action for entry in await list_entries(connection, "organization", organization_id)]
    assert actions == [f"organization.{name}" for name in ("new", "member_add", "member_update", "member_delete")]


async def test_a_deleted_organization_takes_teams_and_keys_along_and_leaves_its_people(admin_door: Door) -> None:
    organization_id = await new_organization(admin_door, "short-lived", max_budget=5)
    team = {"organization_id": organization_id, "max_budget": 4, "members_with_roles": {"user_id": "stays"}}
    team_id = (await admin_door.post("/team/new", team)).fields["team_id"]
    user = (await admin_door.post("/user/new", {"organizations": [organization_id]})).fields
    key = await admin_door.new_key(team_id=team_id)
    unknown = await admin_door.post("/organization/delete", {"organization_ids": [organization_id, "none"]})
    assert (unknown.status, unknown.error["param"]) == (404, "organization_id")
    assert (await admin_door.get("/team/info", team_id=team_id)).status == 200
    gone = {"organization_ids": [organization_id]}
    status, deleted = await send(admin_door, "DELETE", "/organization/delete", gone)
    assert status == 200
    assert isinstance(deleted, list)
    assert [row["organization_id"] for row in deleted] == [organization_id]
    assert (await admin_door.get("/team/info", team_id=team_id)).status == 404
    assert (await admin_door.get("/key/info", headers={"x-api-key": key["key"]})).status == 401
    assert (await admin_door.get("/user/info", user_id=user["user_id"])).fields["user_info"]["organization_id"] is None
    assert (await admin_door.get("/user/info", user_id="stays")).status == 200
    assert await new_organization(admin_door, "short-lived") != organization_id


async def test_a_team_may_not_be_given_more_than_its_organization_has(admin_door: Door) -> None:
    organization_id = await new_organization(admin_door, "with a cap", max_budget=30)
    refused = await admin_door.post("/team/new", {"organization_id": organization_id, "max_budget": 31})
    assert (refused.status, refused.error["param"]) == (422, "max_budget")
    assert "31.000000" in refused.error["message"]
    assert "30.000000" in refused.error["message"]


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("new", {}, 422, "organization_alias"),
        ("new", {"organization_alias": "x", "max_budget": -1}, 422, "max_budget"),
        ("new", {"organization_alias": "x", "budget_duration": "30 days"}, 422, "budget_duration"),
        ("new", {"organization_alias": "x", "allowed_models": ["a"]}, 422, "allowed_models"),
        ("new", {"organization_alias": "taken by one"}, 422, "organization_alias"),
        ("new", {"organization_alias": "x", "organization_id": "org-of-one"}, 422, "organization_id"),
        ("new", {"organisation_alias": "x"}, 422, "organisation_alias"),
        ("update", {"organization_id": "none", "max_budget": 1}, 404, "organization_id"),
        ("update", {"max_budget": 1}, 422, "organization_id"),
        ("delete", {"organization_ids": []}, 422, "organization_ids"),
        ("info", {"organizations": ["none"]}, 404, "organization_id"),
        ("member_add", {"organization_id": "none", "member": {"user_id": "x"}}, 404, "organization_id"),
        ("member_add", {"organization_id": "org-of-one"}, 422, "member"),
        ("member_add", {"organization_id": "org-of-one", "member": {"user_id": "x", "role": "king"}}, 422, "role"),
        (
            "member_add",
            {"organization_id": "org-of-one", "member": {"user_id": "x"}, "max_budget_in_organization": 5},
            422,
            "max_budget_in_organization",
        ),
        ("member_update", {"organization_id": "org-of-one", "user_id": "nobody here"}, 422, "user_id"),
    ],
)
async def test_a_bad_field_of_an_organization_is_named_and_nothing_is_written(
    admin_door: Door, path: str, body: dict[str, object], status: int, param: str
) -> None:
    one = {"organization_alias": "taken by one", "organization_id": "org-of-one"}
    assert (await admin_door.post("/organization/new", one)).status in (200, 422)
    before = await count_rows(admin_door)
    answer = await admin_door.post(f"/organization/{path}", body)
    assert (answer.status, answer.error["param"]) == (status, param)
    assert await count_rows(admin_door) == before


async def test_a_virtual_key_changes_no_organization(admin_door: Door) -> None:
    headers = {"x-api-key": (await admin_door.new_key())["key"]}
    for path in ("new", "update", "delete", "member_add", "member_update", "member_delete"):
        assert (await admin_door.post(f"/organization/{path}", {}, headers)).status == 403
