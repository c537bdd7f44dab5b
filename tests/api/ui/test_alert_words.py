"""What pages show of an alert."""

from dataclasses import replace
from datetime import UTC, datetime

from app.admin.people import Person
from app.api.ui.alert_words import address_of, words_of
from app.domain.alerts import AlertEvent
from app.domain.roles import Standing


def test_a_page_leaves_out_what_only_a_program_would_call() -> None:
    spent = "It has spent all.\nIts calls are refused."
    assert words_of(_event(f'{spent} To change the budget: POST /key/update with key "k. 1" and max_budget.')) == spent
    assert words_of(_event(f"{spent} To change the budget: PUT /access_group/a/budget with max_budget.")) == spent
    assert (
        words_of(_event("3 USD in the last hour.\nLook at its calls with GET /spend/logs."))
        == "3 USD in the last hour."
    )
    assert words_of(_event("It has no money left. Top it up there.")) == "It has no money left. Top it up there."


def test_money_and_periods_are_written_as_on_all_pages() -> None:
    sent = "3.31 of 3.50 USD per month spent; resets on 1 Dec 2026. At this pace 1,204.56 USD are spent."
    shown = "$3.31 of $3.50 a month spent; starts anew on 1 Dec 2026. At this pace $1,204.56 are spent."
    assert words_of(_event(sent)) == shown


def test_an_alert_of_an_access_group_leads_to_its_budget_on_the_page_of_budgets() -> None:
    event = replace(_event(""), kind="budget.threshold_reached")
    of_group = replace(event, facts={"owner_kind": "access_group", "access_group": "a & b"})
    standing = Standing(user_id="user_1", role="proxy_admin")
    owner = Person("user_1", "owner@example.com", "Owner", standing, "session_1", "192.0.2.1")
    assert address_of(of_group, owner) == "/ui/budgets?level=group&q=a+%26+b"


def _event(text: str) -> AlertEvent:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return AlertEvent("event_1", "test", "A title", text, {}, None, None, sent=True, created_at=at)
