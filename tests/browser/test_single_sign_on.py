"""Somebody comes in by an identity provider, with what the groups there give, and leaves; on a desk and on a phone."""

from typing import TYPE_CHECKING

import pytest

from tests.browser.conftest import Open
from tests.browser.watching import NARROW, WIDE, Size, Watched
from tests.fakes.identity_provider import IdentityProvider

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
SIZES = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["desk", "phone"])


def faults_of_looks(watched: Watched) -> list[str]:
    found = []
    for scheme in ("light", "dark"):
        watched.page.emulate_media(color_scheme=scheme)
        found += [f"{scheme}: {fault}" for fault in watched.accessibility_faults()]
    watched.page.emulate_media(color_scheme="light")
    return found + ([f"{watched.overflow_px()} px too wide"] if watched.overflow_px() > 0 else [])


def come_in(page: "Page") -> None:
    page.get_by_role("link", name="Continue with Example ID").click()
    page.get_by_role("button", name="Continue").click()


def leave(page: "Page") -> None:
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.get_by_role("heading", name="You are signed out").wait_for()


@SIZES
def test_somebody_comes_in_with_what_the_groups_give_and_leaves_both_houses(
    size: Size, open_as: Open, provider: IdentityProvider
) -> None:
    subject = f"sub-{size['width']}"
    email = f"sigrid.{size['width']}@halden.example"
    provider.claims = {"sub": subject, "email": email, "email_verified": True, "name": "Sigrid Holm"}
    provider.claims["groups"] = ["makers", "payments-leads"]
    watched = open_as(None, size, provider.url)
    page = watched.page
    page.goto("/ui/teams/team_payments?month=2020-01")
    assert faults_of_looks(watched) == []
    come_in(page)
    page.wait_for_url("**/ui/teams/team_payments?month=2020-01")
    page.get_by_role("heading", name="Payments").first.wait_for()
    assert page.get_by_role("button", name="Add", exact=True).is_visible(), "an admin of the team takes members in"
    page.goto("/ui/account")
    you = page.locator("section", has=page.get_by_role("heading", name="You"))
    assert "Member" in you.inner_text()
    assert provider.url in you.inner_text()

    leave(page)
    assert page.get_by_text("still signed in at Example ID").is_visible()
    assert faults_of_looks(watched) == []
    page.get_by_role("link", name="Sign out of Example ID too").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("Here, and at Example ID.").wait_for()
    assert faults_of_looks(watched) == []
    assert provider.signed_out[-1] == subject

    provider.claims["groups"] = ["accountants"]
    page.get_by_role("link", name="Sign in again").click()
    come_in(page)
    page.wait_for_url("**/ui/audit")
    page.goto("/ui/account")
    assert "Auditor" in you.inner_text()
    assert "Member" not in you.inner_text()
    assert page.get_by_text("Teams", exact=True).count() == 0, "and is of no team"
    page.get_by_role("button", name="Sign out everywhere").click()
    page.get_by_role("heading", name="You are signed out").wait_for()
    page.goto("/ui/account")
    page.get_by_role("heading", name="Sign in", exact=True).wait_for()


@SIZES
def test_somebody_who_may_not_come_in_is_told_what_to_do(size: Size, open_as: Open, provider: IdentityProvider) -> None:
    watched = open_as(None, size, provider.url)
    page = watched.page
    provider.claims = {"sub": "eve", "email": "eve@elsewhere.example", "email_verified": True, "name": "Eve"}
    page.goto("/ui/my-keys")
    page.get_by_role("link", name="Continue with Example ID").click()
    page.get_by_role("button", name="Not now").click()
    page.get_by_text("Example ID did not sign you in: You said no.").wait_for()
    come_in(page)
    page.get_by_text("addresses at elsewhere.example may not come in here").wait_for()
    assert page.get_by_text("sign in as somebody else, or ask an admin").is_visible()
    assert faults_of_looks(watched) == []
    page.get_by_role("link", name="Sign out of Example ID").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("Here, and at Example ID.").wait_for()
    page.goto("/ui/my-keys")
    provider.claims = {"sub": f"known-{size['width']}", "email": f"b.{size['width']}@halden.example"}
    provider.claims |= {"email_verified": True, "name": "Berit"}
    come_in(page)
    page.wait_for_url("**/ui/my-keys")
    refusals = [fault for fault in watched.faults if "status of 401" in fault or "status of 403" in fault]
    assert len(refusals) == 2, "which the browser notes"
    watched.faults[:] = [fault for fault in watched.faults if fault not in refusals]
