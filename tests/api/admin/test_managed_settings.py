"""What Claude Code is given is set at three levels, and a narrower one stands over a wider one."""

import pytest

from app.base.ids import new_id
from app.domain.managed_settings import checksum_of, merge, with_plain_numbers
from tests.api.support import Door


@pytest.mark.services
async def test_a_team_is_given_what_everybody_its_organization_and_itself_set_the_narrower_first(
    admin_door: Door,
) -> None:
    organization_id, team_id = new_id("org"), new_id("team")
    await admin_door.post("/organization/new", {"organization_id": organization_id, "organization_alias": team_id})
    await admin_door.post("/team/new", {"team_id": team_id, "organization_id": organization_id})
    said = [
        ({}, {"permissions": {"deny": ["WebFetch"], "defaultMode": "plan"}, "model": "opus", "limit": 2.0}),
        ({"organization_id": organization_id}, {"permissions": {"defaultMode": "default"}, "env": {"A": "1"}}),
        ({"team_id": team_id}, {"permissions": {"deny": ["Bash(rm:*)"]}, "env": {"B": "2"}}),
    ]
    for owner, settings in said:
        answer = await admin_door.post("/managed_settings/update", {**owner, "settings": settings})
        assert answer.status == 200, answer.text
        assert answer.fields["settings"] == settings
    told = (await admin_door.get("/managed_settings/info", team_id=team_id)).fields
    assert told["organization_id"] == organization_id
    assert told["effective"] == {
        "permissions": {"deny": ["Bash(rm:*)"], "defaultMode": "default"},
        "model": "opus",
        "limit": 2,
        "env": {"A": "1", "B": "2"},
    }
    for owner, _ in said:
        await admin_door.post("/managed_settings/update", {**owner, "settings": None})
    assert (await admin_door.get("/managed_settings/info", team_id=team_id)).fields["effective"] is None
    listed = (await admin_door.get("/managed_settings/list")).fields["managed_settings"]
    assert team_id not in {one["team_id"] for one in listed}


@pytest.mark.services
@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 422, "settings"),
        ({"settings": []}, 422, "settings"),
        ({"settings": {"a": "x" * 70_000}}, 422, "settings"),
        ({"settings": {}, "team_id": "t", "organization_id": "o"}, 422, "team_id"),
        ({"settings": {}, "team_id": "none"}, 404, "team_id"),
        ({"settings": {}, "organization_id": "none"}, 404, "organization_id"),
        ({"settings": {}, "user_id": "u"}, 422, "user_id"),
    ],
)
async def test_what_cannot_be_set_is_refused_by_name(admin_door: Door, body: object, status: int, param: str) -> None:
    answer = await admin_door.post("/managed_settings/update", body)
    assert (answer.status, answer.error["param"]) == (status, param)


def test_levels_are_merged_object_by_object_and_other_values_are_replaced() -> None:
    assert merge([{"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}, {"a": {"d": {"e": 1}}}, {"a": {"d": None}}]) == {
        "a": {"b": 1, "c": [2], "d": None}
    }
    assert merge([{"a": {"b": 1}}, {"a": "off"}]) == {"a": "off"}
    assert merge([{}]) == {}


def test_the_checksum_is_of_the_json_as_the_client_writes_it_again() -> None:
    settings = with_plain_numbers({"b": 1.0, "a": {"ü": "\n/", "t": [True, None, 0.5]}})
    # Of {"a":{"t":[true,null,0.5],"ü":"\n/"},"b":1}, by JavaScript's JSON.stringify.
    assert checksum_of(settings) == "sha256:176755d956e4a21a66f3a9e4a97b7dcb7ed275fdde2481501e04edf8aecdc430"
    assert checksum_of({}) == "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
