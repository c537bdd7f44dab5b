"""The spend explorer: each figure is the report's of the same question, and a view is its address."""

import csv
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from html import escape, unescape
from typing import Any
from urllib.parse import quote

import pytest

from app.api.ui.rendering import exact_usd
from app.base.ids import new_id
from tests.api.support import Door
from tests.api.ui.support import Browser, Street

pytestmark = pytest.mark.services
NANO = Decimal("0.000000001")
DAYS = {"from": "2025-03-01", "to": "2025-03-04"}
_LINE = re.compile(
    r'<td class="name"><a class="whole" href="([^"]+)" title="([^"]*)">([^<]*)</a></td>\s*'
    r'<td class="number right">([^<]+)<.*?title="before: ([^"]+)"', re.DOTALL
)  # fmt: skip


@pytest.fixture(scope="session")
async def spent(street: Street) -> Mapping[str, str]:
    """What one team spent around a midnight of Kolkata and in the days before, by two keys."""
    door = street.door
    team = (await door.post("/team/new", {"team_alias": f"=SUM(A1) {new_id('team')}"})).fields["team_id"]
    first = (await door.new_key(key_alias=new_id("key"), team_id=team))["token"]
    second = (await door.new_key(key_alias=new_id("key"), team_id=team))["token"]
    for key, moment, cost, columns in (
        (first, "2025-02-27T10:00", 4_000_000_007, {"model_served": "blue"}),
        (first, "2025-03-01T18:29", 1_000_000_001, {"model_served": "red", "tags": ["a", "b"]}),
        (first, "2025-03-01T18:31", 2_000_000_020, {"model_served": "blue", "tags": ["a"], "status": "error"}),
        (second, "2025-03-04T18:31", 7_000_000_300, {"model_served": "red", "session_id": "one"}),
        (second, "2025-03-04T18:29", 5_000_004_000,
         {"model_served": "red", "customer_id": "acme", "session_id": "one"}),
    ):  # fmt: skip
        at = datetime.fromisoformat(moment).replace(tzinfo=UTC)
        await door.book(key, at, cost, team_id=team, cache_read_tokens=9, **columns)
    return {"team": team, "first": first, "second": second}


def lines_of(page: str) -> dict[str, tuple[str, str]]:
    """By id: what it cost, and what it had cost before."""
    return {unescape(one): (cost.strip(), before) for _, one, _, cost, before in _LINE.findall(page)}


def exact(cost: Decimal) -> str:
    return exact_usd(int(cost / NANO))


async def report(door: Door, **query: str) -> list[dict[str, Any]]:
    answer = await door.get("/spend/report", query=query)
    assert answer.status == 200, answer.text
    rows: list[dict[str, Any]] = answer.fields["data"]
    return rows


async def see(browser: Browser, **query: str) -> str:
    page = await browser.client.get("/ui/spend", params={**DAYS, "exact": "on", **query})
    assert page.status_code == 200, page.text
    return page.text


_BY = {
    "team": "team_id", "key": "key_id", "model": "model_served", "tag": "tag", "customer": "customer_id",
    "session": "session_id", "request_class": "request_class", "day": "period",
}  # fmt: skip


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
async def test_every_figure_is_the_reports(street: Street, spent: Mapping[str, str], zone: str) -> None:
    same = {"timezone": zone, "team_id": spent["team"]}
    span = {"start_date": DAYS["from"], "end_date": DAYS["to"]}
    [whole] = await report(street.door, **same, **span)
    async with street.signed_in("proxy_admin") as (browser, _):
        for by, column in _BY.items():
            rows = await report(street.door, **same, **span, group_by=by)
            earlier = await report(street.door, **same, start_date="2025-02-25", end_date="2025-02-28", group_by=by)
            before = {row[column]: row["cost"] for row in earlier}
            if by == "day":  # the third of four days stands beside the third of four
                before = {row["period"].replace("02-27", "03-03"): row["cost"] for row in earlier}
            expected = {
                row[column] or "": (exact(row["cost"]), exact(before.get(row[column], Decimal()))) for row in rows
            }
            page = await see(browser, by=by, zone=zone, team=spent["team"])
            if by == "session":  # which is compared with nothing: there is none before
                assert all(cost in page for cost, _ in expected.values())
            else:
                assert lines_of(page) == expected
            assert f'<dd class="long">{exact(whole["cost"])}</dd>' in page
            assert f"{whole['requests']:,}</dd>" in page


async def test_the_bars_of_a_day_are_the_reports_by_day_and_group(street: Street, spent: Mapping[str, str]) -> None:
    async with street.signed_in("proxy_admin") as (browser, _):
        page = await see(browser, by="team", stack="model", team=spent["team"])
    assert "<title>Sat 1 Mar 2025\nblue: $2.00\nred: $1.00\nTotal: $3.00</title>" in page
    assert "<title>Mon 3 Mar 2025\nTotal: $0.00</title>" in page
    assert "<title>Tue 4 Mar 2025\nred: $12.00\nTotal: $12.00</title>" in page


async def test_a_line_is_looked_into_down_to_its_receipts(street: Street, spent: Mapping[str, str]) -> None:
    async with street.signed_in("proxy_admin") as (browser, _):
        page = await see(browser, by="team", team=spent["team"])
        [into] = [unescape(href) for href, one, *_ in _LINE.findall(page) if one == spent["team"]]
        assert f"team={spent['team']}" in into
        assert "by=user" in into
        page = await see(browser, by="key", team=spent["team"], model="red")
        [into] = [unescape(href) for href, one, *_ in _LINE.findall(page) if one == spent["second"]]
        deeper = (await browser.get(into)).text
        assert "by=session" in into or "by=user" in into
        assert "$12.000004300" in deeper.replace("$12.0000043", "$12.000004300")
        receipts = re.search(r'class="over" href="([^"]+)"', deeper)
        assert receipts is not None
        for part in ("from=2025-03-01", "to=2025-03-04", f"key={spent['second']}", "model=red"):
            assert part in receipts[1]


async def test_what_is_charged_to_a_cost_centre_is_looked_into_by_team(
    street: Street, spent: Mapping[str, str]
) -> None:
    center = new_id("R&D")
    await street.door.post("/team/update", {"team_id": spent["team"], "cost_center": center})
    async with street.signed_in("proxy_admin") as (browser, _):
        page = await see(browser, by="cost_center", team=spent["team"])
        [(into, one, _, cost, _)] = _LINE.findall(page)
        assert (unescape(one), cost.strip()) == (center, "$15.000004321")
        [receipts] = re.findall(r'class="over" href="([^"]+)"', page)
        logged = (await browser.get(unescape(receipts))).text
        costs = re.findall(r'<td class="number right"><span title="\$([\d.]+)">', logged)
        assert (len(costs), sum(map(Decimal, costs))) == (4, Decimal("15.000004321"))
        assert "4 requests, $15.000004321, as reports say" in logged
        assert f'<span class="quiet">Cost centre</span> <span class="cut" title="{escape(center)}">' in logged
        assert "No requests" in (await browser.get(f"{unescape(receipts)}&without=cost_center")).text
        assert f"cost_center={quote(center)}" in unescape(into)
        asked = {"cost_center": center, "by": "team"}
        assert lines_of(await see(browser, **asked)).keys() == {spent["team"]}
        assert lines_of(await see(browser, by="team", without="cost_center", team=spent["team"])) == {}
        offered = await see(browser, by="team", team=spent["team"], pick="cost_center")
        assert f'<option value="={escape(center)}">' in offered
        offered = (await browser.get(f"/ui/requests?from=2025-03-01&team={spent['team']}&pick=cost_center")).text
        assert f'<option value="={escape(center)}">' in offered


async def test_a_filter_is_chosen_among_what_was_spent_on(street: Street, spent: Mapping[str, str]) -> None:
    async with street.signed_in("proxy_admin") as (browser, _):
        page = await see(browser, by="key", team=spent["team"], pick="tag")
        assert '<option value="=a">a</option>' in page
        assert '<option value="-">No tag</option>' in page
        asked = {**DAYS, "by": "key", "team": spent["team"], "pick": "tag"}
        led = await browser.client.get("/ui/spend", params={**asked, "value": "-"})
        assert led.status_code == 303
        untagged = (await browser.client.get(led.headers["location"], params=None)).text
        assert "$12.00" in untagged
        assert "$15.00" not in untagged


async def test_the_files_hold_what_is_seen(street: Street, spent: Mapping[str, str]) -> None:
    asked = {**DAYS, "by": "team", "stack": "model", "team": spent["team"], "zone": "Asia/Kolkata"}
    days = {"start_date": DAYS["from"], "end_date": DAYS["to"], "timezone": "Asia/Kolkata"}
    same = {**days, "team_id": spent["team"]}
    async with street.signed_in("proxy_admin") as (browser, _):
        table = (await browser.client.get("/ui/spend/download", params=asked)).text
        by_day = (await browser.client.get("/ui/spend/download", params={**asked, "format": "periods"})).text
        focus = (await browser.client.get("/ui/spend/download", params={**asked, "format": "focus"})).text
        refused = await browser.client.get("/ui/spend/download", params={**asked, "format": "focus", "tag": "a"})
    [whole] = await report(street.door, **same)
    [line] = csv.DictReader(table.splitlines())
    assert (line["team_id"], Decimal(line["cost"])) == (spent["team"], whole["cost"])
    assert line["team_alias"].startswith("'=SUM(A1)")
    assert (line["share_percent"], line["failures"], Decimal(line["cost_before"])) == (
        "100.00",
        "1",
        4_000_000_007 * NANO,
    )
    expected = await street.door.get("/spend/report", query={**same, "group_by": "team,model,day", "format": "csv"})
    assert by_day == expected.text
    assert focus == (await street.door.get("/spend/report", query={**same, "format": "focus"})).text
    assert refused.status_code == 422


async def test_a_person_sees_the_own_spend_alone_and_no_strange_name(street: Street, spent: Mapping[str, str]) -> None:
    async with street.signed_in("internal_user") as (browser, user_id):
        own = (await street.door.new_key(user_id=user_id))["token"]
        await street.door.book(own, datetime(2025, 3, 2, tzinfo=UTC), 9_000_000_000, user_id=user_id)
        page = await see(browser, by="model")
        assert '<dd class="long">$9.00</dd>' in page
        strange = await see(browser, by="model", team=spent["team"])
        assert "Nothing was spent" in strange
        assert "=SUM" not in strange
    async with street.signed_in("auditor") as (browser, _):
        assert (await browser.get("/ui/spend")).status_code == 403
        assert (await browser.get("/ui/spend/download")).status_code == 403


async def test_what_cannot_be_asked_is_said_in_words_and_what_was_typed_stays(street: Street) -> None:
    async with street.signed_in("proxy_admin") as (browser, _):
        for query, words in (
            ("zone=Asia/Kolkatta", "Asia/Kolkata"), ("from=2025-02-30&to=2025-03-01", "2025-02-30"),
            ("from=2025-03-02&to=2025-03-01", "before the first"), ("from=2001-01-01&to=2025-03-01", "five years"),
        ):  # fmt: skip
            refused = await browser.get(f"/ui/spend?{query}")
            assert refused.status_code == 422
            assert 'role="alert"' in refused.text
            assert words in unescape(refused.text)
