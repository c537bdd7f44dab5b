"""In which window an owner is said to stand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.admin.standings import SINCE_EVER, window_of
from app.base.ids import BudgetId
from app.domain.budgets import BudgetWindow
from app.storage.postgres.budgets import StoredBudget

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MADE = NOW - timedelta(days=90)


def budget(duration: str | None, **fields: Any) -> StoredBudget:
    unset: dict[str, Any] = dict.fromkeys(StoredBudget.__slots__)
    made = {"budget_id": BudgetId("bud_1"), "limit_nanousd": 5, "anchor": MADE, "counting_since": MADE}
    return StoredBudget(**(unset | made | {"duration": duration} | fields))


@pytest.mark.parametrize("duration", [None, "total", "month", "1d", "quarter"])
def test_what_was_spent_before_a_reset_is_in_no_window(duration: str | None) -> None:
    reset_at = NOW - timedelta(hours=1)
    plain = budget(duration)
    anew = replace(plain, reset_at=reset_at)
    assert window_of(anew, NOW) == BudgetWindow(reset_at, window_of(plain, NOW).end)


@pytest.mark.parametrize("duration", [None, "total"])
def test_a_budget_that_never_resets_counts_since_ever(duration: str | None) -> None:
    assert window_of(budget(duration), NOW) == BudgetWindow(SINCE_EVER, None)


def test_a_window_is_of_the_budgets_zone() -> None:
    window = window_of(budget("day", timezone="Asia/Tokyo"), NOW)
    assert window == BudgetWindow(datetime(2026, 11, 20, 15, tzinfo=UTC), datetime(2026, 11, 21, 15, tzinfo=UTC))
