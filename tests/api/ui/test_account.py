"""People see where they are signed in, by browsers and by programs, and end what they do not know."""

import pytest
from sqlalchemy import select

from app.api.ui.browser_names import name_browser
from app.storage.postgres import tables
from tests.api.ui.support import Street
from tests.api.ui.test_device import begin, poll

pytestmark = pytest.mark.services
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


async def test_a_session_is_named_by_its_browser_and_ended_by_its_person_alone(street: Street) -> None:
    _, email = await street.person("proxy_admin")
    async with street.browser("192.0.2.7") as here, street.browser("192.0.2.8") as there:
        here.client.headers["user-agent"], there.client.headers["user-agent"] = FIREFOX, CHROME
        await here.sign_in(email)
        await there.sign_in(email)
        page = (await here.get("/ui/account")).text
        for words in ("Firefox on Linux", "Chrome on Windows", "192.0.2.8", "this browser"):
            assert words in page
        async with street.door.engine.connect() as connection:
            columns = tables.browser_sessions.c
            query = select(columns.session_id).where(columns.client_address == "192.0.2.8")
            session_id = (await connection.execute(query)).scalar_one()
        end = f"/ui/account/sessions/{session_id}/end"
        async with street.signed_in("proxy_admin") as (stranger, _):
            assert (await stranger.send(end, of="/ui/account")).status_code == 404
        assert (await there.get("/ui/account")).status_code == 200
        ended = await here.send(end, of="/ui/account")
        assert ended.headers["location"] == "/ui/account?done=session"
        assert (await there.get("/ui/account")).status_code == 303
        assert "Chrome on Windows" not in (await here.get("/ui/account")).text


async def test_a_program_is_signed_out_by_its_person_and_its_key_is_gone(street: Street) -> None:
    async with street.signed_in() as (browser, user_id), street.signed_in() as (stranger, _):
        begun = await begin(street)
        fields = {"user_code": begun["user_code"], "decision": "approve", "own": "yes"}
        await browser.send("/ui/device", fields, of=f"/ui/device?user_code={begun['user_code']}")
        key = {"authorization": f"Bearer {(await poll(street, begun)).fields['access_token']}"}
        assert (await street.door.get("/key/self", key)).status == 403, "it calls models alone"
        assert "claude-code/2.1.329 &lt;b&gt;" in (await browser.get("/ui/account")).text
        async with street.door.engine.connect() as connection:
            query = select(tables.sign_ins.c.sign_in_id).where(tables.sign_ins.c.user_id == user_id)
            sign_in_id = (await connection.execute(query)).scalar_one()
        end = f"/ui/account/programs/{sign_in_id}/end"
        assert (await stranger.send(end, of="/ui/account")).status_code == 404
        assert (await browser.send(end, of="/ui/account")).status_code == 303
        assert (await street.door.get("/key/self", key)).status == 401
        assert "claude-code/2.1.329" not in (await browser.get("/ui/account")).text
        assert (await browser.send(end, of="/ui/account")).status_code == 404


def test_a_browser_that_says_nothing_is_called_so() -> None:
    assert name_browser(None) == name_browser("x") == "A browser without a name"
    assert name_browser("Mozilla/5.0 (iPhone; …) CriOS/120 Safari/604") == "Chrome on iPhone"
