"""The team routes over real stores."""

import pytest

from app.storage.postgres.audit import list_entries
from tests.api.support import Door

pytestmark = pytest.mark.services

TEAM_FIELDS = {
    "team_alias", "team_id", "organization_id", "admins", "members", "members_with_roles", "team_member_permissions",
    "metadata", "tpm_limit", "rpm_limit", "tpd_limit", "max_budget", "soft_budget", "budget_duration",
    "budget_limits", "models", "blocked", "router_settings", "access_group_ids", "default_team_member_models",
    "max_parallel_requests", "budget_reset_at", "model_id", "model_spend", "model_max_budget", "policies",
    "allow_team_guardrail_config", "litellm_model_table", "object_permission", "object_permission_id", "created_at",
    "updated_at",
}  # fmt: skip


async def test_a_team_comes_back_with_every_field_of_litellm(admin_door: Door) -> None:
    asked = {"team_alias": "research", "models": ["claude-*"], "metadata": {"centre": 7}, "blocked": False}
    made = (await admin_door.post("/team/new", asked)).fields
    assert made.keys() == TEAM_FIELDS
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
        (b'{"max_budget": 5}', "max_budget"),
        (b'{"team_aliass": "x"}', "team_aliass"),
        (b'{"models": "x"}', "models"),
        (b'{"blocked": "yes"}', "blocked"),
        (b'{"team_id": ""}', "team_id"),
    ],
)
async def test_a_bad_field_of_a_team_is_named(admin_door: Door, body: bytes, param: str) -> None:
    answer = await admin_door.post("/team/new", body)
    assert (answer.status, answer.error["param"]) == (422, param)


async def test_a_team_id_is_taken_once_and_an_unknown_team_is_404(admin_door: Door) -> None:
    assert (await admin_door.post("/team/new", {"team_id": "twice"})).status == 200
    assert (await admin_door.post("/team/new", {"team_id": "twice"})).error["param"] == "team_id"
    assert (await admin_door.get("/team/info", team_id="none")).status == 404
    assert (await admin_door.post("/team/block", {"team_id": "none"})).status == 404
    assert (await admin_door.post("/team/block", {})).status == 422
    assert (await admin_door.get("/team/info")).status == 422
