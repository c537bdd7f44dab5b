"""From the columns of a level's row and of its budget's row to what the level sets: rate limits and budgets."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.base.ids import BudgetId
from app.domain.budgets import SINCE_EVER, Budget, Duration, parse_period
from app.domain.limits import MINUTE_S, WINDOWS_S, RateLimits

TERMS = (
    "budget_id", "limit_nanousd", "duration", "anchor", "counting_since", "shared", "reset_at", "timezone", "windows",
    "model_budgets", "pooled", "increase_nanousd", "increase_until", "on_exceed",
    "soft_limit_nanousd",
)  # fmt: skip
"""The columns of budgets that ``budgets_of`` reads."""
_PACE = BudgetId("pace")
_MEASURES = {"requests": "requests", "tokens": "tokens", "parallel": "max_parallel_requests"}

Columns = Mapping[str, Any]


def limits_of(own: Columns, budget: Columns) -> tuple[RateLimits, ...]:
    """Of a level's own limits and of its budget's the tighter ones: by window, and by model."""
    found: dict[tuple[int, str | None], dict[str, int]] = {}

    def tighten(measure: str, limit: int | None, window_s: int = MINUTE_S, model: str | None = None) -> None:
        if limit is not None:
            limits = found.setdefault((window_s, model), {})
            name = _MEASURES[measure]
            limits[name] = min(limit, limits.get(name, limit))

    for columns in (own, budget):
        tighten("requests", columns["requests_per_minute"])
        tighten("tokens", columns["tokens_per_minute"])
        tighten("parallel", columns["max_parallel_requests"])
        tighten("tokens", columns["tokens_per_day"], WINDOWS_S["day"])
        for measure in ("requests", "tokens"):
            for model, limit in (columns[f"model_{measure}_per_minute"] or {}).items():
                tighten(measure, limit, model=model)
        for entry in columns["further_limits"] or ():
            if entry["measure"] in _MEASURES:
                tighten(entry["measure"], entry["limit"], WINDOWS_S[entry.get("per", "minute")], entry.get("model"))
    return tuple(RateLimits(**limits, window_s=window_s, model=model) for (window_s, model), limits in found.items())


def budgets_of(terms: Columns, owned_since: datetime | None, *, since_made: bool) -> tuple[Budget, ...]:
    """All that one row of budgets stands for; ``since_made``: its owner did not exist before it."""
    if terms["budget_id"] is None:
        return ()
    parts: list[tuple[str, int | None, str | None, str | None]] = [
        ("", terms["limit_nanousd"], terms["duration"], None)
    ]
    parts += [(f"w{one['duration']}", one["limit_nanousd"], one["duration"], None) for one in terms["windows"]]
    parts += [
        (f"m{model}", one["limit_nanousd"], one["duration"], model) for model, one in terms["model_budgets"].items()
    ]
    found = []
    for part, limit_nanousd, period, model in parts:
        if limit_nanousd is None:
            continue
        duration = None if period is None else parse_period(period)
        ends = duration is not None and duration.unit != "total"
        budget = Budget(
            BudgetId(terms["budget_id"]),
            limit_nanousd,
            duration,
            terms["anchor"] if ends or (since_made and not terms["shared"]) else SINCE_EVER,
            terms["counting_since"],
            owned_since=None if terms["pooled"] else owned_since,
            shared=terms["shared"],
            reset_at=terms["reset_at"],
            zone=terms["timezone"] or "UTC",
            part=part,
            model=model,
            pooled=terms["pooled"],
            increase_nanousd=0 if part else terms["increase_nanousd"] or 0,
            increase_until=None if part else terms["increase_until"],
            on_exceed=terms["on_exceed"],
            soft_nanousd=None if part else terms["soft_limit_nanousd"],
        )
        found.append(budget)
    return tuple(found)


def paces_of(*places: Columns) -> tuple[Budget, ...]:
    """The limits of dollars a minute, hour or day: budgets that keep calls back. One set within a window counts from
    then on."""
    return tuple(
        Budget(
            _PACE,
            entry["limit"],
            Duration(1, entry["per"][0]),
            SINCE_EVER,
            SINCE_EVER,
            shared=True,
            part=f"{entry['per']}{place}",
            model=entry.get("model"),
            pace=True,
        )
        for place, columns in enumerate(places)
        for entry in columns["further_limits"] or ()
        if entry["measure"] == "usd"
    )
