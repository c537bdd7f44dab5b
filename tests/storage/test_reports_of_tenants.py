"""Whoever asks, and whatever for: a report has the receipts that its reader may see and its filters leave, no other."""

import zoneinfo
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.report_periods import Interval, list_periods
from app.domain.roles import EVERYTHING, Tenant
from app.domain.spend import Receipt
from app.storage.postgres.engine import create_engine
from app.storage.postgres.reports import OF_SESSIONS, Dimension, Report, list_cells, total_spend
from tests.conftest import RunningServers, fresh_database
from tests.storage.receipt_batches import book, receipts
from tests.storage.test_reports import DIMENSIONS, FIRST, LAST, ZONES, expected

pytestmark = pytest.mark.services

VALUES: dict[Dimension, tuple[str, ...]] = {
    "key": ("k", "l"), "model": ("m", "n"), "kind": ("usage", "adjustment"), "request_class": ("main", "unknown"),
}  # fmt: skip
"""Of those that are drawn from other names than most."""
FILTERED = [one for one in DIMENSIONS if one not in ("tag", "cost_center", "model_asked", "provider", *OF_SESSIONS)]

owners = st.sampled_from(("a", "b"))
tenants = st.one_of(
    st.just(EVERYTHING),
    st.builds(
        Tenant,
        organization_ids=st.frozensets(owners, max_size=1),
        team_ids=st.frozensets(owners, max_size=1),
        user_id=st.none() | owners,
        key_id=st.none() | st.just("k"),
    ),
)


@st.composite
def filters(draw: st.DrawFn) -> dict[Dimension, list[str]]:
    chosen = draw(st.lists(st.sampled_from(FILTERED), unique=True, max_size=2))
    return {one: draw(st.lists(st.sampled_from(VALUES.get(one, ("", "a"))), min_size=1, max_size=1)) for one in chosen}


@pytest.fixture(scope="module")
async def engine(servers: RunningServers, migrated: str) -> AsyncIterator[AsyncEngine]:
    with fresh_database(servers, migrated) as url:
        opened = create_engine(url)
        yield opened
        await opened.dispose()


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batch=st.lists(receipts(), min_size=1, max_size=15),
    zone=st.sampled_from(ZONES[:3]),
    interval=st.sampled_from(get_args(Interval)),
    group_by=st.lists(st.sampled_from(DIMENSIONS), unique=True, max_size=2),
    tenant=tenants,
    only=filters(),
    but_not=filters(),
)
async def test_a_report_has_what_its_reader_may_see_and_its_filters_leave(
    engine: AsyncEngine,
    batch: list[Receipt],
    zone: str,
    interval: Interval,
    group_by: list[Dimension],
    tenant: Tenant,
    only: dict[Dimension, list[str]],
    but_not: dict[Dimension, list[str]],
) -> None:
    await book(engine, batch)
    periods = list_periods(FIRST, LAST, zoneinfo.ZoneInfo(zone), interval)
    seen = [one for one in batch if _sees(tenant, one)]
    left = [one for one in seen if _passes(one, only, wanted=True) and _passes(one, but_not, wanted=False)]
    span = [one for one in left if periods[0].start <= one.started_at < periods[-1].end]
    async with engine.begin() as connection:
        report = Report(periods, tuple(group_by), only, but_not)
        found = await list_cells(connection, tenant, report)
        total = await total_spend(connection, tenant)
    costs = {(cell.period, cell.group): cell.amounts.cost_nanousd for cell in found}
    assert {place: cost for place, cost in costs.items() if cost} == {
        place: cost for place, cost in expected(span, group_by, periods).items() if cost
    }
    assert total == sum(one.cost.total for one in seen)


def _sees(tenant: Tenant, receipt: Receipt) -> bool:
    return (
        tenant.everything
        or receipt.organization_id in tenant.organization_ids
        or receipt.team_id in tenant.team_ids
        or (tenant.user_id is not None and receipt.user_id == tenant.user_id)
        or (tenant.key_id is not None and receipt.key_id == tenant.key_id)
    )


def _passes(receipt: Receipt, filters: dict[Dimension, list[str]], *, wanted: bool) -> bool:
    return all((_value_of(receipt, one) in texts) is wanted for one, texts in filters.items())


def _value_of(receipt: Receipt, dimension: Dimension) -> str:
    columns = {"model": "model_served", "project": "project", "request_class": "request_class", "kind": "kind"}
    name = columns.get(dimension, dimension if dimension == "project_id" else f"{dimension}_id")
    value: Any = getattr(receipt, name)
    return value or ""
