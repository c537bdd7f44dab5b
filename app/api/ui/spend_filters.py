"""What spend and its receipts are narrowed by on pages: groupings with one value each, and days of a time zone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from litestar import Request

from app.admin.spend_explorer import Question, SpendExplorer
from app.api.ui.lists import read_id, read_text
from app.base.errors import Unprocessable
from app.domain.roles import Tenant
from app.storage.postgres.reports import Dimension

DIMENSIONS: Mapping[Dimension, str] = {
    "organization": "Organization",
    "team": "Team",
    "user": "Person",
    "key": "Key",
    "project": "Project",
    "customer": "Customer",
    "tag": "Tag",
    "model": "Model",
    "model_asked": "Model asked for",
    "provider": "Provider",
    "request_class": "Request class",
    "session": "Session",
    "kind": "Kind",
    "cost_center": "Cost centre",
}
NAMES: Mapping[str, Dimension] = {name: name for name in DIMENSIONS}
NAMELESS: Mapping[str, str] = {
    "organization": "No organization", "team": "No team", "user": "Nobody", "project": "No project",
    "customer": "No customer", "tag": "No tag", "session": "No session",
    "cost_center": "No cost centre",
}  # fmt: skip
"""What those are called that have none."""
MOST_DAYS = 5 * 366
_MOST_CHOICES = 200
_NONE_CHOSEN, _CHOSEN = "-", "="
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
Filters = Mapping[Dimension, str]
"""The empty text stands for those that have none."""


def read_filters(request: Request[Any, Any, Any], dimensions: Mapping[Dimension, str] = DIMENSIONS) -> Filters:
    """``without`` names those of whom there shall be none."""
    found = {name: value for name in dimensions if (value := read_id(request, name))}
    without = read_text(request, "without").split(",")
    return found | {name: "" for name in dimensions if name in without}


def write_filters(only: Filters) -> dict[str, object]:
    """As they stand in an address."""
    none = ",".join(name for name, value in only.items() if not value)
    return {**{name: value for name, value in only.items() if value}, "without": none}


def read_choice(request: Request[Any, Any, Any]) -> tuple[Dimension, str] | None:
    """The filter that was chosen of ``choices_of``; None where none was."""
    picked, value = NAMES.get(read_text(request, "pick")), read_id(request, "value")
    return (
        None if picked is None or not value else (picked, value.removeprefix(_CHOSEN) if value != _NONE_CHOSEN else "")
    )


async def choices_of(
    explorer: SpendExplorer, question: Question, picked: Dimension | None, tenant: Tenant
) -> Sequence[tuple[str, str]]:
    """The largest that a filter may choose, with what they are called; none where no filter was picked."""
    if picked is None:
        return ()
    asked = replace(question, group_by=picked, compares=False, sort="cost", descending=True, skip=0)
    groups, _ = await explorer.groups(replace(asked, most=_MOST_CHOICES), tenant)
    named = [
        (_CHOSEN + group.id if group.id else _NONE_CHOSEN, group.name or NAMELESS.get(picked, "None"))
        for group in groups
    ]
    return sorted(named, key=lambda one: (one[0] == _NONE_CHOSEN, one[1].lower()))


def read_days(request: Request[Any, Any, Any], today: date) -> tuple[date, date] | None:
    """From one day to another, both included; None where neither is given. Raises Unprocessable."""
    first, last = _read_day(request, "from"), _read_day(request, "to")
    if first is None and last is None:
        return None
    first, last = first or last or today, last or max(today, first or today)
    if last < first:
        raise Unprocessable(f"the last day ({last}) is before the first ({first})", param="to")
    if (last - first).days >= MOST_DAYS:
        raise Unprocessable("choose at most five years at once", param="from")
    return first, last


def _read_day(request: Request[Any, Any, Any], name: str) -> date | None:
    text = read_text(request, name)
    if not text:
        return None
    try:
        found = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year <= 2999:
        raise Unprocessable(f'"{text}" is no day; write it as YYYY-MM-DD', param=name)
    return found
