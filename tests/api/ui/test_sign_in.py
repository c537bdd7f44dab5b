"""People sign in, and nobody else does."""

import asyncio
import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.admin.actor import Actor
from app.admin.browser_sessions import IDLE
from app.admin.passwords import Passwords
from app.admin.people import MOST_ATTEMPTS
from app.base.clock import now
from app.base.ids import new_id
from app.storage.postgres import tables
from tests.api.support import MASTER_KEY
from tests.api.ui.support import PASSWORD, Street

pytestmark = pytest.mark.services
NEW_PASSWORD = "another long password"


async def test_the_admin_key_makes_an_owner_who_is_signed_in_and_may_sign_in_again(street: Street) -> None:
    email = f"{new_id('owner')}@example.com"
    async with street.browser() as browser:
        fields = {"admin_key": MASTER_KEY, "email": email, "password": PASSWORD, "again": PASSWORD}
        made = await browser.send("/ui/owner", fields)
        assert (made.status_code, made.headers["location"]) == (303, "/ui")
        account = await browser.get("/ui/account")
        assert email in account.text
        assert '<span class="tag">Admin</span>' in account.text
        assert MASTER_KEY not in account.text
    async with street.browser() as browser:
        assert (await browser.sign_in(email.upper())).status_code == 303


async def test_without_the_admin_key_nobody_becomes_an_owner(street: Street) -> None:
    async with street.browser() as browser:
        fields = {"admin_key": "sk-wrong", "email": "eve@example.com", "password": PASSWORD, "again": PASSWORD}
        refused = await browser.send("/ui/owner", fields)
        assert refused.status_code == 401
        assert "not the admin key" in refused.text
        assert browser.session is None


async def test_a_wrong_password_and_an_unknown_address_are_refused_in_the_same_words(street: Street) -> None:
    _, email = await street.person()
    async with street.browser() as browser:
        wrong = await browser.sign_in(email, "not the password at all")
        unknown = await browser.sign_in("nobody@example.com")
    assert wrong.status_code == unknown.status_code == 401
    token = re.compile(r'value="[^"]*"')
    assert token.sub("", wrong.text) == token.sub("", unknown.text)


async def test_a_page_leads_to_sign_in_and_back(street: Street) -> None:
    _, email = await street.person()
    async with street.browser() as browser:
        away = await browser.get("/ui/account?done=password")
        assert away.headers["location"] == "/ui/sign-in?next=%2Fui%2Faccount%3Fdone%3Dpassword"
        back = await browser.sign_in(email, wanted="/ui/account?done=password")
        assert back.headers["location"] == "/ui/account?done=password"
        within = await browser.get("/ui/account", **{"hx-request": "true"})
        assert within.status_code == 200


async def test_a_form_that_is_sent_after_the_session_says_so_and_leads_back_to_it(street: Street) -> None:
    form = {
        "content-type": "application/x-www-form-urlencoded",
        "referer": "http://keyhouse.test/ui/keys/new?team_id=a",
    }
    async with street.signed_in() as (browser, _):
        stale = await browser.client.post("/ui/keys/new", headers=form, content="form_token=older")
        assert stale.status_code == 403
        assert 'href="/ui/keys/new?team_id=a" data-unsent' in stale.text
        strange = {**form, "referer": "http://elsewhere.test/ui/keys/new"}
        assert 'href="/ui" data-unsent' in (await browser.client.post("/ui/keys/new", headers=strange)).text
    async with street.browser() as browser:
        away = await browser.client.post("/ui/keys/new", headers=form)
        assert away.headers["location"] == "/ui/sign-in?next=%2Fui%2Fkeys%2Fnew%3Fteam_id%3Da&unsent=1"
        assert "nothing has changed" in (await browser.get(away.headers["location"])).text


async def test_a_session_has_a_new_name_after_sign_in_and_the_old_one_opens_nothing(street: Street) -> None:
    _, email = await street.person()
    async with street.browser() as browser:
        browser.plant("chosen-by-somebody-else")
        await browser.sign_in(email)
        first = browser.session
        assert first not in (None, "chosen-by-somebody-else")
    async with street.browser() as other:
        other.plant("chosen-by-somebody-else")
        assert (await other.get("/ui/account")).status_code == 303


async def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_secure_over_https(street: Street) -> None:
    _, email = await street.person()
    for scheme, secure in (("http", False), ("https", True)):
        async with street.browser(scheme=scheme) as browser:
            answer = await browser.sign_in(email)
        cookie = next(line for line in answer.headers.get_list("set-cookie") if "keyhouse_session" in line).lower()
        assert "httponly" in cookie
        assert "samesite=lax" in cookie
        assert ("path=/;" if secure else "path=/ui") in f"{cookie};"
        assert ("secure" in cookie) is secure


async def test_the_tables_hold_neither_password_nor_cookie(street: Street) -> None:
    async with street.signed_in() as (browser, user_id):
        async with street.door.engine.connect() as connection:
            of_user = tables.passwords.c.user_id == user_id
            stored = (await connection.execute(select(tables.passwords.c.password_hash).where(of_user))).scalar_one()
            of_user = tables.browser_sessions.c.user_id == user_id
            digest = (await connection.execute(select(tables.browser_sessions.c.digest).where(of_user))).scalar_one()
        assert stored.startswith("$argon2id$")
        assert PASSWORD not in stored
        assert browser.session is not None
        assert browser.session.encode() not in digest


async def test_passwords_cost_whoever_guesses_what_rfc_9106_says() -> None:
    passwords = Passwords()
    stored = await passwords.hash("caf\u00e9 with an accent")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert await passwords.matches(stored, "cafe\u0301 with an accent")
    assert not await passwords.matches(stored, "cafe without an accent")
    assert not await passwords.matches(None, "of nobody at all")


async def test_a_form_without_the_token_of_its_page_is_refused(street: Street) -> None:
    async with street.signed_in() as (browser, _):
        for fields in ({"anything": "else"}, {"form_token": "0" * 64}):
            refused = await browser.client.post("/ui/sign-out-everywhere", data=fields)
            assert refused.status_code == 403
        cross = await browser.client.post("/ui/sign-out", data={}, headers={"sec-fetch-site": "cross-site"})
        assert cross.status_code == 403
        assert "another site" in cross.text
        assert (await browser.get("/ui/account")).status_code == 200


async def test_the_token_of_one_browser_is_of_no_use_in_another(street: Street) -> None:
    async with street.signed_in() as (mine, _), street.signed_in() as (theirs, _):
        token = re.search(r'form_token" value="([^"]+)"', (await theirs.get("/ui/account")).text)
        assert token is not None
        refused = await mine.client.post("/ui/sign-out-everywhere", data={"form_token": token[1]})
        assert refused.status_code == 403


async def test_after_ten_wrong_passwords_the_account_waits_wherever_the_attempt_comes_from(street: Street) -> None:
    _, email = await street.person()
    async with street.browser() as browser:
        tried = [await browser.sign_in(email, f"wrong password {number}") for number in range(MOST_ATTEMPTS)]
        assert {answer.status_code for answer in tried} == {401}
    async with street.browser() as elsewhere:
        refused = await elsewhere.sign_in(email)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 900
        assert elsewhere.session is None
    async with street.door.engine.begin() as connection:  # a quarter of an hour later
        ago = now() - timedelta(minutes=16)
        await connection.execute(update(tables.sign_in_attempts).values(counting_since=ago))
    async with street.browser() as elsewhere:
        assert (await elsewhere.sign_in(email)).status_code == 303


async def test_an_address_that_tries_many_accounts_waits_too_even_when_it_tries_all_at_once(street: Street) -> None:
    async with street.browser() as browser:
        page = await browser.get("/ui/sign-in")
        if page.status_code == 303:
            page = await browser.get("/ui/owner")
        token = re.search(r'form_token" value="([^"]+)"', page.text)
        assert token is not None
        answers = await asyncio.gather(*(
            browser.client.post("/ui/sign-in", data={
                "email": f"guess-{number}@example.com", "password": PASSWORD, "form_token": token[1],
            })
            for number in range(MOST_ATTEMPTS + 3)
        ))  # fmt: skip
    assert sorted(answer.status_code for answer in answers) == [401] * MOST_ATTEMPTS + [429] * 3


async def test_a_success_does_not_count_against_the_address(street: Street) -> None:
    _, email = await street.person()
    address = new_id("address")
    for _ in range(MOST_ATTEMPTS + 1):
        async with street.browser(address) as browser:
            assert (await browser.sign_in(email)).status_code == 303


async def test_signing_out_ends_the_session_and_everywhere_ends_all(street: Street) -> None:
    _, email = await street.person()
    async with street.browser() as one, street.browser() as two, street.browser() as three:
        for browser in (one, two, three):
            await browser.sign_in(email)
        kept = one.session
        await one.send("/ui/sign-out", of="/ui/account")
        one.plant(kept or "")
        assert (await one.get("/ui/account")).status_code == 303
        assert (await two.get("/ui/account")).status_code == 200
        await two.send("/ui/sign-out-everywhere", of="/ui/account")
        assert (await three.get("/ui/account")).status_code == 303


async def test_a_new_password_ends_the_other_sessions_and_the_old_password(street: Street) -> None:
    _, email = await street.person()
    async with street.browser() as one, street.browser() as two:
        await one.sign_in(email)
        await two.sign_in(email)
        wrong = {"present": "not the password", "password": NEW_PASSWORD, "again": NEW_PASSWORD}
        refused = await one.send("/ui/account/password", wrong, of="/ui/account")
        assert refused.status_code == 401
        short = {"present": PASSWORD, "password": "short", "again": "short"}
        assert (await one.send("/ui/account/password", short, of="/ui/account")).status_code == 422
        done = await one.send("/ui/account/password", {**wrong, "present": PASSWORD}, of="/ui/account")
        assert done.status_code == 303
        assert (await one.get("/ui/account")).status_code == 200
        assert (await two.get("/ui/account")).status_code == 303
        assert (await two.sign_in(email)).status_code == 401
        assert (await two.sign_in(email, NEW_PASSWORD)).status_code == 303


async def test_a_session_ends_when_it_is_not_used_and_a_blocked_person_is_out_at_once(street: Street) -> None:
    async with street.signed_in() as (browser, user_id):
        of_user = tables.browser_sessions.c.user_id == user_id
        async with street.door.engine.begin() as connection:
            long_ago = now() - IDLE + timedelta(minutes=1)
            await connection.execute(update(tables.browser_sessions).where(of_user).values(seen_at=long_ago))
        assert (await browser.get("/ui/account")).status_code == 200
        async with street.door.engine.begin() as connection:
            seen = (await connection.execute(select(tables.browser_sessions.c.seen_at).where(of_user))).scalar_one()
            assert seen > long_ago, "using it keeps it alive"
            await connection.execute(update(tables.browser_sessions).where(of_user).values(seen_at=now() - IDLE))
        assert (await browser.get("/ui/account")).status_code == 303
    async with street.signed_in() as (browser, user_id):
        async with street.door.engine.begin() as connection:
            blocked = update(tables.users).where(tables.users.c.user_id == user_id).values(blocked=True)
            await connection.execute(blocked)
        assert (await browser.get("/ui/account")).status_code == 303


async def test_an_invitation_sets_a_password_once(street: Street) -> None:
    user_id, email = new_id("user"), f"{new_id('guest')}@example.com"
    await street.door.post("/user/new", {"user_id": user_id, "user_email": email, "auto_create_key": False})
    token, _ = await street.people.invite(user_id, Actor("an admin"))
    async with street.browser() as browser:
        page = await browser.get(f"/ui/invitation/{token}")
        assert email in page.text
        fields = {"password": NEW_PASSWORD, "again": NEW_PASSWORD}
        accepted = await browser.send(f"/ui/invitation/{token}", fields)
        assert accepted.status_code == 303
        assert email in (await browser.get("/ui/account")).text
    async with street.browser() as other:
        over = await other.get(f"/ui/invitation/{token}")
        assert over.status_code == 404
        assert "Ask an admin for another" in over.text
        assert (await other.send(f"/ui/invitation/{token}", fields, of="/ui/owner")).status_code == 404


async def test_whatever_is_sent_as_a_form_is_answered_in_words(street: Street) -> None:
    async with street.signed_in() as (browser, _):
        for content, kind in (
            (b"\xff\xfe=%00", "application/x-www-form-urlencoded"),
            (b"{}", "application/json"),
            (b"a=" + b"x" * 70_000, "application/x-www-form-urlencoded"),
            (b"&".join(b"a=1" for _ in range(600)), "application/x-www-form-urlencoded"),
        ):
            answer = await browser.client.post("/ui/sign-out", content=content, headers={"content-type": kind})
            assert answer.status_code in (400, 403, 413)
            assert "<h1>" in answer.text


async def test_sign_ins_and_changes_of_passwords_are_in_the_audit(street: Street) -> None:
    user_id, email = await street.person()
    async with street.browser() as browser:
        await browser.sign_in(email)
        async with street.door.engine.connect() as connection:
            of_user = (tables.audit.c.object_id == user_id, tables.audit.c.action == "user.sign_in")
            found = await connection.execute(select(func.count()).select_from(tables.audit).where(*of_user))
        assert found.scalar_one() == 1
