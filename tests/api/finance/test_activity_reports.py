"""LiteLLM's lists and activity over real stores: each adds up to what was booked."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from app.base.ids import new_id
from tests.api.support import Door

pytestmark = pytest.mark.services

NANO = Decimal("0.000000001")


def at(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def days(first: str, last: str, **further: str) -> Mapping[str, str]:
    return {"start_date": first, "end_date": last, **further}


@pytest.fixture
async def booked(admin_door: Door) -> dict[str, Any]:
    """Three receipts of two teams on two days that nothing else uses, and what they cost."""
    async with admin_door.engine.begin() as connection:
        await connection.execute(text("DELETE FROM receipts WHERE started_at < '2026-01-20'"))
        for table in ("quarters", "hours", "days", "tag_quarters", "tag_hours", "tag_days"):
            await connection.execute(text(f"DELETE FROM spend_{table} WHERE bucket < '2026-01-20'"))
    alias = new_id("team")
    team = (await admin_door.post("/team/new", {"team_alias": alias})).fields["team_id"]
    key = (await admin_door.new_key())["token"]
    await admin_door.book(key, at("2026-01-10T05:00:00"), 10, team_id=team, user_id="ada", tags=["a", "b"])
    await admin_door.book(key, at("2026-01-10T23:30:00"), 20, user_id="bob", tags=["b"], status="error")
    await admin_door.book(
        key, at("2026-01-11T05:00:00"), 40, team_id=team, user_id="ada", model_served="gpt-5", provider="openai"
    )
    return {"team": team, "alias": alias, "key": key}


async def test_the_lists_add_up_each_in_litellms_shape(admin_door: Door, booked: dict[str, Any]) -> None:
    asked = days("2026-01-10", "2026-01-11")

    async def fetch(path: str) -> Any:
        answer = await admin_door.get(path, query=asked)
        assert answer.status == 200, answer.text
        return answer.fields

    assert await fetch("/global/spend/provider") == [
        {"provider": "openai", "spend": 40 * NANO},
        {"provider": "anthropic", "spend": 30 * NANO},
    ]
    assert [row["total_spend"] for row in await fetch("/global/spend/models")] == [40 * NANO, 30 * NANO]
    (key,) = await fetch("/global/spend/keys")
    assert (key["api_key"], key["total_spend"]) == (booked["key"], 70 * NANO)
    tags = [
        {"name": "b", "spend": 30 * NANO, "log_count": 2},
        {"name": "a", "spend": 10 * NANO, "log_count": 1},
    ]
    assert await fetch("/global/spend/tags") == {"spend_per_tag": tags}
    assert [row["individual_request_tag"] for row in await fetch("/spend/tags")] == ["b", "a"]
    assert [(row["user_id"], row["spend"]) for row in await fetch("/spend/users")] == [
        ("ada", 50 * NANO),
        ("bob", 20 * NANO),
    ]
    alias = booked["alias"]
    assert await fetch("/global/spend/teams") == {
        "daily_spend": [
            {"date": "2026-01-10", alias: 10 * NANO, "Unassigned Team": 20 * NANO},
            {"date": "2026-01-11", alias: 40 * NANO},
        ],
        "teams": [alias, "Unassigned Team"],
        "total_spend_per_team": [
            {"team_id": alias, "total_spend": 50 * NANO},
            {"team_id": "Unassigned Team", "total_spend": 20 * NANO},
        ],
    }
    only = await admin_door.get("/global/spend/tags", query={**asked, "tags": "a,c"})
    assert [row["name"] for row in only.fields["spend_per_tag"]] == ["a"]


async def test_keys_are_listed_by_what_they_spent(admin_door: Door) -> None:
    key = (await admin_door.new_key())["token"]
    await admin_door.book(key, at("2026-02-10T05:00:00"), 5_000_000_000_000)
    rows = (await admin_door.get("/spend/keys", limit=2)).fields
    assert (rows[0]["token"], rows[0]["spend"]) == (key, 5_000)
    assert len(rows) == 2


async def test_activity_counts_requests_and_tokens_by_day_and_model(admin_door: Door, booked: dict[str, Any]) -> None:
    whole = (await admin_door.get("/global/activity", query=days("2026-01-10", "2026-01-11"))).fields
    assert whole == {
        "daily_data": [
            {"date": "2026-01-10", "api_requests": 2, "total_tokens": 30},
            {"date": "2026-01-11", "api_requests": 1, "total_tokens": 15},
        ],
        "sum_api_requests": 3,
        "sum_total_tokens": 45,
    }
    kolkata = days("2026-01-11", "2026-01-11", timezone="Asia/Kolkata")
    assert (await admin_door.get("/global/activity", query=kolkata)).fields["sum_api_requests"] == 2
    models = (await admin_door.get("/global/activity/model", query=days("2026-01-10", "2026-01-11"))).fields
    assert {row["model"]: row["sum_api_requests"] for row in models} == {
        "claude-sonnet-4-5-20250929": 2,
        "gpt-5": 1,
    }


@pytest.mark.parametrize("entity", ["user", "team", "organization", "customer"])
async def test_daily_activity_breaks_the_same_sum_down_in_every_way(
    admin_door: Door, booked: dict[str, Any], entity: str
) -> None:
    answer = await admin_door.get(f"/{entity}/daily/activity", query=days("2026-01-10", "2026-01-11"))
    assert answer.status == 200, answer.text
    found = answer.fields
    assert [day["date"] for day in found["results"]] == ["2026-01-11", "2026-01-10"]
    for day, cost in zip(found["results"], (40, 30), strict=True):
        assert day["metrics"]["spend"] == cost * NANO
        for kind in ("models", "model_groups", "providers", "api_keys", "entities"):
            rows = day["breakdown"][kind].values()
            assert sum(row["metrics"]["spend"] for row in rows) == cost * NANO
    assert found["metadata"]["total_spend"] == 70 * NANO
    assert (found["metadata"]["total_successful_requests"], found["metadata"]["total_failed_requests"]) == (2, 1)


async def test_daily_activity_is_paged_by_whole_days_and_filtered(admin_door: Door, booked: dict[str, Any]) -> None:
    asked = days("2026-01-10", "2026-01-11", page_size="1", page="2")
    second = (await admin_door.get("/team/daily/activity", query=asked)).fields
    assert [day["date"] for day in second["results"]] == ["2026-01-10"]
    assert (second["metadata"]["total_spend"], second["metadata"]["total_pages"]) == (70 * NANO, 2)
    named = {**days("2026-01-10", "2026-01-11"), "team_ids": booked["team"]}
    assert (await admin_door.get("/team/daily/activity", query=named)).fields["metadata"]["total_spend"] == 50 * NANO
    others = {**days("2026-01-10", "2026-01-11"), "exclude_team_ids": booked["team"]}
    whole = (await admin_door.get("/team/daily/activity/aggregated", query=others)).fields
    assert whole["metadata"]["total_spend"] == 20 * NANO
    by_tag = (await admin_door.get("/tag/daily/activity", query=days("2026-01-10", "2026-01-11"))).fields
    assert set(by_tag["results"][0]["breakdown"]["entities"]) == {"a", "b"}
    in_berlin = await admin_door.get("/user/daily/activity", query=days("2026-01-11", "2026-01-11", timezone="-60"))
    assert in_berlin.fields["metadata"]["total_spend"] == 60 * NANO


async def test_sums_are_checked_and_written_anew_by_the_master_key(admin_door: Door, booked: dict[str, Any]) -> None:
    asked = days("2026-01-10", "2026-01-11")
    async with admin_door.engine.begin() as connection:
        await connection.execute(text("UPDATE spend_days SET cost_nanousd = 0 WHERE bucket = '2026-01-10'"))
    checked = (await admin_door.get("/spend/aggregates/check", query=asked)).fields["days"]
    assert [(day["agrees"], day["receipts"]) for day in checked] == [(False, 2), (True, 1)]
    assert checked[0]["spend_of_reports"] == 0
    rebuilt = await admin_door.post("/spend/aggregates/rebuild", dict(asked))
    assert [day["spend_of_receipts"] for day in rebuilt.fields["days"]] == [30 * NANO, 40 * NANO]
    checked = (await admin_door.get("/spend/aggregates/check", query=asked)).fields["days"]
    assert all(day["agrees"] for day in checked)
    too_long = await admin_door.post("/spend/aggregates/rebuild", dict(days("2026-01-10", "2026-03-11")))
    assert (too_long.status, too_long.error["param"]) == (422, "end_date")
    extent = (await admin_door.get("/spend/aggregates")).fields
    assert extent["first_day"] <= "2026-01-10"


async def test_reports_of_one_kind_of_owner_add_up(admin_door: Door, booked: dict[str, Any]) -> None:
    asked = days("2026-01-10", "2026-01-11")

    async def fetch(path: str, **further: str) -> Any:
        answer = await admin_door.get(path, query={**asked, **further})
        assert answer.status == 200, answer.text
        return answer.fields

    by_user = await fetch("/team/spend/by_user", team_ids=booked["team"])
    (row,) = by_user["results"]
    assert (by_user["start_date"], row["team_alias"], row["user_id"]) == ("2026-01-10", booked["alias"], "ada")
    assert (row["spend"], row["api_requests"], row["failed_requests"]) == (50 * NANO, 2, 0)
    (of_key,) = await fetch("/key/spend/report", api_key=booked["key"])
    assert of_key["total_cost"] == 70 * NANO
    (of_user,) = await fetch("/user/spend/report", internal_user_id="bob")
    assert of_user["total_cost"] == 20 * NANO
    of_team = await fetch("/team/spend/report", team_id=booked["team"])
    assert [day["teams"][0]["total_spend"] for day in of_team] == [10 * NANO, 40 * NANO]
    of_organization = await fetch("/organization/spend/report")
    assert [day["organizations"][0]["total_spend"] for day in of_organization] == [30 * NANO, 40 * NANO]
    assert await fetch("/global/spend/logs") == [
        {"date": "2026-01-10", "spend": 30 * NANO},
        {"date": "2026-01-11", "spend": 40 * NANO},
    ]
    assert await fetch("/global/spend/logs", api_key="key_none") == []
    assert await fetch("/global/spend/all_tag_names") == {"tag_names": ["a", "b"]}


async def test_activity_has_every_field_of_litellm(admin_door: Door, booked: dict[str, Any]) -> None:
    query = days("2026-01-10", "2026-01-11", team_ids=booked["team"])
    found = (await admin_door.get("/team/daily/activity", query=query)).fields
    metrics = {
        "spend", "flat_cost", "ptu_hours", "prompt_tokens", "completion_tokens", "cache_read_input_tokens",
        "cache_creation_input_tokens", "compression_saved_tokens", "compression_savings_spend",
        "prompt_caching_savings_spend", "gateway_injected_caching_savings_spend", "autorouter_savings_spend",
        "total_tokens", "successful_requests", "failed_requests", "api_requests", "total_response_time_ms",
        "timed_requests",
    }  # fmt: skip
    day = found["results"][0]
    assert set(day["metrics"]) == metrics
    (entity,) = day["breakdown"]["entities"].values()
    assert set(entity) == {"metrics", "metadata", "api_key_breakdown"}
    of_key = entity["api_key_breakdown"][booked["key"]]
    assert of_key["metadata"] == {
        "key_alias": None, "team_id": booked["team"], "user_id": "ada", "user_email": None, "key_exists": True,
    }  # fmt: skip
    totals = {name if name.startswith("total_") else f"total_{name}" for name in metrics}
    assert set(found["metadata"]) == totals | {"page", "total_pages", "has_more"}
    same = (await admin_door.get("/end_user/daily/activity", query=days("2026-01-10", "2026-01-11"))).fields
    assert same["metadata"]["total_spend"] == 70 * NANO
