"""The log in the browser: narrowed by whose calls they are, by day of a zone and by result."""

import re
from datetime import UTC, datetime

import pytest

from app.base.ids import new_id
from tests.api.ui.support import Street

pytestmark = pytest.mark.services


async def test_the_log_is_narrowed_by_whose_calls_they_are_and_how_they_ended(street: Street) -> None:
    door, team = street.door, (await street.door.post("/team/new", {"team_alias": new_id("team")})).fields["team_id"]
    alias = new_id("laptop")
    key = (await door.new_key(team_id=team, key_alias=alias))["token"]
    tag = new_id("tag")
    whole = {"team_id": team, "customer_id": "acme", "tags": [tag, "b"], "project": "apollo", "request_class": "main"}
    before, after = datetime(2025, 8, 1, 18, 29, tzinfo=UTC), datetime(2025, 8, 1, 18, 31, tzinfo=UTC)
    early = await door.book(key, before, 1, **whole, provider="openai", status="error")
    late = await door.book(key, after, 2, **whole, model_asked="sonnet", kind="adjustment")
    plain = await door.book(key, after, 3, team_id=team)
    days = f"/ui/requests?from=2025-08-01&to=2025-08-02&key={key}"

    async with street.signed_in("proxy_admin") as (browser, _):

        async def found(query: str, at: str = days) -> set[str]:
            page = await browser.get(f"{at}&{query}")
            assert page.status_code == 200, page.text
            return {one for one in (early, late, plain) if f"/ui/requests/{one}" in page.text}

        assert await found("") == {early, late, plain}
        for query in (f"tag={tag}", "customer=acme", "project=apollo", "request_class=main"):
            assert await found(f"team={team}&{query}") == {early, late}, query
        for query in ("without=tag", "without=customer,project"):
            assert await found(query) == {plain}, query
        assert await found("result=error") == await found("result=failed") == await found("provider=openai") == {early}
        assert await found("result=hung_up") == set()
        assert await found("kind=adjustment") == await found("model_asked=sonnet") == {late}
        assert await found("", days.replace(key, alias)) == {early, late, plain}
        of_zone = days.replace("2025-08-01", "2025-08-02") + "&zone=Asia/Kolkata"
        assert await found("", of_zone) == {late, plain}
        assert await found("", of_zone.replace("2025-08-02", "2025-08-01")) == {early}

        offered = await browser.get(f"{days}&pick=tag")
        assert f'<option value="={tag}">{tag}</option>' in offered.text
        led = await browser.get(f"{days}&pick=tag&value=={tag}")
        assert led.status_code == 303
        assert f"tag={tag}" in led.headers["location"]
        named = await browser.get(f"{days}&team={team}")
        assert re.search(
            r'<span class="chip"><span class="quiet">Team</span> <span class="cut" title="[^"]+">team_', named.text
        )
        assert (await browser.get(f"/ui/requests?find={early}")).headers["location"] == f"/ui/requests/{early}"
        assert (await browser.get("/ui/requests?zone=Mars")).status_code == 422


async def test_a_receipt_says_all_that_made_its_price(street: Street) -> None:
    door = street.door
    key = (await door.new_key())["token"]
    at = datetime(2025, 8, 3, 12, tzinfo=UTC)
    said = await door.book(
        key, at, 9_000_001, price_version="database:prc_1:off=0.05:on=0.1:fee=0.000500", price_source="database",
        service_tier="priority", step_down="80%", usage_source="counted", attempt=2, web_searches=3,
        output_cost_nanousd=8_500_001, other_cost_nanousd=500_000, model_asked="claude-opus-4-8", duration_ms=61_500,
    )  # fmt: skip
    async with street.signed_in("proxy_admin") as (browser, _):
        page = (await browser.get(f"/ui/requests/{said}")).text
        for words in (
            "$0.009000001", "A price that an admin set, version prc_1", "<dt>Discount</dt><dd>5 %", "<dd>10 %",
            "<dt>Fee of each receipt</dt><dd>$0.0005", "priority", "as a budget had reached 80%", "3 searches",
            "Keyhouse, while the bytes passed", "those before it cost nothing", "in place of claude-opus-4-8",
        ):  # fmt: skip
            assert words in page, words
        assert "correction" not in page
        later = datetime(2025, 9, 1, tzinfo=UTC)
        await door.book(key, later, -1, request_id=said, attempt=2, kind="adjustment")
        page = (await browser.get(f"/ui/requests/{said}")).text
        assert "A correction, booked" in page
        assert "Cost, all receipts" in page
        assert "$0.009</dd>" in page
