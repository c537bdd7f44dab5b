"""What is left of the budgets and limits of a person's keys, and of the levels above."""

import pytest
from sqlalchemy import insert

from app.base.clock import now
from app.base.ids import new_id
from app.storage.postgres import tables
from app.storage.redis.client import connect
from tests.api.ui.support import Street

pytestmark = pytest.mark.services


async def test_my_limits_are_those_of_my_keys_and_of_what_is_above_them(street: Street, redis_url: str) -> None:
    async with street.signed_in() as (browser, user_id):
        assert "No keys yet" in (await browser.get("/ui/my-limits")).text
        team = (await street.door.post("/team/new", {"team_alias": new_id("crew"), "max_budget": 10})).fields
        member = {"team_id": team["team_id"], "user_id": user_id, "role": "user"}
        async with street.door.engine.begin() as connection:
            await connection.execute(insert(tables.memberships).values(**member))
        owners = {"user_id": user_id, "team_id": team["team_id"]}
        terms = {"max_budget": 4, "rpm_limit": 60, "max_parallel_requests": 3}
        own = await street.door.new_key(key_alias=new_id("laptop"), **owners, **terms)
        theirs = await street.door.new_key(key_alias=new_id("theirs"), max_budget=77)
        await street.door.book(own["token"], now(), 1_000_000_000, **owners)
        await street.door.book(new_id("key"), now(), 8_500_000_000, team_id=team["team_id"])
        redis = connect(redis_url)
        minute = int(now().timestamp()) // 60
        for one in (minute, minute + 1):  # whichever runs when the page asks
            await redis.hset(f"{{kh}}:minute:{own['token']}:{one}", mapping={"requests": 42, "tokens": 7})
        await redis.aclose()
        page = (await browser.get("/ui/my-limits")).text
        assert f"Team &#34;{team['team_alias']}&#34;" in page
        assert "<strong>$0.5000</strong> left" in page  # of the team's, which is tighter than the key's
        assert '$9.50 <span class="quiet">of $10.00' in page
        assert '$1.00 <span class="quiet">of $4.00' in page
        assert '42 <span class="quiet">of 60' in page
        assert '0 <span class="quiet">of 3' in page
        assert theirs["key_alias"] not in page
        assert "$77" not in page
