"""The team routes over real stores."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import func, select

from app.storage.postgres.audit import list_entries
from app.storage.postgres.tables import audit, budgets, memberships, organizations, teams, users
from tests.api.support import Door

pytestmark = pytest.mark.services

TEAM_FIELDS = {
    "team_alias", "team_id", "organization_id", "admins", "members", "members_with_roles", "team_member_permissions",
    "metadata", "tpm_limit", "rpm_limit", "tpd_limit", "max_budget", "soft_budget", "budget_duration",
    "budget_limits", "models", "blocked", "router_settings", "access_group_ids", "default_team_member_models",
    "max_parallel_requests", "budget_reset_at", "model_id", "model_spend", "model_max_budget", "policies",
    "allow_team_guardrail_config", "litellm_model_table", "object_permission", "object_permission_id", "created_at",
    "updated_at", "spend", "total_spend", "budget_id", "team_member_budget_table", "on_exceed",
}  # fmt: skip


async def count_rows(door: Door) -> list[int]:
    async with door.engine.connect() as connection:
        tables = (teams, users, memberships, budgets, audit)
        return [(await connection.execute(select(func.count()).select_from(table))).scalar_one() for table in tables]


async def test_a_team_comes_back_with_every_field_of_litellm(admin_door: Door) -> None:
    asked = {"team_alias": "with every field", "models": ["claude-*"], "metadata": {"centre": 7}, "blocked": False}
    made = (await admin_door.post("/team/new", asked)).fields
    assert made.keys() >= TEAM_FIELDS
    assert {name: made[name] for name in asked} == asked
    assert made["team_id"].startswith("team_")


async def test_a_team_shows_its_keys_and_what_it_spent(admin_door: Door) -> None:
    team = (await admin_door.post("/team/new", {"team_id": "team-of-my-own"})).fields
    key = await admin_door.new_key(team_id="team-of-my-own")
    info = (await admin_door.get("/team/info", team_id=team["team_id"])).fields
    assert info["team_id"] == "team-of-my-own"
    assert [row["token"] for row in info["keys"]] == [key["token"]]
    assert info["team_info"]["spend"] == 0
    listed = (await admin_door.get("/team/list")).fields
    assert "team-of-my-own" in [row["team_id"] for row in listed]


async def test_each_member_has_the_teams_limits_for_members(admin_door: Door) -> None:
    limits = {"team_member_rpm_limit": 3, "team_member_tpm_limit": 500}
    team = (await admin_door.post("/team/new", {"rpm_limit": 5, **limits})).fields
    table = team["team_member_budget_table"]
    assert (table["rpm_limit"], table["tpm_limit"], table["max_budget"]) == (3, 500, None)
    key = await admin_door.new_key(team_id=team["team_id"], user_id=f"ada of {team['team_id']}")
    told = (await admin_door.get("/key/self", headers={"x-api-key": key["key"]})).fields
    of_member = [one for one in told["limits"] if one["of"].startswith("member")]
    assert [(one["requests"], one["tokens"]) for one in of_member] == [(3, 500)]
    above = await admin_door.post("/team/update", {"team_id": team["team_id"], "team_member_rpm_limit": 6})
    assert (above.status, above.error["param"]) == (422, "team_member_rpm_limit")
    cleared = {"team_id": team["team_id"], "team_member_rpm_limit": None, "team_member_tpm_limit": None}
    assert (await admin_door.post("/team/update", cleared)).fields["data"]["team_member_budget_table"] is None


async def test_the_keys_of_a_blocked_team_are_refused_until_it_is_unblocked(admin_door: Door) -> None:
    team = (await admin_door.post("/team/new", {})).fields["team_id"]
    key = await admin_door.new_key(team_id=team)
    headers = {"x-api-key": key["key"]}
    assert (await admin_door.get("/key/info", headers=headers)).status == 200
    assert (await admin_door.post("/team/block", {"team_id": team})).fields["blocked"] is True
    refused = await admin_door.get("/key/info", headers=headers)
    assert refused.status == 401
    assert team in refused.error["message"]
    assert (await admin_door.post("/team/unblock", {"team_id": team})).fields["blocked"] is False
    assert (await admin_door.get("/key/info", headers=headers)).status == 200
    async with admin_door.engine.connect() as connection:
        entries = await list_entries(connection, "team", team)
    assert [entry.action for entry in entries] == ["team.new", "team.block", "team.unblock"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"organization_id": "org_none"}', "organization_id"),
        (b'{"max_budget": -5}', "max_budget"),
        (b'{"max_budget": NaN}', None),
        (b'{"max_budget": "5"}', "max_budget"),
        (b'{"max_budget": 1e400}', "max_budget"),
        (b'{"max_budget": 5, "soft_budget": 6}', "soft_budget"),
        (b'{"max_budget": 5, "team_member_budget": 6}', "team_member_budget"),
        (b'{"budget_duration": "30 days"}', "budget_duration"),
        (b'{"rpm_limit": 1.5}', "rpm_limit"),
        (b'{"budget_id": "bud_none"}', "budget_id"),
        (b'{"tags": ["a"]}', "tags"),
        (b'{"members_with_roles": [{"role": "user"}]}', "user_id"),
        (b'{"members_with_roles": [{"user_id": "ada", "role": "boss"}]}', "role"),
        (b'{"members_with_roles": "ada"}', "members_with_roles"),
        (b'{"members_with_roles": [{"user_email": "ada", "role": "user"}]}', "user_email"),
        (b'{"team_aliass": "x"}', "team_aliass"),
        (b'{"models": "x"}', "models"),
        (b'{"blocked": "yes"}', "blocked"),
        (b'{"team_id": ""}', "team_id"),
    ],
)
async def test_a_bad_field_of_a_team_is_named_and_nothing_is_written(
    admin_door: Door, body: bytes, param: str | None
) -> None:
    before = await count_rows(admin_door)
    answer = await admin_door.post("/team/new", body)
    assert (answer.status, answer.error["param"]) == (400 if param is None else 422, param)
    assert await count_rows(admin_door) == before


async def test_a_team_id_is_taken_once_and_an_unknown_team_is_404(admin_door: Door) -> None:
    assert (await admin_door.post("/team/new", {"team_id": "twice"})).status == 200
    assert (await admin_door.post("/team/new", {"team_id": "twice"})).error["param"] == "team_id"
    assert (await admin_door.get("/team/info", team_id="none")).status == 404
    assert (await admin_door.post("/team/block", {"team_id": "none"})).status == 404
    assert (await admin_door.post("/team/block", {})).status == 422
    assert (await admin_door.get("/team/info")).status == 422


async def test_a_team_has_a_budget_limits_and_members(admin_door: Door) -> None:
    asked = {
        "max_budget": 100.5,
        "budget_duration": "30d",
        "soft_budget": 80,
        "on_exceed": "cut",
        "tpm_limit": 1000,
        "rpm_limit": 10,
        "max_parallel_requests": 3,
    }
    members = [{"user_id": "ada", "role": "admin"}, {"user_email": "Bob@Example.com", "role": "user"}]
    body = {**asked, "members_with_roles": members, "team_member_budget": 5, "team_member_budget_duration": "1d"}
    body["team_member_on_exceed"] = "cut"
    made = (await admin_door.post("/team/new", body)).fields
    assert {name: made[name] for name in asked} == {**asked, "max_budget": Decimal("100.5")}
    assert made["budget_reset_at"].endswith("-01T00:00:00Z")
    assert [(member["user_id"][:5], member["user_email"], member["role"]) for member in made["members_with_roles"]] == [
        ("ada", None, "admin"),
        ("user_", "Bob@Example.com", "user"),
    ]
    info = (await admin_door.get("/team/info", team_id=made["team_id"])).fields
    assert [row["budget_source"] for row in info["team_memberships"]] == ["team_default"] * 2
    assert info["team_memberships"][0]["litellm_budget_table"]["max_budget"] == 5
    assert info["team_memberships"][0]["litellm_budget_table"]["on_exceed"] == "cut"
    again = (await admin_door.post("/team/new", {"members_with_roles": {"user_email": "bob@example.com"}})).fields
    assert again["members_with_roles"][0]["user_id"] == made["members_with_roles"][1]["user_id"]


async def test_an_update_changes_what_it_names_and_null_clears(admin_door: Door) -> None:
    asked = {"max_budget": 10, "budget_duration": "1d", "rpm_limit": 7, "models": ["a"], "team_alias": "of updates"}
    team_id = (await admin_door.post("/team/new", asked)).fields["team_id"]
    changed = (await admin_door.post("/team/update", {"team_id": team_id, "max_budget": 20, "models": None})).fields
    assert changed["team_id"] == team_id
    row = changed["data"]
    assert (row["max_budget"], row["budget_duration"], row["rpm_limit"], row["models"]) == (20, "1d", 7, [])
    cleared = {"team_id": team_id, "max_budget": None, "budget_duration": None, "rpm_limit": None, "blocked": None}
    row = (await admin_door.post("/team/update", cleared)).fields["data"]
    assert (row["max_budget"], row["budget_id"], row["rpm_limit"], row["blocked"]) == (None, None, None, False)
    async with admin_door.engine.connect() as connection:
        entries = await list_entries(connection, "team", team_id)
        left = select(func.count()).select_from(budgets).where(budgets.c.created_at >= entries[0].at)
        assert (await connection.execute(left)).scalar_one() == 0
    assert [entry.action for entry in entries] == ["team.new", "team.update", "team.update"]
    assert entries[2].before is not None
    assert entries[2].before["budget"]["limit_nanousd"] == 20_000_000_000
    assert entries[2].after is not None
    assert entries[2].after["budget"] is None
    assert (await admin_door.post("/team/update", {"team_id": "none", "rpm_limit": 1})).status == 404


async def test_a_team_may_not_have_more_than_its_organization(admin_door: Door) -> None:
    async with admin_door.engine.begin() as connection:
        at = datetime.now(UTC)
        values = {"budget_id": "bud_of_org", "limit_nanousd": 50 * 10**9, "anchor": at, "counting_since": at}
        await connection.execute(budgets.insert().values(**values, duration="30d"))
        await connection.execute(organizations.insert().values(organization_id="org_small", budget_id="bud_of_org"))
    within = {"organization_id": "org_small", "max_budget": 50, "budget_duration": "30d"}
    team_id = (await admin_door.post("/team/new", within)).fields["team_id"]
    for body in ({"max_budget": 50.000001}, {"max_budget": 51, "budget_duration": None}):
        refused = await admin_door.post("/team/update", {"team_id": team_id, **body})
        assert (refused.status, refused.error["param"]) == (422, "max_budget")
        assert "50.000000 per 30d" in refused.error["message"]
        assert f"{body['max_budget']:.6f}" in refused.error["message"]
    longer = {"team_id": team_id, "max_budget": 90, "budget_duration": "2mo"}
    assert (await admin_door.post("/team/update", longer)).status == 200
    outside = (await admin_door.post("/team/new", {"max_budget": 60})).fields["team_id"]
    moved = await admin_door.post("/team/update", {"team_id": outside, "organization_id": "org_small"})
    assert (moved.status, moved.error["param"]) == (422, "max_budget")


async def test_an_alias_is_taken_once_even_by_two_at_once(admin_door: Door) -> None:
    answers = await asyncio.gather(*(admin_door.post("/team/new", {"team_alias": "the same"}) for _ in range(4)))
    assert sorted(answer.status for answer in answers) == [200, 422, 422, 422]
    assert {answer.error["param"] for answer in answers if answer.status == 422} == {"team_alias"}
    own = next(answer.fields["team_id"] for answer in answers if answer.status == 200)
    assert (await admin_door.post("/team/update", {"team_id": own, "team_alias": "the same"})).status == 200


async def test_a_deleted_team_takes_its_keys_and_members_with_it_and_leaves_its_receipts(admin_door: Door) -> None:
    body = {"max_budget": 9, "members_with_roles": [{"user_id": "ada", "role": "user"}]}
    team_id = (await admin_door.post("/team/new", body)).fields["team_id"]
    key = await admin_door.new_key(team_id=team_id)
    await admin_door.book(key["token"], datetime.now(UTC), 1_000_000, team_id=team_id)
    unknown = await admin_door.post("/team/delete", {"team_ids": [team_id, "none"]})
    assert (unknown.status, unknown.error["param"]) == (404, "team_id")
    assert (await admin_door.get("/key/info", headers={"x-api-key": key["key"]})).status == 200
    assert (await admin_door.post("/team/delete", {"team_ids": [team_id]})).fields == {"deleted_teams": [team_id]}
    assert (await admin_door.get("/key/info", headers={"x-api-key": key["key"]})).status == 401
    assert (await admin_door.get("/key/info", key=key["token"])).fields["info"]["status"] == "deleted"
    assert (await admin_door.get("/team/info", team_id=team_id)).status == 404
    assert len((await admin_door.get("/spend/logs", api_key=key["token"])).fields) == 1
    async with admin_door.engine.connect() as connection:
        actions = [entry.action for entry in await list_entries(connection, "team", team_id)]
        of_key = [entry.action for entry in await list_entries(connection, "key", key["token"])]
    assert actions == ["team.new", "team.member_add", "team.delete"]
    assert of_key == ["key.generate", "key.delete"]
    assert (await admin_door.post("/team/delete", {"team_ids": []})).error["param"] == "team_ids"


async def test_what_a_team_spent_is_the_sum_of_its_receipts_in_its_window(admin_door: Door) -> None:
    team_id = (await admin_door.post("/team/new", {"max_budget": 9, "budget_duration": "1d"})).fields["team_id"]
    key = await admin_door.new_key(team_id=team_id)
    await admin_door.book(key["token"], datetime.now(UTC), 3_150_001, team_id=team_id)
    await admin_door.book(key["token"], datetime(2026, 1, 1, tzinfo=UTC), 5, team_id=team_id)
    row = (await admin_door.get("/team/info", team_id=team_id)).fields["team_info"]
    assert (str(row["spend"]), str(row["total_spend"])) == ("0.003150001", "0.003150006")


async def test_lists_of_teams_are_paged_and_filtered(admin_door: Door) -> None:
    body = {"members_with_roles": {"user_id": "member of five", "role": "user"}}
    made = [(await admin_door.post("/team/new", body)).fields["team_id"] for _ in range(5)]
    query = {"user_id": "member of five", "page_size": "2", "page": "3"}
    bare = await admin_door.get("/team/list", query=query)
    assert [row["team_id"] for row in bare.fields] == made[:1]
    assert (bare.headers["x-total-count"], bare.headers["x-total-pages"]) == ("5", "3")
    page = (await admin_door.get("/v2/team/list", query=query)).fields
    assert (page["total"], page["page"], page["page_size"], page["total_pages"]) == (5, 3, 2, 3)
    assert (await admin_door.get("/team/list", query={"page_size": "1001"})).error["param"] == "page_size"
    assert (await admin_door.get("/team/list", query={"page": "0"})).error["param"] == "page"
    assert (await admin_door.get("/team/list", query={"colour": "red"})).error["param"] == "colour"


async def test_a_virtual_key_changes_no_team(admin_door: Door) -> None:
    headers = {"x-api-key": (await admin_door.new_key())["key"]}
    for path in ("new", "update", "delete", "block", "member_add", "member_update", "member_delete"):
        assert (await admin_door.post(f"/team/{path}", {}, headers)).status == 403


async def test_models_are_put_on_a_teams_list_and_taken_off_and_an_emptied_one_allows_nothing(admin_door: Door) -> None:
    team = (await admin_door.post("/team/new", {"models": ["gpt-5"]})).fields["team_id"]

    async def models_after(path: str, *models: str) -> object:
        return (await admin_door.post(f"/team/model/{path}", {"team_id": team, "models": models})).fields["models"]

    assert await models_after("add", "gpt-5", "claude-*") == ["gpt-5", "claude-*"]
    assert await models_after("delete", "gpt-5", "never-there") == ["claude-*"]
    assert await models_after("delete", "claude-*") == ["no-default-models"]
    refused = await admin_door.post("/team/model/add", {"team_id": "nobody", "models": ["gpt-5"]})
    assert (refused.status, refused.error["param"]) == (404, "team_id")


async def test_teams_are_searched_by_a_part_of_their_name(admin_door: Door) -> None:
    made = (await admin_door.post("/team/new", {"team_alias": "Searched for in Bergen"})).fields["team_id"]
    for path in ("/team/list?search=in%20bergen", f"/v2/team/list?search={made}&search_team_id_match=exact"):
        found = (await admin_door.get(path)).fields
        assert [team["team_id"] for team in (found if isinstance(found, list) else found["teams"])] == [made]
