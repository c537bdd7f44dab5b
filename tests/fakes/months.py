"""The clock's months, asked anew by each test: a run that began in one may end in the next."""

from datetime import UTC, datetime

from app.base import clock


def months_ago(count: int) -> datetime:
    """The beginning of the month that runs, and of those before it."""
    today = clock.now()
    year, month = divmod(today.year * 12 + today.month - 1 - count, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)
