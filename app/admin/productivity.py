"""What coding sessions cost beside what was done in them: by owner and period, in one report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.spend import Ask, Spend
from app.base.errors import Unprocessable
from app.base.money import NanoUSD
from app.domain.activity import NOTHING_DONE, Activity
from app.domain.report_periods import Interval
from app.domain.roles import Tenant
from app.storage.postgres.activity import ActivityFilter, Owner, list_activity
from app.storage.postgres.engine import transaction
from app.storage.postgres.report_names import find_names
from app.storage.postgres.reports import Dimension

MOST_LINES = 10_000
OWNERS: Mapping[Dimension, Owner] = {
    "organization": "organization_id", "team": "team_id", "user": "user_id", "key": "key_id",
    "project_id": "project_id",
}  # fmt: skip


def named_as(dimension: Dimension) -> Dimension:
    """Names of projects are known by the other dimension, which calls fill too."""
    return "project" if dimension == "project_id" else dimension


@dataclass(frozen=True, slots=True)
class Question:
    """Days of UTC, both included. ``interval`` None makes one period of all of them."""

    first: date
    last: date
    group_by: tuple[Dimension, ...] = ()
    interval: Interval | None = None
    only: Mapping[Dimension, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """``period`` is the first day of the interval, ``group`` in the order of ``group_by``, empty for none.

    The cost is of calls that name a session, and of no others.
    """

    period: str
    group: tuple[str, ...]
    cost_nanousd: NanoUSD = 0
    done: Activity = NOTHING_DONE

    def cost_per(self, count: int) -> NanoUSD | None:
        """Rounded to the nano-dollar, half up; None where there is nothing to share it among."""
        return (2 * self.cost_nanousd + count) // (2 * count) if count else None


class Productivity:
    """Reads only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._spend = Spend(engine)

    async def report(
        self, question: Question, tenant: Tenant
    ) -> tuple[list[Line], Mapping[tuple[Dimension, str], str]]:
        """The lines by period and group, and the names that people gave to what is in the groups.

        Raises Unprocessable for a time whose receipts are gone, or for too many lines.
        """
        lines = await self._costs(question, tenant)
        for (period, group), done in (await self._activity(question, tenant)).items():
            known = lines.get((period, group), Line(period, group))
            lines[period, group] = replace(known, done=done)
        if len(lines) > MOST_LINES:
            raise Unprocessable(f"there are more than {MOST_LINES} lines; ask about fewer days", param="start_date")
        names: dict[tuple[Dimension, str], str] = {}
        async with transaction(self._engine) as connection:
            for place, dimension in enumerate(question.group_by):
                ids = {group[place] for _, group in lines} - {""}
                named = await find_names(connection, named_as(dimension), ids)
                names |= {(dimension, one): name for one, name in named.items()}
        return [lines[place] for place in sorted(lines)], names

    async def _costs(self, question: Question, tenant: Tenant) -> dict[tuple[str, tuple[str, ...]], Line]:
        in_sessions: Mapping[Dimension, Sequence[str]] = {"session": ("",)}
        found = await self._spend.report(
            Ask(
                question.first,
                question.last,
                interval=question.interval,
                group_by=question.group_by,
                only=question.only,
                but_not=in_sessions,
                most=MOST_LINES + 1,
            ),
            tenant,
        )
        return {
            (found.label(cell), cell.group): Line(found.label(cell), cell.group, cell.amounts.cost_nanousd)
            for cell in found.cells
        }

    async def _activity(self, question: Question, tenant: Tenant) -> dict[tuple[str, tuple[str, ...]], Activity]:
        only = {OWNERS[dimension]: ids for dimension, ids in question.only.items()}
        wanted = ActivityFilter(question.first, question.last, only)
        groups = [OWNERS[dimension] for dimension in question.group_by]
        async with transaction(self._engine) as connection:
            cells = await list_activity(connection, tenant, wanted, groups, question.interval)
        # Without any activity the database makes one line of nothing out of no groups.
        return {(str(cell.period or question.first), cell.group): cell.activity for cell in cells if any(cell.activity)}
