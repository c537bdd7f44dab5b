"""Cost centres are said at four levels, read back, audited, and what reports charge to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.base.ids import new_id
from app.storage.postgres.audit import list_entries
from tests.api.support import Door

pytestmark = pytest.mark.services


async def test_what_is_spent_is_charged_to_the_nearest_owner_that_has_a_cost_centre(admin_door: Door) -> None:
    ids = {f"{kind}_id": new_id(kind) for kind in ("organization", "team", "project", "user")}
    key = (await admin_door.new_key())["token"]
    await admin_door.book(key, datetime.now(UTC), 5_000_000, **ids)
    made: dict[str, dict[str, Any]] = {
        "organization": {"organization_alias": ids["organization_id"]},
        "user": {"auto_create_key": False},
        "team": {"organization_id": ids["organization_id"]},
        "project": {"team_id": ids["team_id"]},
    }

    async def charged() -> list[tuple[str | None, float]]:
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        query = {"start_date": today, "end_date": today, "group_by": "cost_center", "team_id": ids["team_id"]}
        answer = await admin_door.get("/spend/report", query=query)
        return [(row["cost_center"], float(row["cost"])) for row in answer.fields["data"]]

    assert await charged() == [(None, 0.005)]
    for kind, further in made.items():
        own = {f"{kind}_id": ids[f"{kind}_id"]}
        await admin_door.post(f"/{kind}/new", {**own, **further, "cost_center": f" R&D of the {kind} "})
        assert await charged() == [(f"R&D of the {kind}", 0.005)]
    for kind in reversed(made):
        own = {f"{kind}_id": ids[f"{kind}_id"]}
        assert await charged() == [(f"R&D of the {kind}", 0.005)]
        told = (await admin_door.get(f"/{kind}/info", query=own)).text
        assert f'"cost_center":"R&D of the {kind}"' in told
        changed = await admin_door.post(f"/{kind}/update", {**own, "cost_center": None})
        assert '"cost_center":null' in changed.text, changed.text
        async with admin_door.engine.connect() as connection:
            entries = await list_entries(connection, kind, own[f"{kind}_id"])
        assert [(entry.after or {})["cost_center"] for entry in entries] == [f"R&D of the {kind}", None]
    assert await charged() == [(None, 0.005)]


async def test_an_id_that_is_used_again_begins_without_the_cost_centre_of_the_one_before(admin_door: Door) -> None:
    old, new = new_id("R&D"), new_id("R&D")
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    team = {"team_id": new_id("team"), "team_alias": new_id("research")}
    key = (await admin_door.new_key())["token"]
    await admin_door.book(key, today, 5_000_000, team_id=team["team_id"])
    await admin_door.book(key, today + timedelta(days=1), 7_000_000, team_id=team["team_id"])

    async def charged() -> dict[str | None, float]:
        days = {"start_date": f"{today:%Y-%m-%d}", "end_date": f"{today + timedelta(days=2):%Y-%m-%d}"}
        query = {**days, "group_by": "cost_center", "team_id": team["team_id"]}
        answer = await admin_door.get("/spend/report", query=query)
        return {row["cost_center"]: float(row["cost"]) for row in answer.fields["data"]}

    await admin_door.post("/team/new", {**team, "cost_center": old})
    assert await charged() == {old: 0.012}
    await admin_door.post("/team/delete", {"team_ids": [team["team_id"]]})
    assert await charged() == {old: 0.005, None: 0.007}
    made = await admin_door.post("/team/new", team)
    assert made.fields["cost_center"] is None
    assert await charged() == {old: 0.005, None: 0.007}
    await admin_door.post("/team/update", {"team_id": team["team_id"], "cost_center": new})
    assert await charged() == {old: 0.005, new: 0.007}
    await admin_door.post("/team/delete", {"team_ids": [team["team_id"]]})
    assert await charged() == {old: 0.005, None: 0.007}


async def test_what_one_without_a_cost_centre_spent_is_not_charged_to_that_of_the_next_with_its_id(
    admin_door: Door,
) -> None:
    center, today = new_id("R&D"), datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    user_id = new_id("user")
    user = {"user_id": user_id, "user_alias": "Ada", "auto_create_key": False}
    await admin_door.book((await admin_door.new_key())["token"], today, 5_000_000, user_id=user_id)
    await admin_door.post("/user/new", user)
    await admin_door.post("/user/delete", {"user_ids": [user_id]})
    await admin_door.post("/user/new", {**user, "cost_center": center})
    days = {"start_date": f"{today:%Y-%m-%d}", "end_date": f"{today:%Y-%m-%d}"}
    query = {**days, "group_by": "cost_center", "user_id": user_id}
    answer = await admin_door.get("/spend/report", query=query)
    assert [row["cost_center"] for row in answer.fields["data"]] == [None]


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("", "1 to 64 characters"),
        ("x" * 65, "1 to 64 characters"),
        ("R&D, EMEA", "a comma"),
        ("R&D\u00a0EMEA", "U+00A0"),
        ("4711\n4712", "U+000A"),
        (4711, "a text"),
    ],
)
async def test_a_bad_cost_centre_is_named_with_what_is_wrong(admin_door: Door, value: object, told: str) -> None:
    answer = await admin_door.post("/team/new", {"cost_center": value})
    assert (answer.status, answer.error["param"]) == (422, "cost_center")
    assert told in answer.error["message"]
