"""The pages on real stores, and a browser before them: a client that keeps cookies and sends forms."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import insert

from app.admin.browser_sessions import Visit
from app.admin.passwords import Passwords
from app.admin.people import People
from app.base.ids import new_id
from app.storage.postgres import tables
from tests.api.support import MASTER_KEY, PEPPER, QUICK, Door

PASSWORD = "correct horse battery staple"
_TOKEN = re.compile(r'name="form_token" value="([^"]+)"')
Fields = Mapping[str, str | Sequence[str]]


@dataclass
class Browser:
    """``client`` has the cookies."""

    client: httpx.AsyncClient

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.client.get(path, headers=headers)

    async def send(self, path: str, fields: Fields | None = None, *, of: str | None = None) -> httpx.Response:
        """A form, with the token of the page ``of``, which is the one it is sent to unless said otherwise."""
        page = await self.get(of or path)
        found = _TOKEN.search(page.text)
        assert found is not None, page.text
        return await self.client.post(path, data={**(fields or {}), "form_token": found[1]})

    async def sign_in(self, email: str, password: str = PASSWORD, wanted: str = "/ui") -> httpx.Response:
        return await self.send("/ui/sign-in", {"email": email, "password": password, "next": wanted})

    def plant(self, session: str) -> None:
        """A session cookie that this browser did not get here."""
        self.client.cookies.set("keyhouse_session", session, domain="keyhouse.test", path="/ui")

    @property
    def session(self) -> str | None:
        return self.client.cookies.get("keyhouse_session")


class Street:
    """Opens browsers at the door of the pages, and makes people who can sign in."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.people = People(door.engine, PEPPER, MASTER_KEY, Passwords(QUICK))

    @asynccontextmanager
    async def browser(self, address: str | None = None, scheme: str = "http") -> AsyncIterator[Browser]:
        """At a network address of its own, so that the attempts of one test do not count in another."""
        app: Any = self.door.client._transport.app  # type: ignore[attr-defined]  # the app of this door
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address or new_id("address"), 4711))
        async with httpx.AsyncClient(transport=transport, base_url=f"{scheme}://keyhouse.test") as client:
            yield Browser(client)

    async def person(self, role: str = "internal_user", **columns: Any) -> tuple[str, str]:
        """A user with a password: the user id and the address."""
        user_id = new_id("user")
        email = f"{user_id}@example.com"
        async with self.door.engine.begin() as connection:
            values = {"user_id": user_id, "user_email": email, "user_role": role, **columns}
            await connection.execute(insert(tables.users).values(**values))
            hashed = QUICK.hash(PASSWORD)
            await connection.execute(insert(tables.passwords).values(user_id=user_id, password_hash=hashed))
        return user_id, email

    @asynccontextmanager
    async def signed_in(self, role: str = "internal_user", **columns: Any) -> AsyncIterator[tuple[Browser, str]]:
        """With a session that was opened without the form, whose hash would cost each test its time."""
        user_id, _ = await self.person(role, **columns)
        async with self.door.engine.begin() as connection:
            token = await self.people.sessions.open(connection, user_id, Visit("", None), "password")
        async with self.browser() as browser:
            browser.plant(token)
            yield browser, user_id


@pytest.fixture(scope="session")
def street(admin_door: Door) -> Street:
    return Street(admin_door)
