"""Pages of the log that are looked for where sums say are the pages of all receipts, whatever is asked."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.ids import new_id
from app.domain.roles import EVERYTHING, Tenant
from app.domain.spend import Receipt
from app.storage.books import Books
from app.storage.postgres import log_bounds
from app.storage.postgres.cost_centers import set_cost_center
from app.storage.postgres.engine import create_engine, transaction
from app.storage.postgres.log_bounds import Asked, bound, find_page
from app.storage.postgres.receipts import LogPage, ReceiptFilter, Stretch, list_receipts
from app.storage.postgres.tables import keys
from app.storage.postgres.tables.closing import spend_closes
from tests.conftest import RunningServers, fresh_database
from tests.storage.ledger_support import make_receipt
from tests.storage.receipt_batches import NO_LEDGER, book, receipts

pytestmark = pytest.mark.services

AT = datetime(2026, 4, 10, tzinfo=UTC)
KEY = {"key_id": "k", "key_alias": "laptop", "digest": b"", "last_four": "", "created_by": "", "updated_by": ""}
WITHOUT = ("user_id", "team_id", "project", "customer_id", "session_id", "tags")
TENANTS = (EVERYTHING, EVERYTHING, Tenant(team_ids=frozenset({"a"})), Tenant(user_id="b"), Tenant(key_id="k"))
asked_for: dict[str, st.SearchStrategy[Any]] = {
    "is_ok": st.booleans(), "status": st.sampled_from(("ok", "cut")), "key_id": st.sampled_from(("k", "nobody's")),
    "key_alias": st.sampled_from(("laptop", "nobody's")), "team_id": st.just("a"), "customer_id": st.just("b"),
    "project": st.just("a"), "model_served": st.just("m"), "kind": st.sampled_from(("usage", "adjustment")),
    "tag": st.just("blue"), "cost_center": st.sampled_from(("", "4711")), "least_nanousd": st.just(1),
    "session_id": st.just("a"), "without": st.frozensets(st.sampled_from(WITHOUT), min_size=1, max_size=2),
}  # fmt: skip


@pytest.fixture(scope="module")
async def engine(servers: RunningServers, migrated: str) -> AsyncIterator[AsyncEngine]:
    with fresh_database(servers, migrated) as url:
        opened = create_engine(url)
        yield opened
        await opened.dispose()


@st.composite
def filters(draw: st.DrawFn) -> ReceiptFilter:
    """Of some minutes or of all days, by two things at the most."""
    chosen = draw(st.lists(st.sampled_from(sorted(asked_for)), unique=True, max_size=2))
    since = datetime(2026, 3, 27, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 10 * 24 * 60)))
    until = draw(st.none() | st.integers(1, 10 * 24 * 60).map(lambda minutes: since + timedelta(minutes=minutes)))
    columns = {name: draw(asked_for[name]) for name in chosen}
    return ReceiptFilter(since=since, until=until, as_counted=draw(st.booleans()), **columns)


async def close_march(engine: AsyncEngine) -> None:
    row = {"month": date(2026, 3, 1), "until": datetime(2026, 4, 1, tzinfo=UTC), "requests": 0, "cost_nanousd": 0}
    async with transaction(engine) as connection:
        await connection.execute(insert(spend_closes).values(**row, adjustments_nanousd=0, digest="", closed_by="test"))


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    batch=st.lists(receipts(), min_size=1, max_size=25),
    late=st.lists(receipts(), max_size=6),
    wanted=st.lists(filters(), min_size=4, max_size=4),
    tenant=st.sampled_from(TENANTS),
    most=st.integers(1, 5),
    skip=st.integers(0, 2),
    limits=st.sampled_from(((0, 3), (2, 8), (1_000, 1), (1_000, 2_000))),
)
async def test_a_page_that_is_looked_for_where_sums_say_is_the_page_of_all_receipts(
    engine: AsyncEngine,
    batch: list[Receipt],
    late: list[Receipt],
    wanted: Sequence[ReceiptFilter],
    tenant: Tenant,
    most: int,
    skip: int,
    limits: tuple[int, int],
) -> None:
    await book(engine, batch)
    async with transaction(engine) as connection:
        await set_cost_center(connection, "team", "a", "4711")
        await connection.execute(insert(keys).values(**KEY))
    if late:
        await close_march(engine)
        await Books(engine, NO_LEDGER).book_directly(late)
    async with engine.connect() as connection:
        for one in wanted:
            page = LogPage(most=most, skip=skip)
            while True:
                with patch.multiple(log_bounds, MOST_STRETCHES=limits[0], NEWEST=limits[1]):
                    found = await find_page(connection, tenant, one, page, AT)
                assert found == await list_receipts(connection, tenant, one, page), (one, page)
                if len(found) < most:
                    break
                page = replace(page, skip=0, after=(found[-1].started_at, found[-1].request_id, found[-1].attempt))


async def test_only_the_quarters_of_an_hour_of_the_keys_that_made_such_calls_are_looked_through(
    engine: AsyncEngine,
) -> None:
    begins = datetime(2026, 4, 1, 0, 5, tzinfo=UTC)
    made = [make_receipt(new_id("req"), 1, at=begins + timedelta(hours=hour), key_id="many") for hour in range(200)]
    rare = [make_receipt(new_id("req"), 1, at=begins + timedelta(days=day), key_id="few") for day in range(6)]
    await book(engine, [*made, *(structs.replace(one, customer_id="acme", status="cut") for one in rare)])
    since, page, quarter, day = begins - timedelta(days=3), LogPage(), timedelta(minutes=15), timedelta(days=1)
    whole = ReceiptFilter(since=since, customer_id="acme")
    async with engine.connect() as connection:
        bounded, is_whole = await bound(connection, EVERYTHING, Asked(whole, since, None), page, AT, 2)
        of_failed = replace(whole, is_ok=False)
        failed, _ = await bound(connection, EVERYTHING, Asked(of_failed, since, None), page, AT, 2)
        nobody = replace(whole, customer_id="nobody")
        found = await bound(connection, EVERYTHING, Asked(nobody, since, None), page, AT, 2)
    fifth = datetime(2026, 4, 5, tzinfo=UTC)
    assert bounded.stretches == tuple(Stretch("few", at, at + quarter) for at in (fifth, fifth + day))
    assert not is_whole
    assert failed.stretches == (Stretch("few", fifth, fifth + 2 * day),)
    assert found == (replace(nobody, stretches=()), True)
