"""People sign in by an identity provider: who is let in, as whom, and what their groups give and take."""

import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from sqlalchemy import select, update

from app.admin.browser_sessions import LONGEST_SSO_SESSION
from app.admin.single_sign_on import SingleSignOn
from app.base.clock import now
from app.domain.group_mapping import Given, GroupRule, GroupRules, settle
from app.storage.postgres import tables
from tests.api.support import MASTER_KEY
from tests.api.ui.identity_door import come_in, signed_in, somebody
from tests.api.ui.support import Street
from tests.fakes.identity_provider import (
    CLIENT_ID,
    IdentityProvider,
    public_jwk,
    signed,
)

pytestmark = pytest.mark.services


async def user_of(street: Street, email: str) -> dict[str, Any]:
    found = await street.door.get("/user/list", user_email=email)
    users: list[dict[str, Any]] = found.fields["users"]
    return users[0] if users else {}


async def test_somebody_new_is_made_at_the_first_sign_in_and_known_at_the_next(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    email = somebody(provider, groups=["makers", "elsewhere"])
    async with street.browser() as browser:
        page = await browser.get("/ui/sign-in?next=/ui/account")
        assert 'href="/ui/sso?next=/ui/account"' in page.text
        assert "Continue with Example ID" in page.text
        browser.plant("chosen-by-somebody-else")
        answer = await come_in(browser, provider, "/ui/account")
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/account")
        assert browser.session != "chosen-by-somebody-else"
        account = await browser.get("/ui/account")
        assert email in account.text
        assert "Ada &lt;b&gt;" in account.text
    made = await user_of(street, email)
    assert made["user_role"] == "internal_user"
    provider.claims |= {"email": "renamed@example.com"}
    async with signed_in(street, provider) as browser:
        assert email in (await browser.get("/ui/account")).text, "the subject tells who it is, not the address"
    async with street.door.engine.connect() as connection:
        query = select(tables.audit.c.action, tables.audit.c.actor).where(tables.audit.c.object_id == made["user_id"])
        rows = {tuple(row) for row in await connection.execute(query)}
    assert rows == {
        ("user.new", "single sign-on"), ("user.update", "single sign-on"), ("user.sign_in", made["user_id"]),
    }  # fmt: skip


async def test_who_is_known_by_address_comes_in_as_that_user_and_nobody_else_after_that(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    open_door(auto_create=False)
    user_id, email = await street.person("auditor")
    somebody(provider, email=email.upper())
    async with signed_in(street, provider) as browser:
        account = await browser.get("/ui/account")
        assert user_id in account.text
        assert "Auditor" in account.text
    somebody(provider, email=email)  # the address is another person's now
    async with street.browser() as browser:
        refused = await come_in(browser, provider)
    assert refused.status_code == 403
    assert "somebody else at Example ID" in refused.text
    async with street.signed_in("proxy_admin") as (admin, _):
        assert (await admin.send(f"/ui/people/{user_id}/unlink", of="/ui/people")).status_code == 303
    async with signed_in(street, provider) as browser:
        assert user_id in (await browser.get("/ui/account")).text
    somebody(provider)
    async with street.browser() as browser:
        assert "ask an admin to invite you" in (await come_in(browser, provider)).text


async def test_groups_give_and_take_what_they_gave_and_leave_what_an_admin_gave(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    team = (await street.door.post("/team/new", {"team_alias": "by groups"})).fields["team_id"]
    by_hand = (await street.door.post("/team/new", {"team_alias": "by hand"})).fields["team_id"]
    organization = (await street.door.post("/organization/new", {"organization_alias": "of all"})).fields
    organization_id = organization["organization_id"]
    open_door(
        GroupRules(
            "internal_user_viewer",
            [GroupRule("makers", "internal_user"), GroupRule("chiefs", "proxy_admin_viewer")],
            [
                GroupRule("makers", "user", team),
                GroupRule("chiefs", "admin", team),
                GroupRule("chiefs", "admin", by_hand),
                GroupRule("makers", "user", "no-such-team"),
            ],
            [GroupRule("makers", "internal_user", organization_id)],
        )
    )  # fmt: skip
    email = somebody(provider, groups=["makers", "chiefs"])
    async with signed_in(street, provider):
        pass
    user = await user_of(street, email)
    user_id = user["user_id"]

    async def stands() -> tuple[str, dict[str, str], list[str]]:
        async with street.door.engine.connect() as connection:
            of_user = tables.users.c.user_id == user_id
            role = (await connection.execute(select(tables.users.c.user_role).where(of_user))).scalar_one()
            columns = tables.memberships.c
            of_teams = select(columns.team_id, columns.role).where(columns.user_id == user_id)
            teams = {row.team_id: row.role for row in await connection.execute(of_teams)}
            columns = tables.organization_memberships.c
            found = await connection.execute(select(columns.organization_id).where(columns.user_id == user_id))
            return role, teams, list(found.scalars())

    assert await stands() == ("proxy_admin_viewer", {team: "admin", by_hand: "admin"}, [organization_id])
    key = (await street.door.new_key(user_id=user_id, team_id=team))["key"]
    provider.claims["groups"] = ["makers"]
    async with signed_in(street, provider):
        pass
    assert await stands() == ("internal_user", {team: "user"}, [organization_id])
    await street.door.post("/team/member_add", {"team_id": by_hand, "member": {"user_id": user_id, "role": "user"}})
    await street.door.post("/user/update", {"user_id": user_id, "user_role": "auditor"})
    provider.claims["groups"] = []
    async with signed_in(street, provider):
        pass
    assert await stands() == ("auditor", {by_hand: "user"}, [])
    left = (await street.door.get("/key/info", key=key)).fields["info"]
    assert left["deleted_by"] == "single sign-on", "who leaves a team leaves its keys"


@pytest.mark.parametrize(
    ("present", "wanted", "earlier", "stands"),
    [
        (None, "user", None, ("user", Given("user", None))),
        ("user", None, None, ("user", None)),  # an admin's
        ("user", None, Given("user", None), (None, None)),
        ("user", "admin", None, ("admin", Given("admin", "user"))),
        ("admin", None, Given("admin", "user"), ("user", None)),
        ("admin", "user", None, ("admin", None)),  # groups do not take from what an admin gave
        ("admin", None, Given("user", None), ("admin", None)),  # changed by an admin since
        ("admin", "user", Given("admin", None), ("user", Given("user", None))),
    ],
)
def test_what_groups_gave_is_told_from_what_admins_gave(
    present: str | None, wanted: str | None, earlier: Given | None, stands: tuple[str | None, Given | None]
) -> None:
    assert settle(present, wanted, earlier, ("admin", "user")) == stands


async def test_no_claim_gives_a_role_but_by_the_mapping(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    email = somebody(provider, groups=["proxy_admin"], roles=["proxy_admin"], user_role="proxy_admin")
    async with signed_in(street, provider):
        pass
    assert (await user_of(street, email))["user_role"] == "internal_user_viewer"


def _with_nothing(claims: dict[str, Any], name: str) -> str:
    return jwt.encode(claims, "", algorithm="none", headers={"kid": name})


def _with_public_key(claims: dict[str, Any], name: str) -> str:
    """The old confusion: the public key taken as a shared secret."""
    return jwt.encode(claims, public_jwk(name)["n"], algorithm="HS256", headers={"kid": name})


def _with_another_key(claims: dict[str, Any], name: str) -> str:
    return signed(claims, "stolen", kid=name)


def _with_unknown_key(claims: dict[str, Any], name: str) -> str:
    return signed(claims, "stolen")


_TOKENS: dict[str, tuple[Any, str]] = {
    "nonce": (lambda claims: claims.update(nonce="of another sign-in"), "answers another sign-in"),
    "no nonce": (lambda claims: claims.pop("nonce"), "answers another sign-in"),
    "audience": (lambda claims: claims.update(aud="another-application"), "audience"),
    "party": (lambda claims: claims.update(aud=[CLIENT_ID, "another"], azp="another"), "another application"),
    "issuer": (lambda claims: claims.update(iss="https://evil.example"), "issuer"),
    "expired": (lambda claims: claims.update(exp=int(time.time()) - 120), "expired"),
    "no expiry": (lambda claims: claims.pop("exp"), "exp"),
    "none": (_with_nothing, "signed by none"),
    "HS256": (_with_public_key, "signed by HS256"),
    "signature": (_with_another_key, "signature"),
    "key": (_with_unknown_key, "no key of Example ID"),
    "garbage": (lambda claims, name: "no.token.at all", "cannot be trusted"),
}


@pytest.mark.parametrize("fault", _TOKENS)
async def test_a_token_that_does_not_hold_opens_nothing(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn], fault: str
) -> None:
    make, words = _TOKENS[fault]
    email = somebody(provider)
    if make.__code__.co_argcount == 1:
        provider.change_claims = make
    else:
        provider.sign = make
    async with street.browser() as browser:
        refused = await come_in(browser, provider, "/ui/account")
        assert refused.status_code == 401
        assert words in refused.text
        assert 'href="/ui/sso?next=/ui/account"' in refused.text, "and the way to begin again"
        assert browser.session is None
    assert await user_of(street, email) == {}


async def test_a_new_key_of_the_issuer_is_read_when_a_token_names_it(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.identity.issuer._ANEW_AFTER_S", 0)
    somebody(provider)
    async with signed_in(street, provider):
        pass
    provider.keys = ["second"]
    async with signed_in(street, provider):
        pass
    assert provider.requests.count("/keys") == 2


@pytest.mark.parametrize(
    ("claims", "rules", "words"),
    [
        ({"email_verified": False}, {"trusts_email": True}, "did not confirm your e-mail address"),
        ({"email_verified": None}, {}, "did not confirm your e-mail address"),
        ({"email": "ada\x01@example.com"}, {}, "did not confirm your e-mail address"),
        ({}, {"email_domains": frozenset({"example.org"})}, "at example.com may not come in"),
        ({}, {"allowed_groups": frozenset({"staff"})}, "in no group that may come in"),
        ({"groups": None, "_claim_names": {"groups": "src1"}}, {}, "too many"),
    ],
)
async def test_who_may_not_come_in_is_told_why(
    street: Street,
    provider: IdentityProvider,
    open_door: Callable[..., SingleSignOn],
    claims: dict[str, Any],
    rules: dict[str, Any],
    words: str,
) -> None:
    open_door(**rules)
    email = somebody(provider, **claims)
    for name in [name for name, value in provider.claims.items() if value is None]:
        del provider.claims[name]
    async with street.browser() as browser:
        refused = await come_in(browser, provider)
        assert refused.status_code == 403
        assert words in refused.text
        assert ("Sign out of Example ID" in refused.text) is (words != "too many"), "and come in as somebody else"
    assert await user_of(street, email) == {}


async def test_what_the_token_leaves_out_is_asked_for_and_an_address_is_trusted_where_the_operator_says_so(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    open_door(trusts_email=True)
    email = somebody(provider, groups=["auditors"])
    provider.userinfo = {name: provider.claims.pop(name) for name in ("email", "groups")}
    provider.userinfo["sub"] = provider.claims["sub"]
    del provider.claims["email_verified"]
    async with signed_in(street, provider):
        pass
    assert (await user_of(street, email))["user_role"] == "auditor"
    provider.userinfo["sub"] = "somebody else"
    somebody(provider)
    del provider.claims["email"]
    async with street.browser() as browser:
        assert (await come_in(browser, provider)).status_code == 403


async def test_a_blocked_person_is_refused(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    _, email = await street.person(blocked=True)
    somebody(provider, email=email)
    async with street.browser() as browser:
        refused = await come_in(browser, provider)
        assert refused.status_code == 403
        assert "blocked" in refused.text
        assert browser.session is None


async def test_an_answer_to_a_sign_in_that_this_browser_did_not_begin_opens_nothing(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    somebody(provider)
    async with street.browser() as theirs, street.browser() as mine:
        begun = await theirs.get("/ui/sso")
        back = provider.authorize(begun.headers["location"])
        assert (await mine.get(back)).status_code == 401, "somebody else's link signs nobody in"
        await mine.get("/ui/sso")
        assert (await mine.get(back)).status_code == 401
        assert (await theirs.get(back)).status_code == 303
        assert (await theirs.get(back)).status_code == 401, "once"
        begun = await theirs.get("/ui/sso")
        mixed_up = await theirs.get(provider.authorize(begun.headers["location"]) + "&iss=https://evil.example")
        assert "from another issuer" in mixed_up.text
        said = await mine.get("/ui/sso/callback?error=access_denied&error_description=No+<b>+for+you")
        assert said.status_code == 401
        assert "<b>" not in said.text


async def test_an_issuer_that_fails_is_named_in_words(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    configuration = "/.well-known/openid-configuration"
    elsewhere = {"issuer": provider.url, "authorization_endpoint": "http://10.0.0.7/a"}
    for answer, words in (
        ((500, {}), "answered 500"),
        ((200, {"issuer": "https://evil.example"}), "calls itself"),
        ((200, elsewhere), "authorization_endpoint"),
        ((200, b"<html>"), "no JSON object"),
        ((200, b"x" * 600_000), "does not answer"),
    ):
        provider.answers = {configuration: answer}
        open_door()
        async with street.browser() as browser:
            failed = await browser.get("/ui/sso")
        assert failed.status_code == 502
        assert words in failed.text
    provider.answers = {}
    open_door()
    somebody(provider)
    provider.answers = {"/token": (401, {"error": "invalid_client"})}
    async with street.browser() as browser:
        assert "does not take our client id" in (await come_in(browser, provider)).text


async def test_behind_a_proxy_on_https_the_issuer_leads_back_there(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    somebody(provider)
    async with street.browser(scheme="https") as browser:
        begun = await browser.get("/ui/sso")
        assert "redirect_uri=https%3A%2F%2Fkeyhouse.test%2Fui%2Fsso%2Fcallback" in begun.headers["location"]
        assert "secure" in begun.headers["set-cookie"].lower()
        assert (await browser.get(provider.authorize(begun.headers["location"]))).status_code == 303


async def test_nobody_is_led_to_another_site_after_it_and_a_session_by_it_lasts_a_day(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    somebody(provider)
    async with street.browser() as browser:
        assert (await come_in(browser, provider, "https://evil.example/ui")).headers["location"] == "/ui"
        assert (await browser.get("/ui/account")).status_code == 200
        async with street.door.engine.begin() as connection:
            sessions = tables.browser_sessions
            of_sso = sessions.c.method == "sso"
            await connection.execute(update(sessions).where(of_sso).values(started_at=now() - LONGEST_SSO_SESSION))
        assert (await browser.get("/ui/account")).status_code == 303


async def test_a_program_is_let_in_by_whoever_comes_back_from_single_sign_on(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    somebody(provider, groups=["makers"])
    begun = (await street.door.post("/oauth/device_authorization", b"", {"user-agent": "claude-code"})).fields
    page = f"/ui/device?user_code={begun['user_code']}"
    async with street.browser() as browser:
        away = await browser.get(page)
        shown = await browser.get(away.headers["location"])
        assert "Continue with Example ID" in shown.text
        assert (await come_in(browser, provider, page)).headers["location"] == page
        assert begun["user_code"] in (await browser.get(page)).text


async def test_where_passwords_are_off_the_admin_key_is_the_only_other_way_in(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    _, email = await street.person()
    people = street.door.pages.people
    people.takes_passwords = False
    try:
        async with street.browser() as browser:
            page = await browser.get("/ui/sign-in")
            assert 'name="password"' not in page.text
            token = (await browser.get("/ui/owner")).text
            assert 'name="password"' not in token
            refused = await browser.send("/ui/sign-in", {"email": email, "password": "any"}, of="/ui/owner")
            assert refused.status_code == 403
            made = await browser.send("/ui/owner", {"admin_key": MASTER_KEY, "email": email})
            assert made.status_code == 303
            assert '<span class="tag">Admin</span>' in (await browser.get("/ui/account")).text
    finally:
        people.takes_passwords = True
