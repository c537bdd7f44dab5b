"""Receipts of ten days that differ in all that sums tell apart, and books that hold nothing else."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.ids import new_id
from app.domain.spend import Receipt, ReceiptKind
from app.storage.books import Books
from tests.conftest import empty
from tests.storage.ledger_support import make_receipt

NO_LEDGER: Any = None
names = st.sampled_from((None, "a", "b"))


@st.composite
def receipts(draw: st.DrawFn) -> Receipt:
    seconds = draw(
        st.one_of(st.integers(0, 9 * 86_400 - 1), st.integers(0, 9 * 96 - 1).map(lambda quarter: quarter * 900))
    )
    at = datetime(2026, 3, 28, tzinfo=UTC) + timedelta(seconds=seconds)
    kind: ReceiptKind = draw(st.sampled_from(("usage", "usage", "usage", "adjustment")))
    cost = draw(st.integers(0 if kind == "usage" else -(10**15), 10**15))
    return replace(
        make_receipt(new_id("req"), cost, at=at, key_id=draw(st.sampled_from(("k", "l")))),
        kind=kind,
        session_id=draw(names),
        agent_id=draw(names),
        project=draw(names),
        project_id=draw(names),
        request_class=draw(st.sampled_from(("main", "unknown"))),
        organization_id=draw(names),
        team_id=draw(names),
        user_id=draw(names),
        customer_id=draw(names),
        model_served=draw(st.sampled_from(("m", "n"))),
        tags=tuple(draw(st.lists(st.sampled_from(("blue", "red", 'odd "tag" \\ ,')), max_size=3))),
        status=draw(st.sampled_from(("ok", "cut"))),
    )


async def book(engine: AsyncEngine, batch: Sequence[Receipt]) -> None:
    """Into empty books; in two halves that overlap, so that a part is said twice."""
    await empty(engine)
    books = Books(engine, NO_LEDGER)
    middle = len(batch) // 2
    await books.book_directly(batch[: middle + 1])
    await books.book_directly(batch[middle:])
