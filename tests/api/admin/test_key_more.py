"""Names of keys, service accounts, budgets that begin anew, and what a key knows about itself."""

from datetime import UTC, datetime, timedelta

import pytest

from app.base.ids import new_id
from tests.api.support import Answer, Door

pytestmark = pytest.mark.services


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def new_team(door: Door, alias: str) -> str:
    answer = await door.post("/team/new", {"team_alias": alias})
    assert answer.status == 200, answer.text
    return str(answer.fields["team_id"])


async def test_the_names_of_keys_are_paged_and_searched(admin_door: Door) -> None:
    team = await new_team(admin_door, "aliases")
    for number in range(3):
        await admin_door.new_key(key_alias=f"alias-{number}", team_id=team)
    await admin_door.new_key(team_id=team)
    page = (await admin_door.get("/key/aliases", team_id=team, size=2)).fields
    assert page == {
        "aliases": ["alias-0", "alias-1"], "total_count": 3, "current_page": 1, "total_pages": 2, "size": 2,
    }  # fmt: skip
    assert (await admin_door.get("/key/aliases", search="ALIAS-2")).fields["aliases"] == ["alias-2"]
    assert (await admin_door.get("/key/aliases", query={"key_alias": "x"})).error["param"] == "key_alias"
    own = await admin_door.new_key(key_alias="mine-alone")
    assert (await admin_door.get("/key/aliases", headers=bearer(own["key"]))).fields["aliases"] == ["mine-alone"]


async def test_a_service_account_belongs_to_a_team_and_to_no_person(admin_door: Door) -> None:
    team = await new_team(admin_door, "services")
    path = "/key/service-account/generate"
    made = (await admin_door.post(path, {"team_id": team, "key_alias": "ci", "metadata": {"by": "ops"}})).fields
    assert (made["user_id"], made["team_id"]) == (None, team)
    assert made["metadata"] == {"by": "ops", "service_account_id": "ci"}
    assert (await admin_door.get("/key/info", headers=bearer(made["key"]))).status == 200
    for body, param in (
        ({}, "team_id"),
        ({"team_id": team, "user_id": "ada"}, "user_id"),
        ({"team_id": "t"}, "team_id"),
    ):
        refused = await admin_door.post(path, body)
        assert (refused.status, refused.error["param"]) == (422, param)


@pytest.mark.parametrize("duration", [None, "30d", "1d"])
async def test_a_budget_begins_to_count_anew_and_the_receipts_stay(admin_door: Door, duration: str | None) -> None:
    made = await admin_door.new_key(max_budget=5, budget_duration=duration)
    await admin_door.book(made["token"], datetime.now(UTC) - timedelta(seconds=1), 2_000_000_000)
    path = f"/key/{made['token']}/reset_spend"

    async def spend() -> tuple[int, int]:
        info = (await admin_door.get("/key/info", key=made["token"])).fields["info"]
        return int(info["spend"]), int(info["total_spend"])

    assert await spend() == (2, 2)
    answer = (await admin_door.post(path, {"reset_to": 0.0})).fields
    assert (answer["spend"], answer["previous_spend"], answer["total_spend"]) == (0, 2, 2)
    assert await spend() == (0, 2)
    await admin_door.book(made["token"], datetime.now(UTC) + timedelta(seconds=1), 1_000_000_000)
    assert await spend() == (1, 3)
    rows = (await admin_door.get("/audit", object_id=made["token"], action="key.reset_spend")).fields
    assert rows["total"] == 1


async def test_a_reset_that_cannot_be_is_named(admin_door: Door) -> None:
    made, plain = await admin_door.new_key(max_budget=5), await admin_door.new_key()

    async def reset(key: str, body: object) -> Answer:
        return await admin_door.post(f"/key/{key}/reset_spend", body)

    for body, param in (
        ({}, "reset_to"),
        ({"reset_to": 1}, "reset_to"),
        ({"reset_to": -1}, "reset_to"),
        ({"to": 0}, "to"),
    ):
        refused = await reset(made["token"], body)
        assert (refused.status, refused.error["param"]) == (422, param)
    assert (await reset(plain["token"], {"reset_to": 0})).error["param"] == "key"
    assert (await reset("key_none", {"reset_to": 0})).status == 404


async def test_a_key_knows_itself_and_not_what_is_noted_about_it(admin_door: Door) -> None:
    made = await admin_door.new_key(max_budget=5, rpm_limit=3, metadata={"note": "slow payer"}, user_id="self-aware")
    await admin_door.book(made["token"], datetime.now(UTC), 2_000_000_000)
    answer = await admin_door.get("/key/self", headers=bearer(made["key"]))
    own = answer.fields["key"]
    assert (own["key_id"], own["max_budget"], own["spend"], own["remaining"]) == (made["token"], 5, 2, 3)
    assert own["rpm_limit"] == 3
    assert "slow payer" not in answer.text
    assert answer.fields["roles"] == ["internal_user_viewer"]
    assert answer.fields["actions"] == [
        "self.read", "key.read", "project.read", "user.read", "model.read", "spend.logs", "spend.reports",
        "spend.calculate", "device.approve",
    ]  # fmt: skip
    master = (await admin_door.get("/key/self")).fields
    assert (master["roles"], master["key"]) == (["proxy_admin"], None)


async def test_a_key_sees_the_budgets_and_limits_of_every_level_also_when_they_are_spent(admin_door: Door) -> None:
    team = (await admin_door.post(
        "/team/new", {"team_alias": "self-team", "max_budget": 3, "budget_duration": "30d", "rpm_limit": 9}
    )).fields["team_id"]  # fmt: skip
    made = await admin_door.new_key(team_id=team, max_budget=2, rpm_limit=7, key_alias="self-key")
    await admin_door.book(made["token"], datetime.now(UTC), 2_000_000_000, team_id=team)
    told = (await admin_door.get("/key/self", headers=bearer(made["key"]))).fields
    own, teams = told["budgets"]
    assert (own["max_budget"], own["spend"], own["remaining"], own["budget_reset_at"]) == (2, 2, 0, None)
    assert (teams["of"], teams["max_budget"], teams["spend"], teams["remaining"]) == ('team "self-team"', 3, 2, 1)
    assert teams["budget_reset_at"] > f"{datetime.now(UTC):%Y-%m-%d}"
    assert [(one["of"], one["requests"], one["window"]) for one in told["limits"]] == [
        (own["of"], 7, "minute"), ('team "self-team"', 9, "minute"),
    ]  # fmt: skip


async def test_a_key_reads_itself_as_openrouters_clients_do(admin_door: Door) -> None:
    made = await admin_door.new_key(max_budget=5, budget_duration="30d", rpm_limit=9, key_alias="router-key")
    await admin_door.book(made["token"], datetime.now(UTC), 2_000_000_000)
    data = (await admin_door.get("/api/v1/key", headers=bearer(made["key"]))).fields["data"]
    assert (data["label"], data["limit"], data["limit_remaining"], data["limit_reset"]) == ("router-key", 5, 3, "30d")
    assert [data[f"usage{part}"] for part in ("", "_daily", "_weekly", "_monthly")] == [2, 2, 2, 2]
    assert (data["is_free_tier"], data["is_management_key"], data["byok_usage"]) == (False, False, 0)
    assert (data["rate_limit"]["requests"], data["rate_limit"]["interval"]) == (9, "1m")
    master = (await admin_door.get("/api/v1/key")).fields["data"]
    assert (master["label"], master["limit"], master["is_management_key"]) == ("master key", None, True)
    assert (await admin_door.get("/api/v1/key", headers=bearer("sk-nobody"))).status == 401


async def test_an_organization_that_is_said_again_is_taken_and_another_is_refused(admin_door: Door) -> None:
    organization = (await admin_door.post("/organization/new", {"organization_alias": new_id("o")})).fields
    of = {"organization_id": organization["organization_id"]}
    team = (await admin_door.post("/team/new", of)).fields["team_id"]
    key = (await admin_door.post("/key/generate", {"team_id": team, **of})).fields
    assert key["organization_id"] == of["organization_id"]
    assert (await admin_door.post("/key/update", {"key": key["token"], "rpm_limit": 3, **of})).status == 200
    for path, asked in (("generate", {**of}), ("update", {"key": key["token"], "organization_id": "another"})):
        refused = await admin_door.post(f"/key/{path}", asked)
        assert (refused.status, refused.error["param"]) == (422, "organization_id"), refused.text


async def test_keys_are_searched_by_a_part_of_their_alias_or_by_their_id(admin_door: Door) -> None:
    mark = new_id("laptop")
    key = (await admin_door.post("/key/generate", {"key_alias": f"of Ada, {mark}"})).fields["token"]
    for search in (mark, key):
        listed = await admin_door.get(f"/key/list?search={search}&include_team_keys=true&include_created_by_keys=true")
        assert listed.fields["keys"] == [key]


async def test_what_asks_for_no_more_than_is_done_anyway_is_taken(admin_door: Door) -> None:
    usual = {"rpm_limit_type": "best_effort_throughput", "tpm_limit_type": "best_effort_throughput"}
    assert (await admin_door.post("/key/generate", usual)).status == 200
    refused = await admin_door.post("/key/generate", {"rpm_limit_type": "guaranteed_throughput"})
    assert (refused.status, refused.error["param"]) == (422, "rpm_limit_type")


async def test_spend_cannot_be_set_and_the_way_to_count_anew_is_named(admin_door: Door) -> None:
    key = (await admin_door.post("/key/generate", {"max_budget": 1})).fields["token"]
    refused = await admin_door.post("/key/update", {"key": key, "spend": 0})
    assert (refused.status, refused.error["param"]) == (422, "spend")
    assert "/key/{key}/reset_spend" in refused.error["message"]
