"""The spend routes over real stores: sums to the last digit, days as asked for, rows for those they concern."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.api.support import Door

pytestmark = pytest.mark.services


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


async def test_a_log_row_has_the_shape_of_litellm_and_exact_amounts(admin_door: Door) -> None:
    key = await admin_door.new_key(user_id="ada", key_alias="logged")
    started = at("2026-03-04T05:06:07.000008")
    request_id = await admin_door.book(
        key["token"], started, 3_150_001, user_id="ada", customer_id="acme", tags=["a", "b"], session_id="s1",
        cache_read_tokens=100, cache_write_5m_tokens=20, cache_write_1h_tokens=3, reasoning_tokens=2,
    )  # fmt: skip
    answer = await admin_door.get("/spend/logs", request_id=request_id)
    assert '"spend":0.003150001,' in answer.text
    row = answer.fields[0]
    expected: dict[str, Any] = {
        "request_id": request_id, "call_type": "anthropic_messages", "api_key": key["token"],
        "spend": Decimal("0.003150001"), "total_tokens": 138, "prompt_tokens": 133, "completion_tokens": 5,
        "startTime": "2026-03-04T05:06:07.000008Z", "endTime": "2026-03-04T05:06:08.500008Z",
        "completionStartTime": "2026-03-04T05:06:07.250008Z", "request_duration_ms": 1500,
        "model": "claude-sonnet-4-5-20250929", "model_id": "dep_1", "model_group": "claude-sonnet-4-5",
        "custom_llm_provider": "anthropic", "user": "ada", "team_id": None, "end_user": "acme", "session_id": "s1",
        "request_tags": ["a", "b"], "status": "success", "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 23,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["metadata"]["user_api_key_alias"] == "logged"
    assert row["metadata"]["usage_object"]["cache_creation"]["ephemeral_1h_input_tokens"] == 3
    assert row["metadata"]["cost_breakdown"]["total_cost"] == Decimal("0.003150001")


async def test_the_last_day_is_in_it_and_rows_come_newest_first(admin_door: Door) -> None:
    key = (await admin_door.new_key())["token"]
    for moment in ("2026-04-01T00:00:00", "2026-04-02T23:59:59.999999", "2026-04-03T00:00:00", "2026-03-31T23:59:59"):
        await admin_door.book(key, at(moment), 1)
    query = {"api_key": key, "start_date": "2026-04-01", "end_date": "2026-04-02", "summarize": "false"}
    rows = (await admin_door.get("/spend/logs", query=query)).fields
    assert [row["startTime"] for row in rows] == ["2026-04-02T23:59:59.999999Z", "2026-04-01T00:00:00Z"]
    one_day = {**query, "start_date": "2026-04-02"}
    assert len((await admin_door.get("/spend/logs", query=one_day)).fields) == 1
    berlin = {**query, "timezone": "Europe/Berlin"}
    starts = [row["startTime"] for row in (await admin_door.get("/spend/logs", query=berlin)).fields]
    assert starts == ["2026-04-01T00:00:00Z", "2026-03-31T23:59:59Z"]


async def test_the_summary_is_by_day_with_zeros_after_the_last_one(admin_door: Door) -> None:
    key = (await admin_door.new_key())["token"]
    await admin_door.book(key, at("2026-05-01T10:00:00"), 100_000_001, user_id="ada")
    await admin_door.book(key, at("2026-05-01T11:00:00"), 2, model_served="gpt-5")
    query = {"api_key": key, "start_date": "2026-05-01", "end_date": "2026-05-03"}
    days = (await admin_door.get("/spend/logs", query=query)).fields
    assert days == [
        {
            "startTime": "2026-05-01",
            "spend": Decimal("0.100000003"),
            "users": {"ada": Decimal("0.100000001"), "": Decimal("0.000000002")},
            "models": {"claude-sonnet-4-5-20250929": Decimal("0.100000001"), "gpt-5": Decimal("0.000000002")},
            key: Decimal("0.100000003"),
        },
        {"startTime": "2026-05-02", "spend": 0, "users": {}, "models": {}},
        {"startTime": "2026-05-03", "spend": 0, "users": {}, "models": {}},
    ]
    empty = {**query, "start_date": "2026-06-01", "end_date": "2026-06-02"}
    assert (await admin_door.get("/spend/logs", query=empty)).fields == []


async def test_a_virtual_key_reads_its_own_rows_and_what_they_add_up_to(admin_door: Door) -> None:
    mine, other = await admin_door.new_key(), await admin_door.new_key()
    moment = datetime.now(UTC)
    own = await admin_door.book(mine["token"], moment, 5)
    await admin_door.book(other["token"], moment, 7)
    headers = {"x-api-key": mine["key"]}
    for query in (None, {"api_key": mine["token"]}):
        rows = (await admin_door.get("/spend/logs", headers=headers, query=query)).fields
        assert {row["request_id"] for row in rows} == {own}
    for query in ({"api_key": other["token"]}, {"api_key": "key_none"}, {"user_id": "somebody"}):
        assert (await admin_door.get("/spend/logs", headers=headers, query=query)).status == 404
    assert (await admin_door.get("/global/spend", headers=headers)).fields["spend"] == Decimal("0.000000005")


async def test_the_report_by_team_customer_and_key_adds_up(admin_door: Door) -> None:
    team = (await admin_door.post("/team/new", {"team_alias": "reporters"})).fields["team_id"]
    first, second = (await admin_door.new_key(team_id=team))["token"], (await admin_door.new_key())["token"]
    day = at("2026-02-03T04:05:06")
    await admin_door.book(first, day, 10, team_id=team, customer_id="acme")
    await admin_door.book(first, day + timedelta(hours=1), 20, team_id=team, model_served="gpt-5")
    await admin_door.book(second, day, 7)
    dates = {"start_date": "2026-02-03", "end_date": "2026-02-03"}

    by_team = (await admin_door.get("/global/spend/report", query=dates)).fields
    assert [entry["group_by_day"] for entry in by_team] == ["2026-02-03T00:00:00"]
    teams = {entry["team_name"]: entry for entry in by_team[0]["teams"]}
    assert teams.keys() == {"reporters", "Unassigned Team"}
    assert teams["reporters"]["total_spend"] == Decimal("0.000000030")
    assert teams["reporters"]["metadata"] == [
        {"model": "claude-sonnet-4-5-20250929", "api_key": first, "spend": Decimal("0.000000010"), "total_tokens": 15},
        {"model": "gpt-5", "api_key": first, "spend": Decimal("0.000000020"), "total_tokens": 15},
    ]

    by_customer = (await admin_door.get("/global/spend/report", group_by="customer", team_id=team, query=dates)).fields
    customers = {entry["customer"]: entry["total_spend"] for entry in by_customer[0]["customers"]}
    assert customers == {"acme": Decimal("0.000000010"), None: Decimal("0.000000020")}

    by_key = (await admin_door.get("/global/spend/report", group_by="api_key", query=dates)).fields
    assert {entry["api_key"]: entry["total_cost"] for entry in by_key} == {
        first: Decimal("0.000000030"),
        second: Decimal("0.000000007"),
    }
    one = (await admin_door.get("/global/spend/report", api_key=first, query=dates)).fields
    assert one[0]["total_input_tokens"] == 20
    assert [detail["model"] for detail in one[0]["model_details"]] == ["claude-sonnet-4-5-20250929", "gpt-5"]


async def test_global_spend_counts_every_receipt(admin_door: Door) -> None:
    before = (await admin_door.get("/global/spend")).fields
    assert before["max_budget"] is None
    key = (await admin_door.new_key())["token"]
    await admin_door.book(key, datetime.now(UTC), 1_000_000_007)
    after = (await admin_door.get("/global/spend")).fields
    assert after["spend"] - before["spend"] == Decimal("1.000000007")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"start_date": "2026-02-30", "end_date": "2026-03-01"}, "start_date"),
        ({"start_date": "20260201", "end_date": "2026-03-01"}, "start_date"),
        ({"start_date": "2026-W05-1", "end_date": "2026-03-01"}, "start_date"),
        ({"start_date": "0001-01-01", "end_date": "2026-03-01"}, "start_date"),
        ({"start_date": "2026-02-01", "end_date": "9999-12-31"}, "end_date"),
        ({"start_date": "2026-02-02", "end_date": "2026-02-01"}, "end_date"),
        ({"start_date": "2026-02-02", "end_date": "2026-02-03", "timezone": "Mars/Olympus"}, "timezone"),
        ({"start_date": "2026-02-02", "end_date": "2026-02-03", "timezone": "../../etc/passwd"}, "timezone"),
        ({"start_date": "2026-02-02", "end_date": "2026-02-03", "timezone": "Europe"}, "timezone"),
        ({"start_date": "2026-02-02", "end_date": "2026-02-03", "grup_by": "team"}, "grup_by"),
    ],
)
async def test_a_bad_date_or_zone_is_named(admin_door: Door, query: dict[str, str], param: str) -> None:
    for path in ("/global/spend/report", "/spend/logs"):
        answer = await admin_door.get(path, query=query)
        assert (answer.status, answer.error["param"]) == (422, param)


async def test_a_report_without_dates_says_which_is_missing(admin_door: Door) -> None:
    assert (await admin_door.get("/global/spend/report")).error["param"] == "start_date"
    answer = await admin_door.get("/global/spend/report", start_date="2026-01-01")
    assert answer.error["param"] == "end_date"
    grouped = await admin_door.get("/global/spend/report", start_date="2026-01-01", end_date="2026-01-02", group_by="x")
    assert (grouped.status, grouped.error["param"]) == (422, "group_by")
