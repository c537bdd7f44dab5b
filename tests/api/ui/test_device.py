"""A person lets a program in that waits under a code, or turns it away."""

from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import insert

from app.base.ids import new_id
from app.storage.postgres import tables
from tests.api.support import Answer
from tests.api.ui.support import Street

pytestmark = pytest.mark.services
PROGRAM = {"user-agent": "claude-code/2.1.329 <b>", "content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
async def _an_owner(street: Street) -> None:
    """Without one the sign-in page leads elsewhere."""
    await street.person("proxy_admin")


async def begin(street: Street) -> dict[str, Any]:
    told: dict[str, Any] = (await street.door.post("/oauth/device_authorization", b"", PROGRAM)).fields
    return told


async def poll(street: Street, begun: dict[str, Any]) -> Answer:
    grant = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": begun["device_code"]}
    return await street.door.post("/oauth/token", urlencode(grant).encode(), PROGRAM)


async def join(street: Street, user_id: str, name: str) -> str:
    team_id = new_id("team")
    async with street.door.engine.begin() as connection:
        team = {"team_id": team_id, "team_alias": name, "created_by": "test", "updated_by": "test"}
        await connection.execute(insert(tables.teams).values(**team))
        await connection.execute(insert(tables.memberships).values(team_id=team_id, user_id=user_id))
    return team_id


async def test_a_link_with_a_code_leads_by_sign_in_to_a_question_and_approves_nothing_by_itself(
    street: Street,
) -> None:
    begun = await begin(street)
    page = begun["verification_uri_complete"].removeprefix("http://keyhouse.test")
    user_id, email = await street.person()
    async with street.browser() as browser:
        away = await browser.get(page)
        assert away.headers["location"].startswith("/ui/sign-in?next=")
        assert (await browser.sign_in(email, wanted=page)).headers["location"] == page
        shown = await browser.get(page)
        assert begun["user_code"] in shown.text
        assert "claude-code/2.1.329 &lt;b&gt;" in shown.text
        assert "203.0.113.9" in shown.text
        assert (await poll(street, begun)).fields["error"] == "authorization_pending"
        done = await browser.send(
            "/ui/device", {"user_code": begun["user_code"], "decision": "approve", "own": "yes"}, of=page
        )
        assert done.headers["location"] == "/ui/device?done=approved", done.text
        assert "Connected" in (await browser.get("/ui/device?done=approved")).text
    tokens = (await poll(street, begun)).fields
    key = await street.door.get("/key/info", key=tokens["access_token"])
    assert (key.fields["info"]["user_id"], key.fields["info"]["team_id"]) == (user_id, None)


async def test_of_several_teams_the_person_chooses_and_of_one_there_is_no_question(street: Street) -> None:
    async with street.signed_in("internal_user_viewer") as (browser, user_id):
        first = await join(street, user_id, "Research")
        begun = await begin(street)
        page = f"/ui/device?user_code={begun['user_code']}"
        assert f'name="team_id" value="{first}"' in (await browser.get(page)).text
        second = await join(street, user_id, "Platform & Co")
        assert "Platform &amp; Co" in (await browser.get(page)).text
        fields = {"user_code": begun["user_code"], "decision": "approve", "team_id": second}
        assert (await browser.send("/ui/device", fields, of=page)).status_code == 303
        key = await street.door.get("/key/info", key=(await poll(street, begun)).fields["access_token"])
        assert key.fields["info"]["team_id"] == second


async def test_who_may_have_no_key_is_told_why_and_a_program_can_be_turned_away(street: Street) -> None:
    async with street.signed_in("internal_user_viewer") as (browser, _):
        begun = await begin(street)
        page = f"/ui/device?user_code={begun['user_code']}"
        refused = await browser.send("/ui/device", {"user_code": begun["user_code"], "decision": "approve"}, of=page)
        assert refused.status_code == 403
        assert "gives it no keys of its own" in refused.text
        denied = await browser.send("/ui/device", {"user_code": begun["user_code"], "decision": "deny"}, of=page)
        assert denied.headers["location"] == "/ui/device?done=denied"
        assert (await poll(street, begun)).fields["error"] == "access_denied"


async def test_without_the_token_of_the_form_nothing_is_approved_and_wrong_codes_are_counted(street: Street) -> None:
    async with street.signed_in() as (browser, _):
        begun = await begin(street)
        forged = await browser.client.post("/ui/device", data={"user_code": begun["user_code"], "decision": "approve"})
        assert forged.status_code == 403
        assert (await poll(street, begun)).fields["error"] == "authorization_pending"
        answers = [await browser.get("/ui/device?user_code=BBBB-BBBB") for _ in range(24)]
        assert answers[0].status_code == 404
        assert 429 in {answer.status_code for answer in answers}
        assert (await browser.get("/ui/device?user_code=nonsense")).status_code in (422, 429)
