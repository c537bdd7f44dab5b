"""Wrong keys on the admin routes: an address that tries many is made to wait; what is in use goes on working."""

from collections.abc import AsyncIterator

import pytest

from app.base.clock import now
from app.domain.keys import mint_key
from app.domain.wrong_keys import WRONG_KEYS_PER_MINUTE, WrongKeys
from tests.api.support import Door, admin_door_of
from tests.fakes.minutes import within_one_minute

pytestmark = pytest.mark.services


@pytest.fixture
async def admin_door(database_url: str, redis_url: str) -> AsyncIterator[Door]:
    """Of its own: on the one that the tests share, others would be made to wait too."""
    async with admin_door_of(database_url, redis_url) as door:
        yield door


async def test_the_sixty_first_unknown_key_of_a_minute_is_refused_unread(admin_door: Door) -> None:
    used = await admin_door.new_key()
    own = {"authorization": f"Bearer {used['key']}"}
    assert (await admin_door.get("/key/info", headers=own)).status == 200
    await within_one_minute()
    statuses = [
        (await admin_door.get("/key/info", headers={"authorization": f"Bearer {mint_key()}"})).status
        for _ in range(WRONG_KEYS_PER_MINUTE)
    ]
    refused = await admin_door.get("/key/list", headers={"authorization": f"Bearer {mint_key()}"})
    assert statuses == [401] * WRONG_KEYS_PER_MINUTE
    assert (refused.status, refused.error["type"]) == (429, "rate_limit_error")
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert (await admin_door.get("/key/info", headers=own)).status == 200
    assert (await admin_door.get("/key/list")).status == 200


def test_addresses_are_counted_apart_and_each_minute_anew() -> None:
    wrong, at = WrongKeys(), now().replace(second=59)
    for _ in range(WRONG_KEYS_PER_MINUTE):
        assert not wrong.too_many("203.0.113.1", at)
        wrong.note("203.0.113.1", at)
    assert wrong.too_many("203.0.113.1", at)
    assert not wrong.too_many("203.0.113.2", at)
    for number in range(WRONG_KEYS_PER_MINUTE):
        wrong.note(f"2001:db8::{number:x}", at)
    assert wrong.too_many("2001:db8::ffff", at), "whoever has one of a network has them all"
    assert not wrong.too_many("2001:db8:0:1::1", at)
    assert not wrong.too_many("203.0.113.1", at.fromtimestamp(at.timestamp() + 2, at.tzinfo))
