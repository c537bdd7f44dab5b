"""What a stranger might try at the door: led elsewhere, let in as somebody who looks alike, counted as many."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher

from app.admin.browser_sessions import Visit
from app.admin.passwords import Passwords
from app.admin.people import MOST_ATTEMPTS, People
from app.admin.single_sign_on import SingleSignOn
from app.api.ui.access import safe_next
from app.api.ui.cookies import Cookies
from app.base.errors import NotFound
from app.base.ids import new_id
from app.base.network_place import place_of
from app.domain.email_addresses import may_be_email
from app.identity.issuer import join_claims
from tests.api.support import MASTER_KEY, PEPPER
from tests.api.ui.identity_door import somebody
from tests.api.ui.support import PASSWORD, Street
from tests.fakes.identity_provider import IdentityProvider

KELVIN = "\u212a"
"""Becomes an ASCII "k" in lower case."""


@pytest.mark.parametrize(
    "wanted",
    [
        "https://evil.example/ui", "//evil.example/ui", "/\\evil.example", "/uix", "javascript:x", "/ui\n/x", "",
        "///ui", "///ui/keys", "////ui/", "/%2f/ui", "%2f%2fevil.example", "\\\\ui/", " //ui/", "https:/ui", "ui/keys",
        "/ui/\x00", "/ui/\u202e", "/ui/" + "x" * 1_000, "/ui@evil.example", "/ui.evil.example",
    ],
)  # fmt: skip
def test_nobody_is_led_to_another_site(wanted: str) -> None:
    assert safe_next(wanted) == "/ui"


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/ui/keys?q=a&page=2", "/ui/keys?q=a&page=2"),
        ("/ui?x=//evil.example", "/ui?x=//evil.example"),
        ("/ui/customers/caf\u00e9 \u6771", "/ui/customers/caf%C3%A9%20%E6%9D%B1"),
        ("/ui/customers/a%2Fb", "/ui/customers/a%2Fb"),
    ],
)
def test_a_page_of_ours_is_led_to_as_it_was_asked_for(wanted: str, led_to: str) -> None:
    assert safe_next(wanted) == led_to


@pytest.mark.parametrize("email", ["ada@example.com", "j\u00f6rg@b\u00fccher.example", "\u00c5sa@example.com"])
def test_an_address_in_any_script_may_be_one(email: str) -> None:
    assert may_be_email(email)


@pytest.mark.parametrize("email", [f"mi{KELVIN}e@example.com", f"ada@{KELVIN}.example", "ada", "a da@b", "@b", "a@"])
def test_an_address_that_becomes_another_in_lower_case_is_none(email: str) -> None:
    assert not may_be_email(email)


@pytest.mark.parametrize(
    ("further", "is_verified"),
    [
        ({"email": "ada@example.com", "email_verified": True}, True),
        ({"email": "Ada@Example.com", "email_verified": True}, True),
        ({"email": "eve@example.com", "email_verified": True}, None),
        ({"email": "eve@example.com", "xms_edov": True}, None),
        ({"email_verified": True}, None),
    ],
)
def test_one_address_is_not_verified_by_what_is_said_of_another(
    further: Mapping[str, Any], is_verified: bool | None
) -> None:
    found = join_claims({"sub": "ada", "email": "ada@example.com"}, {"sub": "ada", "groups": ["makers"], **further})
    assert (found["email"], found["groups"]) == ("ada@example.com", ["makers"])
    assert found.get("email_verified", found.get("xms_edov")) is is_verified


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("not an address", "not an address", True),
    ],
)
def test_all_addresses_of_one_network_are_one_that_tries(one: str, other: str, same: bool) -> None:
    assert (place_of(one) == place_of(other)) is same


@pytest.mark.services
async def test_whoever_changes_its_address_within_its_network_waits_all_the_same(street: Street) -> None:
    await street.person("proxy_admin")
    statuses = []
    network = f"2001:db8:{int(new_id('n')[-3:], 36) % 65536:x}:7"
    for number in range(MOST_ATTEMPTS + 1):
        async with street.browser(f"{network}::{number:x}") as browser:
            statuses.append((await browser.sign_in(f"{new_id('guess')}@example.com", PASSWORD)).status_code)
    assert statuses == [401] * MOST_ATTEMPTS + [429]


@pytest.mark.services
async def test_over_https_another_host_of_the_domain_can_plant_no_session(street: Street) -> None:
    _, email = await street.person("proxy_admin")
    async with street.browser(scheme="https") as browser:
        answer = await browser.sign_in(email)
        cookie = next(line for line in answer.headers.get_list("set-cookie") if "keyhouse_session" in line)
        assert cookie.startswith("__Host-keyhouse_session=")
        assert "path=/;" in f"{cookie.lower()};"
        assert "secure" in cookie.lower()
        assert "domain" not in cookie.lower()
        kept = browser.client.cookies["__Host-keyhouse_session"]
        assert (await browser.get("/ui/account")).status_code == 200
        browser.client.cookies.clear()
        browser.client.cookies.set("keyhouse_session", kept, domain="keyhouse.test")
        assert (await browser.get("/ui/account")).status_code == 303, "the name that anybody may set opens nothing"


@pytest.mark.services
async def test_behind_a_proxy_that_is_not_trusted_cookies_are_of_https_where_people_are(street: Street) -> None:
    _, email = await street.person("proxy_admin")
    pages = street.door.pages
    kept, pages.cookies = pages.cookies, Cookies("https://keyhouse.test")
    try:
        async with street.browser() as browser:
            page = await browser.get("/ui/sign-in")
            assert "secure" in page.headers["set-cookie"].lower()
            assert page.headers["set-cookie"].startswith("__Host-")
            inside = await browser.client.get("/ui/sign-in", headers={"host": "10.0.0.7:4000"})
            assert "secure" not in inside.headers["set-cookie"].lower()
    finally:
        pages.cookies = kept
    async with street.browser() as browser:
        assert (await browser.sign_in(email)).status_code == 303


@pytest.mark.services
async def test_where_passwords_are_switched_off_their_sessions_end_too(street: Street) -> None:
    async with street.signed_in() as (browser, _):
        assert (await browser.get("/ui/account")).status_code == 200
        people = street.door.pages.people
        people.takes_passwords = False
        try:
            assert (await browser.get("/ui/account")).status_code == 303
        finally:
            people.takes_passwords = True
        assert (await browser.get("/ui/account")).status_code == 200


class Counting(PasswordHasher):
    """Counts what costs 50 ms of a core and 64 MiB."""

    computed = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.computed += 1
        return super().hash(password, salt=salt)


@pytest.mark.services
async def test_a_made_up_invitation_costs_no_hash(street: Street) -> None:
    hasher = Counting(time_cost=1, memory_cost=8, parallelism=1)
    people = People(street.door.engine, PEPPER, MASTER_KEY, Passwords(hasher))
    with pytest.raises(NotFound, match="was used, or has expired"):
        await people.accept_invitation("made up", PASSWORD, Visit("192.0.2.1"))
    assert hasher.computed == 0


@pytest.mark.services
async def test_pages_with_secrets_are_kept_nowhere_and_told_to_nobody(street: Street) -> None:
    async with street.browser() as browser:
        answers: list[httpx.Response] = [
            await browser.get(path)
            for path in (
                "/ui/sign-in",
                "/ui/owner",
                "/ui/invitation/none",
                "/ui/sso",
                "/ui/sso/callback",
                "/ui/account",
            )
        ]
    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-frame-options"] == "DENY"


@pytest.mark.services
async def test_sign_in_leads_back_to_a_page_whose_name_holds_any_sign(street: Street) -> None:
    _, email = await street.person("proxy_admin")
    async with street.browser() as browser:
        away = await browser.get("/ui/customers/50%25%E6%9D%B1?q=%26")
        page = await browser.get(away.headers["location"])
        assert 'value="/ui/customers/50%25%E6%9D%B1?q=%26"' in page.text
        back = await browser.sign_in(email, wanted="/ui/customers/\u6771")
        assert back.headers["location"] == "/ui/customers/%E6%9D%B1"


@pytest.mark.services
async def test_answers_without_end_do_not_have_us_ask_the_issuer_without_end(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    somebody(provider)
    async with street.browser() as browser:
        for expected in [401] * 20 + [429]:
            begun = await browser.get("/ui/sso")
            state = re.search(r"[?&]state=(\w+)", begun.headers["location"])
            assert state is not None
            answer = await browser.get(f"/ui/sso/callback?code=made-up&state={state[1]}")
            assert answer.status_code == expected, answer.text
    assert provider.requests.count("/token") == 20
