"""Budgets and limits as the admin routes answer them: the fields of a request, as they stand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from app.api.admin.answers import number, optional_number


class Limited(Protocol):
    """A stored row with rate limits."""

    @property
    def requests_per_minute(self) -> int | None: ...
    @property
    def tokens_per_minute(self) -> int | None: ...
    @property
    def tokens_per_day(self) -> int | None: ...
    @property
    def max_parallel_requests(self) -> int | None: ...
    @property
    def model_requests_per_minute(self) -> Mapping[str, int]: ...
    @property
    def model_tokens_per_minute(self) -> Mapping[str, int]: ...
    @property
    def further_limits(self) -> Sequence[Mapping[str, Any]]: ...


def render_limits(row: Limited) -> dict[str, Any]:
    return {
        "rpm_limit": row.requests_per_minute,
        "tpm_limit": row.tokens_per_minute,
        "tpd_limit": row.tokens_per_day,
        "max_parallel_requests": row.max_parallel_requests,
        "model_rpm_limit": row.model_requests_per_minute or None,
        "model_tpm_limit": row.model_tokens_per_minute or None,
        "limits": [
            {**one, "limit": number(one["limit"])} if one["measure"] == "usd" else one for one in row.further_limits
        ],
    }


def render_parts(
    timezone: str | None,
    windows: Sequence[Mapping[str, Any]] | None,
    model_budgets: Mapping[str, Mapping[str, Any]] | None,
    increase_nanousd: int | None,
    increase_until: datetime | None,
) -> dict[str, Any]:
    """What a budget has beside its amount and duration."""
    return {
        "budget_timezone": timezone,
        "budget_limits": [
            {"budget_duration": one["duration"], "max_budget": number(one["limit_nanousd"])} for one in windows or ()
        ]
        or None,
        "model_max_budget": {
            model: {"budget_limit": number(one["limit_nanousd"]), "time_period": one["duration"]}
            for model, one in (model_budgets or {}).items()
        },
        "temp_budget_increase": optional_number(increase_nanousd),
        "temp_budget_expiry": increase_until,
    }
