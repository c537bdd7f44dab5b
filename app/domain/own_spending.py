"""What a caller has spent: of each budget that it is under in its window, and its key by day, week and month."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from app.base.money import NanoUSD
from app.domain.budgets import BudgetWindow

Period = Literal["daily", "weekly", "monthly"]


@dataclass(frozen=True, slots=True)
class BudgetUse:
    limit_nanousd: NanoUSD
    spent_nanousd: NanoUSD
    window: BudgetWindow

    @property
    def percent(self) -> int:
        """Whole percents, not rounded up; a budget of nothing is spent."""
        if self.limit_nanousd <= 0:
            return 100
        return max(0, self.spent_nanousd) * 100 // self.limit_nanousd

    @property
    def period(self) -> Period:
        """The named period that is nearest to the window; a budget that never resets counts as a long one."""
        if self.window.end is None:
            return "monthly"
        length = self.window.end - self.window.start
        if length <= timedelta(days=1):
            return "daily"
        return "weekly" if length <= timedelta(days=7) else "monthly"


@dataclass(frozen=True, slots=True)
class OwnSpending:
    """``budgets`` of the key and of every level above it; the others are of the key alone, since midnight UTC, since
    Monday and since the 1st."""

    budgets: tuple[BudgetUse, ...]
    day_nanousd: NanoUSD = 0
    week_nanousd: NanoUSD = 0
    month_nanousd: NanoUSD = 0


def calendar_starts(at: datetime) -> tuple[datetime, datetime, datetime]:
    """When the day, the week and the month began in which ``at`` lies; it is in UTC."""
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    return day, day - timedelta(days=day.weekday()), day.replace(day=1)
