"""An identity provider tells that somebody signed out there: the sessions it names end, by nobody else."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt
import pytest
from sqlalchemy import select

from app.admin.single_sign_on import SingleSignOn
from app.base.ids import new_id
from app.storage.postgres import tables
from tests.api.ui.identity_door import signed_in, somebody
from tests.api.ui.support import Browser, Street
from tests.fakes.identity_provider import CLIENT_ID, IdentityProvider, public_jwk, signed, signing_key

pytestmark = pytest.mark.services
EVENT = "http://schemas.openid.net/event/backchannel-logout"
Claims = dict[str, Any]


def claims_of(provider: IdentityProvider, **further: Any) -> Claims:
    at = int(time.time())
    claims = {"iss": provider.url, "aud": CLIENT_ID, "iat": at, "exp": at + 120, "jti": new_id("jti")}
    return claims | {"events": {EVENT: {}}, "sub": provider.claims["sub"]} | further


async def tell(street: Street, token: str) -> httpx.Response:
    """As an identity provider does: without a cookie, or a page before it."""
    async with street.browser() as provider:
        return await provider.client.post("/ui/sso/backchannel-logout", data={"logout_token": token})


async def is_in(browser: Browser) -> bool:
    return (await browser.get("/ui/account")).status_code == 200


async def test_a_session_ends_that_the_provider_names_and_no_other(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    email = somebody(provider, sid="first")
    ada = provider.claims
    async with signed_in(street, provider) as first:
        provider.claims = ada | {"sid": "second"}
        async with signed_in(street, provider) as second:
            somebody(provider, sid="of-another")
            async with signed_in(street, provider) as another:
                provider.claims = ada
                told = await tell(street, signed(claims_of(provider, sid="first"), "first"))
                assert (told.status_code, told.headers["cache-control"]) == (200, "no-store"), told.text
                assert [await is_in(one) for one in (first, second, another)] == [False, True, True]
                session_alone = claims_of(provider, sid="of-another")
                del session_alone["sub"]
                assert (await tell(street, signed(session_alone, "first"))).status_code == 200
                assert [await is_in(one) for one in (second, another)] == [True, False]
                assert (await tell(street, signed(claims_of(provider), "first"))).status_code == 200
                assert not await is_in(second), "a person alone means all of the sessions"
    user_id = (await street.door.get("/user/list", user_email=email)).fields["users"][0]["user_id"]
    async with street.door.engine.connect() as connection:
        columns = tables.audit.c
        query = select(columns.actor).where(columns.object_id == user_id, columns.action == "user.session_end")
        assert list((await connection.execute(query)).scalars()) == ["single sign-on"] * 2


async def test_a_session_ends_too_whose_name_the_provider_never_told_but_none_that_a_password_opened(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    _, email = await street.person()
    somebody(provider, email=email)
    async with signed_in(street, provider) as browser, street.browser() as with_password:
        await with_password.sign_in(email)
        assert (await tell(street, signed(claims_of(provider, sid="any"), "first"))).status_code == 200
        assert [await is_in(one) for one in (browser, with_password)] == [False, True]


@pytest.mark.parametrize("who", [{"sub": "nobody here"}, {"sub": "nobody here", "sid": "unknown"}, {"sid": "unknown"}])
async def test_who_is_not_here_is_signed_out_already(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn], who: Mapping[str, str]
) -> None:
    somebody(provider)
    async with signed_in(street, provider) as browser:
        claims = claims_of(provider)
        del claims["sub"]
        assert (await tell(street, signed({**claims, **who}, "first"))).status_code == 200
        assert await is_in(browser)


async def test_a_logout_token_is_taken_once(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    somebody(provider)
    token = signed(claims_of(provider), "first")
    assert (await tell(street, token)).status_code == 200
    async with signed_in(street, provider) as browser:
        again = await tell(street, token)
        assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
        assert "used before" in again.text
        assert await is_in(browser)


def _with_nothing(claims: Claims) -> str:
    return jwt.encode(claims, "", algorithm="none", headers={"kid": "first"})


def _with_public_key(claims: Claims) -> str:
    return jwt.encode(claims, public_jwk("first")["n"], algorithm="HS256", headers={"kid": "first"})


def _of_another_type(claims: Claims) -> str:
    return jwt.encode(claims, signing_key("first"), "RS256", headers={"kid": "first", "typ": "at+jwt"})


_WRONG_TOKENS: Mapping[str, tuple[Callable[[Claims], str], str]] = {
    "none": (_with_nothing, "signed by none"),
    "HS256": (_with_public_key, "signed by HS256"),
    "another key": (lambda claims: signed(claims, "stolen", kid="first"), "signature"),
    "an unknown key": (lambda claims: signed(claims, "stolen"), "no key of the issuer"),
    "garbage": (lambda claims: "no.token.at all", "not taken"),
    "without end": (lambda claims: f"{'W1tb' * 12_000}.e30.e30", "not taken"),
    "too long": (lambda claims: "x" * 65_537, "too long"),
    "type": (_of_another_type, "type at+jwt"),
}
_WRONG_CLAIMS: Mapping[str, tuple[Callable[[Claims], object], str]] = {
    "issuer": (lambda claims: claims.update(iss="https://evil.example"), "issuer"),
    "audience": (lambda claims: claims.update(aud="another-application"), "audience"),
    "no audience": (lambda claims: claims.pop("aud"), "aud"),
    "nonce": (lambda claims: claims.update(nonce="n"), "nonce"),
    "no events": (lambda claims: claims.pop("events"), "events"),
    "another event": (lambda claims: claims.update(events={"https://example.com/event": {}}), "events"),
    "events as a list": (lambda claims: claims.update(events=[EVENT]), "events"),
    "event that is no object": (lambda claims: claims.update(events={EVENT: None}), "events"),
    "no id": (lambda claims: claims.pop("jti"), "jti"),
    "an empty id": (lambda claims: claims.update(jti=""), "jti"),
    "no time": (lambda claims: claims.pop("iat"), "iat"),
    "expired": (lambda claims: claims.update(exp=int(time.time()) - 120), "expired"),
    "old": (lambda claims: claims.update(iat=int(time.time()) - 700), "ten minutes"),
    "of tomorrow": (lambda claims: claims.update(iat=int(time.time()) + 86_400), "not yet valid"),
    "nobody": (lambda claims: claims.pop("sub"), "neither a person"),
    "a session that is a number": (lambda claims: claims.update(sid=7), "cannot be read"),
    "an empty session": (lambda claims: claims.update(sid=""), "cannot be read"),
    "NUL": (lambda claims: claims.update(sub="a\0b"), "cannot be read"),
}


@pytest.mark.parametrize("fault", [*_WRONG_TOKENS, *_WRONG_CLAIMS])
async def test_a_token_that_is_no_logout_token_of_the_issuer_ends_nothing(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn], fault: str
) -> None:
    somebody(provider)
    async with signed_in(street, provider) as browser:
        claims = claims_of(provider)
        if fault in _WRONG_TOKENS:
            make, words = _WRONG_TOKENS[fault]
            token = make(claims)
        else:
            change, words = _WRONG_CLAIMS[fault]
            change(claims)
            token = signed(claims, "first")
        refused = await tell(street, token)
        assert (refused.status_code, refused.headers["cache-control"]) == (400, "no-store")
        assert words in refused.json()["error_description"]
        assert await is_in(browser)


async def test_the_token_of_a_sign_in_is_no_logout_token(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    somebody(provider)
    async with signed_in(street, provider) as browser:
        origin = await street.people.sessions.find_origin(browser.session or "")
        assert origin is not None
        assert (await tell(street, origin.id_token or "")).status_code == 400
        assert await is_in(browser)


async def test_tokens_of_unknown_keys_do_not_have_us_ask_the_issuer_each_time(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    somebody(provider)
    tokens = [signed(claims_of(provider), "stolen", kid=f"made-up-{number}") for number in range(20)]
    answers = await asyncio.gather(*(tell(street, token) for token in tokens))
    assert {answer.status_code for answer in answers} == {400}
    assert provider.requests.count("/keys") == 1


async def test_whatever_is_sent_is_answered_in_words(
    street: Street, provider: IdentityProvider, open_door: Callable[..., SingleSignOn]
) -> None:
    async with street.browser() as browser:
        address, form = "/ui/sso/backchannel-logout", {"content-type": "application/x-www-form-urlencoded"}
        for body in (b"", b"\xff", b"logout_token=", b"logout_token=a&logout_token=b", b"&".join([b"a=1"] * 50)):
            refused = await browser.client.post(address, content=body, headers=form)
            assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
        assert (await browser.client.post(address, content=b"x" * 200_000, headers=form)).status_code == 413
    provider.answers = {"/keys": (500, {})}
    open_door()
    somebody(provider)
    assert "asked for its keys" in (await tell(street, signed(claims_of(provider), "first"))).text
    street.door.pages.issuer_logout = None
    assert (await tell(street, "any")).status_code == 404
