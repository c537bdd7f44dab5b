"""What a page says while the gateway does not answer, and after."""

import pytest
from playwright.sync_api import Page, Route

from tests.browser.conftest import Open

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
