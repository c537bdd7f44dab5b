"""How long receipts are kept."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from app.domain.budgets import Duration, parse_duration

_SHORTEST = {"mo": 2, "d": 62}


@dataclass(frozen=True, slots=True)
class Retention:
    """``keep`` None is for ever. ``needs_export``: what was not exported is not dropped."""

    keep: Duration | None = None
    needs_export: bool = True


KEEP_FOR_EVER = Retention()


def parse_retention(text: str) -> Duration:
    """``13mo`` or ``400d``, two months at least. Raises ValueError with the allowed forms."""
    try:
        duration = parse_duration(text)
    except ValueError:
        duration = None
    if duration is None or duration.count < _SHORTEST.get(duration.unit, duration.count + 1):
        raise ValueError(f'"{text}" is no time to keep receipts; write months or days, from 2mo or 62d on: 13mo')
    return duration


def oldest_kept(retention: Retention, at: datetime) -> date | None:
    """The first day of the oldest month whose receipts are kept: whole months go, when all of it is old enough."""
    keep = retention.keep
    if keep is None:
        return None
    if keep.unit == "d":
        return (at.date() - timedelta(days=keep.count)).replace(day=1)
    year, month = divmod(at.year * 12 + at.month - 1 - keep.count, 12)
    return date(year, month + 1, 1)
