"""The page that points a client at the gateway: its lines, a key made for them, and what its last call came to."""

import html
import re
from datetime import timedelta

import pytest

from app.base.clock import now
from app.base.errors import RateLimited
from app.base.ids import new_id
from app.domain.client_setups import CLIENTS, NO_KEY, Wish
from app.gateway.last_refusals import LastRefusals
from app.storage.redis.client import connect
from app.storage.redis.refusal_board import RedisRefusalBoard
from tests.api.ui.support import Street

pytestmark = pytest.mark.services
_SEEN = re.compile(r'name="seen" value="([^"]*)"')


@pytest.mark.parametrize("name", list(CLIENTS))
async def test_the_lines_of_a_client_are_those_that_the_command_line_prints(street: Street, name: str) -> None:
    async with street.signed_in() as (browser, user_id):
        own = await street.door.new_key(user_id=user_id, models=["file-claude"])
        page = html.unescape(
            (await browser.get(f"/ui/connect?client={name}&model=file-claude&key={own['token']}")).text
        )
        for snippet in CLIENTS[name].setup(Wish("http://keyhouse.test", NO_KEY, "file-claude", serves_claude=False)):
            assert snippet.where in page
            assert snippet.text in page
        assert own["key"] not in page


async def test_a_key_is_made_in_two_clicks_and_its_secret_stands_in_the_lines_once(street: Street) -> None:
    async with street.signed_in() as (browser, user_id):
        made = await browser.send(
            "/ui/connect/key", {"client": "curl", "key_alias": new_id("curl")}, of="/ui/connect?client=curl"
        )
        found = re.search(r"x-api-key: (sk-kh-\w+)", html.unescape(made.text))
        assert found is not None, made.text
        info = (await street.door.get("/key/info", key=found[1])).fields["info"]
        assert info["user_id"] == user_id
        key_id = (await street.door.get("/key/list", key_alias=info["key_alias"])).fields["keys"][0]
        again = await browser.get(f"/ui/connect?key={key_id}")
        assert found[1] not in again.text
        assert info["key_alias"] in again.text
        taken = await browser.send("/ui/connect/key", {"key_alias": info["key_alias"]}, of="/ui/connect")
        assert taken.status_code == 422
        assert 'role="alert"' in taken.text


async def test_the_page_tells_the_first_call_that_works_and_then_asks_no_more(street: Street) -> None:
    async with street.signed_in() as (browser, user_id):
        own = await street.door.new_key(user_id=user_id)
        watch = f"/ui/connect/check?key={own['token']}&since={now().timestamp() - 5:.0f}"
        waiting = await browser.get(watch)
        assert "Waiting for the first request" in waiting.text
        await street.door.book(own["token"], now() - timedelta(hours=1), 4_000_000, user_id=user_id)
        earlier = await browser.get(watch)
        assert earlier.status_code == 200
        assert "Waiting for the next request" in earlier.text
        seen = _SEEN.search(earlier.text)
        assert seen is not None
        assert (await browser.get(f"{watch}&seen={seen[1]}")).status_code == 204
        request_id = await street.door.book(own["token"], now(), 4_200_000, user_id=user_id)
        works = await browser.get(f"{watch}&seen={seen[1]}")
        assert works.status_code == 286  # htmx asks no more
        assert "It works" in works.text
        assert "$0.0042, 1.5 s" in works.text
        assert f"/ui/requests/{request_id}" in works.text


async def test_the_page_tells_why_the_last_call_was_refused_and_nobody_elses(street: Street, redis_url: str) -> None:
    redis = connect(redis_url)
    refusals = LastRefusals(RedisRefusalBoard(redis))
    async with street.signed_in() as (browser, user_id):
        own, theirs = await street.door.new_key(user_id=user_id), await street.door.new_key()
        for key in (own, theirs):
            error = RateLimited('the limit of key "…" is 5 requests a minute; ask <an> admin', retry_after_s=9)
            refusals.note(key["token"], error, 429, "req_1", now())
        await refusals.write()
        refused = await browser.get(f"/ui/connect/check?key={own['token']}")
        assert "5 requests a minute" in refused.text
        assert "&lt;an&gt; admin" in refused.text
        assert "/ui/my-limits" in refused.text
        strange = await browser.get(f"/ui/connect/check?key={theirs['token']}")
        assert strange.status_code == 404
    await redis.aclose()


async def test_a_reader_is_offered_no_key_and_makes_none(street: Street) -> None:
    async with street.signed_in("internal_user_viewer") as (browser, _):
        page = await browser.get("/ui/connect")
        assert "Ask an admin to make a key for you" in page.text
        refused = await browser.send("/ui/connect/key", {"key_alias": "x"}, of="/ui/account")
        assert refused.status_code == 403
