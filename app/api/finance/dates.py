"""The days of a finance request: ``start_date`` and ``end_date``, both included, in the time zone asked for."""

import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from app.api.admin.queries import Query
from app.api.admin.time_fields import check_zone
from app.base.errors import Unprocessable

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_FIRST_YEAR, _LAST_YEAR = 2000, 2999


@dataclass(frozen=True, slots=True)
class Days:
    """``since`` is in it, ``until`` (midnight after the last day) is not; ``timezone`` is an IANA name."""

    first: date | None
    last: date | None
    since: datetime | None
    until: datetime | None
    timezone: str


def read_days(query: Query) -> Days:
    """Raises Unprocessable naming the field: no date, dates in the wrong order, no time zone."""
    name = query.get("timezone", "UTC")
    zone = zoneinfo.ZoneInfo(check_zone("timezone", name))
    first, last = _read_date(query, "start_date"), _read_date(query, "end_date")
    if first is not None and last is not None and last < first:
        raise Unprocessable(f'"end_date" ({last}) is before "start_date" ({first})', param="end_date")
    return Days(
        first,
        last,
        None if first is None else _midnight(first, zone),
        None if last is None else _midnight(last + timedelta(days=1), zone),
        name,
    )


def read_required_days(query: Query) -> Days:
    """As ``read_days``; both dates must be there."""
    for name in ("start_date", "end_date"):
        if name not in query:
            raise Unprocessable(f'"{name}" is missing; write it as YYYY-MM-DD', param=name)
    return read_days(query)


def _read_date(query: Query, name: str) -> date | None:
    text = query.get(name)
    if text is None:
        return None
    if not _DATE.fullmatch(text):
        raise Unprocessable(f'"{name}" is "{text[:50]}"; write a date as YYYY-MM-DD', param=name)
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        said = f'"{name}" is "{text}", which is no day of the calendar; write a date as YYYY-MM-DD'
        raise Unprocessable(said, param=name) from error
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        raise Unprocessable(f'"{name}" is "{text}"; give a year from {_FIRST_YEAR} to {_LAST_YEAR}', param=name)
    return found


def _midnight(day: date, zone: zoneinfo.ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
