"""What Claude Code's ``/usage`` is told: cents, whole percents, and the budget nearest to its end."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from app.base.money import NANO_PER_USD
from app.domain.budgets import BudgetWindow
from app.domain.own_spending import BudgetUse, OwnSpending, calendar_starts
from app.protocols.anthropic_messages.own_usage import render_usage

START = datetime(2026, 11, 1, tzinfo=UTC)
MONTH = BudgetWindow(START, datetime(2026, 12, 1, tzinfo=UTC))


def use(limit_usd: int, spent_usd: int, window: BudgetWindow = MONTH) -> BudgetUse:
    return BudgetUse(limit_usd * NANO_PER_USD, spent_usd * NANO_PER_USD, window)


@pytest.mark.parametrize(
    ("spent", "percent", "severity"),
    [(0, 0, "normal"), (74, 74, "normal"), (75, 75, "warning"), (94, 94, "warning"), (95, 95, "critical")],
)
def test_a_budget_is_told_in_cents_and_percents(spent: int, percent: int, severity: str) -> None:
    told = json.loads(render_usage(OwnSpending((use(100, spent),))))
    assert told["extra_usage"] == {
        "is_enabled": True,
        "monthly_limit": 10_000,
        "used_credits": spent * 100,
        "utilization": percent,
        "currency": "USD",
    }
    assert told["limits"] == [
        {
            "kind": "spend",
            "group": "monthly",
            "percent": percent,
            "resets_at": "2026-12-01T00:00:00Z",
            "severity": severity,
            "is_active": True,
        }
    ]


def test_of_several_budgets_the_one_nearest_to_its_end_comes_first_in_words_and_all_are_listed() -> None:
    day = BudgetWindow(START, START + timedelta(days=1))
    week = BudgetWindow(START, START + timedelta(days=7))
    never = BudgetWindow(START, None)
    told = json.loads(render_usage(OwnSpending((use(100, 10), use(5, 4, day), use(50, 1, week), use(0, 0, never)))))
    assert told["extra_usage"]["utilization"] == 100
    assert [(limit["group"], limit["percent"]) for limit in told["limits"]] == [
        ("monthly", 10),
        ("daily", 80),
        ("weekly", 2),
        ("monthly", 100),
    ]
    assert told["limits"][3]["resets_at"] is None


def test_without_a_budget_the_amounts_stand_alone() -> None:
    told = json.loads(render_usage(OwnSpending((), 5_000_000, 15_000_000, 1_234_500_000)))
    assert told == {
        "extra_usage": {
            "is_enabled": True,
            "monthly_limit": None,
            "used_credits": 123,
            "utilization": None,
            "currency": "USD",
        },
        "limits": [],
        "daily": {"limit": None, "used_credits": 1, "utilization": None},
        "weekly": {"limit": None, "used_credits": 2, "utilization": None},
    }


def test_a_week_begins_on_monday_and_a_month_on_the_first() -> None:
    sunday = datetime(2026, 11, 1, 23, 59, tzinfo=UTC)
    assert calendar_starts(sunday) == (
        datetime(2026, 11, 1, tzinfo=UTC),
        datetime(2026, 10, 26, tzinfo=UTC),
        datetime(2026, 11, 1, tzinfo=UTC),
    )
