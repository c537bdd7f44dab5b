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

from app.admin.alert_delivery import AlertDelivery
from app.admin.alert_retention import AlertRetention
from app.admin.alert_watch import AlertWatch
from app.admin.billing_alarms import BillingAlarms
from app.admin.deployment_alarms import DeploymentAlarms
from app.admin.device_sign_in import DeviceSignIn
from app.admin.keys import Keys
from app.admin.live_catalog import CHANNEL, LiveCatalog
from app.admin.live_prices import PRICE_CHANNEL, PriceKeeper
from app.admin.managed_settings import ManagedSettings
from app.admin.passwords import Passwords
from app.admin.processes import Processes
from app.admin.retention import ReceiptRetention
from app.admin.serving_budgets import serving_budgets
from app.api.admin.routes import AdminRules, Shared, admin_dependencies, admin_routes
from app.api.document import DocumentPlugin
from app.api.errors import error_handler
from app.api.llm.claude_code import ClaudeCodeRoutes
from app.api.llm.door import Door
from app.api.llm.front import Front
from app.api.llm.gateway_protocol import protocol
from app.api.llm.routes import ModelRoutes, WireRules
from app.api.llm.telemetry import MOST_EXPORT_BYTES, TelemetryRoutes
from app.api.ops.probes import StoreChecks, probe_routes
from app.api.plain_litestar import PlainLitestar
from app.api.shedding import shed_reads
from app.api.sign_in.oauth import OAuthRoutes
from app.api.ui.errors import page_error_handler
from app.api.ui.machine import Machine
from app.api.ui.routes import make_pages, page_routes
from app.base import clock
from app.base.errors import StorageUnavailable
from app.base.logs import get_logger
from app.base.memory import keep_freed_memory
from app.base.metrics import Metrics
from app.domain.spend import Receipt
from app.gateway.admit import Admission, AdmissionRules
from app.gateway.authenticate import Authenticator, anyone_here
from app.gateway.batches import Batches
from app.gateway.collector import Collector
from app.gateway.connection_check import ConnectionCheck
from app.gateway.discover import Discovery
from app.gateway.exchange import Exchanges
from app.gateway.file_owners import FileOwners
from app.gateway.health_checks import HealthChecks
from app.gateway.health_report import HealthReport
from app.gateway.idempotency import Idempotency
from app.gateway.last_refusals import LastRefusals
from app.gateway.objects import Custody, Files
from app.gateway.overload import Gate
from app.gateway.own_usage import OwnUsage
from app.gateway.pipeline import Gateway
from app.gateway.playground import Playground
from app.gateway.relay import RelayRules
from app.gateway.response_cache import CacheRules, ResponseCache
from app.gateway.response_owners import ResponseOwners
from app.gateway.router import Router
from app.gateway.routing_news import RoutingNews
from app.gateway.settle import Settlement
from app.gateway.telemetry import Telemetry
from app.notify.sender import Sender
from app.protocols.registry import all_codecs, client_codecs
from app.providers.azure import AzureUpstream
from app.providers.bedrock import BedrockUpstream
from app.providers.demo import DemoUpstream
from app.providers.egress import Egress
from app.providers.price_book import PriceBook
from app.providers.price_table import PRICES_FILE
from app.providers.prices import LivePrices
from app.providers.provider import Upstream
from app.providers.upstream import HttpUpstream, Upstreams
from app.providers.vertex import VertexUpstream
from app.settings import Settings
from app.settings.alerting import alert_addresses, alert_channels, alert_kinds, smtp_of
from app.settings.fingerprints import fingerprints_of
from app.settings.model_bodies import read_model
from app.settings.page_rules import page_rules_of
from app.settings.process_rules import customer_defaults_of, overload_rules_of, platform_of, retention_of
from app.settings.shown import shown_settings
from app.settings.telemetry import read_otlp_headers
from app.storage.activity import ActivityStore
from app.storage.books import Books
from app.storage.named_levels import NamedLevels
from app.storage.postgres.alert_outbox import Route
from app.storage.postgres.credentials import CredentialCipher
from app.storage.postgres.engine import create_engine
from app.storage.postgres.provider_objects import ProviderObjectStore
from app.storage.postgres.response_owners import ResponseOwnerStore
from app.storage.principals import Principals
from app.storage.redis import client as redis_client
from app.storage.redis.announcements import Announcements
from app.storage.redis.counters import Counters
from app.storage.redis.health_board import RedisHealthBoard
from app.storage.redis.idempotent_calls import RedisIdempotentCalls
from app.storage.redis.ledger import RedisLedger
from app.storage.redis.process_board import RedisProcessBoard
from app.storage.redis.refusal_board import RedisRefusalBoard
from app.storage.redis.routing_board import RedisRoutingBoard
from app.storage.redis.stored_answers import RedisAnswers
from app.storage.redis.turns import Turns
from app.storage.spending import SpendingReader
from app.worker import Alerting, Pace, Worker

VERSION = version("keyhouse")
_GARBAGE_THRESHOLD = 20_000


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


def cipher_of(settings: Settings) -> CredentialCipher:
    """What earlier secrets sealed is read, whichever of them it was."""
    assert settings.secret is not None
    present, former = settings.credential_secret or settings.secret, settings.former_credential_secret
    earlier = [settings.secret] if former is None else [former, settings.secret]
    return CredentialCipher(present.reveal().encode(), [one.reveal().encode() for one in earlier])


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
        book = PriceBook.load(settings.home / PRICES_FILE)
        announcements = Announcements(self.redis, CHANNEL)
        self.catalog = LiveCatalog(settings, book, self.engine, announcements, cipher_of(settings), read_model)
        self.notices = (*settings.notices, *self.catalog.notices)
        self.processes = Processes(RedisProcessBoard(self.redis), VERSION, fingerprints_of(settings))
        self.egress = Egress(settings.allowed_upstreams)
        self.http_upstream = HttpUpstream(egress=self.egress)
        self.sender = Sender(self.http_upstream, smtp_of(settings))
        self.settlement = Settlement(self.ledger, self.metrics, settings.cached_token_percent)
        rules = AdmissionRules(
            wait_s=settings.admission_wait_s,
            refuse_unpriced=settings.unpriced_models == "refuse",
            on_exceed=settings.on_exceed,
            platform=platform_of(settings),
        )
        named = NamedLevels(self.engine, self.principals, customer_defaults_of(settings))
        self.codecs = all_codecs(settings.budget_exceeded_status)
        self.prices = LivePrices(settings.price_terms)
        self.price_keeper = PriceKeeper(self.prices, self.engine, Announcements(self.redis, PRICE_CHANNEL))
        self.router = Router(settings.routing, self.metrics)
        exchanges = Exchanges(self.codecs)
        admission = Admission(self.catalog, self.ledger, exchanges, rules, self.prices, self.router, named)
        upstreams = Upstreams(self.http_upstream, _special_upstreams(self.http_upstream))
        self.connection_check = ConnectionCheck(
            self.catalog, self.ledger, self.codecs, rules, self.prices, upstreams, self.settlement, self.metrics
        )
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
        self.gateway.file_owners = FileOwners(kept)
        admission.response_owners = ResponseOwners(ResponseOwnerStore(self.engine))
        self.gateway.cache = self._response_cache(settings)
        self.gateway.idempotency = self._idempotency(settings, pepper)
        anyone = anyone_here(settings.claude_code_owner, clock.now()) if settings.open_mode else None
        master_key = settings.master_key.reveal()
        self.authenticator = Authenticator(self.principals, pepper, master_key, clock.now(), anyone)
        self.discovery = Discovery(self.catalog)
        self.refusals = LastRefusals(RedisRefusalBoard(self.redis))
        self.own_usage = OwnUsage(SpendingReader(self.engine))
        self.collector = self._collector(settings)
        self.telemetry = Telemetry(ActivityStore(self.engine), self.collector, MOST_EXPORT_BYTES)
        self.retention = retention_of(settings)
        keys = Keys(self.engine, self.principals, pepper, self.catalog.current)
        sign_in = DeviceSignIn(self.engine, self.principals, keys)
        news = RoutingNews(self.router, RedisRoutingBoard(self.redis))
        retention = ReceiptRetention(self.engine, self.retention)
        self.health_checks = self._health_checks(settings)
        details = settings.health_check_details
        self.health_report = HealthReport(self.router, self.catalog, self.health_checks, details=details)
        optional = (self.gateway.idempotency, self.health_checks)
        alerting = self._alerting(settings)
        if self.health_checks is not None:
            self.health_checks.on_failure = alerting.ejections.note_check
        duties = (alerting, retention, sign_in, news, self.refusals, self.processes, optional)
        pace = Pace(settings.lease_s, settings.alert_check_s, settings.health_check_interval_s)
        caches = (self.principals, self.catalog, self.price_keeper)
        self.worker = Worker(self.books, self.settlement, caches, self.metrics, duties, pace)

    def _health_checks(self, settings: Settings) -> HealthChecks | None:
        if not settings.background_health_checks:
            return None
        board = RedisHealthBoard(self.redis, kept_s=settings.health_check_interval_s * 3)
        routes = settings.health_check_routing
        return HealthChecks(self.catalog, self.connection_check, self.router, board, self.metrics, routes=routes)

    def _response_cache(self, settings: Settings) -> ResponseCache | None:
        if settings.response_cache == "off":
            return None
        rules = CacheRules(
            mode=settings.response_cache,
            ttl_s=settings.response_cache_ttl_s,
            most_answer_bytes=settings.response_cache_answer_bytes,
            call_types=frozenset(settings.response_cache_call_types),
        )
        answers = RedisAnswers(self.scripts, settings.response_cache_total_bytes)
        return ResponseCache(answers, self.settlement, self.metrics, rules)

    def _idempotency(self, settings: Settings, secret: bytes) -> Idempotency | None:
        if not settings.idempotency_ttl_s:
            return None
        calls = RedisIdempotentCalls(
            self.scripts, settings.lease_s, settings.idempotency_ttl_s, settings.idempotency_total_bytes
        )
        return Idempotency(calls, secret, self.metrics, settings.idempotency_answer_bytes)

    def _collector(self, settings: Settings) -> Collector | None:
        if settings.otlp_endpoint is None:
            return None
        headers = () if settings.otlp_headers is None else read_otlp_headers(settings.otlp_headers.reveal())
        return Collector(self.http_upstream, self.metrics, settings.otlp_endpoint, headers)

    def _alerting(self, settings: Settings) -> Alerting:
        addresses, kinds = alert_addresses(settings), alert_kinds(settings)
        platform = platform_of(settings)
        budgets = () if platform is None else platform.budgets
        routes = [Route(destination_id, kinds) for destination_id in addresses]
        watch = AlertWatch(self.engine, routes, budgets, lambda: serving_budgets(self.catalog.current()))
        alarms = BillingAlarms(watch)
        ejections = DeploymentAlarms(watch)
        self.gateway.on_refusal = alarms.note
        self.router.standings.on_change = ejections.note
        cipher = self.catalog.cipher
        delivery = AlertDelivery(self.engine, self.sender, addresses, cipher)
        retention = AlertRetention(self.engine, settings.alerts_retention_days)
        return Alerting(Turns(self.redis), watch, alarms, ejections, delivery, retention)

    async def open(self) -> None:
        for notice in self.notices:
            self.log.warning("notice", text=notice)
        with contextlib.suppress(StorageUnavailable):  # the first reservation notes it as well
            await self.ledger.open()
        await self.catalog.refresh()
        await self.price_keeper.refresh()
        for name in sorted(self.settings.routing.targets):
            if self.catalog.current().resolve(name) is None:
                self.log.warning("notice", text=f'the fallback "{name}" is no model here, so it is passed over')
        self.worker.start()
        if self.collector is not None:
            self.collector.start()
        keep_freed_memory()
        # What exists now lives as long as the process: the collector need not look at it again and again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)

    async def close(self) -> None:
        """End what runs on, settle what ran, move the receipts into Postgres, and let go of everything."""
        if self.gateway.idempotency is not None:
            await self.gateway.idempotency.close()
        unbooked = await self.settlement.drain(timeout_s=5)
        await self.worker.stop()
        if unbooked:
            await self._book_without_redis(unbooked)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.worker.drain_all(), timeout=10)
        if self.collector is not None:
            await self.collector.close()
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
    door = Door(house.authenticator, house.metrics, house.refusals)
    gate = Gate(overload_rules_of(settings), house.metrics)
    models = ModelRoutes(door, house.gateway, house.discovery, codecs, gate, wire)
    claude_code = ClaudeCodeRoutes(door, house.own_usage, ManagedSettings(house.engine), codecs["anthropic_messages"])
    checks: StoreChecks = {"postgres": house.check_postgres, "redis": house.check_redis}
    master_key = settings.master_key
    assert master_key is not None
    page_rules = page_rules_of(settings, house.http_upstream, house.sender)
    pages = make_pages(house.engine, house.principals, master_key.reveal(), Passwords(), page_rules)
    playground = Playground(house.gateway, gate, codecs["anthropic_messages"], house.metrics)
    counters, platform = Counters(house.scripts), platform_of(settings)
    machine = Machine(
        house.connection_check,
        house.health_report.troubles,
        counters,
        settings.routing,
        playground,
        platform,
        shown_settings(settings),
        VERSION,
    )
    model_handlers = models.handlers()
    handlers: list[ControllerRouterHandler] = [
        *model_handlers,
        *claude_code.handlers(),
        *TelemetryRoutes(door, house.telemetry).handlers(),
        protocol,
        *probe_routes(VERSION, checks, house.metrics_registry, house.health_report.facts),
        *admin_routes(),
        page_routes(pages, house.engine, house.principals, house.catalog.current, house.refusals, machine),
        *((OAuthRoutes,) if settings.claude_code_sign_in else ()),
    ]
    app = PlainLitestar(
        route_handlers=handlers,
        dependencies=admin_dependencies(
            house.engine,
            house.principals,
            master_key.reveal(),
            Shared(house.catalog, house.price_keeper, house.books, house.processes),
            house.egress,
            AdminRules(alert_channels(settings), house.retention, settings.claude_code_sign_in),
        ),
        lifespan=[lifespan],
        before_request=shed_reads(gate, house.metrics),
        exception_handlers={Exception: error_handler(house.codecs, page_error_handler(pages))},
        openapi_config=OpenAPIConfig(
            title="Keyhouse", version=VERSION, path="/docs", render_plugins=[ScalarRenderPlugin(), DocumentPlugin()]
        ),
        request_max_body_size=settings.max_body_bytes,
        logging_config=None,
    )
    return Front(app, model_handlers)
