"""An identity provider before the pages, and people who come in by it."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from app.admin.issuer_logout import IssuerLogout
from app.admin.single_sign_on import SingleSignOn
from app.base.ids import new_id
from app.base.secret import Secret
from app.domain.group_mapping import GroupRule, GroupRules
from app.identity.issuer import Issuer
from app.identity.rules import IssuerSettings, SingleSignOnRules
from app.providers.upstream import HttpUpstream
from tests.api.ui.support import Browser, Street
from tests.fakes.identity_provider import CLIENT_ID, CLIENT_SECRET, IdentityProvider, identity_provider

RULES = GroupRules(roles=[GroupRule("makers", "internal_user"), GroupRule("auditors", "auditor")])


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[tuple[IdentityProvider, HttpUpstream]]:
    http = HttpUpstream()
    async with identity_provider() as provider:
        yield provider, http
    await http.close()


@pytest.fixture
def provider(running: tuple[IdentityProvider, HttpUpstream]) -> IdentityProvider:
    running[0].reset()
    return running[0]


@pytest.fixture
def open_door(
    running: tuple[IdentityProvider, HttpUpstream], provider: IdentityProvider, street: Street
) -> Iterator[Callable[..., SingleSignOn]]:
    """Sets single sign-on up at the pages, with a fresh memory of the issuer."""

    def open_it(groups: GroupRules = RULES, *, trusts_email: bool = False, **rules: Any) -> SingleSignOn:
        issuer = IssuerSettings(
            provider.url, CLIENT_ID, Secret(CLIENT_SECRET), "Example ID", trusts_email=trusts_email, wants_groups=True
        )
        made = SingleSignOnRules(issuer, groups, **{"auto_create": True, **rules})
        door, one = street.door, Issuer(running[1], issuer)
        door.pages.single_sign_on = SingleSignOn(door.engine, door.principals, street.people.sessions, one, made)
        door.pages.issuer_logout = IssuerLogout(door.engine, door.principals.pepper, one)
        return door.pages.single_sign_on

    open_it()
    yield open_it
    street.door.pages.single_sign_on = street.door.pages.issuer_logout = None


def somebody(provider: IdentityProvider, **claims: Any) -> str:
    """Who sits before the browser; returns the address."""
    subject = new_id("sub")
    email = f"{subject}@example.com"
    provider.claims = {"sub": subject, "email": email, "email_verified": True, "name": "Ada <b>", "groups": []} | claims
    return str(provider.claims["email"])


async def come_in(browser: Browser, provider: IdentityProvider, wanted: str = "/ui") -> httpx.Response:
    begun = await browser.client.get("/ui/sso", params={"next": wanted})
    assert begun.status_code == 303, begun.text
    return await browser.get(provider.authorize(begun.headers["location"]))


@asynccontextmanager
async def signed_in(street: Street, provider: IdentityProvider) -> AsyncIterator[Browser]:
    async with street.browser() as browser:
        answer = await come_in(browser, provider)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/ui"), answer.text
        yield browser
