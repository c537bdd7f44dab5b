"""Months are closed on a page that says what that does, and each is charged to those who spent it."""

import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from html import escape

import pytest
from sqlalchemy import delete

from app.api.ui.rendering import exact_usd
from app.base.ids import new_id
from app.domain.roles import ACTIONS, USER_ROLES
from app.storage.postgres.tables.closing import spend_close_names, spend_closes
from tests.api.support import Door
from tests.api.ui.support import Street

pytestmark = pytest.mark.services


@pytest.fixture
async def nothing_closed_after(admin_door: Door) -> AsyncIterator[None]:
    yield
    async with admin_door.engine.begin() as connection:
        await connection.execute(delete(spend_close_names))
        await connection.execute(delete(spend_closes))


@pytest.mark.usefixtures("nothing_closed_after")
async def test_a_month_is_closed_after_saying_what_that_does_and_later_receipts_are_told_apart(street: Street) -> None:
    door = street.door
    key = (await door.new_key())["token"]
    # Before all that other tests book, so that no month of theirs is closed with it.
    await door.book(key, datetime(2001, 1, 31, 12, tzinfo=UTC), 1_000_000_001)
    await door.book(key, datetime(2001, 2, 28, 23, tzinfo=UTC), 2_000_000_002)
    async with street.signed_in("proxy_admin_viewer") as (finance, _):
        page = (await finance.get("/ui/months/2001-02")).text
        assert "Only an admin of the gateway closes months" in page
        assert (await finance.send("/ui/months/2001-02", of="/ui/account")).status_code == 403
    async with street.signed_in("proxy_admin") as (browser, user_id):
        page = (await browser.get("/ui/months/2001-02")).text
        for words in ("It cannot be opened again", "January 2001", "at $2.000000002"):
            assert words in page
        led = await browser.send("/ui/months/2001-02")
        assert led.headers["location"] == "/ui/months?closed=2001-02"
        done = (await browser.get(led.headers["location"])).text
        assert "February 2001 is closed at $2.000000002" in done
        closes = (await door.get("/spend/closes")).fields["closes"]
        assert [(one["month"], one["closed_by"]) for one in closes] == [("2001-02", user_id), ("2001-01", user_id)]
        late = datetime(2001, 2, 3, 12, tzinfo=UTC)
        await door.book(key, late, 5_000_000_000, posted_at=datetime(2001, 3, 1, tzinfo=UTC))
        page = (await browser.get("/ui/months/2001-02?verify=yes")).text
        assert "every sum, cost centre and name is what it was" in page
        assert "$5.00" in page
        assert "$2.000000002" in page
        again = await browser.send(f"/ui/months/{datetime.now(UTC):%Y-%m}", of="/ui/account")
        assert again.status_code == 422
        assert "not over yet" in again.text
        assert (await browser.get("/ui/months/1999-12")).status_code == 422
        assert (await browser.get("/ui/months/2000-12")).status_code == 404


async def test_a_month_is_charged_by_organization_and_team_and_adds_up_to_the_report(street: Street) -> None:
    door, alias = street.door, new_id("org")
    organization = (await door.post("/organization/new", {"organization_alias": alias})).fields["organization_id"]
    key = (await door.new_key())["token"]
    owners = {"organization_id": organization}
    for team, cost, columns in (("red", 7_000_000_001, {}), ("blue", 2, {}), ("red", -1_000, {"kind": "adjustment"})):
        at = datetime(2025, 4, 5, 6, tzinfo=UTC)
        await door.book(key, at, cost, **owners, team_id=f"{team} of {alias}", model_served=f"of {team}", **columns)
    query = {"start_date": "2025-04-01", "end_date": "2025-04-30", "organization_id": organization}
    [whole] = (await door.get("/spend/report", query=query)).fields["data"]
    async with street.signed_in("internal_user") as (stranger, _):
        assert alias not in (await stranger.get("/ui/chargeback?month=2025-04")).text
    async with street.signed_in("org_admin", organization_id=organization) as (browser, _):
        page = (await browser.get("/ui/chargeback?month=2025-04&below=model")).text
        assert "An admin closes it." in page
        assert "/ui/months" not in page
        file = (await browser.get("/ui/chargeback?month=2025-04&below=model&format=csv")).text
    total = exact_usd(int(whole["cost"] * 1_000_000_000))
    assert f'<dd class="long">{total}</dd>' in page
    for words in (alias, f"red of {alias}", "of blue", "Credits", "not closed"):
        assert words in page
    assert "No cost centre" not in page
    lines = list(csv.DictReader(file.splitlines()))
    assert sum(Decimal(line["cost"]) for line in lines) == whole["cost"]
    red = next(line for line in lines if line["team_id"] == f"red of {alias}")
    assert (Decimal(red["usage"]), Decimal(red["corrections"])) == (Decimal("7.000000001"), Decimal("-0.000001"))
    assert (red["month"], red["model_served"], red["organization_alias"]) == ("2025-04", "of red", alias)


async def test_a_month_is_charged_by_cost_centre_and_says_what_has_none_and_who_may_give_one(street: Street) -> None:
    door, alias, center = street.door, new_id("org"), new_id("R&D")
    organization = (await door.post("/organization/new", {"organization_alias": alias})).fields["organization_id"]
    teams = {}
    for name in ("red", "blue", "pale"):
        body = {"team_alias": f"{name} of {alias}", "organization_id": organization}
        body |= {} if name == "pale" else {"cost_center": center}
        teams[name] = (await door.post("/team/new", body)).fields["team_id"]
    key = (await door.new_key())["token"]
    for name, cost in (("red", 7_000_000_001), ("blue", 2), ("pale", 5_000_000_000)):
        at = datetime(2009, 5, 5, 6, tzinfo=UTC)  # a month of which other tests book nothing
        await door.book(key, at, cost, organization_id=organization, team_id=teams[name])
    month = "/ui/chargeback?month=2009-05"
    async with street.signed_in("org_admin", organization_id=organization) as (browser, _):
        page = (await browser.get(month)).text
        file = (await browser.get(f"{month}&by=cost_center&format=csv")).text
        before = (await browser.get(f"{month}&by=organization")).text
        given = await browser.send(f"/ui/teams/{teams['pale']}/edit", {"cost_center": center})
        assert given.status_code == 303
        mended = (await browser.get(month)).text
    async with street.signed_in("proxy_admin_viewer") as (finance, _):
        assert "by=cost_center" not in (await finance.get("/ui/months/2009-05")).text
        await door.post("/team/update", {"team_id": teams["pale"], "cost_center": None})
        assert "<strong>$5.00</strong> of it is charged to no" in (await finance.get("/ui/months/2009-05")).text
    async with street.signed_in("internal_user") as (stranger, _):
        assert center not in (await stranger.get(f"{month}&by=cost_center")).text
    assert "$5.00 is charged to no cost centre" in page
    assert f'<a href="/ui/teams/{teams["pale"]}/edit">pale of {alias}</a>' in page
    assert page.index(escape(center)) < page.index(">No cost centre</a>")
    lines = {
        line["team_id"]: (line["cost_center"], Decimal(line["cost"])) for line in csv.DictReader(file.splitlines())
    }
    assert lines == {
        teams["red"]: (center, Decimal("7.000000001")),
        teams["blue"]: (center, Decimal("0.000000002")),
        teams["pale"]: ("", Decimal(5)),
    }
    assert ("No cost centre" in before, alias in before) == (False, True)
    assert ("No cost centre" in mended, "$12.000000003" in mended) == (False, True)


@pytest.mark.parametrize("role", USER_ROLES)
async def test_months_are_for_those_who_read_the_books(street: Street, role: str) -> None:
    async with street.signed_in(role) as (browser, _):
        reads = (await browser.get("/ui/months")).status_code
        charges = (await browser.get("/ui/chargeback")).status_code
    assert reads == (200 if ACTIONS["spend.books"][role] != "nothing" else 403)  # type: ignore[index]  # a role of users
    assert charges == (200 if ACTIONS["spend.reports"][role] != "nothing" else 403)  # type: ignore[index]  # likewise
