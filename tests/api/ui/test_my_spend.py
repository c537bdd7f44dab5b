"""What a person has spent, and nobody else; sessions as lists and as trees."""

from datetime import timedelta

import pytest

from app.base.clock import now
from app.base.ids import new_id
from tests.api.ui.support import Street

pytestmark = pytest.mark.services


async def test_my_spend_is_mine_by_model_project_key_and_session(street: Street) -> None:
    async with street.signed_in() as (browser, user_id):
        empty = await browser.get("/ui/my-spend")
        assert "Nothing was spent" in empty.text
        own, theirs = await street.door.new_key(user_id=user_id, key_alias=new_id("own")), await street.door.new_key()
        session = new_id("session")
        mine = {"user_id": user_id, "session_id": session, "project": "apollo", "model_served": "model-of-mine"}
        tokens = {"input_tokens": 25, "cache_read_tokens": 75}
        await street.door.book(own["token"], now(), 3_000_000_000, **mine, **tokens)
        await street.door.book(own["token"], now(), 1_000_000_000, **mine, agent_id="agent-1", agent_type="Explore")
        await street.door.book(theirs["token"], now(), 9_000_000_000, session_id=new_id("s"), model_served="of-theirs")
        page = await browser.get("/ui/my-spend?span=today")
        assert "$4.00" in page.text
        assert "model-of-mine" in page.text
        assert "apollo" in page.text
        assert f"/ui/my-spend/session?id={session}" in page.text
        assert "1 subagent" in page.text
        assert "$9.00" not in page.text
        assert "of-theirs" not in page.text


async def test_a_session_is_shown_as_its_tree_to_who_reaches_it(street: Street) -> None:
    session, at = new_id("session"), now() - timedelta(minutes=5)
    async with street.signed_in() as (browser, user_id):
        own = await street.door.new_key(user_id=user_id)
        call = {"user_id": user_id, "session_id": session}
        await street.door.book(own["token"], at, 2_000_000_000, **call, prompt_id="turn-one")
        explorer = {"agent_id": "agent-1", "agent_type": "<b>Explore</b>"}
        await street.door.book(own["token"], at, 500_000_000, **call, **explorer)
        below = {"agent_id": "agent-2", "parent_agent_id": "agent-1"}
        await street.door.book(own["token"], at, 250_000_000, **call, **below)
        page = await browser.get(f"/ui/my-spend/session?id={session}")
        assert page.status_code == 200
        places = [page.text.index(f'class="depth-{depth}"') for depth in (0, 1, 2)]
        assert places == sorted(places)
        assert "&lt;b&gt;Explore&lt;/b&gt;" in page.text
        assert "$0.7500" in page.text
        assert "turn-one" in page.text
    async with street.signed_in() as (browser, _):
        strange = await browser.get(f"/ui/my-spend/session?id={session}")
        assert strange.status_code == 404
