"""Budgets of several windows, zones and models, increases and limits of every measure, as routes take and show them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from app.base.ids import new_id
from app.domain.tenancy import scope_of_model
from app.storage.books import insert_receipts
from tests.api.admin.test_teams import count_rows
from tests.api.support import Door
from tests.storage.ledger_support import make_receipt

pytestmark = pytest.mark.services

SOON = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
TERMS: dict[str, Any] = {
    "max_budget": 100,
    "budget_duration": "month",
    "soft_budget": 80,
    "budget_timezone": "Europe/Berlin",
    "budget_limits": [
        {"budget_duration": "day", "max_budget": 10},
        {"budget_duration": "quarter", "max_budget": 250.5},
    ],
    "model_max_budget": {"claude-opus-*": {"budget_limit": 20, "time_period": "1w"}},
    "temp_budget_increase": 5,
    "temp_budget_expiry": SOON.isoformat().replace("+00:00", "Z"),
}
LIMITS: dict[str, Any] = {
    "rpm_limit": 60,
    "tpm_limit": 100_000,
    "tpd_limit": 5_000_000,
    "max_parallel_requests": 4,
    "model_rpm_limit": {"gpt-4o": 10},
    "model_tpm_limit": {"gpt-4o": 1000},
    "limits": [
        {"measure": "requests", "limit": 500, "per": "hour"},
        {"measure": "usd", "limit": 2, "per": "hour", "model": "claude-opus-*"},
        {"measure": "parallel", "limit": 1, "model": "claude-opus-*"},
    ],
}


@pytest.mark.parametrize(
    ("path", "further"),
    [
        ("/key/generate", {}),
        ("/team/new", {}),
        ("/user/new", {"auto_create_key": False}),
        ("/organization/new", {"organization_alias": "counts in many ways"}),
        ("/budget/new", {}),
    ],
)
async def test_what_a_level_is_given_is_what_it_shows(admin_door: Door, path: str, further: dict[str, object]) -> None:
    made = await admin_door.post(path, {**TERMS, **LIMITS, **further})
    assert made.status == 200, made.text
    assert {name: made.fields[name] for name in (*TERMS, *LIMITS)} == {**TERMS, **LIMITS}


async def test_an_update_changes_what_it_names_and_null_clears(admin_door: Door) -> None:
    key = (await admin_door.post("/key/generate", {**TERMS, **LIMITS})).fields["key"]
    changes = {"budget_limits": None, "temp_budget_increase": None, "temp_budget_expiry": None, "model_rpm_limit": None}
    assert (await admin_door.post("/key/update", {"key": key, **changes})).status == 200
    info = (await admin_door.get("/key/info", key=key)).fields["info"]
    assert {name: info[name] for name in changes} == changes
    assert info["model_max_budget"] == TERMS["model_max_budget"]
    assert (info["budget_timezone"], info["soft_budget"]) == ("Europe/Berlin", 80)
    resets = datetime.fromisoformat(info["budget_reset_at"])
    assert resets.astimezone(UTC).hour in (22, 23)  # midnight in Berlin


async def test_a_key_shows_where_its_windows_and_its_models_stand(admin_door: Door) -> None:
    parts = {
        "budget_limits": [{"budget_duration": "day", "max_budget": 5}, {"budget_duration": "total", "max_budget": 9}]
    }
    models = {"model_max_budget": {"claude-opus-*": {"budget_limit": 20, "time_period": "1w"}}}
    made = (await admin_door.post("/key/generate", {"max_budget": 10, **parts, **models})).fields
    key_id, at = made["token"], datetime.now(UTC)
    spent = make_receipt(new_id("req"), 7_000_000, key_id=key_id, at=at)
    async with admin_door.engine.begin() as connection:
        await insert_receipts(connection, [replace(spent, scopes=(scope_of_model(key_id, "claude-opus-*"),))])
    info = (await admin_door.get("/key/info", key=key_id)).fields["info"]
    assert {name: (use["current_spend"], use["budget_limit"]) for name, use in info["budget_limits_usage"].items()} == {
        "day": (Decimal("0.007"), 5), "total": (Decimal("0.007"), 9),
    }  # fmt: skip
    assert info["budget_limits_usage"]["total"]["reset_at"] is None
    of_model = info["model_max_budget_usage"]["claude-opus-*"]
    assert (of_model["current_spend"], of_model["budget_limit"], of_model["time_period"]) == (
        Decimal("0.007"),
        20,
        "1w",
    )


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("budget_duration", "30 days", 'such as "30d" or "1mo"; or one of hour, day, week, month, quarter, total'),
        ("max_budget", -1, "may not be negative"),
        ("max_budget", "many", '"max_budget" is "many"; it must be a number of dollars, not a text'),
        ("budget_timezone", "Europe/Belin", "Europe/Berlin"),
        ("budget_timezone", "Kolkatta", "Asia/Kolkata"),
        ("budget_limits", [{"budget_duration": "day"}], 'without "max_budget"'),
        ("budget_limits", [{"budget_duration": "1d", "max_budget": 1}] * 2, 'says "1d" twice'),
        ("budget_limits", [{"budget_duration": "daily", "max_budget": 1}], "one of hour, day"),
        ("budget_limits", [{"budget_duration": "1d", "limit": 1}], '"limit" is not a field'),
        ("budget_limits", {"1d": 5}, "a list of objects"),
        ("model_max_budget", {"gpt-4o": {"time_period": "1d"}}, 'lacks "budget_limit"'),
        ("budget_limits", [{"budget_duration": "1d", "max_budget": -5}], '"budget_limits": "max_budget" is -5; it'),
        ("model_max_budget", {"gpt-4o": {"budget_limit": -2}}, '"model_max_budget" of "gpt-4o": "budget_limit" is -2;'),
        ("model_rpm_limit", {"gpt-4o": "many"}, '"model_rpm_limit": "gpt-4o" is "many"; it must be a whole number'),
        (
            "limits",
            [{"measure": "words", "per": "hour", "limit": 1}],
            '"limits": "measure" is "words"; give one of requests',
        ),
        ("limits", [{"measure": "usd", "per": "week", "limit": 1}], "minute, hour, day"),
        ("limits", [{"measure": "parallel", "per": "hour", "limit": 1}], 'have no "per"'),
        ("temp_budget_increase", 5, '"temp_budget_expiry" is missing'),
        ("temp_budget_expiry", "2020-01-01", "which is over"),
        ("temp_budget_expiry", "tomorrow", 'such as "30d" or "1mo"; or a date or a time, such as "2026-12-01"'),
        ("max_bugdet", 5, 'the nearest is "max_budget"'),
        ("nonsense", 5, "is not a field of this request; known: "),
    ],
)
async def test_what_cannot_be_is_refused_by_name_and_nothing_is_written(
    admin_door: Door, field: str, value: object, said: str
) -> None:
    before = await count_rows(admin_door)
    refused = await admin_door.post("/team/new", {"max_budget": 50, field: value})
    assert refused.status == 422, refused.text
    assert said in refused.error["message"]
    assert refused.error["param"] in (field, "temp_budget_expiry", "limit")
    assert await count_rows(admin_door) == before


async def test_an_increase_needs_something_to_raise(admin_door: Door) -> None:
    increase = {"temp_budget_increase": 5, "temp_budget_expiry": "12h"}
    refused = await admin_door.post("/team/new", increase)
    assert (refused.status, refused.error["param"]) == (422, "max_budget")
    assert (await admin_door.post("/team/new", {**increase, "max_budget": 1})).status == 200
    # One counter is exact to nine million dollars.
    refused = await admin_door.post("/team/new", {**increase, "max_budget": 8_999_996})
    assert (refused.status, refused.error["param"]) == (422, "temp_budget_increase")
    assert refused.error["message"].endswith("give at most 4.000000")


async def test_a_pool_is_one_by_choice(admin_door: Door) -> None:
    made = (await admin_door.post("/budget/new", {"max_budget": 10, "pooled": True})).fields
    assert made["pooled"] is True
    alone = (await admin_door.post("/budget/new", {"max_budget": 10})).fields
    assert alone["pooled"] is False
    refused = await admin_door.post("/key/generate", {"max_budget": 10, "pooled": True})
    assert (refused.status, refused.error["param"]) == (422, "pooled")
