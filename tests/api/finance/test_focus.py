"""The FOCUS file holds to its specification, and adds up to the report."""

import csv
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from app.base.ids import new_id
from tests.api.finance.focus_rules import violations
from tests.api.support import Answer, Door

pytestmark = pytest.mark.services

NANO = Decimal("0.000000001")


@pytest.fixture
async def key(admin_door: Door) -> str:
    """With calls around the end of a month of Kolkata, of every meter, and a correction."""
    team = (await admin_door.post("/team/new", {"team_alias": new_id("=team")})).fields["team_id"]
    made: str = (await admin_door.new_key(key_alias=new_id("key"), team_id=team))["token"]
    at = datetime(2025, 8, 31, 18, 29, 59, tzinfo=UTC)
    costs = {"input_cost_nanousd": 3, "cache_read_cost_nanousd": 5, "cache_write_cost_nanousd": 7}
    tokens = {"cache_read_tokens": 11, "cache_write_5m_tokens": 2, "cache_write_1h_tokens": 4, "web_searches": 1}
    await admin_door.book(
        made, at, 100, team_id=team, project="apollo", **(costs | tokens | {"output_cost_nanousd": 9})
    )
    await admin_door.book(made, at + timedelta(seconds=1), 200, customer_id="acme")
    await admin_door.book(made, at + timedelta(days=2), 10**15 + 1, organization_id="org")
    await admin_door.book(made, at, -31, kind="adjustment", input_tokens=0, output_tokens=0)
    await admin_door.book(made, at, 0, input_tokens=0, output_tokens=0, status="error")
    return made


async def ask(admin_door: Door, key: str, **further: str) -> Answer:
    query = {"start_date": "2025-08-01", "end_date": "2025-09-30", "key_id": key, **further}
    answer = await admin_door.get("/spend/report", query=query)
    assert answer.status == 200, answer.text
    return answer


def table(answer: Answer) -> tuple[list[str], list[dict[str, str]]]:
    head, *lines = csv.reader(answer.text.splitlines())
    return head, [dict(zip(head, line, strict=True)) for line in lines]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
async def test_the_file_conforms_and_adds_up_to_the_nano_dollar(admin_door: Door, key: str, zone: str) -> None:
    head, lines = table(await ask(admin_door, key, format="focus", timezone=zone))
    assert violations(head, lines) == []
    (whole,) = (await ask(admin_door, key, timezone=zone)).fields["data"]
    assert sum(Decimal(line["BilledCost"]) for line in lines) == whole["cost"] == (10**15 + 270) * NANO
    assert sum(int(line["x_Requests"]) for line in lines) == whole["requests"] == 4
    by_meter = {
        meter: sum(int(line["ConsumedQuantity"]) for line in lines if line["x_Meter"] == meter)
        for meter in {line["x_Meter"] for line in lines}
    }
    assert by_meter == {
        "Input tokens": whole["input_tokens"],
        "Cache read tokens": 11,
        "Cache write tokens": 6,
        "Output tokens": whole["output_tokens"],
        "Audio, images and searches": 1,
    }


async def test_billing_periods_are_months_of_the_zone(admin_door: Door, key: str) -> None:
    _, lines = table(await ask(admin_door, key, format="focus", timezone="Asia/Kolkata", customer_id="acme"))
    assert {(line["ChargePeriodStart"], line["BillingPeriodStart"], line["BillingPeriodEnd"]) for line in lines} == {
        ("2025-08-31T18:30:00Z", "2025-08-31T18:30:00Z", "2025-09-30T18:30:00Z")
    }


async def test_corrections_teams_and_projects_are_told(admin_door: Door, key: str) -> None:
    _, lines = table(await ask(admin_door, key, format="focus"))
    (correction,) = [line for line in lines if line["ChargeClass"] == "Correction"]
    assert correction["BilledCost"] == "-0.000000031"
    (cached,) = [line for line in lines if line["x_Meter"] == "Cache read tokens"]
    assert cached["SubAccountName"].startswith("'=team"), "no spreadsheet is given a formula"
    assert (cached["Tags"], cached["BilledCost"]) == ('{"project":"apollo"}', "0.000000005")


async def test_pages_of_the_file_follow_on_one_another(admin_door: Door, key: str) -> None:
    whole = table(await ask(admin_door, key, format="focus"))[1]
    paged: list[dict[str, str]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await ask(admin_door, key, format="focus", limit="2", **cursor)
        paged += table(answer)[1]
        if "x-next-cursor" not in answer.headers:
            break
        cursor = {"cursor": answer.headers["x-next-cursor"]}
    assert paged == whole


async def test_what_the_file_has_no_column_for_is_refused(admin_door: Door) -> None:
    for name, value in (("group_by", "team"), ("interval", "month"), ("tag", "a")):
        query = {"start_date": "2025-08-01", "end_date": "2025-08-01", "format": "focus", name: value}
        answer = await admin_door.get("/spend/report", query=query)
        assert (answer.status, answer.error["param"]) == (422, name)


def test_the_rules_find_what_is_wrong() -> None:
    assert "BilledCost is missing" in violations(["Wrong"], [])
    assert "Wrong is not of FOCUS" in violations(["Wrong"], [])
