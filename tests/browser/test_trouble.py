"""What a page says while the gateway does not answer, or no longer knows who asks, and after."""

import pytest
from playwright.sync_api import Page, Route

from app.admin.demo_data.company import PERSONAS
from tests.browser.conftest import PASSWORD, Open

pytestmark = pytest.mark.browser


def lines(page: Page) -> list[str]:
    found: list[str] = page.eval_on_selector_all("tbody tr", "rows => rows.map((row) => row.dataset.id)")
    return found


def test_a_live_log_says_that_it_hears_nothing_and_goes_on_where_it_was(open_as: Open) -> None:
    watched = open_as("owner")
    page = watched.page
    page.goto("/ui/requests?span=30d&live=1")
    newest = lines(page)[0]

    def nothing(route: Route) -> None:
        route.abort()

    page.route("**/ui/requests*", nothing)
    page.get_by_role("status").filter(has_text="Connection lost. Trying again…").wait_for()
    page.evaluate("document.querySelector('tbody').rows[0].remove()")  # as if it had come in meanwhile
    page.unroute("**/ui/requests*", nothing)
    page.get_by_text("Connection lost").wait_for(state="hidden")
    found = lines(page)
    assert newest in found
    assert len(set(found)) == len(found)
    watched.faults = [fault for fault in watched.faults if "ERR_FAILED" not in fault]


def test_what_was_typed_when_the_session_ended_is_there_again_after_signing_in(open_as: Open) -> None:
    page = open_as("developer").page
    page.goto("/ui/keys/new?team_id=team_payments")
    page.get_by_label("Name").fill("typed-before")
    page.get_by_label("claude-haiku-4-5").check()
    page.get_by_text("Limits", exact=True).click()
    page.get_by_label("Requests a minute").fill("60")
    page.context.clear_cookies()
    page.get_by_role("button", name="Create the key").click()
    page.get_by_text("nothing has changed").wait_for()
    page.get_by_label("E-mail").fill(PERSONAS["developer"].email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("What you typed is here again").wait_for()
    assert page.get_by_label("Name").input_value() == "typed-before"
    assert page.get_by_label("claude-haiku-4-5").is_checked()
    assert page.get_by_label("Requests a minute").is_visible()
    assert page.get_by_label("Requests a minute").input_value() == "60"
    page.reload()
    assert page.get_by_label("Name").input_value() == ""
