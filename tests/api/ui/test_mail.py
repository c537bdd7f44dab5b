"""Links to choose a password reach people by mail, where the operator has set up a mail server."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_string, policy

import pytest

from app.admin.password_reset import PasswordReset
from app.admin.post import Post
from app.base.clock import now
from app.base.ids import new_id
from app.notify.addresses import Smtp
from app.notify.letters import Letter, render_letter
from app.notify.sender import Sender
from app.providers.upstream import HttpUpstream
from tests.api.support import PEPPER
from tests.api.ui.support import Street
from tests.fakes.alert_sinks import MailSink, mail_sink

pytestmark = pytest.mark.services
NEW_PASSWORD = "another long password"
PUBLIC = "https://keyhouse.example.com"


@asynccontextmanager
async def mail(street: Street, refuse: int = 0) -> AsyncIterator[tuple[MailSink, PasswordReset]]:
    """The pages of the street, with a mail server and a public address."""
    pages, door = street.door.pages, street.door
    async with mail_sink(refuse) as sink:
        sender = Sender(HttpUpstream(), Smtp("127.0.0.1", sink.port, "keyhouse@example.com", tls=False))
        pages.post = Post(sender)
        reset = PasswordReset(
            door.engine, PEPPER, street.people, pages.post, lambda token: f"{PUBLIC}/ui/invitation/{token}"
        )
        pages.password_reset = reset
        try:
            yield sink, reset
        finally:
            pages.post = pages.password_reset = None
            sender.close()


def read_letter(text: str) -> tuple[str, str]:
    """The recipient and the text."""
    found = message_from_string(text, policy=policy.default)
    body = found.get_body()
    assert body is not None
    return str(found["to"]), str(body.get_content())


async def test_an_invitation_goes_out_by_mail_and_is_shown_too(street: Street) -> None:
    email = f"{new_id('guest')}@example.com"
    async with street.signed_in("proxy_admin", user_alias="Grace Höpper") as (browser, _), mail(street) as (sink, _):
        made = await browser.send("/ui/people", {"email": email, "role": "internal_user"})
        shown = re.search(r'id="link">([^<]+)<', made.text)
        assert shown is not None, made.text
        assert "on its way" in made.text
        recipient, text = read_letter(sink.received[0])
    assert recipient == email
    assert "Grace Höpper invites you" in text
    assert shown[1] in text
    async with street.browser() as guest:
        page = shown[1].removeprefix("http://keyhouse.test")
        assert (await guest.send(page, {"password": NEW_PASSWORD, "again": NEW_PASSWORD})).status_code == 303


async def test_a_mail_server_that_refuses_is_quoted_and_the_link_is_still_there(street: Street) -> None:
    user_id, _ = await street.person()
    async with street.signed_in("proxy_admin") as (browser, _), mail(street, 550):
        made = await browser.send(f"/ui/people/{user_id}/invite", of="/ui/people")
        assert "could not be sent" in made.text
        assert "550" in made.text
        assert "/ui/invitation/" in made.text


async def test_who_lost_the_password_gets_a_link_by_mail_and_a_stranger_learns_nothing(street: Street) -> None:
    await street.person("proxy_admin")
    _, email = await street.person()
    _, blocked = await street.person(blocked=True)
    pages = {}
    async with mail(street) as (sink, reset):
        for asked in (email, blocked, "nobody@example.com"):
            async with street.browser() as browser:
                assert 'href="/ui/forgot"' in (await browser.get("/ui/sign-in")).text
                browser.client.headers["host"] = "evil.example"
                pages[asked] = (await browser.send("/ui/forgot", {"email": asked})).text.replace(asked, "")
        await reset.settle()
        assert len(set(pages.values())) == 1
        assert len(sink.received) == 1
        recipient, text = read_letter(sink.received[0])
        link = re.search(r"https?://\S+", text)
        assert recipient == email
        assert link is not None
        assert link[0].startswith(f"{PUBLIC}/ui/invitation/"), "and not where the stranger would have it"
        async with street.browser() as browser:
            assert (await browser.sign_in(email)).status_code == 303, "the old password holds until then"
            page = link[0].removeprefix(PUBLIC)
            assert (await browser.send(page, {"password": NEW_PASSWORD, "again": NEW_PASSWORD})).status_code == 303
            assert (await browser.get(page)).status_code == 404
        async with street.browser() as browser:
            answers = [await browser.send("/ui/forgot", {"email": email}) for _ in range(6)]
        assert answers[-1].status_code == 429
        await reset.settle()
        assert len(sink.received) < 6


async def test_without_a_mail_server_there_is_no_such_page(street: Street) -> None:
    async with street.browser() as browser:
        assert (await browser.get("/ui/forgot")).status_code == 404
        assert "/ui/forgot" not in (await browser.get("/ui/sign-in")).text


@pytest.mark.parametrize("recipient", ["a@example.com, b@example.com", "a@example.com\nBcc: b@example.com", "nobody"])
def test_a_letter_goes_to_one_person(recipient: str) -> None:
    with pytest.raises(ValueError, match="no mail address"):
        render_letter(Letter(recipient, "A subject", "text"), "keyhouse@example.com", now())
