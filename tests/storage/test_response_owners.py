"""Who made a response is noted with its receipt, once, and forgotten when no provider keeps the response."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base.ids import new_id
from app.domain.provider_objects import LONGEST_RESPONSE_ID, ResponseOwner
from app.domain.spend import Receipt
from app.storage.books import Books, insert_receipts
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.postgres.response_owners import ResponseOwnerStore
from app.storage.redis.encoding import decode_receipt, encode_receipt
from tests.storage.ledger_support import make_receipt

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    await upgrade(database_url)
    opened = create_engine(database_url)
    yield opened
    await opened.dispose()


@pytest.fixture
def store(engine: AsyncEngine) -> ResponseOwnerStore:
    return ResponseOwnerStore(engine)


def receipt_of(response_id: str | None, key_id: str, team_id: str | None = "team_a") -> Receipt:
    return replace(make_receipt(new_id("req"), 1, key_id=key_id, team_id=team_id), kept_as=response_id)


async def book(engine: AsyncEngine, *receipts: Receipt) -> int:
    async with engine.begin() as connection:
        return len(await insert_receipts(connection, receipts))


async def test_a_receipt_that_is_booked_twice_notes_its_owner_once(
    engine: AsyncEngine, store: ResponseOwnerStore
) -> None:
    name = new_id("resp")
    made = receipt_of(name, "key_a")
    read = decode_receipt(encode_receipt(made))
    assert await store.find(name) is None
    assert await book(engine, read, receipt_of(None, "key_a"), read) == 2
    assert await book(engine, read) == 0
    assert await store.find(name) == ResponseOwner("key_a", "team_a")


async def test_the_first_owner_of_a_name_stays(engine: AsyncEngine, store: ResponseOwnerStore) -> None:
    name = new_id("resp")
    await book(engine, receipt_of(name, "key_a", None))
    await book(engine, receipt_of(name, "key_b"), receipt_of(name, "key_c"))
    assert await store.find(name) == ResponseOwner("key_a", None)


async def test_the_longest_name_that_is_noted_has_room_in_the_index(
    engine: AsyncEngine, store: ResponseOwnerStore
) -> None:
    name = "".join(chr(0x1F300 + number) for number in range(LONGEST_RESPONSE_ID))
    await book(engine, receipt_of(name, "key_a"))
    assert await store.find(name) is not None


async def test_owners_are_dropped_when_no_provider_keeps_the_response(
    engine: AsyncEngine, store: ResponseOwnerStore
) -> None:
    old, young = new_id("resp"), new_id("resp")
    await book(engine, receipt_of(old, "key_a"), receipt_of(young, "key_a"))
    age = text(
        "UPDATE response_owners SET noted_at = now() - make_interval(days => :days) WHERE response_id = :response_id"
    )
    async with engine.begin() as connection:
        await connection.execute(age, {"days": 36, "response_id": old})
        await connection.execute(age, {"days": 34, "response_id": young})
    no_ledger: Any = None
    await Books(engine, no_ledger).drop_response_owners(every_s=0)
    assert await store.find(old) is None
    assert await store.find(young) is not None
