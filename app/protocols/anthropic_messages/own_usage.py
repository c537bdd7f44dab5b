"""``GET /api/oauth/usage`` as Claude Code reads it for ``/usage``: dollars spent of the budgets that a key is under.

Source: the protocol document that Anthropic's own gateway serves. Amounts are cents, percents are whole.
"""

from typing import Any

import msgspec

from app.base.money import NANO_PER_USD, NanoUSD
from app.domain.own_spending import BudgetUse, OwnSpending
from app.protocols.anthropic_messages.limits import LAST_WARNING_PERCENT, WARNING_PERCENT

_NANO_PER_CENT = NANO_PER_USD // 100


def render_usage(spending: OwnSpending) -> bytes:
    """The budget nearest to its end is the one that ``extra_usage`` tells."""
    if not spending.budgets:
        return msgspec.json.encode(_without_budget(spending))
    nearest = max(spending.budgets, key=lambda use: use.percent)
    extra = {
        "is_enabled": True,
        "monthly_limit": _cents(nearest.limit_nanousd),
        "used_credits": _cents(nearest.spent_nanousd),
        "utilization": nearest.percent,
        "currency": "USD",
    }
    return msgspec.json.encode({"extra_usage": extra, "limits": [_limit(use) for use in spending.budgets]})


def _limit(use: BudgetUse) -> dict[str, Any]:
    end = use.window.end
    severity = "normal"
    if use.percent >= WARNING_PERCENT:
        severity = "critical" if use.percent >= LAST_WARNING_PERCENT else "warning"
    return {
        "kind": "spend",
        "group": use.period,
        "percent": use.percent,
        "resets_at": None if end is None else end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "severity": severity,
        "is_active": True,
    }


def _without_budget(spending: OwnSpending) -> dict[str, Any]:
    """Nothing is limited: the amounts alone."""
    return {
        "extra_usage": {
            "is_enabled": True,
            "monthly_limit": None,
            "used_credits": _cents(spending.month_nanousd),
            "utilization": None,
            "currency": "USD",
        },
        "limits": [],
        "daily": {"limit": None, "used_credits": _cents(spending.day_nanousd), "utilization": None},
        "weekly": {"limit": None, "used_credits": _cents(spending.week_nanousd), "utilization": None},
    }


def _cents(amount: NanoUSD) -> int:
    """Rounded half up."""
    return (max(0, amount) + _NANO_PER_CENT // 2) // _NANO_PER_CENT
