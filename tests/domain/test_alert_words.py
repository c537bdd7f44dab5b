"""What an alert says: whose, how much of what, when it resets, what to do next."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.base.ids import BudgetId
from app.base.money import NANO_PER_USD
from app.domain import alert_words as words
from app.domain.alert_words import BillingRefusal, BudgetFacts, Owner, usd
from app.domain.alerts import Alert
from app.domain.budgets import Budget, BudgetWindow, Duration

NOW = datetime(2026, 11, 21, 10, tzinfo=UTC)
MONTH = BudgetWindow(datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC))
FOR_EVER = BudgetWindow(MONTH.start, None)
TEAM = Owner("team:team_01", 'team "research"', "team_01", "acme")
KEY = Owner("key_01", 'key "ci"')
MEMBER = Owner("member:team_01:ada", 'member "ada" of team "research"', "team_01", "acme")
DOLLAR = NANO_PER_USD


def facts(owner: Owner, spent: int, limit: int | None, soft: int | None = None, **terms: object) -> BudgetFacts:
    window = FOR_EVER if terms.get("duration", "1mo") is None else MONTH
    given: dict[str, Any] = {"duration": Duration(1, "mo"), **terms}
    budget = Budget(BudgetId("bud_1"), limit or 0, anchor=NOW, counting_since=NOW, **given)
    return BudgetFacts(owner, budget, window, spent, limit, soft)


@pytest.mark.parametrize(
    ("alert", "title", "text"),
    [
        (
            words.threshold_reached(facts(TEAM, 92_153_150_000, 100 * DOLLAR), 90),
            'Team "research" has spent 90 % of its budget',
            "92.15 of 100.00 USD per month spent; resets on 1 Dec 2026, 00:00 UTC.\n"
            'At 100 % its calls are refused. To change the budget: POST /team/update with team_id "team_01" and '
            "max_budget.",
        ),
        (
            words.threshold_reached(facts(MEMBER, 5 * DOLLAR, 5 * DOLLAR), 100),
            'Member "ada" of team "research" has spent 100 % of its budget',
            "5.00 of 5.00 USD per month spent; resets on 1 Dec 2026, 00:00 UTC.\n"
            "Its calls are refused until then. To change the budget: POST /team/member_update with "
            'team_id "team_01", user_id "ada" and max_budget_in_team.',
        ),
        (
            words.threshold_reached(facts(KEY, 5 * DOLLAR, 5 * DOLLAR, duration=None), 100),
            'Key "ci" has spent 100 % of its budget',
            "5.00 of 5.00 USD spent; never resets.\n"
            'Its calls are refused. To change the budget: POST /key/update with key "key_01" and max_budget.',
        ),
        (
            words.threshold_reached(facts(TEAM, 50 * DOLLAR, 100 * DOLLAR, shared=True), 50),
            'Team "research" has spent 50 % of its budget',
            "50.00 of 100.00 USD per month spent; resets on 1 Dec 2026, 00:00 UTC.\n"
            'At 100 % its calls are refused. To change the budget: POST /budget/update with budget_id "bud_1" and '
            "max_budget.",
        ),
        (
            words.soft_limit_reached(facts(KEY, 8 * DOLLAR, None, 8 * DOLLAR), 100),
            'Key "ci" has spent 100 % of its soft budget',
            "8.00 of 8.00 USD per month spent; resets on 1 Dec 2026, 00:00 UTC.\n"
            'Nothing is refused. To change the budget: POST /key/update with key "key_01" and soft_budget.',
        ),
        (
            words.soft_limit_reached(facts(KEY, 9 * DOLLAR, 9 * DOLLAR, 8 * DOLLAR), 100),
            'Key "ci" has spent 100 % of its soft budget',
            "9.00 of 8.00 USD per month spent; resets on 1 Dec 2026, 00:00 UTC.\n"
            "The budget beside it is spent, and refuses. To change the budget: POST /key/update with key "
            '"key_01" and soft_budget.',
        ),
        (
            words.forecast_exceeded(facts(KEY, 62 * DOLLAR, 100 * DOLLAR), 118 * DOLLAR, NOW),
            'Key "ci" is on course to exceed its budget',
            "62.00 of 100.00 USD per month spent; resets on 1 Dec 2026, 00:00 UTC.\n"
            "At this pace 118.00 USD are spent by then, and the budget is reached on 21 Nov 2026, 10:00 UTC. "
            'To change the budget: POST /key/update with key "key_01" and max_budget.',
        ),
        (
            words.spends_faster(KEY, 12_300_000_000, 410_000_000, NOW),
            'Key "ci" spends far more than usual',
            "12.30 USD in the last hour; 0.41 USD is usual in an hour with any spend.\n"
            'Look at its calls with GET /spend/logs; to stop it: POST /key/block with key "key_01".',
        ),
        (
            words.billing_refused(BillingRefusal("openai", "api.openai.com #1a2b3c", "gpt-5", 429, "No quota", NOW)),
            "Provider openai refuses calls: its account is out of credit",
            'api.openai.com #1a2b3c, status 429, asked for gpt-5. It says: "No quota"\n'
            "Calls to this account fail until then: add credit or raise the limit at the provider.",
        ),
        (
            words.key_expires(KEY, NOW + timedelta(hours=20), 1),
            'Key "ci" expires within a day',
            "It stops working on 22 Nov 2026, 06:00 UTC.\n"
            'To keep it: POST /key/update with key "key_01" and a new duration; to replace it: POST /key/regenerate.',
        ),
    ],
)
def test_an_alert_says_whose_how_much_when_it_resets_and_what_to_do(alert: Alert, title: str, text: str) -> None:
    assert (alert.title, alert.text) == (title, text)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0.00"),
        (3_150_000, "0.00315"),
        (99_999_999, "0.099999999"),
        (949_998_000, "0.94"),
        (DOLLAR, "1.00"),
        (99_999_999_999, "99.99"),
    ],
)
def test_amounts_are_read_in_cents_and_never_rounded_up(amount: int, shown: str) -> None:
    assert usd(amount) == shown


def test_the_same_thing_has_the_same_name_and_another_limit_or_window_another() -> None:
    budget = facts(TEAM, 92 * DOLLAR, 100 * DOLLAR)
    name = words.threshold_reached(budget, 90).name

    assert words.threshold_reached(facts(TEAM, 93 * DOLLAR, 100 * DOLLAR), 90).name == name
    assert words.threshold_reached(budget, 75).name != name
    assert words.threshold_reached(facts(TEAM, 92 * DOLLAR, 101 * DOLLAR), 90).name != name
    assert words.threshold_reached(facts(KEY, 92 * DOLLAR, 100 * DOLLAR), 90).name != name
