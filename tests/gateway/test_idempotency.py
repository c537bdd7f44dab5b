"""Keys of idempotency with fakes at the ports: one call each, its answer again, and nothing kept of what failed."""

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from app.base.errors import Conflict, GatewayError, Gone, InvalidRequest, StorageUnavailable, Unprocessable
from app.base.ids import KeyId
from app.domain.access import Principal
from app.domain.idempotency import KeptReply, KnownCall, Ticket
from app.gateway.call import StreamCut
from app.gateway.idempotency import Idempotency
from tests.fakes.ports import ScriptedReply, broken
from tests.gateway.examples import KEY
from tests.gateway.test_pipeline import DELTA, JSON, START, STOP, TEXT, WHOLE, House, call, read, stream


@dataclass
class Calls:
    """What Redis keeps, without its clock."""

    known: dict[bytes, KnownCall] = field(default_factory=dict)
    down: bool = False

    async def begin(self, ticket: Ticket) -> KnownCall | None:
        if self.down:
            raise StorageUnavailable("Redis does not answer")
        fresh = KnownCall(ticket.request_id, ticket.fingerprint, 4_200, done=False, answer=None)
        found = self.known.setdefault(ticket.name, fresh)
        return None if found is fresh else found

    async def renew(self, ticket: Ticket) -> None:
        assert not self.known[ticket.name].done

    async def finish(self, ticket: Ticket, answer: KeptReply | None) -> None:
        self.known[ticket.name] = structs.replace(self.known[ticket.name], done=True, answer=answer)

    async def forget(self, ticket: Ticket) -> None:
        self.known.pop(ticket.name, None)


class OnceHouse(House):
    def __init__(self, *replies: ScriptedReply | Exception) -> None:
        super().__init__(list(replies))
        self.calls = Calls()
        self.once = Idempotency(self.calls, b"secret", self.gateway._metrics, most_answer_bytes=10_000)
        self.gateway.idempotency = self.once

    async def ask(
        self, key: bytes = b"a", principal: Principal | None = None, **fields: Any
    ) -> tuple[bytes, dict[bytes, bytes]]:
        asked = call(headers=[(b"idempotency-key", key)], **fields)
        reply = await self.gateway.serve(asked, principal or Principal(KEY))
        body = reply.body if isinstance(reply.body, bytes) else await read(reply)
        return body, dict(reply.headers)

    async def rest(self) -> None:
        while self.once._tasks:
            await asyncio.gather(*self.once._tasks, return_exceptions=True)


def whole() -> ScriptedReply:
    return ScriptedReply(200, JSON, [WHOLE])


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_first_answer_is_given_again_and_nothing_more_is_charged(streamed: bool) -> None:
    house = OnceHouse(stream(START, TEXT, DELTA + STOP) if streamed else whole())
    first, head = await house.ask(stream=streamed, tools=[{"name": "pay"}])
    again, told = await house.ask(stream=streamed, tools=[{"name": "pay"}])

    assert again == first
    assert (told[b"content-type"], told[b"request-id"]) == (head[b"content-type"], b"req_1")
    assert (told[b"x-keyhouse-idempotent-replay"], told[b"x-keyhouse-response-cost"]) == (b"true", b"0")
    assert b"x-keyhouse-idempotent-replay" not in head
    assert (len(house.upstream.requests), len(house.ledger.claims), len(house.ledger.settled)) == (1, 1, 1)
    assert b"idempotency-key" not in dict(house.upstream.requests[0].headers)


async def test_another_request_under_the_same_key_is_refused_and_another_virtual_key_has_keys_of_its_own() -> None:
    house = OnceHouse(whole(), whole())
    await house.ask()
    with pytest.raises(Unprocessable, match="was used by req_1 for another request") as refused:
        await house.ask(temperature=1)
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")
    _, told = await house.ask(principal=Principal(replace(KEY, key_id=KeyId("key_2"))))
    assert b"x-keyhouse-idempotent-replay" not in told


@pytest.mark.parametrize(
    "reply",
    [
        broken(),
        ScriptedReply(529, JSON, [b'{"type":"error"}']),
        stream(START, TEXT),
        stream(START, TEXT, broken()),
        stream(START, b'event: error\ndata: {"type":"error","error":{}}\n\n'),
    ],
    ids=["unreachable", "refused", "incomplete", "broken", "failed"],
)
async def test_what_failed_is_not_kept_so_that_a_retry_is_a_new_attempt(reply: ScriptedReply | Exception) -> None:
    house = OnceHouse(reply, stream(START, TEXT, DELTA + STOP))
    with contextlib.suppress(GatewayError, StreamCut):
        await house.ask(stream=True)
    assert house.calls.known == {}
    body, _ = await house.ask(stream=True)
    assert body == START + TEXT + DELTA + STOP


async def test_while_the_first_is_under_way_others_are_told_to_wait_as_long_again() -> None:
    house = OnceHouse(stream(START, None))
    first = asyncio.create_task(house.ask(stream=True))
    while not house.upstream.requests:  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(0)
    with pytest.raises(Conflict) as refused:
        await house.ask(stream=True)
    assert (refused.value.status, refused.value.retry_after_s) == (409, 5)
    await house.once.renew_once()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await house.once.close()
    [receipt] = house.ledger.settled
    assert receipt.status == "hung_up"
    assert house.calls.known == {}


@pytest.mark.parametrize("after_chunks", [0, 1, 2])
async def test_what_a_client_left_behind_is_read_to_its_end_and_is_there_when_it_comes_back(after_chunks: int) -> None:
    house = OnceHouse(stream(START, TEXT, DELTA + STOP))

    async def leave() -> None:
        reply = await house.gateway.serve(call(stream=True, headers=[(b"idempotency-key", b"a")]), Principal(KEY))
        assert not isinstance(reply.body, bytes)
        chunks = reply.body.chunks()
        for _ in range(after_chunks):
            await anext(chunks)
        await reply.body.close()

    if after_chunks:
        await leave()
    else:
        asking = asyncio.create_task(leave())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    await house.rest()
    body, told = await house.ask(stream=True)
    assert (body, told[b"x-keyhouse-idempotent-replay"]) == (START + TEXT + DELTA + STOP, b"true")
    [receipt] = house.ledger.settled
    assert (receipt.status, receipt.usage.output) == ("ok", 50)


async def test_an_answer_that_is_too_large_is_known_to_be_charged_and_read_on_for_nobody() -> None:
    large = ScriptedReply(200, JSON, [WHOLE + b" " * 10_000])
    house = OnceHouse(large, stream(START, TEXT * 200, None))
    await house.ask()
    with pytest.raises(Gone, match="answered and charged as req_1") as refused:
        await house.ask()
    assert refused.value.status == 410

    reply = await house.gateway.serve(call(stream=True, headers=[(b"idempotency-key", b"b")]), Principal(KEY))
    assert not isinstance(reply.body, bytes)
    chunks = reply.body.chunks()
    assert [await anext(chunks), await anext(chunks)] == [START, TEXT * 200]
    await reply.body.close()
    await house.rest()
    assert house.ledger.settled[-1].status == "hung_up"
    assert len(house.calls.known) == 1


async def test_keys_are_read_strictly_and_without_a_store_nothing_is_made() -> None:
    house = OnceHouse(whole())
    for key in (b"", b"two words", b"x" * 256, "ключ".encode()):
        with pytest.raises(InvalidRequest, match="1 to 255 visible characters"):
            await house.ask(key)
    twice = [(b"idempotency-key", b"a"), (b"idempotency-key", b"b")]
    with pytest.raises(InvalidRequest, match="sent twice"):
        await house.gateway.serve(call(headers=twice), Principal(KEY))
    house.calls.down = True
    with pytest.raises(StorageUnavailable):
        await house.ask()
    assert house.upstream.requests == []


ATTEMPTS = st.lists(st.tuples(st.sampled_from([b"a", b"b"]), st.booleans(), st.booleans()), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(ATTEMPTS)
def test_whatever_is_sent_again_a_key_is_charged_once_and_each_real_attempt_has_its_receipt(
    attempts: list[tuple[bytes, bool, bool]],
) -> None:
    """P8: each attempt names a key, whether the provider breaks its answer off, and whether the client leaves."""

    async def run() -> None:
        house = OnceHouse()
        answered: dict[bytes, bytes] = {}
        for key, breaks, leaves in attempts:
            house.replies[:] = [stream(START, TEXT, broken()) if breaks else stream(START, key, DELTA + STOP)]
            reply = await house.gateway.serve(call(stream=True, headers=[(b"idempotency-key", key)]), Principal(KEY))
            if isinstance(reply.body, bytes):
                assert reply.body == answered[key]
                continue
            assert key not in answered
            with contextlib.suppress(StreamCut):
                async for _ in reply.body.chunks():
                    if leaves:
                        break
            await reply.body.close()
            await house.rest()
            if not breaks:
                answered[key] = START + key + DELTA + STOP
        statuses = Counter(receipt.status for receipt in house.ledger.settled)
        assert statuses["ok"] == len(answered)
        assert statuses.total() == len(house.upstream.requests)

    asyncio.run(run())
