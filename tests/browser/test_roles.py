"""What each person finds: the pages of the own role, and nobody else's names on them."""

from collections.abc import Mapping

import pytest

from tests.browser.addresses import SIGNED_OUT, address_of, filled_in, page_paths
from tests.browser.conftest import Open

pytestmark = pytest.mark.browser
# Of others than the developer, who is of the team Payments.
OF_OTHERS = (
    "help-desk-bot",
    "nightly-evals",
    "checkout-assistant",
    "liam.byrne",
    "Tom Adeyemi",
    "Robotics",
    "Mei Tanaka",
)
_EDIT = "/ui/models/edit?id=dep_anthropic_claude_sonnet_4_6"
FOR_OTHERS = {
    "developer": ("/ui/keys/key_checkout_assistant", "/ui/people", "/ui/models/new", _EDIT),
    "finance": ("/ui/models/new", _EDIT),
    "auditor": ("/ui/people", "/ui/requests", "/ui/models/new", "/ui/keys/key_checkout_assistant"),
    "team lead": ("/ui/people", "/ui/models/new", "/ui/keys/key_help_desk_bot"),
}


@pytest.mark.parametrize("title", FOR_OTHERS)
def test_a_role_opens_what_its_sidebar_shows_and_not_what_is_for_others(title: str, open_as: Open) -> None:
    watched = open_as(title)
    watched.go("/ui/account")
    shown = [link.get_attribute("href") or "" for link in watched.page.locator(".sidebar nav a").all()]
    answers = {path: watched.page.request.get(path).status for path in (*shown, *FOR_OTHERS[title])}
    assert shown
    assert {answers[path] for path in shown} == {200}
    assert {path: answers[path] for path in FOR_OTHERS[title] if answers[path] not in (403, 404)} == {}
    assert set(shown).isdisjoint(FOR_OTHERS[title])


def test_on_no_page_of_a_developer_stands_anything_of_others(open_as: Open, found: Mapping[str, str]) -> None:
    watched = open_as("developer")
    seen, opened = [], 0
    for path in (path for path in page_paths() if path not in SIGNED_OUT):
        address = filled_in(address_of(path) or "", found)
        answer = watched.page.request.get(address)
        if answer.ok:
            opened += 1
            seen += [(address, name) for name in OF_OTHERS if name in answer.text()]
        else:
            assert answer.status in (403, 404), (address, answer.status)
    assert seen == []
    assert opened >= 4
