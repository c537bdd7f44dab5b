"""Access groups with the teams and keys they are assigned to, by LiteLLM's routes."""

import pytest

from app.base.ids import new_id
from app.storage.postgres.audit import list_entries
from tests.api.changes import send
from tests.api.support import Door

pytestmark = pytest.mark.services
PLACE = "/v1/access_group"


async def models_of(door: Door, team: str, key: str) -> tuple[list[str], list[str]]:
    of_team = (await door.get(f"/team/info?team_id={team}")).fields["team_info"]["models"]
    return of_team, (await door.get(f"/key/info?key={key}")).fields["info"]["models"]


async def make_holders(door: Door, models: tuple[str, ...] = ()) -> tuple[str, str]:
    team = (await door.post("/team/new", {"team_alias": new_id("a"), "models": models})).fields["team_id"]
    made = await door.post("/key/generate", {"team_id": team, "key_alias": new_id("a")})
    return team, made.fields["token"]


async def test_a_group_is_assigned_by_standing_in_lists_of_models_and_is_taken_off_them(admin_door: Door) -> None:
    door, name = admin_door, new_id("group")
    team, key = await make_holders(door)
    asked = {"access_group_name": name, "access_model_names": ["file-claude"], "description": "to write with"}
    made = (await door.post(PLACE, {**asked, "assigned_team_ids": [team], "assigned_key_ids": [key]})).fields
    assert (made["access_group_id"], made["access_model_names"], made["description"]) == (
        name, ["file-claude"], "to write with",
    )  # fmt: skip
    assert (made["assigned_team_ids"], made["assigned_keys"][0]["id"]) == ([team], key)
    assert await models_of(door, team, key) == ([name], [name])
    assert (await door.get(f"/access_group/{name}/info")).fields["model_names"] == ["file-claude"]

    changed = (await send(door, "PUT", f"{PLACE}/{name}", {"assigned_key_ids": [], "access_model_names": []})).fields
    assert (changed["assigned_team_ids"], changed["assigned_key_ids"], changed["description"]) == (
        [team], [], "to write with",
    )  # fmt: skip
    assert await models_of(door, team, key) == ([name], ["no-default-models"])
    assert name in [one["access_group_id"] for one in (await door.get("/v1/unified_access_group")).fields]

    assert (await send(door, "DELETE", f"{PLACE}/{name}", None)).fields["access_group_id"] == name
    assert await models_of(door, team, key) == (["no-default-models"], ["no-default-models"])
    assert (await door.get(f"{PLACE}/{name}")).status == 404
    async with door.engine.connect() as connection:
        actions = {kind: [e.action for e in await list_entries(connection, kind, of)] for kind, of in (
            ("access_group", name), ("team", team), ("key", key),
        )}  # fmt: skip
    assert actions == {
        "access_group": ["access_group.new", "access_group.update", "access_group.delete"],
        "team": ["team.new", "team.update", "team.update"],
        "key": ["key.generate", "key.update", "key.update"],
    }


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("access_group_name", "file-claude"),
        ("access_group_name", "all-proxy-models"),
        ("access_model_names", ["nobodys-model"]),
        ("assigned_team_ids", ["nobodys-team"]),
        ("assigned_key_ids", ["nobodys-key"]),
        ("access_mcp_server_ids", ["a-server"]),
        ("colour", "red"),
    ],
)
async def test_what_cannot_be_is_named_and_nothing_of_it_is_done(admin_door: Door, field: str, value: object) -> None:
    door, name = admin_door, new_id("group")
    team, key = await make_holders(door)
    asked = {"access_group_name": name, "access_model_names": ["file-claude"], "assigned_team_ids": [team]}
    refused = await door.post(PLACE, {**asked, field: value})
    assert (refused.status, refused.error["param"]) == (422, field), refused.text
    assert await models_of(door, team, key) == ([], [])
    assert (await door.get(f"{PLACE}/{name}")).status == 404


async def test_a_key_is_not_given_what_its_team_may_not_use_and_a_name_stays(admin_door: Door) -> None:
    door, name = admin_door, new_id("group")
    team, key = await make_holders(door, ("file-claude-mini",))
    refused = await door.post(
        PLACE, {"access_group_name": name, "access_model_names": ["file-claude"], "assigned_key_ids": [key]}
    )
    assert (refused.status, refused.error["param"]) == (422, "models"), refused.text
    await door.post(PLACE, {"access_group_name": name})
    renamed = await send(door, "PUT", f"{PLACE}/{name}", {"access_group_name": "another"})
    assert (renamed.status, renamed.error["param"]) == (422, "access_group_name")
    assert (await door.post(PLACE, {"access_group_name": name})).error["param"] == "access_group_name"
    assert (await models_of(door, team, key))[1] == []


async def make_groups(door: Door, *models: str) -> list[str]:
    names = [new_id("group") for _ in models]
    for name, model in zip(names, models, strict=True):
        await door.post(PLACE, {"access_group_name": name, "access_model_names": [model]})
    return names


async def test_keys_and_teams_name_their_groups_as_they_are_made_and_changed(admin_door: Door) -> None:
    door = admin_door
    first, second = await make_groups(door, "file-claude", "file-claude")
    team = (await door.post("/team/new", {"team_alias": new_id("a"), "access_group_ids": [first, second]})).fields
    assert (team["models"], team["access_group_ids"]) == ([first, second], [first, second])
    asked = {"team_id": team["team_id"], "models": ["file-claude"], "access_group_ids": [second]}
    key = (await door.post("/key/generate", asked)).fields
    assert (key["models"], key["access_group_ids"]) == (["file-claude", second], [second])
    assert (await door.get(f"{PLACE}/{second}")).fields["assigned_key_ids"] == [key["token"]]

    changed = (await door.post("/key/update", {"key": key["token"], "access_group_ids": [first]})).fields
    assert (changed["models"], changed["access_group_ids"]) == (["file-claude", first], [first])
    narrowed = await door.post("/team/update", {"team_id": team["team_id"], "access_group_ids": [first]})
    assert narrowed.fields["data"]["access_group_ids"] == [first]
    listed = (await door.get(f"/key/list?access_group_id={first}")).fields["keys"]
    assert (listed, (await door.get(f"/key/list?access_group_id={second}")).fields["keys"]) == ([key["token"]], [])


async def test_a_list_without_its_groups_allows_nothing_and_null_leaves_them(admin_door: Door) -> None:
    door = admin_door
    [name] = await make_groups(door, "file-claude")
    key = (await door.post("/key/generate", {"access_group_ids": [name]})).fields["token"]

    async def becomes(change: dict[str, object]) -> object:
        return (await door.post("/key/update", {"key": key, **change})).fields["models"]

    assert await becomes({"access_group_ids": None, "rpm_limit": 7}) == [name]
    assert await becomes({"access_group_ids": []}) == ["no-default-models"]
    assert await becomes({"models": ["file-claude-mini", name], "access_group_ids": [name]}) == [
        "file-claude-mini", name,
    ]  # fmt: skip
    assert await becomes({"access_group_ids": []}) == ["file-claude-mini"]
    unlimited = (await door.post("/key/generate", {"access_group_ids": []})).fields
    assert (unlimited["models"], unlimited["access_group_ids"]) == ([], [])


async def test_a_key_gets_no_group_that_its_team_may_not_use_and_none_that_is_none(admin_door: Door) -> None:
    door = admin_door
    [wide] = await make_groups(door, "file-claude")
    team, key = await make_holders(door, ("file-claude-mini",))
    for path, asked in (("generate", {"team_id": team}), ("update", {"key": key})):
        refused = await door.post(f"/key/{path}", {**asked, "access_group_ids": [wide]})
        assert (refused.status, refused.error["param"]) == (422, "models"), refused.text
    for path, asked in (("key/update", {"key": key}), ("team/update", {"team_id": team})):
        refused = await door.post(f"/{path}", {**asked, "access_group_ids": ["file-claude-mini"]})
        assert (refused.status, refused.error["param"]) == (422, "access_group_ids"), refused.text
    assert await models_of(door, team, key) == (["file-claude-mini"], [])
