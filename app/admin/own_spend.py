"""What one person has spent in a span of days: three reports, however much there is to see."""

import asyncio
import zoneinfo
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.admin.overview import Share
from app.admin.spend import BRIEF, Ask, Found, Spend
from app.admin.spend_explorer import MOST_SERIES, Series, total_of
from app.base.money import NanoUSD
from app.domain.report_periods import list_periods
from app.domain.report_spans import Span
from app.domain.roles import Tenant
from app.storage.postgres.reports import Amounts, Dimension

MOST_IN_LIST = 6


@dataclass(frozen=True, slots=True)
class OwnSpend:
    """Days are of UTC. ``series`` are the dearest models in each period of ``labels``, then all others together."""

    total: Amounts
    before_nanousd: NanoUSD
    labels: Sequence[str]
    series: Sequence[Series]
    models: Sequence[Share]
    projects: Sequence[Share]
    keys: Sequence[Share]


async def own_spend(spend: Spend, user_id: str, span: Span, tenant: Tenant) -> OwnSpend:
    only: Mapping[Dimension, Sequence[str]] = {"user": [user_id]}
    ask = Ask(span.first, span.last, interval=span.interval, group_by=("model",), only=only)
    earlier = span.before()
    asked_before = Ask(earlier.first, earlier.last, only=only, measures=BRIEF)
    of_owners = Ask(span.first, span.last, group_by=("project", "key"), only=only, measures=BRIEF)
    asked = (ask, asked_before, of_owners)
    by_model, before, by_owner = await asyncio.gather(*(spend.report(one, tenant) for one in asked))
    periods = list_periods(span.first, span.last, zoneinfo.ZoneInfo("UTC"), span.interval)
    labels = [period.label for period in periods]
    models = _shares(by_model, "model")
    return OwnSpend(
        total_of(by_model),
        total_of(before).cost_nanousd,
        labels,
        _series(by_model, labels, [share.id for share in models][:MOST_SERIES]),
        models[:MOST_IN_LIST],
        _shares(by_owner, "project")[:MOST_IN_LIST],
        _shares(by_owner, "key")[:MOST_IN_LIST],
    )


def _shares(found: Found, dimension: Dimension) -> list[Share]:
    sums: dict[str, Amounts] = defaultdict(Amounts)
    for cell in found.cells:
        one = found.of(cell, dimension)
        sums[one] = sums[one].plus(cell.amounts)
    ranked = sorted(sums.items(), key=lambda each: (-each[1].cost_nanousd, -each[1].requests))
    largest = max((amounts.cost_nanousd for _, amounts in ranked), default=0)
    return [
        Share(
            one,
            found.names.get((dimension, one), one),
            amounts,
            amounts.cost_nanousd * 1_000 // largest if largest > 0 else 0,
        )
        for one, amounts in ranked
    ]


def _series(found: Found, labels: Sequence[str], dearest: Sequence[str]) -> list[Series]:
    costs: dict[str | None, dict[str, NanoUSD]] = {one: dict.fromkeys(labels, 0) for one in (*dearest, None)}
    for cell in found.cells:
        model = found.of(cell, "model")
        of = costs[model if model in costs else None]
        of[found.label(cell)] = of.get(found.label(cell), 0) + cell.amounts.cost_nanousd
    series = [Series(one, one or "", [of[label] for label in labels]) for one, of in costs.items()]
    return [one for one in series if one.id is not None or any(one.costs_nanousd)]
