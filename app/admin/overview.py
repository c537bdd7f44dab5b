"""The first page: what was spent today, in this month and in the last thirty days, on what, and what needs a look."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from app.admin.alerts import Alerts
from app.admin.spend import BRIEF, Ask, Found, Spend
from app.base.clock import now
from app.base.money import NanoUSD
from app.domain.alerts import AlertEvent
from app.domain.report_spans import Span
from app.domain.roles import Tenant
from app.storage.postgres.alert_outbox import EventFilter
from app.storage.postgres.receipts import Pace
from app.storage.postgres.reports import Amounts, Dimension

_Key = TypeVar("_Key")
DAYS = 30
MOST_IN_LIST = 6
_ALERTS_OF = timedelta(days=7)
_PACE_OF = timedelta(hours=6)
_FORECAST_AFTER = 5
"""A forecast is made when a fifth of the month has passed, as for alerts."""


@dataclass(frozen=True, slots=True)
class Share:
    """One line of a list of the largest; ``of_largest`` in thousandths, for its bar."""

    id: str
    name: str
    amounts: Amounts
    of_largest: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Amounts have requests, failures and costs alone. Days and months are of UTC.

    ``forecast_nanousd`` is of the whole month, None where it is too early to say. ``last_month`` has the same days of
    the month before; ``models_by_day`` the cost of each model in each of ``days``.
    """

    at: datetime
    today: Amounts
    yesterday: Amounts
    month: Amounts
    last_month: Amounts
    forecast_nanousd: NanoUSD | None
    days: Sequence[tuple[date, Amounts]]
    models: Sequence[Share]
    models_by_day: Sequence[tuple[Share, Sequence[NanoUSD]]]
    owners: Sequence[Share]
    owner_kind: Dimension
    alerts: Sequence[AlertEvent]
    pace: Pace | None
    unpriced: Mapping[str, int]

    @property
    def is_empty(self) -> bool:
        return not any(amounts.requests or amounts.cost_nanousd for _, amounts in self.days)


class Overviews:
    """Of what ``Spend`` and ``Alerts`` tell."""

    def __init__(self, spend: Spend, alerts: Alerts) -> None:
        self._spend = spend
        self._alerts = alerts

    async def overview(self, tenant: Tenant, alerted: Tenant | None) -> Overview:
        """``tenant`` is whose spend is added up, ``alerted`` whose alerts are told. The owners are
        teams, or keys where no team has spent."""
        at = now()
        today = at.date()
        month_start = today.replace(day=1)
        days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
        before = Span("month", month_start, today).before()
        first = min(before.first, days[0])
        # One report for the days, the month and its models: each would read the same rows.
        found, owners = await asyncio.gather(
            self._spend.report(Ask(first, today, interval="day", group_by=("model",), measures=BRIEF), tenant),
            self._largest("team", month_start, today, tenant),
        )
        of_models = {(date.fromisoformat(found.label(cell)), cell.group[0]): cell.amounts for cell in found.cells}
        of_days = _added((day, amounts) for (day, _), amounts in of_models.items())
        month = _sum([amounts for day, amounts in of_days.items() if day >= month_start])
        owner_kind: Dimension = "team" if any(share.id for share in owners) else "key"
        if owner_kind == "key":  # nothing was spent in any team
            owners = await self._largest("key", month_start, today, tenant)
        models = _shares(
            _added((model, amounts) for (day, model), amounts in of_models.items() if day >= month_start), {}
        )
        costs = {place: amounts.cost_nanousd for place, amounts in of_models.items()}
        return Overview(
            at,
            of_days.get(today, Amounts()),
            of_days.get(today - timedelta(days=1), Amounts()),
            month,
            _sum([amounts for day, amounts in of_days.items() if before.first <= day <= before.last]),
            _forecast(month.cost_nanousd, at),
            [(day, of_days.get(day, Amounts())) for day in days],
            models,
            [(share, [costs.get((day, share.id), 0) for day in days]) for share in models],
            owners,
            owner_kind,
            await self._recent_alerts(alerted, at),
            await self._spend.pace(tenant, at - _PACE_OF),
            {} if alerted is None else await self._spend.unpriced(tenant, at - _ALERTS_OF),
        )

    async def _largest(self, dimension: Dimension, first: date, last: date, tenant: Tenant) -> list[Share]:
        return shares_of(await self._spend.report(Ask(first, last, group_by=(dimension,), measures=BRIEF), tenant))

    async def _recent_alerts(self, tenant: Tenant | None, at: datetime) -> list[AlertEvent]:
        if tenant is None:
            return []
        found, _ = await self._alerts.events(tenant, EventFilter(), 1, MOST_IN_LIST)
        recent = [view.event for view in found if at - view.event.created_at <= _ALERTS_OF]
        return [event for event in recent if event.sent and event.kind != "test"]


def shares_of(found: Found, most: int = MOST_IN_LIST) -> list[Share]:
    """The largest of a report with one dimension, by cost and then by requests."""
    [dimension] = found.group_by
    names = {value: name for (named, value), name in found.names.items() if named == dimension}
    return _shares({cell.group[0]: cell.amounts for cell in found.cells}, names, most)


def _shares(found: Mapping[str, Amounts], names: Mapping[str, str], most: int = MOST_IN_LIST) -> list[Share]:
    ranked = sorted(found.items(), key=lambda one: (-one[1].cost_nanousd, -one[1].requests, one[0]))[:most]
    largest = max((amounts.cost_nanousd for _, amounts in ranked), default=0)
    return [
        Share(one, names.get(one, one), amounts, amounts.cost_nanousd * 1_000 // largest if largest > 0 else 0)
        for one, amounts in ranked
    ]


def _added(found: Iterable[tuple[_Key, Amounts]]) -> dict[_Key, Amounts]:
    """The sums of those with the same key."""
    sums: dict[_Key, Amounts] = {}
    for key, amounts in found:
        sums[key] = sums[key].plus(amounts) if key in sums else amounts
    return sums


def _sum(found: Sequence[Amounts]) -> Amounts:
    total = Amounts()
    for amounts in found:
        total = total.plus(amounts)
    return total


def _forecast(spent_nanousd: NanoUSD, at: datetime) -> NanoUSD | None:
    start = datetime(at.year, at.month, 1, tzinfo=UTC)
    end = datetime(at.year + at.month // 12, at.month % 12 + 1, 1, tzinfo=UTC)
    passed_s, whole_s = int((at - start).total_seconds()), int((end - start).total_seconds())
    return spent_nanousd * whole_s // passed_s if passed_s * _FORECAST_AFTER >= whole_s else None
