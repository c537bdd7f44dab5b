"""The composition root: everything is built here, and handed down."""

import asyncio
import contextlib
import gc
import os
from collections.abc import AsyncIterator
from importlib.metadata import version

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import ScalarRenderPlugin
from litestar.types import ASGIApp, ControllerRouterHandler
from prometheus_client import CollectorRegistry, multiprocess
from sqlalchemy import text

from app.admin.catalog import build_catalog
from app.api.admin.routes import admin_dependencies, admin_routes
from app.api.errors import error_handler
from app.api.llm.front import Front
from app.api.llm.routes import ModelRoutes, WireRules
from app.api.ops.probes import StoreChecks, probe_routes
from app.base import clock
from app.base.errors import StorageUnavailable
from app.base.logs import get_logger
from app.base.memory import keep_freed_memory
from app.base.metrics import Metrics
from app.domain.catalog import Catalog
from app.domain.spend import Receipt
from app.gateway.admit import Admission, AdmissionRules
from app.gateway.authenticate import Authenticator, anyone_here
from app.gateway.batches import Batches
from app.gateway.discover import Discovery
from app.gateway.exchange import Exchanges
from app.gateway.objects import Custody, Files
from app.gateway.pipeline import Gateway
from app.gateway.relay import RelayRules
from app.gateway.settle import Settlement
from app.protocols.registry import all_codecs, client_codecs
from app.providers.azure import AzureUpstream
from app.providers.bedrock import BedrockUpstream
from app.providers.demo import DemoUpstream
from app.providers.price_book import PriceBook
from app.providers.provider import Upstream
from app.providers.upstream import HttpUpstream, Upstreams
from app.providers.vertex import VertexUpstream
from app.settings import Settings
from app.storage.books import Books
from app.storage.postgres.engine import create_engine
from app.storage.postgres.provider_objects import ProviderObjectStore
from app.storage.principals import Principals
from app.storage.redis import client as redis_client
from app.storage.redis.ledger import RedisLedger
from app.worker import Worker

VERSION = version("keyhouse")
_GARBAGE_THRESHOLD = 20_000


class FixedCatalog:
    """The catalogue of the configuration file and the environment: it changes with a restart."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def current(self) -> Catalog:
        return self._catalog


def _special_upstreams(http: HttpUpstream) -> dict[str, Upstream]:
    """Of the providers whose requests are signed, or never leave the process."""
    azure = AzureUpstream(http)
    return {
        "azure": azure,
        "azure_ai": azure,
        "bedrock": BedrockUpstream(http),
        "demo": DemoUpstream(),
        "vertex_ai": VertexUpstream(http),
    }


class House:
    """Everything one process is made of, wired but not yet opened."""

    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None
        assert settings.redis_url is not None
        assert settings.master_key is not None
        assert settings.secret is not None
        self.settings = settings
        self.log = get_logger()
        pepper = settings.secret.reveal().encode()
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry)
        self.engine = create_engine(settings.database_url.reveal())
        self.redis = redis_client.connect(settings.redis_url.reveal())
        self.scripts = redis_client.script_runner(settings.redis_url.reveal())
        self.ledger = RedisLedger(self.scripts, lease_s=settings.lease_s)
        self.books = Books(self.engine, self.ledger)
        self.ledger.on_missing_counter = self.books.rebuild
        self.principals = Principals(self.engine, self.redis, pepper)
        book = PriceBook.load(settings.home / "prices.json")
        catalog, notices = build_catalog(settings, book)
        self.notices = (*settings.notices, *notices)
        self.catalog = FixedCatalog(catalog)
        self.http_upstream = HttpUpstream()
        self.settlement = Settlement(self.ledger, self.metrics)
        rules = AdmissionRules(wait_s=settings.admission_wait_s, refuse_unpriced=settings.unpriced_models == "refuse")
        self.codecs = all_codecs(settings.budget_exceeded_status)
        admission = Admission(self.catalog, self.ledger, Exchanges(self.codecs), rules)
        upstreams = Upstreams(self.http_upstream, _special_upstreams(self.http_upstream))
        kept = ProviderObjectStore(self.engine)
        custody = Custody(kept, self.catalog, admission, upstreams)
        self.gateway = Gateway(
            admission,
            upstreams,
            self.settlement,
            self.metrics,
            RelayRules(ping_after_s=settings.ping_after_s),
            {"batches": Batches(custody, kept, admission, upstreams, self.settlement), "files": Files(custody)},
        )
        anyone = anyone_here(settings.claude_code_owner, clock.now()) if settings.open_mode else None
        master_key = settings.master_key.reveal()
        self.authenticator = Authenticator(self.principals, pepper, master_key, clock.now(), anyone)
        self.discovery = Discovery(self.catalog)
        self.worker = Worker(self.books, self.settlement, self.principals, self.metrics, settings.lease_s)

    async def open(self) -> None:
        for notice in self.notices:
            self.log.warning("notice", text=notice)
        with contextlib.suppress(StorageUnavailable):  # the first reservation notes it as well
            await self.ledger.open()
        self.worker.start()
        keep_freed_memory()
        # What exists now lives as long as the process: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)

    async def close(self) -> None:
        """Settle what ran, move the receipts into Postgres, and let go of everything."""
        unbooked = await self.settlement.drain(timeout_s=5)
        await self.worker.stop()
        if unbooked:
            await self._book_without_redis(unbooked)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.worker.drain_all(), timeout=10)
        await self.http_upstream.close()
        await self.ledger.close()
        await self.scripts.close()
        await self.redis.aclose()
        await self.engine.dispose()

    async def _book_without_redis(self, receipts: list[Receipt]) -> None:
        try:
            await self.books.book_directly(receipts)
        except StorageUnavailable as error:
            # Their holds are swept by estimate; these lines are the exact figures.
            self.log.exception("receipts not booked", reason=str(error), receipts=msgspec.to_builtins(receipts))

    async def check_postgres(self) -> None:
        async with asyncio.timeout(3), self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def check_redis(self) -> None:
        async with asyncio.timeout(3):
            await self.redis.ping()

    def metrics_registry(self) -> CollectorRegistry:
        """With several workers each writes its figures to files, and any of them reads them all."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:  # noqa: TID251  prometheus-client reads only this
            return self.registry
        merged = CollectorRegistry()
        multiprocess.MultiProcessCollector(merged)  # type: ignore[no-untyped-call]  # prometheus-client has no types here
        return merged


def create_app(settings: Settings) -> ASGIApp:
    """The ASGI application. ``settings`` must have both store URLs and both secrets."""
    house = House(settings)

    @contextlib.asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        await house.open()
        try:
            yield
        finally:
            await house.close()

    wire = WireRules(
        most_body_bytes=settings.max_body_bytes,
        body_stalled_s=settings.body_timeout_s,
        always_anthropic_list=settings.model_list_format == "anthropic",
    )
    codecs = client_codecs(house.codecs, settings.budget_exceeded_status)
    models = ModelRoutes(house.authenticator, house.gateway, house.discovery, codecs, house.metrics, wire)
    checks: StoreChecks = {"postgres": house.check_postgres, "redis": house.check_redis}
    master_key = settings.master_key
    assert master_key is not None
    model_handlers = models.handlers()
    handlers: list[ControllerRouterHandler] = [
        *model_handlers,
        *probe_routes(VERSION, checks, house.metrics_registry, lambda: len(house.catalog.current().models)),
        *admin_routes(),
    ]
    app = Litestar(
        route_handlers=handlers,
        dependencies=admin_dependencies(house.engine, house.principals, master_key.reveal()),
        lifespan=[lifespan],
        exception_handlers={Exception: error_handler(house.codecs)},
        openapi_config=OpenAPIConfig(
            title="Keyhouse", version=VERSION, path="/docs", render_plugins=[ScalarRenderPlugin()]
        ),
        request_max_body_size=settings.max_body_bytes,
        logging_config=None,
    )
    return Front(app, model_handlers)
