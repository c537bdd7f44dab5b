"""The project routes over real stores, and keys that belong to projects."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.storage.postgres.audit import list_entries
from tests.api.support import Door

pytestmark = pytest.mark.services

PROJECT_FIELDS = {
    "project_id", "project_alias", "description", "team_id", "budget_id", "metadata", "models", "spend", "model_spend",
    "model_rpm_limit", "model_tpm_limit", "blocked", "object_permission_id", "created_by", "updated_by", "created_at",
    "updated_at", "litellm_budget_table", "object_permission",
}  # fmt: skip


async def make_team(door: Door, **terms: object) -> str:
    return str((await door.post("/team/new", terms)).fields["team_id"])


async def make_project(door: Door, **terms: object) -> dict[str, Any]:
    answer = await door.post("/project/new", terms)
    assert answer.status == 200, answer.text
    made: dict[str, Any] = answer.fields
    return made


async def test_a_project_is_made_changed_spent_on_and_deleted_with_its_audit(admin_door: Door) -> None:
    team = await make_team(admin_door, team_alias="rockets", max_budget=50)
    terms = {"project_alias": "moon", "max_budget": 7, "budget_duration": "month", "tpm_limit": 10}
    made = await make_project(admin_door, team_id=team, description="a landing", metadata={"centre": 7}, **terms)
    assert made.keys() >= PROJECT_FIELDS
    assert {name: made[name] for name in terms} == terms
    project_id = made["project_id"]
    key = await admin_door.new_key(project_id=project_id)
    assert (key["team_id"], key["project_id"]) == (team, project_id)
    await admin_door.book(key["token"], datetime.now(UTC), 3_000_000, team_id=team, project_id=project_id)
    told = (await admin_door.get("/project/info", project_id=project_id)).fields
    assert (float(told["spend"]), told["litellm_budget_table"]["max_budget"]) == (0.003, 7)
    changed = (await admin_door.post("/project/update", {"project_id": project_id, "max_budget": 9})).fields
    assert (changed["max_budget"], changed["description"]) == (9, "a landing")
    listed = await admin_door.get("/project/list", team_id=team)
    assert ([row["project_id"] for row in listed.fields], listed.headers["x-total-count"]) == ([project_id], "1")
    keys = (await admin_door.get("/key/list", project_id=project_id)).fields["keys"]
    assert keys == [key["token"]]
    kept = await admin_door.post("/project/delete", {"project_ids": [project_id]})
    assert (kept.status, kept.error["param"]) == (422, "project_ids")
    assert "has 1 key" in kept.error["message"]
    await admin_door.post("/key/delete", {"keys": [key["token"]]})
    gone = (await admin_door.post("/project/delete", {"project_ids": [project_id]})).fields
    assert [row["project_alias"] for row in gone] == ["moon"]
    assert (await admin_door.get("/project/info", project_id=project_id)).status == 404
    async with admin_door.engine.connect() as connection:
        actions = [entry.action for entry in await list_entries(connection, "project", project_id)]
    assert actions == ["project.new", "project.update", "project.delete"]


async def test_a_project_may_not_do_more_than_its_team_nor_a_key_more_than_its_project(admin_door: Door) -> None:
    team = await make_team(admin_door, max_budget=5, rpm_limit=10, models=["file-claude"])
    wrong: list[tuple[dict[str, object], str]] = [
        ({"max_budget": 6}, "max_budget"),
        ({"rpm_limit": 11}, "rpm_limit"),
        ({"models": ["gpt-5"]}, "models"),
        ({"project_id": 5}, "project_id"),
        ({"tags": ["a"]}, "tags"),
        ({"budget_duration": "30 days"}, "budget_duration"),
    ]
    for terms, param in wrong:
        answer = await admin_door.post("/project/new", {"team_id": team, **terms})
        assert (answer.status, answer.error["param"]) == (422, param), answer.text
    wide = (await make_project(admin_door, team_id=team, max_budget=4, rpm_limit=8))["project_id"]
    for name, value in (("max_budget", 4.5), ("rpm_limit", 9)):
        answer = await admin_door.post("/key/generate", {"project_id": wide, name: value})
        assert (answer.status, answer.error["param"]) == (422, name), answer.text
        assert f'the project "{wide}"' in answer.error["message"]
    assert (await admin_door.new_key(project_id=wide, max_budget=4, rpm_limit=8))["max_budget"] == 4


async def test_a_key_and_its_project_are_of_one_team(admin_door: Door) -> None:
    team, other = await make_team(admin_door), await make_team(admin_door)
    project = (await make_project(admin_door, team_id=team))["project_id"]
    for body, param in (
        ({"project_id": "proj_none"}, "project_id"),
        ({"project_id": project, "team_id": other}, "project_id"),
        ({"project_id": project, "team_id": None}, "project_id"),
    ):
        answer = await admin_door.post("/key/generate", body)
        assert (answer.status, answer.error["param"]) == (422, param), answer.text
    key = (await admin_door.new_key(project_id=project))["token"]
    refused = await admin_door.post("/key/update", {"key": key, "team_id": other})
    assert (refused.status, refused.error["param"]) == (422, "team_id")
    stays = await admin_door.post("/project/update", {"project_id": project, "team_id": other})
    assert (stays.status, stays.error["param"]) == (422, "team_id")
    same = (await admin_door.post("/key/update", {"key": key, "team_id": team, "rpm_limit": 3})).fields
    assert same["project_id"] == project
    moved = (await admin_door.post("/key/update", {"key": key, "team_id": other, "project_id": None})).fields
    assert (moved["team_id"], moved["project_id"]) == (other, None)
    assert (await admin_door.post("/project/update", {"project_id": project, "team_id": other})).status == 200


async def test_names_are_taken_once_in_a_team(admin_door: Door) -> None:
    team, other = await make_team(admin_door), await make_team(admin_door)
    project = (await make_project(admin_door, team_id=team, project_alias="mars"))["project_id"]
    await make_project(admin_door, team_id=other, project_alias="mars")
    for body, param in (({"project_alias": "mars"}, "project_alias"), ({"project_id": project}, "project_id")):
        answer = await admin_door.post("/project/new", {"team_id": team, **body})
        assert (answer.status, answer.error["param"]) == (422, param), answer.text
    unknown = await admin_door.post("/project/new", {"team_id": "team_none"})
    assert (unknown.status, unknown.error["param"]) == (422, "team_id")


async def test_a_team_that_goes_takes_its_projects_along(admin_door: Door) -> None:
    team = await make_team(admin_door)
    project = (await make_project(admin_door, team_id=team, max_budget=1))["project_id"]
    key = await admin_door.new_key(project_id=project)
    assert (await admin_door.post("/team/delete", {"team_ids": [team]})).status == 200
    assert (await admin_door.get("/project/info", project_id=project)).status == 404
    assert (await admin_door.get("/key/info", headers={"x-api-key": key["key"]})).status == 401


async def test_what_was_said_in_tags_and_what_keys_of_a_project_spent_are_one_line_in_reports(admin_door: Door) -> None:
    team = await make_team(admin_door)
    tagged = (await admin_door.new_key(team_id=team))["token"]
    at = datetime.now(UTC) - timedelta(days=400)
    await admin_door.book(tagged, at, 5, team_id=team, project="venus")
    await make_project(admin_door, team_id=team, project_id="venus", project_alias="Venus")
    own = (await admin_door.new_key(project_id="venus"))["token"]
    await admin_door.book(own, at, 7, team_id=team, project="venus", project_id="venus")
    days = {"start_date": f"{at:%Y-%m-%d}", "end_date": f"{at:%Y-%m-%d}", "team_id": team}

    async def costs(**query: str) -> list[tuple[str, ...]]:
        rows = (await admin_door.get("/spend/report", query={**days, **query})).fields["data"]
        return [tuple(str(row[name]) for name in row if name.startswith("project") or name == "cost") for row in rows]

    assert await costs(group_by="project") == [("venus", "Venus", "1.2E-8")]
    assert await costs(group_by="project_id") == [("None", "5E-9"), ("venus", "7E-9")]
    assert await costs(group_by="project", project_id="venus") == [("venus", "Venus", "7E-9")]
    told = (await admin_door.get("/project/info", project_id="venus")).fields
    assert str(told["spend"]) == "7E-9"
