"""The log in pages: every row once, whatever leads to the next page, and only those that were asked for."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.base.ids import new_id
from tests.api.support import Door

pytestmark = pytest.mark.services

AT = datetime(2025, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
async def booked(admin_door: Door) -> tuple[str, list[str]]:
    """A key and its requests, the newest first; two began at the same time."""
    key: str = (await admin_door.new_key(key_alias=new_id("logged")))["token"]
    minutes = (0, 0, 1, 2, 60 * 24)
    made = [
        await admin_door.book(
            key, AT + timedelta(minutes=later), 10 ** (number + 3), session_id=f"s{number % 2}", customer_id="acme",
            status="ok" if number else "cut", duration_ms=number, model_asked=f"model {number}",
        )
        for number, later in enumerate(minutes)
    ]  # fmt: skip
    order = sorted(range(5), key=lambda number: (minutes[number], made[number]), reverse=True)
    return key, [made[number] for number in order]


async def ask(admin_door: Door, **query: str) -> dict[str, Any]:
    answer = await admin_door.get("/spend/logs/v2", query=query)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.fields
    return found


async def ids(admin_door: Door, **query: str) -> list[str]:
    return [row["request_id"] for row in (await ask(admin_door, **query))["data"]]


async def test_pages_by_number_and_by_cursor_have_every_row_once(
    admin_door: Door, booked: tuple[str, list[str]]
) -> None:
    key, newest_first = booked
    first = await ask(admin_door, api_key=key, page_size="2")
    assert {name: first[name] for name in ("total", "page", "page_size", "total_pages")} == {
        "total": 5, "page": 1, "page_size": 2, "total_pages": 3,
    }  # fmt: skip
    numbered = [one for page in "123" for one in await ids(admin_door, api_key=key, page_size="2", page=page)]
    assert numbered == newest_first
    for order, expected in (("desc", newest_first), ("asc", newest_first[::-1])):
        followed: list[str] = []
        page = await ask(admin_door, api_key=key, page_size="2", sort_order=order)
        while True:
            followed += [row["request_id"] for row in page["data"]]
            if page["next_cursor"] is None:
                break
            query = {"api_key": key, "page_size": "2", "sort_order": order, "cursor": page["next_cursor"]}
            page = await ask(admin_door, **query)
        assert followed == expected


async def test_filters_leave_the_rows_that_were_asked_for(admin_door: Door, booked: tuple[str, list[str]]) -> None:
    key, newest_first = booked
    of_day, one = newest_first[1:], newest_first[0]
    assert await ids(admin_door, api_key=key, start_date="2025-03-04", end_date="2025-03-04") == of_day
    assert await ids(admin_door, api_key=key, start_date="2025-03-05 05:00:00") == [one]
    assert await ids(admin_door, api_key=key, end_date="2025-03-05T05:00:00Z") == of_day
    assert await ids(admin_door, api_key=key, min_spend="0.01") == [one]
    assert await ids(admin_door, api_key=key, max_spend="0.001", min_spend="1e-3") == [newest_first[1]]
    assert len(await ids(admin_door, api_key=key, session_id="s1")) == 2
    assert len(await ids(admin_door, api_key=key, status_filter="failure")) == 1
    assert await ids(admin_door, api_key=key, model_group="model 4", end_user="acme") == [one]
    assert await ids(admin_door, request_id=one) == [one]
    alias = (await ask(admin_door, request_id=one))["data"][0]["metadata"]["user_api_key_alias"]
    assert await ids(admin_door, key_alias=alias) == newest_first
    team, center = (await admin_door.post("/team/new", {"cost_center": new_id("R&D")})).fields["team_id"], "cost_center"
    other = (await admin_door.new_key())["token"]
    charged = await admin_door.book(other, AT - timedelta(days=9), 1, team_id=team)
    held = (await admin_door.get("/team/info", query={"team_id": team})).fields["team_info"][center]
    assert await ids(admin_door, cost_center=held, as_counted="true", end_date="2025-03-31") == [charged]
    days = {"start_date": "2025-02-23", "end_date": "2025-02-23"}
    logged = await admin_door.get("/spend/logs", query={**days, center: held, "summarize": "false"})
    assert [row["request_id"] for row in logged.fields] == [charged]
    assert await ids(admin_door, api_key=key, cost_center="") == newest_first
    assert await ids(admin_door, api_key=key, sort_by="spend", sort_order="asc", page_size="1", page="5") == [one]


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"page": "0"}, "page"), ({"page": "100000", "page_size": "2"}, "page"), ({"page_size": "1001"}, "page_size"),
        ({"min_spend": "much"}, "min_spend"), ({"sort_by": "model"}, "sort_by"), ({"sort_order": "up"}, "sort_order"),
        ({"status_filter": "ok"}, "status_filter"), ({"cursor": "x"}, "cursor"), ({"cursor": "WzEsMiwzXQ=="}, "cursor"),
        ({"start_date": "2025-03-04 25:00:00"}, "start_date"), ({"end_date": "yesterday"}, "end_date"),
        ({"start_date": "2025-03-04 05:00:00", "end_date": "2025-03-04 04:00:00"}, "end_date"),
        ({"group_by_session": "true"}, "group_by_session"), ({"cache_hit_filter": "hit"}, "cache_hit_filter"),
        ({"error_code": "429"}, "error_code"),
    ],
)  # fmt: skip
async def test_what_cannot_be_asked_of_the_log_is_named(admin_door: Door, wrong: dict[str, str], param: str) -> None:
    answer = await admin_door.get("/spend/logs/v2", query=wrong)
    assert (answer.status, answer.error["param"]) == (422, param)
