"""Our own report: exact in any zone and grouping, in pages, and harmless in a spreadsheet."""

import csv
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from app.base.ids import new_id
from tests.api.support import Door

pytestmark = pytest.mark.services

NANO = Decimal("0.000000001")


@pytest.fixture
async def key(admin_door: Door) -> str:
    """With three receipts around a midnight of Kolkata."""
    made: str = (await admin_door.new_key(key_alias=new_id("key")))["token"]
    for moment, cost, changes in (
        ("2025-05-01T18:29:59", 1, {"customer_id": '=HYPERLINK("http://evil")', "tags": ["red"]}),
        ("2025-05-01T18:30:00", 20, {"customer_id": "acme, inc", "tags": ["red", "blue"]}),
        ("2025-05-02T18:29:59", 300, {"tags": []}),
    ):
        at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        await admin_door.book(made, at, cost, **changes)
    return made


def asked(key: str, **further: str) -> dict[str, str]:
    return {"start_date": "2025-05-01", "end_date": "2025-05-02", "key_id": key, **further}


async def rows(admin_door: Door, query: dict[str, str]) -> list[dict[str, Any]]:
    answer = await admin_door.get("/spend/report", query=query)
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.fields["data"]
    return found


async def test_days_are_those_of_the_zone_and_amounts_are_exact(admin_door: Door, key: str) -> None:
    kolkata = await rows(admin_door, asked(key, interval="day", timezone="Asia/Kolkata", group_by="key"))
    assert [(row["period"], row["cost"], row["requests"]) for row in kolkata] == [
        ("2025-05-01", 1 * NANO, 1),
        ("2025-05-02", 320 * NANO, 2),
    ]
    assert (kolkata[0]["key_id"], kolkata[0]["key_alias"] is None) == (key, False)
    utc = await rows(admin_door, asked(key, interval="day"))
    assert [(row["period"], row["cost"]) for row in utc] == [("2025-05-01", 21 * NANO), ("2025-05-02", 300 * NANO)]
    (whole,) = await rows(admin_door, asked(key))
    assert whole["cost"] == whole["output_cost"] == 321 * NANO


async def test_a_call_counts_under_each_of_its_tags_and_those_without_have_a_row(admin_door: Door, key: str) -> None:
    found = await rows(admin_door, asked(key, group_by="tag"))
    assert [(row["tag"], row["cost"]) for row in found] == [(None, 300 * NANO), ("blue", 20 * NANO), ("red", 21 * NANO)]
    assert [row["cost"] for row in await rows(admin_door, asked(key, tag="red"))] == [21 * NANO]


async def test_a_report_by_session_class_and_project_reads_sums_too(admin_door: Door) -> None:
    made: str = (await admin_door.new_key())["token"]
    at = datetime(2025, 6, 1, 12, tzinfo=UTC)
    session = new_id("session")
    await admin_door.book(made, at, 5, session_id=session, request_class="main", project="apollo", tags=["x", "y"])
    await admin_door.book(
        made, at, 7, session_id=session, request_class="subagent", agent_id="ag", project="apollo", tags=["y"]
    )
    await admin_door.book(made, at, -2, session_id=None, kind="adjustment")
    days = {"start_date": "2025-06-01", "end_date": "2025-06-01", "key_id": made}
    found = await rows(admin_door, {**days, "group_by": "project,request_class,session,agent,day"})
    names = ("period", "project", "request_class", "session_id", "agent_id", "requests", "cost")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("2025-06-01", None, "unknown", None, None, 0, -2 * NANO),
        ("2025-06-01", "apollo", "main", session, None, 1, 5 * NANO),
        ("2025-06-01", "apollo", "subagent", session, "ag", 1, 7 * NANO),
    ]
    by_tag = await rows(admin_door, {**days, "group_by": "tag", "session_id": session})
    assert [(row["tag"], row["cost"]) for row in by_tag] == [("x", 5 * NANO), ("y", 12 * NANO)]
    (main,) = await rows(admin_door, {**days, "request_class": "main"})
    assert main["cost"] == 5 * NANO


@pytest.mark.parametrize(
    ("name", "nearest"), [("Asia/Kolkatta", "Asia/Kolkata"), ("berlin", "Europe/Berlin"), ("New York", "New_York")]
)
async def test_an_unknown_zone_is_answered_with_the_nearest(admin_door: Door, name: str, nearest: str) -> None:
    days = {"start_date": "2025-06-01", "end_date": "2025-06-01"}
    answer = await admin_door.get("/spend/report", query={**days, "timezone": name})
    assert (answer.status, nearest in answer.error["message"]) == (422, True)


async def test_pages_follow_on_one_another(admin_door: Door, key: str) -> None:
    query = asked(key, interval="hour", timezone="Asia/Kolkata", group_by="customer", limit="1")
    found, cursor = [], None
    while True:
        answer = await admin_door.get("/spend/report", query=query if cursor is None else {**query, "cursor": cursor})
        found += [row["cost"] for row in answer.fields["data"]]
        cursor = answer.fields["next_cursor"]
        if cursor is None:
            break
    assert found == [1 * NANO, 20 * NANO, 300 * NANO]


async def test_a_spreadsheet_is_given_no_formula(admin_door: Door, key: str) -> None:
    answer = await admin_door.get("/spend/report", query=asked(key, group_by="customer", format="csv"))
    assert answer.headers["content-type"].startswith("text/csv")
    head, *lines = csv.reader(answer.text.splitlines())
    table = [dict(zip(head, line, strict=True)) for line in lines]
    assert [(row["customer_id"], row["cost"]) for row in table] == [
        ("", "0.0000003"),
        ('\'=HYPERLINK("http://evil")', "0.000000001"),
        ("acme, inc", "0.00000002"),
    ]


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"group_by": "team,nobody"}, "group_by"),
        ({"group_by": "team,team"}, "group_by"),
        ({"group_by": "day", "interval": "month"}, "group_by"),
        ({"interval": "year"}, "interval"),
        ({"format": "xml"}, "format"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": "WyJ4IixbInkiXV0="}, "cursor"),
        ({"limit": "0"}, "limit"),
        ({"timezone": "Mars"}, "timezone"),
        ({"tag": "a,b"}, "tag"),
        ({"teams": "x"}, "teams"),
        ({"end_date": "2025-04-30"}, "end_date"),
    ],
)
async def test_what_cannot_be_reported_is_named(admin_door: Door, wrong: dict[str, str], param: str) -> None:
    answer = await admin_door.get(
        "/spend/report", query={"start_date": "2025-05-01", "end_date": "2025-05-02", **wrong}
    )
    assert (answer.status, answer.error["param"]) == (422, param)
