"""From the outbox to real sinks: repeated until taken, in spite of hanging neighbours and of kills."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import delete, event, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.alert_delivery import AlertDelivery, Patience
from app.base.clock import now
from app.base.secret import Secret
from app.domain.alerts import Alert
from app.notify.addresses import Address, MailAddress, SlackAddress, Smtp, WebhookAddress
from app.notify.sender import Sender
from app.providers.upstream import HttpUpstream
from app.storage.postgres import tables
from app.storage.postgres.alert_outbox import Route, write_alerts
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.engine import create_engine
from tests.conftest import RunningServers, fresh_database
from tests.fakes.alert_sinks import mail_sink, wait_until, web_sink

pytestmark = pytest.mark.services

SECRET = Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
QUICK = Patience(retry_after_s=(0.05, 0.1, 0.1), claim_s=100)


@dataclass
class Outbox:
    url: str
    engine: AsyncEngine
    running: list[AlertDelivery] = field(default_factory=list)

    async def put(self, *destinations: str, title: str = "T") -> None:
        alert = Alert(name=f"{title}{now()}", subject="s", kind="test", title=title, text="…")
        async with self.engine.begin() as connection:
            await write_alerts(connection, [alert], [Route(one) for one in destinations])

    def deliverer(self, addresses: dict[str, Address], smtp: Smtp | None = None) -> AlertDelivery:
        cipher = CredentialCipher(b"pepper")
        made = AlertDelivery(self.engine, Sender(HttpUpstream(), smtp), addresses, cipher, QUICK)
        self.running.append(made)
        return made

    async def rows(self) -> list[Any]:
        deliveries = tables.alert_deliveries
        async with self.engine.connect() as connection:
            return list(await connection.execute(select(deliveries).order_by(deliveries.c.destination_id)))

    async def until(self, holds: Callable[[Any], bool]) -> Any:
        """The one row, as soon as it is so."""
        async with asyncio.timeout(60):
            while True:
                row = (await self.rows())[0]
                if holds(row):
                    return row
                await asyncio.sleep(0.02)

    async def run(self, *deliverers: AlertDelivery, timeout_s: float = 60) -> list[Any]:
        """Deliver until nothing is pending; the rows at the end."""
        async with asyncio.timeout(timeout_s):
            while any(row.state == "pending" for row in await self.rows()):
                await asyncio.gather(*(one.start_due() for one in deliverers))
                await asyncio.sleep(0.02)
        return await self.rows()


@pytest.fixture(scope="module")
async def database(servers: RunningServers, migrated: str) -> AsyncIterator[tuple[str, AsyncEngine]]:
    with fresh_database(servers, migrated) as url:
        engine = create_engine(url)
        yield url, engine
        await engine.dispose()


@pytest.fixture
async def outbox(database: tuple[str, AsyncEngine]) -> AsyncIterator[Outbox]:
    made = Outbox(*database)
    async with made.engine.begin() as connection:
        await connection.execute(delete(tables.alert_events))
    yield made
    for one in made.running:
        await one.close(timeout_s=0)


async def test_a_sink_that_fails_twice_gets_it_the_third_time_under_the_same_id(outbox: Outbox) -> None:
    async with web_sink(500, 503) as sink:
        await outbox.put("config:webhook")
        rows = await outbox.run(outbox.deliverer({"config:webhook": WebhookAddress(Secret(sink.url), SECRET)}))

    assert [(row.state, row.attempts) for row in rows] == [("delivered", 3)]
    assert len({post.headers["webhook-id"] for post in sink.received}) == 1
    assert all(post.headers["webhook-signature"].startswith("v1,") for post in sink.received)


async def test_what_nobody_takes_is_given_up_with_the_reason(outbox: Outbox) -> None:
    async with web_sink(*[500] * 10) as sink, web_sink(410) as gone, web_sink(302) as moved:
        await outbox.put("config:a", "config:b", "config:c", "config:none")
        addresses: dict[str, Address] = {
            "config:a": SlackAddress(Secret(sink.url)),
            "config:b": SlackAddress(Secret(gone.url)),
            "config:c": SlackAddress(Secret(moved.url)),
        }
        rows = await outbox.run(outbox.deliverer(addresses))

    assert [(row.state, row.attempts) for row in rows] == [("dead", 4), ("dead", 1), ("delivered", 2), ("dead", 1)]
    assert rows[0].last_error == "it answered 500: it is broken here"
    assert rows[3].last_error == "the destination is gone"
    assert len(moved.received) == 2, "the redirect was not followed but tried again"


async def test_a_sink_that_hangs_holds_up_no_other(outbox: Outbox) -> None:
    async with web_sink(*[0] * 50) as hanging, web_sink() as sink:
        for number in range(12):
            await outbox.put("config:hanging", title=f"hanging {number}")
        for number in range(12):
            await outbox.put("config:sink", title=f"good {number}")
        addresses: dict[str, Address] = {
            "config:hanging": SlackAddress(Secret(hanging.url)),
            "config:sink": SlackAddress(Secret(sink.url)),
        }
        deliverer = outbox.deliverer(addresses)
        async with asyncio.timeout(60):
            while len(sink.received) < 12:
                await deliverer.start_due()
                await asyncio.sleep(0.02)
        assert len(hanging.received) <= 4, "of one destination only so many at once"


async def test_where_nothing_is_due_one_look_is_all(outbox: Outbox) -> None:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(outbox.engine.sync_engine, "before_cursor_execute", note)
    try:
        assert await outbox.deliverer({}).start_due() == 0
    finally:
        event.remove(outbox.engine.sync_engine, "before_cursor_execute", note)
    assert len(statements) == 1
    assert "UPDATE" not in statements[0]


async def test_several_replicas_deliver_each_once(outbox: Outbox) -> None:
    async with web_sink() as sink:
        for number in range(30):
            await outbox.put("config:a", title=str(number))
        address: dict[str, Address] = {"config:a": SlackAddress(Secret(sink.url))}
        rows = await outbox.run(*(outbox.deliverer(address) for _ in range(4)))

    assert {row.attempts for row in rows} == {1}
    assert len(sink.received) == 30


async def test_a_mail_is_delivered_by_smtp_and_a_refused_one_is_tried_again(outbox: Outbox) -> None:
    async with mail_sink() as sink:
        await outbox.put("config:email", title="Team “ü” has spent 90 %")
        smtp = Smtp("127.0.0.1", sink.port, "keyhouse@example.com", tls=False)
        mail: dict[str, Address] = {"config:email": MailAddress(("ada@example.com", "bo@example.com"))}
        rows = await outbox.run(outbox.deliverer(mail, smtp))
    assert [row.state for row in rows] == ["delivered"]
    assert len(sink.recipients) == 2
    assert "To: ada@example.com, bo@example.com" in sink.received[0]

    async with mail_sink(refuse=550) as refusing:
        await outbox.put("config:email")
        smtp = Smtp("127.0.0.1", refusing.port, "keyhouse@example.com", tls=False)
        rows = await outbox.run(outbox.deliverer(mail, smtp))
    dead = next(row for row in rows if row.state == "dead")
    assert dead.attempts == 4
    assert "550" in dead.last_error


DELIVERER = """
import asyncio, sys
from app.admin.alert_delivery import AlertDelivery, Patience
from app.base.secret import Secret
from app.notify.addresses import SlackAddress, WebhookAddress
from app.notify.sender import Sender
from app.providers.upstream import HttpUpstream
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.engine import create_engine

async def main(database, sink):
    addresses = {"config:webhook": WebhookAddress(Secret(sink), Secret("s"))}
    sender, cipher = Sender(HttpUpstream(), None), CredentialCipher(b"pepper")
    delivery = AlertDelivery(create_engine(database), sender, addresses, cipher, Patience(claim_s=2))
    while True:
        await delivery.start_due()
        await asyncio.sleep(0.02)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_what_was_under_way_when_the_process_was_killed_is_delivered_after_under_the_same_id(
    outbox: Outbox,
) -> None:
    """At least once: a sink that took the first and never answered sees it twice, and knows it by its id."""
    async with web_sink(0) as sink:
        await outbox.put("config:webhook")
        for killed in (True, False):
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", DELIVERER, outbox.url, sink.url)
            try:
                if killed:
                    await wait_until(lambda: sink.received)
                else:
                    await outbox.until(lambda row: row.state == "delivered")
            finally:
                process.send_signal(signal.SIGKILL)
                await process.wait()

    assert [post.headers["webhook-id"] for post in sink.received] == [sink.received[0].headers["webhook-id"]] * 2
    assert [(row.state, row.attempts) for row in await outbox.rows()] == [("delivered", 2)]
    assert msgspec.json.decode(sink.received[1].body)["type"] == "test"


async def test_a_destination_that_asks_for_a_pause_gets_it(outbox: Outbox) -> None:
    async with web_sink(429) as sink:
        sink.answer_headers = "retry-after: 600\r\n"
        await outbox.put("config:a")
        deliverer = outbox.deliverer({"config:a": SlackAddress(Secret(sink.url))})
        await deliverer.start_due()
        await wait_until(lambda: sink.received)
        row = await outbox.until(lambda row: row.last_error is not None)

    assert row.next_attempt_at > now() + timedelta(seconds=500)
