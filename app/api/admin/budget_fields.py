"""Reading the budgets and limits of an admin request: several windows, models, and rates of every measure."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from app.api.admin import fields
from app.api.admin.fields import Body, Readers, is_null
from app.api.admin.time_fields import read_coming_moment, read_period, read_zone
from app.base.errors import Unprocessable
from app.domain.limits import WINDOWS_S

MOST_WINDOWS = 10
MEASURES = ("requests", "tokens", "usd", "parallel")


def read_windows(name: str, raw: bytes) -> list[dict[str, Any]]:
    """LiteLLM's ``budget_limits``: ``[{"budget_duration": "day", "max_budget": 5}]``."""
    windows = []
    for entry in fields.read_entries(name, raw):
        # What was read is written back with when it resets.
        fields.check_names(entry, ("budget_duration", "max_budget", "reset_at"), ())
        duration, limit = _required(name, entry, "budget_duration"), _required(name, entry, "max_budget")
        with _within(name):
            period = read_period("budget_duration", duration)
            windows.append({"duration": str(period), "limit_nanousd": fields.read_amount("max_budget", limit)})
    if len(windows) > MOST_WINDOWS:
        raise Unprocessable(f'"{name}" has {len(windows)} windows; at most {MOST_WINDOWS}', param=name)
    _refuse_twins(name, [window["duration"] for window in windows])
    return windows


def read_model_budgets(name: str, raw: bytes) -> dict[str, dict[str, Any]]:
    """LiteLLM's ``model_max_budget``: ``{"gpt-4o": {"budget_limit": 10, "time_period": "1d"}}``."""
    found = {}
    for model, value in fields.read_by_name(name, raw).items():
        entry = {"budget_limit": value} if value[:1] not in (b"{", b"[", b'"') else fields.read_object(name, value)
        fields.check_names(entry, ("budget_limit", "max_budget", "time_period", "budget_duration"), ())
        limit = entry.get("budget_limit") or entry.get("max_budget")
        period = entry.get("time_period") or entry.get("budget_duration") or b"null"
        if limit is None:
            raise Unprocessable(f'"{name}" of "{model}" lacks "budget_limit", in dollars', param=name)
        with _within(name, model):
            duration = None if is_null(period) else str(read_period("time_period", period))
            found[model] = {"limit_nanousd": fields.read_amount("budget_limit", limit), "duration": duration}
    return found


def read_model_counts(name: str, raw: bytes) -> dict[str, int]:
    """``{"gpt-4o": 60}``."""
    with _within(name):
        return {model: fields.read_count(model, value) for model, value in fields.read_by_name(name, raw).items()}


def read_limits(name: str, raw: bytes) -> list[dict[str, Any]]:
    """``[{"measure": "requests", "per": "hour", "limit": 1000, "model": "gpt-4o"}]``."""
    limits = [_read_limit(name, entry) for entry in fields.read_entries(name, raw)]
    _refuse_twins(name, [f"{one['measure']} per {one.get('per')} of {one.get('model')}" for one in limits])
    return limits


def _read_limit(name: str, entry: Body) -> dict[str, Any]:
    fields.check_names(entry, ("measure", "per", "limit", "model"), ())
    raw, limit = _required(name, entry, "measure"), _required(name, entry, "limit")
    per, model = entry.get("per", b"null"), entry.get("model", b"null")
    with _within(name):
        measure = fields.read_choice("measure", raw, MEASURES)
        read = fields.read_amount if measure == "usd" else fields.read_count
        found: dict[str, Any] = {"measure": measure, "limit": read("limit", limit)}
        if not is_null(model):
            found["model"] = fields.read_text("model", model)
    if measure != "parallel":
        per = _required(name, entry, "per")
        with _within(name):
            found["per"] = fields.read_choice("per", per, tuple(WINDOWS_S))
    elif not is_null(per):
        raise Unprocessable(f'"{name}": parallel requests have no "per"; leave it out', param=name)
    return found


@contextmanager
def _within(name: str, of: str | None = None) -> Iterator[None]:
    """What is wrong is a part of this field, of the entry of this name."""
    try:
        yield
    except Unprocessable as error:
        where = f'"{name}"' if of is None else f'"{name}" of "{of}"'
        raise Unprocessable(f"{where}: {error}", param=name) from error


def _required(name: str, entry: Body, part: str) -> bytes:
    raw = entry.get(part, b"null")
    if is_null(raw):
        raise Unprocessable(f'"{name}" holds an entry without "{part}"', param=name)
    return raw


def _refuse_twins(name: str, found: Sequence[object]) -> None:
    twins = {one for one in found if found.count(one) > 1}
    if twins:
        raise Unprocessable(f'"{name}" says "{twins.pop()}" twice; once is enough', param=name)


OWN_BUDGET: Readers = {
    "max_budget": ("limit_nanousd", fields.read_amount, None),
    "budget_duration": ("duration", read_period, None),
    "soft_budget": ("soft_limit_nanousd", fields.read_amount, None),
    "on_exceed": ("on_exceed", fields.read_on_exceed, None),
    "budget_timezone": ("timezone", read_zone, None),
    "budget_limits": ("windows", read_windows, []),
    "model_max_budget": ("model_budgets", read_model_budgets, {}),
    "temp_budget_increase": ("increase_nanousd", fields.read_amount, None),
    "temp_budget_expiry": ("increase_until", read_coming_moment, None),
}
BUDGET: Readers = {**OWN_BUDGET, "budget_id": ("budget_id", fields.read_text, None)}
LIMITS: Readers = {
    "rpm_limit": ("requests_per_minute", fields.read_count, None),
    "tpm_limit": ("tokens_per_minute", fields.read_count, None),
    "tpd_limit": ("tokens_per_day", fields.read_count, None),
    "max_parallel_requests": ("max_parallel_requests", fields.read_count, None),
    "model_rpm_limit": ("model_requests_per_minute", read_model_counts, {}),
    "model_tpm_limit": ("model_tokens_per_minute", read_model_counts, {}),
    "limits": ("further_limits", read_limits, []),
}
