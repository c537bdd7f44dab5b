"""Batches with fakes at their ports, and their receipts with true stores: what goes wrong costs once or nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
import redis
from msgspec.structs import replace as changed
from prometheus_client import CollectorRegistry
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.base import clock
from app.base.errors import (
    CallerError,
    InvalidRequest,
    NotFound,
    StorageUnavailable,
    UpstreamUnreachable,
    UpstreamUnreadable,
)
from app.base.ids import DeploymentId, KeyId, new_id
from app.base.metrics import Metrics
from app.base.secret import Secret
from app.domain.access import Principal
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.keys import VirtualKey
from app.domain.pricing import always
from app.domain.provider_objects import ObjectKind, PageAsked, ProviderObject
from app.domain.routing import RoutingRules
from app.domain.spend import Admitted, BudgetStanding, Claim, Refused
from app.domain.tenancy import budget_of_serving, scope_of_pool, serving_of
from app.gateway.admit import Admission, AdmissionRules
from app.gateway.batch_results import BatchFacts, Booking
from app.gateway.batches import Batches
from app.gateway.call import Call, Reply, StreamCut
from app.gateway.exchange import Exchanges
from app.gateway.objects import Custody
from app.gateway.router import Router
from app.gateway.settle import Settlement
from app.protocols.anthropic_messages.codec import AnthropicMessages
from app.providers.prices import LivePrices
from app.storage.books import Books
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.postgres.provider_objects import ProviderObjectStore
from app.storage.redis.client import script_runner
from app.storage.redis.ledger import RedisLedger
from tests.fakes.ports import NotingLedger, OneCatalog, ScriptedReply, ScriptedUpstream
from tests.gateway.examples import DEPLOYMENT, KEY, NOW, SHEET
from tests.storage.ledger_support import make_budget, make_claim, redis_server, until

OTHER_HOST = replace(DEPLOYMENT, deployment_id=DeploymentId("dep_2"), api_key=Secret("sk-ant-another-account"))
CATALOG = Catalog(
    (
        Model("sonnet", (DEPLOYMENT,), "Sonnet", ""),
        Model("anywhere", (OTHER_HOST, DEPLOYMENT), "Anywhere", ""),
        Model("elsewhere", (OTHER_HOST,), "Elsewhere", ""),
        Model("free", (replace(DEPLOYMENT, prices=always(replace(SHEET, source="fallback"))),), "Free", ""),
    )
)
MADE = msgspec.json.encode({"id": "msgbatch_1", "results_url": None})
JSON = [(b"content-type", b"application/json")]


@dataclass
class MemoryStore:
    """The ProviderObjects port in memory. ``down`` answers nothing."""

    records: dict[str, ProviderObject] = field(default_factory=dict)
    read_at: dict[str, datetime] = field(default_factory=dict)
    booked: set[str] = field(default_factory=set)
    asked: list[list[str]] = field(default_factory=list)
    down: bool = False

    async def add(self, record: ProviderObject) -> bool:
        await asyncio.sleep(0)
        if self.down:
            raise StorageUnavailable("Postgres does not answer")
        if record.object_id in self.records:
            return False
        self.records[record.object_id] = record
        return True

    async def find(self, kind: ObjectKind, object_id: str) -> ProviderObject | None:
        return self.records.get(object_id)

    async def any(self, kind: ObjectKind) -> bool:
        return bool(self.records)

    async def find_all(self, kind: ObjectKind, object_ids: Sequence[str]) -> list[ProviderObject]:
        return [self.records[one] for one in object_ids if one in self.records]

    async def page(self, kind: ObjectKind, principal: Principal, asked: PageAsked) -> list[ProviderObject]:
        return list(self.records.values())[: asked.limit]

    async def remove(self, kind: ObjectKind, object_id: str) -> None:
        del self.records[object_id]

    async def begin_results(self, batch_id: str, at: datetime) -> datetime:
        return self.read_at.setdefault(batch_id, at)

    async def end_results(self, batch_id: str, at: datetime) -> None:
        self.records[batch_id] = changed(self.records[batch_id], booked_at=at)

    async def find_booked(self, request_ids: Sequence[str], read_at: datetime) -> set[str]:
        self.asked.append(list(request_ids))
        return self.booked & set(request_ids)


@dataclass
class House:
    replies: list[ScriptedReply | Exception] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)
    ledger: NotingLedger = field(default_factory=NotingLedger)
    catalog: Catalog = CATALOG
    rules: AdmissionRules = field(default_factory=AdmissionRules)

    def __post_init__(self) -> None:
        self.upstream = ScriptedUpstream(self.replies)
        codec = AnthropicMessages()
        source = OneCatalog(self.catalog)
        metrics = Metrics(CollectorRegistry())
        router = Router(RoutingRules(), metrics)
        admission = Admission(source, self.ledger, Exchanges({codec.name: codec}), self.rules, LivePrices(), router)
        settlement = Settlement(self.ledger, metrics)
        custody = Custody(self.store, source, admission, self.upstream)
        self.batches = Batches(custody, self.store, admission, self.upstream, settlement)

    async def serve(self, call: Call, key: VirtualKey = KEY) -> Reply:
        return await self.batches.serve(call, Principal(key))

    async def make(self, *models: str) -> Reply:
        self.replies.append(whole(MADE))
        return await self.serve(call("POST", "", models))


def whole(body: bytes, status: int = 200) -> ScriptedReply:
    return ScriptedReply(status, JSON, [body] if body else [])


def call(method: str, below: str, models: Sequence[str] = ()) -> Call:
    requests = [
        {"custom_id": str(number), "params": {"model": model, "max_tokens": 10, "messages": []}}
        for number, model in enumerate(models)
    ]
    return Call(
        request_id="req_1",
        codec=AnthropicMessages(),
        operation="batches",
        method=method,
        route=f"/v1/messages/batches{below}",
        upstream_path=f"/v1/messages/batches{below}",
        query=b"",
        headers=JSON,
        body=msgspec.json.encode({"requests": requests}) if models else b"",
        started_at=NOW,
        started_s=asyncio.get_running_loop().time(),
    )


def line(custom_id: str, *, output: int = 10, kind: str = "succeeded") -> bytes:
    message = {"usage": {"input_tokens": 100, "output_tokens": output}, "stop_reason": "end_turn"}
    return msgspec.json.encode({"custom_id": custom_id, "result": {"type": kind, "message": message}}) + b"\n"


async def read(reply: Reply) -> bytes:
    assert not isinstance(reply.body, bytes)
    try:
        return b"".join([chunk async for chunk in reply.body.chunks()])
    finally:
        await reply.body.close()


def sent(house: House) -> list[tuple[str, str]]:
    return [
        (request.method, request.url.removeprefix("https://provider.example")) for request in house.upstream.requests
    ]


async def test_a_batch_is_noted_before_its_name_is_told_and_holds_nothing_after() -> None:
    house = House()
    reply = await house.make("sonnet", "sonnet")
    assert reply.body == MADE
    record = house.store.records["msgbatch_1"]
    assert (record.key_id, record.deployment_id, record.created_at) == ("key_1", "dep_1", NOW)
    facts = msgspec.json.decode(record.facts, type=BatchFacts)
    assert (len(facts.lots), facts.lot_of) == (1, {})
    await asyncio.sleep(0)
    assert house.ledger.released == ["req_1"]
    [claim] = house.ledger.claims
    assert (claim.tokens, claim.if_orphaned.cost.total) == (0, 0)


async def test_a_batch_that_cannot_be_noted_is_cancelled_at_the_provider_and_said_to_be() -> None:
    house = House([whole(MADE), whole(MADE)], MemoryStore(down=True))
    with pytest.raises(StorageUnavailable, match='"msgbatch_1", but it could not be noted and was cancelled there'):
        await house.serve(call("POST", "", ["sonnet"]))
    assert sent(house) == [("POST", "/v1/messages/batches"), ("POST", "/v1/messages/batches/msgbatch_1/cancel")]


async def test_a_cancellation_that_fails_too_changes_nothing_about_the_answer() -> None:
    failing = UpstreamUnreachable("gone", provider="anthropic")
    house = House([whole(MADE), failing], MemoryStore(down=True))
    with pytest.raises(StorageUnavailable):
        await house.serve(call("POST", "", ["sonnet"]))


async def test_a_name_that_is_anothers_already_is_not_told() -> None:
    house = House()
    await house.make("sonnet")
    house.replies += [whole(MADE), whole(MADE)]
    with pytest.raises(UpstreamUnreadable, match="as it has named one before"):
        await house.serve(call("POST", "", ["sonnet"]), replace(KEY, key_id=KeyId("key_2")))
    assert house.store.records["msgbatch_1"].key_id == "key_1"


async def test_a_client_that_leaves_while_its_batch_is_made_owns_it_all_the_same() -> None:
    house = House([whole(MADE)])
    leaving = asyncio.create_task(house.serve(call("POST", "", ["sonnet"])))
    while not house.upstream.requests:  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    async with asyncio.timeout(60):
        while not house.store.records:  # noqa: ASYNC110  nothing tells
            await asyncio.sleep(0)
    assert list(house.store.records) == ["msgbatch_1"]


async def test_an_answer_without_a_name_and_a_refusal_make_no_batch() -> None:
    refusal = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'
    house = House([whole(b"{}"), whole(refusal, 400)])
    with pytest.raises(UpstreamUnreadable):
        await house.serve(call("POST", "", ["sonnet"]))
    reply = await house.serve(call("POST", "", ["sonnet"]))
    assert (reply.status, reply.body) == (400, refusal)
    assert not house.store.records


@pytest.mark.parametrize("models", [["sonnet", "anywhere"], ["anywhere", "sonnet"]])
async def test_all_models_of_a_batch_go_to_the_one_host_that_has_them(models: list[str]) -> None:
    for _ in range(8):
        house = House()
        await house.make(*models)
        assert (b"x-api-key", b"sk-ant-provider") in house.upstream.requests[0].headers


async def test_models_of_two_accounts_make_no_batch() -> None:
    with pytest.raises(InvalidRequest, match="not served by one host under one credential"):
        await House().make("sonnet", "elsewhere")


@dataclass
class Spent(NotingLedger):
    """What is left of the budgets of deployments, by their names; nothing left is spent."""

    left_nanousd: dict[str, int] = field(default_factory=dict)

    async def reserve(self, claim: Claim) -> Admitted | Refused:
        self.claims.append(claim)
        standings = []
        for budget in claim.budgets:
            _, name = serving_of(budget.scope) or ("", "")
            left_nanousd = self.left_nanousd.get(name, budget.limit_nanousd)
            standings.append(BudgetStanding(budget, budget.limit_nanousd - left_nanousd, 0))
            if not left_nanousd:
                return Refused("budget", 60, budget=standings[-1])
        return Admitted(None, None, tuple(standings))


def budgeted(place: Deployment) -> Deployment:
    return replace(place, budgets=(budget_of_serving("deployment", place.deployment_id, 10**12, None),))


ONE, TWO = budgeted(DEPLOYMENT), budgeted(OTHER_HOST)
BUDGETED = Catalog((Model("sonnet", (ONE,), "Sonnet", ""), Model("anywhere", (TWO, ONE), "Anywhere", "")))


@pytest.mark.parametrize("left_nanousd", [0, 100], ids=["spent", "less than it may cost"])
async def test_a_batch_goes_where_the_budget_of_the_deployment_has_room_and_is_refused_where_none_has(
    left_nanousd: int,
) -> None:
    ledger = Spent(left_nanousd={"dep_1": left_nanousd})
    for _ in range(8):
        house = House(ledger=ledger, catalog=BUDGETED)
        await house.make("anywhere")
        assert (b"x-api-key", b"sk-ant-another-account") in house.upstream.requests[0].headers
    house = House(ledger=ledger, catalog=BUDGETED)
    with pytest.raises(CallerError, match=r'of the deployment "dep_1"|the deployment "dep_1" has spent'):
        await house.make("sonnet", "anywhere")
    assert not house.upstream.requests
    assert ledger.released


async def test_a_batch_asks_of_a_deployments_budget_what_is_for_it_alone() -> None:
    haiku = replace(TWO, api_key=ONE.api_key)
    catalog = Catalog((Model("sonnet", (ONE,), "Sonnet", ""), Model("haiku", (haiku,), "Haiku", "")))
    house = House(ledger=Spent(left_nanousd={"dep_2": 400_000}), catalog=catalog)
    await house.make("haiku", *["sonnet"] * 20)
    with pytest.raises(InvalidRequest, match=r'of the deployment "dep_2" only 0\.000400 USD'):
        await house.make("sonnet", *["haiku"] * 20)


async def test_a_model_without_a_price_is_refused_where_such_models_are() -> None:
    await House().make("free")
    with pytest.raises(InvalidRequest, match="has no price"):
        await House(rules=AdmissionRules(refuse_unpriced=True)).make("free")


async def test_a_batch_whose_host_has_left_the_catalogue_says_so() -> None:
    house = House()
    await house.make("sonnet")
    moved: Deployment = replace(DEPLOYMENT, api_base="https://other.example")
    later = House(store=house.store, catalog=Catalog((Model("sonnet", (moved,), "Sonnet", ""),)))
    with pytest.raises(UpstreamUnreachable, match="no deployment leads there any more"):
        await later.serve(call("GET", "/msgbatch_1"))


async def test_what_is_said_of_the_results_is_booked_before_it_is_shown() -> None:
    house = House()
    await house.make("sonnet")
    text = line("0") + line("1", kind="errored") + line("2")
    house.replies.append(ScriptedReply(200, JSON, [text[:70], text[70:300], text[300:]]))
    reply = await house.serve(call("GET", "/msgbatch_1/results"))
    assert not isinstance(reply.body, bytes)
    seen = b""
    async for chunk in reply.body.chunks():
        seen += chunk
        names = [f"msgbatch_1:{msgspec.json.decode(one)['custom_id']}" for one in seen.split(b"\n")[:-1]]
        booked = {receipt.request_id for receipt in house.ledger.settled}
        assert {name for name in names if not name.endswith(":1")} <= booked
    await reply.body.close()
    assert seen == text
    assert [receipt.cost.total for receipt in house.ledger.settled] == [(100 * 3_000 + 10 * 15_000) // 2] * 2
    assert house.store.records["msgbatch_1"].booked_at is not None


async def test_what_the_book_has_is_not_said_again_and_a_second_reading_says_the_same() -> None:
    house = House()
    await house.make("sonnet")
    for _ in range(2):
        house.replies.append(ScriptedReply(200, JSON, [line("0") + line("1")]))
        await read(await house.serve(call("GET", "/msgbatch_1/results")))
    first, second = house.ledger.settled[:2], house.ledger.settled[2:]
    assert first == second
    house.store.booked.add("msgbatch_1:0")
    house.replies.append(ScriptedReply(200, JSON, [line("0") + line("1")]))
    await read(await house.serve(call("GET", "/msgbatch_1/results")))
    assert [receipt.request_id for receipt in house.ledger.settled[4:]] == ["msgbatch_1:1"]


async def test_results_that_cannot_be_booked_are_not_shown() -> None:
    house = House()
    await house.make("sonnet")
    house.ledger.failures = 1
    house.replies.append(ScriptedReply(200, JSON, [line("0")]))
    reply = await house.serve(call("GET", "/msgbatch_1/results"))
    assert not isinstance(reply.body, bytes)
    with pytest.raises(StreamCut):
        await anext(reply.body.chunks())
    await reply.body.close()


async def test_results_packed_in_an_unknown_way_are_refused() -> None:
    house = House()
    await house.make("sonnet")
    packed = ScriptedReply(200, [*JSON, (b"content-encoding", b"zstd")], [b"\x28\xb5"])
    house.replies.append(packed)
    with pytest.raises(UpstreamUnreadable, match='packed as "zstd"'):
        await house.serve(call("GET", "/msgbatch_1/results"))
    assert packed.closed


async def test_a_deletion_reads_what_nobody_has_read_and_only_then_deletes() -> None:
    house = House()
    await house.make("sonnet")
    gone = whole(b'{"id":"msgbatch_1","type":"message_batch_deleted"}')
    house.replies += [ScriptedReply(200, JSON, [line("0")]), gone]
    await house.serve(call("DELETE", "/msgbatch_1"))
    assert sent(house)[1:] == [
        ("GET", "/v1/messages/batches/msgbatch_1/results"),
        ("DELETE", "/v1/messages/batches/msgbatch_1"),
    ]
    assert [receipt.request_id for receipt in house.ledger.settled] == ["msgbatch_1:0"]
    with pytest.raises(NotFound):
        await house.serve(call("GET", "/msgbatch_1"))


@pytest.mark.parametrize(
    ("method", "below"), [("PUT", ""), ("POST", "/a"), ("GET", "/a/b"), ("GET", "/a/results/b"), ("HEAD", "/a")]
)
async def test_there_are_no_other_routes(method: str, below: str) -> None:
    with pytest.raises(NotFound, match="there is no route"):
        await House().serve(call(method, below))


@pytest.fixture(scope="module")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    await upgrade(database_url)
    opened = create_engine(database_url)
    yield opened
    await opened.dispose()


@pytest.mark.services
@pytest.mark.parametrize("loses_all", [False, True])
async def test_whatever_dies_while_results_are_read_each_is_booked_and_counted_once(
    engine: AsyncEngine, loses_all: bool
) -> None:
    """Readings at once, Redis killed in the middle, everything in it lost, and readings long after. Each counts on
    the key's budget and on its deployment's."""
    store = ProviderObjectStore(engine)
    of_deployment = budget_of_serving("deployment", new_id("dep"), 10**12, None)
    maker = House(catalog=Catalog((Model("sonnet", (replace(DEPLOYMENT, budgets=(of_deployment,)),), "Sonnet", ""),)))
    await maker.make("sonnet")
    record = changed(maker.store.records["msgbatch_1"], object_id=new_id("msgbatch"), key_id=new_id("key"))
    await store.add(record)
    pieces = [b"".join(line(f"{piece}-{number}") for number in range(50)) for piece in range(6)]
    cost = (100 * 3_000 + 10 * 15_000) // 2
    at = clock.now()
    window = {"start": at - timedelta(hours=1), "end": at + timedelta(days=1)}
    budget, pool = (
        make_budget(10**12, 0, counter=scope, scope=scope, **window)
        for scope in (record.key_id, scope_of_pool(of_deployment.budget_id))
    )
    with redis_server("valkey", "--appendonly", "yes", "--appendfsync", "everysec") as server:
        runner = script_runner(server.url, timeout_s=1.0)
        ledger = RedisLedger(runner, lease_s=30)
        books = Books(engine, ledger)
        ledger.on_missing_counter = books.rebuild
        settlement = Settlement(ledger, Metrics(CollectorRegistry()))

        async def reading(count: int) -> None:
            read_at = await store.begin_results(record.object_id, clock.now())
            booking = Booking(record, read_at, store, settlement)
            for piece in pieces[:count]:
                await booking.pass_on(piece)
            if count == len(pieces):
                await booking.end()

        async def is_done(work: Any) -> bool:
            try:
                await work()
            except StorageUnavailable:
                return False
            return True

        async def drain() -> bool:
            return await books.drain_once() == 0

        await ledger.reserve(make_claim(budget, pool, scope=record.key_id))
        await asyncio.gather(reading(2), reading(3), reading(1))
        await books.drain_once(70)
        server.kill()
        with pytest.raises(StorageUnavailable):
            await reading(6)
        server.start()
        await until(lambda: is_done(lambda: ledger.sweep()))
        if loses_all:
            await asyncio.to_thread(flush, server.url)
        await until(lambda: is_done(lambda: ledger.reserve(make_claim(budget, pool, scope=record.key_id))))
        await asyncio.gather(reading(6), reading(6), reading(4))
        await until(drain)
        await reading(6)
        assert await ledger.read_receipts(10) == []
        query = text("SELECT count(*), count(DISTINCT request_id), sum(cost_nanousd) FROM receipts WHERE key_id = :key")
        async with engine.connect() as connection:
            row = (await connection.execute(query, {"key": record.key_id})).one()
        assert tuple(map(int, row)) == (300, 300, 300 * cost)
        for claim in (budget, pool):
            counted = await ledger.find_counter(claim)
            assert counted is not None
            assert counted[0] == 300 * cost
        await ledger.close()
        await runner.close()


def flush(url: str) -> None:
    with redis.Redis.from_url(url) as client:
        client.flushall()
