"""What the pages show and do: to each role its own, with no secret, and whatever somebody is called as text."""

import re
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import insert

from app.api.ui.charts import Stack, round_step, stacked
from app.api.ui.forms import in_words
from app.api.ui.rendering import PAGE_HEADERS, duration, exact_usd, short, usd
from app.api.ui.typed_numbers import plain_number
from app.base.clock import now
from app.base.ids import new_id
from app.domain.roles import ACTIONS, USER_ROLES
from app.storage.postgres import tables
from tests.api.support import Door
from tests.api.ui.support import Browser, Street

pytestmark = pytest.mark.services
HOSTILE = """<script>alert("x")</script>'"><img src=x onerror=alert(1)>&{{7*7}}"""
_SECRET = re.compile(r'<code id="secret">(sk-kh-[^<]+)</code>')


class Elements(HTMLParser):
    """What a page loads, and what of it is a script or a style in the page itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.inline: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "link"):
            self.loaded.append(values.get("src") or values.get("href") or "")
        if tag == "style" or (tag == "script" and not values.get("src")):
            self.inline.append(tag)
        self.inline += [name for name in values if name.startswith(("on", "style", "hx-on", "hx-vals"))]


async def made_in(browser: Browser, **fields: str) -> str:
    """The secret of a new key."""
    answer = await browser.send("/ui/keys/new", fields)
    found = _SECRET.search(answer.text)
    assert found is not None, answer.text
    return found[1]


async def id_of(door: Door, secret: str) -> str:
    return str((await door.get("/key/info", key=secret)).fields["info"]["key_hash"])


async def key_of(door: Door, **fields: Any) -> dict[str, Any]:
    return await door.new_key(**fields)


@pytest.mark.parametrize("role", USER_ROLES)
async def test_a_role_reaches_on_pages_what_it_reaches_by_its_key(street: Street, role: str) -> None:
    """The answer of each page is that of the route it stands for, for the same person."""
    alias = new_id("theirs")
    theirs = await key_of(street.door, key_alias=alias)
    async with street.signed_in(role) as (browser, user_id):
        own = await key_of(street.door, user_id=user_id, key_alias=new_id("own"))
        headers = {"authorization": f"Bearer {own['key']}"}
        listed = await street.door.get("/key/list", headers, size=100, key_alias=alias)
        page = await browser.get(f"/ui/keys?q={alias}")
        sees = theirs["token"] in listed.text
        assert sees == (ACTIONS["key.read"][role] == "all")  # type: ignore[index]  # a role of users
        assert (f"/ui/keys/{theirs['token']}" in page.text) is sees
        assert (await browser.get(f"/ui/keys/{theirs['token']}")).status_code == (200 if sees else 404)
        by_key = await street.door.get("/key/info", headers, key=own["token"])
        assert (await browser.get(f"/ui/keys/{own['token']}")).status_code == by_key.status
        may_make = ACTIONS["key.change"][role] != "nothing"  # type: ignore[index]  # a role of users
        assert (await browser.get("/ui/keys/new")).status_code == (200 if may_make else 403)
        assert (await browser.get("/ui")).status_code == (303 if role == "auditor" else 200)
        assert (await browser.get("/ui/my-keys")).status_code == 200


async def test_a_member_can_neither_change_a_strange_key_nor_unblock_its_own(street: Street) -> None:
    theirs = await key_of(street.door)
    async with street.signed_in("internal_user") as (browser, user_id):
        own = await key_of(street.door, user_id=user_id)
        for verb in ("block", "rotate", "delete"):
            refused = await browser.send(f"/ui/keys/{theirs['token']}/{verb}", of="/ui/account")
            assert refused.status_code == 404, verb
        assert (await browser.send(f"/ui/keys/{own['token']}/block", of="/ui/account")).status_code == 303
        refused = await browser.send(f"/ui/keys/{own['token']}/unblock", of="/ui/account")
        assert refused.status_code == 403
        page = await browser.get(f"/ui/keys/{own['token']}")
        assert "/unblock" not in page.text
        assert "blocked" in page.text
    async with street.signed_in("internal_user_viewer") as (browser, user_id):
        own = await key_of(street.door, user_id=user_id)
        page = await browser.get(f"/ui/keys/{own['token']}")
        assert not [verb for verb in ("block", "rotate", "delete") if f"/{verb}" in page.text]
        for verb in ("block", "rotate", "delete"):
            refused = await browser.send(f"/ui/keys/{own['token']}/{verb}", of="/ui/account")
            assert refused.status_code == 403, verb


async def test_an_admin_of_a_team_sees_and_makes_its_keys(street: Street) -> None:
    team_id, other = new_id("team"), new_id("team")
    async with street.signed_in("internal_user") as (browser, user_id):
        async with street.door.engine.begin() as connection:
            for one in (team_id, other):
                values = {"team_id": one, "team_alias": f"name of {one}", "created_by": "t", "updated_by": "t"}
                await connection.execute(insert(tables.teams).values(**values))
            member = {"team_id": team_id, "user_id": user_id, "role": "admin"}
            await connection.execute(insert(tables.memberships).values(**member))
        await key_of(street.door, team_id=team_id, key_alias=f"bot of {team_id}")
        page = await browser.get("/ui/keys")
        assert f"bot of {team_id}" in page.text
        assert f"name of {team_id}" in (await browser.get("/ui/keys/new")).text
        secret = await made_in(browser, team_id=team_id, person="nobody")
        info = (await street.door.get("/key/info", key=secret)).fields["info"]
        assert (info["team_id"], info["user_id"]) == (team_id, None)
        refused = await browser.send("/ui/keys/new", {"team_id": other})
        assert refused.status_code == 404


async def test_a_key_is_made_with_its_terms_and_its_secret_is_shown_once(street: Street) -> None:
    async with street.signed_in("internal_user") as (browser, user_id):
        alias = new_id("laptop")
        terms = {
            "key_alias": alias, "max_budget": "$1,250.50", "budget_duration": "month", "duration": "30d",
            "models": "file-claude", "rpm_limit": "60", "tpm_limit": "", "max_parallel_requests": "4",
        }  # fmt: skip
        secret = await made_in(browser, **terms)
        info = (await street.door.get("/key/info", key=secret)).fields["info"]
        assert (info["key_alias"], info["user_id"], info["models"]) == (alias, user_id, ["file-claude"])
        assert info["max_budget"] == Decimal("1250.5")
        assert (info["rpm_limit"], info["tpm_limit"], info["max_parallel_requests"]) == (60, None, 4)
        assert info["expires"] is not None
        key_id = info.get("token") or (await street.door.get("/key/list", key_alias=alias)).fields["keys"][0]
        for path in ("/ui/my-keys", "/ui/keys", f"/ui/keys/{key_id}", "/ui"):
            page = await browser.get(path)
            assert secret not in page.text
        assert secret[-4:] in (await browser.get("/ui/my-keys")).text


@pytest.mark.parametrize(
    ("field", "value"),
    [("max_budget", "a lot"), ("max_budget", "-1"), ("max_budget", "1e9"), ("rpm_limit", "1.5"), ("duration", "soon"),
     ("budget_duration", "fortnight"), ("tpm_limit", "9" * 40)],
)  # fmt: skip
async def test_what_cannot_be_is_refused_in_words_and_what_was_typed_stays(
    street: Street, field: str, value: str
) -> None:
    async with street.signed_in("internal_user") as (browser, _):
        fields = {"key_alias": "kept", "max_budget": "5", field: value}
        refused = await browser.send("/ui/keys/new", fields)
        assert refused.status_code == 422
        assert 'role="alert"' in refused.text
        assert 'value="kept"' in refused.text


async def test_rotating_shows_the_new_secret_and_ends_the_old_one(street: Street) -> None:
    async with street.signed_in("internal_user") as (browser, user_id):
        own = await key_of(street.door, user_id=user_id)
        path = f"/ui/keys/{own['token']}"
        answer = await browser.send(f"{path}/rotate", {"grace": ""}, of=path)
        found = _SECRET.search(answer.text)
        assert found is not None
        old = {"authorization": f"Bearer {own['key']}"}
        assert (await street.door.get("/key/self", old)).status == 401
        assert (await street.door.get("/key/self", {"authorization": f"Bearer {found[1]}"})).status == 200
        gone = await browser.send(f"{path}/delete", of=path)
        assert gone.status_code == 303
        assert (await street.door.get("/key/self", {"authorization": f"Bearer {found[1]}"})).status == 401


async def test_what_still_works_of_earlier_secrets_is_said_before_they_end(street: Street) -> None:
    async with street.signed_in("internal_user") as (browser, user_id):
        own = await key_of(street.door, user_id=user_id)
        path = f"/ui/keys/{own['token']}"
        assert "ends in" not in (await browser.get(path)).text
        await browser.send(f"{path}/rotate", {"grace": "1d"}, of=path)
        page = await browser.get(path)
        assert f'The secret that ends in <span class="mono">{own["key"][-4:]}</span> works until <time' in page.text
        assert "stops at once, with all before it" in page.text
        await browser.send(f"{path}/rotate", {"grace": ""}, of=path)
        assert "ends in" not in (await browser.get(path)).text


async def test_a_key_is_never_named_by_itself_in_an_address(street: Street) -> None:
    async with street.signed_in("proxy_admin") as (browser, _):
        made = await key_of(street.door)
        refused = await browser.get(f"/ui/keys/{made['key']}")
        assert refused.status_code == 422
        assert made["key"] not in refused.text


async def test_a_hostile_name_is_text_on_every_page(street: Street) -> None:
    team_id = new_id("team")
    async with street.door.engine.begin() as connection:
        values = {"team_id": team_id, "team_alias": HOSTILE + team_id, "created_by": "t", "updated_by": "t"}
        await connection.execute(insert(tables.teams).values(**values))
    async with street.signed_in("proxy_admin", user_alias=HOSTILE) as (browser, user_id):
        alias = HOSTILE + new_id("key")
        own = await key_of(street.door, key_alias=alias, user_id=user_id, team_id=team_id, models=[HOSTILE])
        columns = {"model_served": HOSTILE, "session_id": HOSTILE, "client": HOSTILE, "customer_id": HOSTILE}
        owners = {"user_id": user_id, "team_id": team_id, "tags": [HOSTILE]}
        request_id = await street.door.book(own["token"], now(), 1_000, **owners, **columns)
        pages = [
            await browser.get(path)
            for path in (
                "/ui", "/ui/keys", "/ui/my-keys", f"/ui/keys/{own['token']}", "/ui/keys/new", "/ui/account",
                "/ui/people?q=%40", "/ui/requests", f"/ui/requests/{request_id}",
                f"/ui/keys?q={HOSTILE}", f"/ui/{HOSTILE}", f"/ui/keys/{HOSTILE}",
                f"/ui/requests?model={HOSTILE}&key={HOSTILE}&session={HOSTILE}&live=1", f"/ui/requests/{HOSTILE}",
                f"/ui/sign-in?next={HOSTILE}",
            )
        ]  # fmt: skip
        pages.append(await browser.send("/ui/keys/new", {"key_alias": HOSTILE, "max_budget": HOSTILE}))
        pages.append(await browser.send("/ui/keys/new", {"key_alias": alias}))
    async with street.browser() as stranger:
        pages.append(await stranger.sign_in(HOSTILE))
    for page in pages:
        assert "<script>alert" not in page.text, page.url
        assert "<img src=x" not in page.text, page.url
        assert "&49" not in page.text, page.url
    assert all("&lt;script&gt;" in page.text for page in pages[:9])


async def test_every_page_comes_under_the_strict_policy_and_loads_from_here_alone(street: Street) -> None:
    async with street.signed_in("proxy_admin") as (browser, _):
        for path in ("/ui", "/ui/keys", "/ui/keys/new", "/ui/account", "/ui/no-such-page"):
            page = await browser.get(path)
            policy = page.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert {name: page.headers[name] for name in PAGE_HEADERS} == dict(PAGE_HEADERS)
            elements = Elements(page.text)
            assert elements.inline == []
            assert {address[:4] for address in elements.loaded} == {"/ui/"}
            for address in elements.loaded:
                asset = await browser.get(address)
                assert asset.status_code == 200
                assert "immutable" in asset.headers["cache-control"]
        assert (await browser.get("/ui/static/old/keyhouse.css")).status_code == 404
        assert (await browser.get("/ui/static/old/..%2f..%2faccess.py")).status_code == 404


async def test_a_refusal_is_told_in_words_within_the_pages_that_one_has(street: Street) -> None:
    async with street.signed_in("internal_user") as (browser, _):
        refused = await browser.get("/ui/people")
        assert refused.status_code == 403
        assert "Your role Member may not do this: it needs one of Admin, Finance." in refused.text
        for page in (refused, await browser.get("/ui/no-such-page"), await browser.get("/ui/keys/key_none")):
            assert 'aria-label="Pages"' in page.text
    async with street.browser() as stranger:
        lost = await stranger.get("/ui/no-such-page")
        assert (lost.status_code, 'aria-label="Pages"' in lost.text) == (404, False)


async def test_a_page_beyond_the_end_of_a_list_leads_to_its_last_one(street: Street) -> None:
    async with street.signed_in("proxy_admin") as (browser, _):
        for path in ("/ui/my-keys", "/ui/projects", "/ui/customers", "/ui/models"):
            beyond = await browser.get(f"{path}?q=no-such-name&page=9")
            assert (beyond.status_code, beyond.headers["location"]) == (303, f"{path}?q=no-such-name")


async def test_the_overview_adds_up_what_the_person_reaches(street: Street) -> None:
    async with street.signed_in("internal_user") as (browser, user_id):
        assert "No calls in thirty days" in (await browser.get("/ui")).text
        own, theirs = await key_of(street.door, user_id=user_id), await key_of(street.door)
        await street.door.book(own["token"], now(), 12_340_000_000, user_id=user_id)
        await street.door.book(own["token"], now() - timedelta(days=29), 1_000_000_000, user_id=user_id)
        await street.door.book(theirs["token"], now(), 99_000_000_000)
        page = await browser.get("/ui")
        assert "$12.34" in page.text
        assert "99.00" not in page.text
        assert "$1.00" in page.text  # of the day that was a month ago


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("25", "25"), ("$1,250.50", "1250.50"), ("1 250", "1250"), ("$ 007.", "7"), ("0.5", "0.5"),
     ("1,234,567", "1234567"),
     # What is one and a half to some and fifteen to others is neither here.
     ("1,5", None), ("12,50", None), ("1.250,50", None), ("1,2345", None), ("1250,500", None), (".5", None),
     ("-1", None), ("1e9", None), ("١٢", None), ("", None)],
)  # fmt: skip
def test_a_number_is_read_as_it_was_meant_or_refused(typed: str, meant: str | None) -> None:
    assert plain_number(typed) == meant


@pytest.mark.parametrize(
    ("refused", "said"),
    [('No such key: "a"; see GET /key/list', 'No such key: "a"'),
     ('No such credential: "a"; see GET /credentials', 'No such credential: "a"'),
     ("give one of its own; /srv stays", "give one of its own; /srv stays"),
     ('"team_id" is not the id of a team: "x"; make the team first with POST /team/new',
      'the team is not the id of a team: "x"'),
     ('model "m" is not known; did you mean: "n"? See GET /v1/models', 'model "m" is not known; did you mean: "n"?'),
     ('the budget is 2500.500000 in USD; give at most 5', 'the budget is $2,500.50 in USD; give at most 5')],
)  # fmt: skip
def test_a_refusal_names_no_route_and_says_it_once(refused: str, said: str) -> None:
    assert in_words(refused) == said
    assert in_words(said) == said


def test_amounts_and_counts_read_well() -> None:
    assert [usd(amount) for amount in (0, 1, 4_200_000, 999_999_999, 1_204_560_000_000, -2_500_000_000)] == [
        "$0.00", "< $0.0001", "$0.0042", "$1.0000", "$1,204.56", "−$2.50",
    ]  # fmt: skip
    assert [short(number) for number in (0, 999, 1_000, 12_345, 123_456, 1_250_000, 3_000_000_000)] == [
        "0", "999", "1.00 k", "12.3 k", "123 k", "1.25 M", "3.00 G",
    ]  # fmt: skip

    assert [exact_usd(amount) for amount in (0, 1, 1_500_000_000, -20_000_001)] == [
        "$0.00", "$0.000000001", "$1.50", "−$0.020000001",
    ]  # fmt: skip
    assert [duration(time_ms) for time_ms in (7, 1_540, 125_000, None)] == ["7 ms", "1.5 s", "2 min 5 s", "–"]


def test_a_bar_is_as_high_as_its_amount_and_little_is_still_seen() -> None:
    days = ["2026-11-01", "2026-11-02", "2026-11-03", "2026-11-04"]
    chart = stacked(days, "day", [Stack("spend", (0, 1, 500_000, 1_000_000))])
    assert [[part.height for part in bar.parts] for bar in chart.bars] == [[], [2], [91], [182]]
    assert [line.text for line in chart.lines] == ["$0", "$0.00025", "$0.00050", "$0.00075", "$0.00100"]
    assert stacked(days, "day", [Stack("spend", (0, 0, 0, 0))]).bars[0].parts == []
    assert [round_step(largest) for largest in (7_999, 8_001, 9_000_000)] == [2_000, 2_500, 2_500_000]


def test_the_parts_of_a_bar_stand_on_one_another_and_a_correction_is_told_but_not_drawn() -> None:
    red, blue = Stack("red", (1_000_000_000,)), Stack("blue", (3_000_000_000,))
    [bar] = stacked(["2026-11-01"], "day", [red, Stack("owed", (-5,)), blue]).bars
    assert [(part.color, part.y, part.height) for part in bar.parts] == [("0", 145, 45), ("2", 8, 136)]
    assert bar.tip.splitlines() == [
        "Sun 1 Nov 2026", "blue: $3.00", "owed: < −$0.0001", "red: $1.00", "Total: $4.00",
    ]  # fmt: skip


async def test_an_admin_invites_somebody_who_then_signs_in_with_that_role(street: Street) -> None:
    email = f"{new_id('guest')}@example.com"
    async with street.signed_in("proxy_admin") as (browser, _):
        invited = await browser.send("/ui/people", {"email": email, "role": "internal_user"})
        link = re.search(r'<code id="link">http://keyhouse.test(/ui/invitation/[^<]+)</code>', invited.text)
        assert link is not None, invited.text
        page = await browser.get(f"/ui/people?q={email}")
        assert "invited" in page.text
        assert link[1] not in page.text
        twice = await browser.send("/ui/people", {"email": email.upper(), "role": "internal_user"})
        assert twice.status_code == 422
    async with street.browser() as guest:
        fields = {"password": "a password of my own", "again": "a password of my own"}
        assert (await guest.send(link[1], fields)).status_code == 303
        assert '<span class="tag">Member</span>' in (await guest.get("/ui/account")).text
        assert (await guest.get("/ui/people")).status_code == 403


@pytest.mark.parametrize("role", USER_ROLES)
async def test_only_an_admin_invites_and_only_finance_reads_of_people_besides(street: Street, role: str) -> None:
    user_id, _ = await street.person()
    async with street.signed_in(role) as (browser, _):
        reads = (await browser.get("/ui/people")).status_code
        invites = (await browser.send(f"/ui/people/{user_id}/invite", of="/ui/account")).status_code
    assert reads == (200 if ACTIONS["tenancy.read"][role] == "all" else 403)  # type: ignore[index]  # a role of users
    assert invites == (200 if ACTIONS["tenancy.change"][role] == "all" else 403)  # type: ignore[index]  # likewise


async def test_an_invitation_cannot_name_a_role_or_an_address_that_there_is_not(street: Street) -> None:
    async with street.signed_in("proxy_admin") as (browser, _):
        for fields in ({"email": "nobody", "role": "internal_user"}, {"email": "a@b.example", "role": "root"}):
            assert (await browser.send("/ui/people", fields)).status_code == 422


async def test_the_log_shows_what_the_person_reaches_in_pages_and_a_receipt_says_why_it_cost_that(
    street: Street,
) -> None:
    async with street.signed_in("internal_user") as (browser, user_id):
        assert "No requests" in (await browser.get("/ui/requests")).text
        own, theirs = await key_of(street.door, user_id=user_id), await key_of(street.door)
        at = now() - timedelta(minutes=5)
        ids = [
            await street.door.book(own["token"], at - timedelta(seconds=number), 0, user_id=user_id)
            for number in range(60)
        ]
        strange = await street.door.book(theirs["token"], at, 5)
        page = await browser.get("/ui/requests")
        assert [request_id for request_id in ids if request_id in page.text] == ids[:50]
        assert strange not in page.text
        older = re.search(r'href="([^"]+cursor=[^"]+)"', page.text)
        assert older is not None
        second = await browser.get(older[1].replace("&amp;", "&"))
        assert [request_id for request_id in ids if request_id in second.text] == ids[50:]
        assert (await browser.get("/ui/requests?cursor=nonsense")).status_code == 422
        assert (await browser.get(f"/ui/requests/{strange}")).status_code == 404

        parts = {"input_tokens": 2_000, "input_cost_nanousd": 6_000_000, "output_tokens": 500}
        parts |= {"output_cost_nanousd": 7_500_000, "cache_read_tokens": 10_000, "cache_read_cost_nanousd": 3_000_001}
        told = await street.door.book(own["token"], at, 16_500_001, user_id=user_id, **parts)
        receipt = (await browser.get(f"/ui/requests/{told}")).text
        for words in ("$0.016500001", "$3.00", "$15.00", "10,000", "<dt>Counted by</dt><dd>The provider"):
            assert words in receipt


async def test_an_auditor_sees_neither_spend_nor_requests(street: Street) -> None:
    async with street.signed_in("auditor") as (browser, _):
        assert (await browser.get("/ui/requests")).status_code == 403
        assert "/ui/requests" not in (await browser.get("/ui/account")).text


async def test_the_overview_says_how_much_failed_how_long_calls_take_and_what_has_no_price(street: Street) -> None:
    model = new_id("model")
    async with street.signed_in("proxy_admin") as (browser, user_id):
        own = await key_of(street.door, user_id=user_id)
        await street.door.book(own["token"], now(), 1, model_served=model, price_source="fallback", status="error")
        page = (await browser.get("/ui")).text
        assert f"{model} has no price" in page
        assert f"/ui/models/one?name={model}" in page
        assert "19 of 20 within" in page
    async with street.signed_in("internal_user") as (browser, user_id):
        own = await key_of(street.door, user_id=user_id)
        for status, took_ms in (("ok", 900), ("ok", 1_100), ("ok", 5_000), ("error", 90_000)):
            await street.door.book(own["token"], now(), 1, user_id=user_id, status=status, duration_ms=took_ms)
        page = (await browser.get("/ui")).text
        assert "25.00 % failed" in page
        assert ">1.1 s</dd>" in page
        assert "19 of 20 within 5.0 s, first byte 250 ms" in page
        assert "has no price" not in page
