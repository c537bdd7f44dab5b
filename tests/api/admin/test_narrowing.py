"""What is written of a lower level is never wider than the level above: refused by name, with what may be given."""

from typing import Any

import pytest

from tests.api.admin.test_teams import count_rows
from tests.api.support import Door

pytestmark = pytest.mark.services

ABOVE: dict[str, Any] = {
    "models": ["claude-*", "gpt-5"],
    "allowed_model_region": "eu",
    "rpm_limit": 60,
    "tpm_limit": 1000,
    "tpd_limit": 9000,
    "max_parallel_requests": 4,
    "model_rpm_limit": {"gpt-5": 5},
    "max_budget": 50,
    "budget_duration": "month",
}


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("rpm_limit", 61, "above the 60 of"),
        ("tpm_limit", 1001, "above the 1000 of"),
        ("tpd_limit", 9001, "above the 9000 of"),
        ("max_parallel_requests", 5, "above the 4 of"),
        ("model_rpm_limit", {"gpt-5": 6}, "above the 5 of"),
        ("models", ["gpt-4o"], "it may use: claude-*, gpt-5"),
        ("allowed_model_region", "us", 'is kept to "eu"; leave it out'),
        ("max_budget", 51, "above the 50.000000 per month of"),
    ],
)
async def test_what_is_wider_is_refused_and_nothing_is_written(
    admin_door: Door, field: str, value: object, said: str
) -> None:
    named = await admin_door.post("/organization/new", {"organization_alias": f"narrow in {field}", **ABOVE})
    organization_id = named.fields["organization_id"]
    team = await admin_door.post("/team/new", ABOVE)
    before = await count_rows(admin_door)
    month = {"budget_duration": "month"}
    for path, body in (
        ("/team/new", {"organization_id": organization_id}),
        ("/key/generate", {"team_id": team.fields["team_id"]}),
    ):
        refused = await admin_door.post(path, {**month, **body, field: value})
        assert (refused.status, refused.error["param"]) == (422, field), refused.text
        assert said in refused.error["message"]
    assert await count_rows(admin_door) == before


async def test_what_is_as_wide_or_narrower_is_taken(admin_door: Door) -> None:
    team_id = (await admin_door.post("/team/new", ABOVE)).fields["team_id"]
    whole = {name: value for name, value in ABOVE.items() if name != "models"}
    key = ""
    for models in (["claude-sonnet-4-5", "claude-opus-*"], ["all-team-models"], ["all-proxy-models"], [], ["gpt-5"]):
        made = await admin_door.post("/key/generate", {"team_id": team_id, "models": models, **whole})
        assert made.status == 200, made.text
        key = made.fields["key"]
    assert (await admin_door.post("/key/update", {"key": key, "rpm_limit": 10})).status == 200
    refused = await admin_door.post("/key/update", {"key": key, "models": ["gpt-4o"]})
    assert (refused.status, refused.error["param"]) == (422, "models")
