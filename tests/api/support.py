"""The admin and finance routes on real stores, and a client at their door."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any

import httpx
import msgspec
import pytest
from argon2 import PasswordHasher
from litestar import Litestar
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from app.admin.live_catalog import CHANNEL, LiveCatalog
from app.admin.live_prices import PRICE_CHANNEL, PriceKeeper
from app.admin.passwords import Passwords
from app.admin.processes import Processes
from app.api.admin.routes import AdminRules, Shared, admin_dependencies, admin_routes
from app.api.errors import error_handler
from app.api.sign_in.oauth import OAuthRoutes
from app.api.ui.access import Pages
from app.api.ui.errors import page_error_handler
from app.api.ui.machine import Machine
from app.api.ui.routes import make_pages, page_routes
from app.base.ids import new_id
from app.base.metrics import Metrics
from app.base.secret import Secret
from app.domain.catalog import ModelEntry, ModelInfo
from app.gateway.admit import AdmissionRules
from app.gateway.connection_check import ConnectionCheck
from app.gateway.last_refusals import LastRefusals
from app.gateway.settle import Settlement
from app.protocols.registry import all_codecs
from app.providers.demo import DemoUpstream
from app.providers.egress import Egress
from app.providers.hosts import Credential
from app.providers.price_book import PriceBook
from app.providers.prices import LivePrices
from app.providers.upstream import HttpUpstream, Upstreams
from app.settings import Settings
from app.settings.model_bodies import read_model
from app.storage.books import Books
from app.storage.postgres import tables
from app.storage.postgres.aggregates import rebuild_day
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.engine import create_engine
from app.storage.postgres.migrate import upgrade
from app.storage.principals import Principals
from app.storage.redis.announcements import Announcements
from app.storage.redis.client import script_runner
from app.storage.redis.counters import Counters
from app.storage.redis.ledger import RedisLedger
from app.storage.redis.process_board import RedisProcessBoard
from app.storage.redis.refusal_board import RedisRefusalBoard
from tests.fakes.prices import bundled_prices

MASTER_KEY = "sk-master-of-the-tests-1234567890"
PEPPER = b"pepper of the tests"
Headers = Mapping[str, str]
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""Hashes of passwords at a cost that tests can pay a hundred times."""
ADMIN: Headers = {"authorization": f"Bearer {MASTER_KEY}"}


@dataclass
class Answer:
    """``fields`` has numbers as Decimal, so that a test sees every digit."""

    status: int
    headers: httpx.Headers
    text: str

    @property
    def fields(self) -> Any:
        return msgspec.json.Decoder(float_hook=Decimal).decode(self.text)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.fields["error"]
        return found


@dataclass
class Door:
    engine: AsyncEngine
    principals: Principals
    client: httpx.AsyncClient
    pages: Pages

    async def get(
        self, path: str, headers: Headers = ADMIN, query: Mapping[str, str] | None = None, **further: str | int
    ) -> Answer:
        parameters = {**(query or {}), **further}
        return _answer(await self.client.get(path, params=parameters or None, headers=dict(headers)))

    async def post(self, path: str, body: object = None, headers: Headers = ADMIN) -> Answer:
        """``body`` as it is when it is bytes, else as JSON; None is no body."""
        content = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        return _answer(await self.client.post(path, content=content, headers=dict(headers)))

    async def new_key(self, **fields: object) -> dict[str, Any]:
        answer = await self.post("/key/generate", fields)
        assert answer.status == 200, answer.text
        made: dict[str, Any] = answer.fields
        return made

    async def book(self, key_id: str, started_at: datetime, cost_nanousd: int, **columns: object) -> str:
        """Put a receipt into the book as the drain does; returns its request id."""
        values: dict[str, Any] = {
            "request_id": new_id("req"), "attempt": 1, "started_at": started_at, "duration_ms": 1500,
            "first_byte_ms": 250, "key_id": key_id, "route": "/v1/messages", "model_asked": "claude-sonnet-4-5",
            "model_served": "claude-sonnet-4-5-20250929", "provider": "anthropic", "deployment_id": "dep_1",
            "protocol_in": "anthropic_messages", "protocol_out": "anthropic_messages", "streamed": True,
            "input_tokens": 10, "output_tokens": 5, "output_cost_nanousd": cost_nanousd, "cost_nanousd": cost_nanousd,
            "price_version": "v1", "price_source": "config", "usage_source": "provider", "status": "ok",
        }  # fmt: skip
        values |= columns
        async with self.engine.begin() as connection:
            await connection.execute(insert(tables.receipts).values(**values))
            spent = tables.keys.c.spend_nanousd + cost_nanousd
            await connection.execute(
                update(tables.keys).where(tables.keys.c.key_id == key_id).values(spend_nanousd=spent)
            )
            await rebuild_day(connection, started_at.astimezone(UTC).date())
        request_id: str = values["request_id"]
        return request_id


def _answer(response: httpx.Response) -> Answer:
    return Answer(response.status_code, response.headers, response.text)


def live_catalog(engine: AsyncEngine, redis: Redis) -> LiveCatalog:
    """Of a file with one model, ``file-claude``, whose key only the file knows."""
    entry = ModelEntry(
        "file-claude", "anthropic", "claude-sonnet-4-5", "config.yaml, line 2", api_key=Secret("sk-ant-of-the-file"),
        info=ModelInfo(deployment_id="of-the-file", access_groups=("of-the-file",)),
    )  # fmt: skip
    credentials = {"openai": Credential(api_key=Secret("sk-of-the-environment"))}
    settings = Settings(model_entries=(entry,), has_model_list=True, credentials=credentials)
    announcements = Announcements(redis, CHANNEL)
    return LiveCatalog(settings, _price_book(), engine, announcements, CredentialCipher(PEPPER), read_model)


@cache
def _price_book() -> PriceBook:
    return PriceBook(bundled_prices())


async def _resolve(host: str, port: int) -> Sequence[str]:
    """No test asks a name server: what ends in ``.internal.example`` lies in a private network, the rest does not."""
    return ["10.0.0.7"] if host.endswith(".internal.example") else ["93.184.215.14"]


@pytest.fixture(scope="session")
async def admin_door(database_url: str, redis_url: str) -> AsyncIterator[Door]:
    async with admin_door_of(database_url, redis_url) as door:
        yield door


@asynccontextmanager
async def admin_door_of(database_url: str, redis_url: str) -> AsyncIterator[Door]:
    await upgrade(database_url)
    engine = create_engine(database_url)
    redis = Redis.from_url(redis_url)
    principals = Principals(engine, redis, PEPPER)
    egress = Egress(resolve=_resolve)
    catalog = live_catalog(engine, redis)
    await catalog.refresh()
    scripts = script_runner(redis_url)
    ledger = RedisLedger(scripts)
    books = Books(engine, ledger)
    keeper = PriceKeeper(LivePrices(), engine, Announcements(redis, PRICE_CHANNEL))
    await keeper.refresh()
    processes = Processes(RedisProcessBoard(redis, kept_s=3600), "1.2.3", {"secret": "0", "lease_s": "1"})
    await processes.tell()
    refusals = LastRefusals(RedisRefusalBoard(redis))
    pages = make_pages(engine, principals, MASTER_KEY, Passwords(QUICK))
    metrics = Metrics(CollectorRegistry())
    upstreams = Upstreams(HttpUpstream(egress=egress), {"demo": DemoUpstream()})
    settlement = Settlement(ledger, metrics)
    check = ConnectionCheck(
        catalog, ledger, all_codecs(), AdmissionRules(), keeper.prices, upstreams, settlement, metrics
    )
    machine = Machine(check, list, Counters(scripts))
    app = Litestar(
        route_handlers=[
            *admin_routes(),
            OAuthRoutes,
            page_routes(pages, engine, principals, catalog.current, refusals, machine),
        ],
        dependencies=admin_dependencies(
            engine,
            principals,
            MASTER_KEY,
            Shared(catalog, keeper, books, processes),
            egress,
            AdminRules(programs_sign_in=True),
        ),
        exception_handlers={Exception: error_handler(all_codecs(), page_error_handler(pages))},
        logging_config=None,
    )
    door: Any = app  # httpx types the scope as any mapping
    transport = httpx.ASGITransport(door, raise_app_exceptions=False, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://keyhouse.test") as client:
        yield Door(engine, principals, client, pages)
    await scripts.close()
    await redis.aclose()
    await engine.dispose()
