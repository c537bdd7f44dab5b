"""People who came by an identity provider sign out: here at once, and there where they want to."""

import re
from collections.abc import Callable
from html import unescape
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
from sqlalchemy import select

from app.admin.single_sign_on import SingleSignOn
from app.storage.postgres import tables
from tests.api.ui.identity_door import come_in, signed_in, somebody
from tests.api.ui.support import Street
from tests.fakes.identity_provider import CLIENT_ID, IdentityProvider

pytestmark = pytest.mark.services


async def test_who_signs_out_here_may_sign_out_at_the_provider_too(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    for path in ("/ui/sign-out", "/ui/sign-out-everywhere"):
        somebody(provider)
        async with signed_in(street, provider) as browser:
            page = await browser.send(path, of="/ui/account")
            assert "You are still signed in at Example ID" in page.text
            assert browser.session is None
            assert (await browser.get("/ui/account")).status_code == 303, "here it is over at once"
            link = re.search(r'href="([^"]+/sign-out[^"]+)"', page.text)
            assert link is not None
            address = urlsplit(unescape(link[1]))
            query = dict(parse_qsl(address.query))
            assert (address.netloc, query["tenant"], query["client_id"]) == (provider.url[7:], "one", CLIENT_ID)
            hint = jwt.decode(query["id_token_hint"], options={"verify_signature": False})
            assert hint["sub"] == provider.claims["sub"]
            assert query["post_logout_redirect_uri"] == "http://keyhouse.test/ui/signed-out"
            back = await browser.get(f"/ui/signed-out?state={query['state']}")
            assert "Here, and at Example ID." in back.text
            for state in ("", "made-up", "\u212a"):
                made_up = await browser.client.get("/ui/signed-out", params={"state": state})
                assert made_up.headers["location"] == "/ui/sign-in"
            forged = await browser.client.post("/ui/sign-in", data={"form_token": query["state"]})
            assert forged.status_code == 403, "what the provider is told opens no form"
        async with street.browser() as other:
            assert (await other.get(f"/ui/signed-out?state={query['state']}")).status_code == 303
        async with signed_in(street, provider) as browser:
            assert (await browser.get("/ui/signed-out")).headers["location"] == "/ui"


async def test_signing_out_here_does_not_depend_on_the_provider(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    provider.signs_out = False
    open_door()
    somebody(provider)
    async with signed_in(street, provider) as browser:
        page = await browser.send("/ui/sign-out", of="/ui/account")
        assert "You are still signed in at Example ID" in page.text
        assert "Sign out of" not in page.text
    async with signed_in(street, provider) as browser:
        provider.answers = {"/.well-known/openid-configuration": (500, {})}
        open_door()
        assert (await browser.send("/ui/sign-out", of="/ui/account")).status_code == 200
        assert (await browser.get("/ui/account")).status_code == 303
        assert (await browser.get("/ui/sign-out")).headers["location"] == "/ui/sign-in"
    async with street.signed_in() as (browser, _):
        left = await browser.send("/ui/sign-out", of="/ui/account")
        assert (left.status_code, left.headers["location"]) == (303, "/ui/sign-in"), "who had a password stays with us"


async def test_the_table_of_sessions_names_nobody_by_a_token_of_the_provider(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    email = somebody(provider, sid="session-at-the-provider")
    columns = tables.browser_sessions.c
    query = select(columns.sealed_id_token, columns.issuer_session).where(columns.method == "sso")
    async with signed_in(street, provider) as browser:
        async with street.door.engine.connect() as connection:
            sealed, session = (await connection.execute(query.order_by(columns.started_at.desc()).limit(1))).one()
        assert session == "session-at-the-provider"
        assert len(sealed) > 300
        assert b"eyJ" not in sealed
        origin = await street.people.sessions.find_origin(browser.session or "")
        assert origin is not None
        assert email in str(jwt.decode(str(origin.id_token), options={"verify_signature": False}))
        assert await street.people.sessions.find_origin("another") is None
    somebody(provider, groups=["x" * 40] * 200)  # longer than any address may be
    async with signed_in(street, provider) as browser:
        page = await browser.send("/ui/sign-out", of="/ui/account")
        assert "client_id=" in page.text
        assert "id_token_hint" not in page.text
    open_door(email_domains=frozenset({"example.org"}))
    async with street.browser() as stranger:
        refused = await come_in(stranger, provider)
        assert "Sign out of Example ID" in refused.text
        assert "id_token_hint" not in refused.text
