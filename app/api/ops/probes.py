"""Health, metrics and the small probes that clients send before they talk."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from litestar import MediaType, Request, Response, get, route
from litestar.di import NamedDependency
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from app.api.security import Access, find_credentials
from app.base.errors import Forbidden, StorageUnavailable

StoreChecks = dict[str, Callable[[], Awaitable[None]]]


class HealthFacts(Protocol):
    async def __call__(self, *, named: bool) -> dict[str, Any]: ...


def probe_routes(
    version: str, checks: StoreChecks, registry: Callable[[], CollectorRegistry], facts: HealthFacts
) -> list[HTTPRouteHandler]:
    """``checks`` name each store and raise when it does not answer; ``facts`` are what else ``/health`` says, with the
    deployments by name for whoever may read them."""
    return [*_greetings(version), *_health(version, checks, facts), _metrics(registry)]


def _greetings(version: str) -> list[HTTPRouteHandler]:
    @route("/", http_method=["GET", "HEAD"], include_in_schema=False)
    async def root() -> Response[dict[str, str]]:
        return Response({"name": "Keyhouse", "version": version, "documentation": "/docs"})

    @route("/api/hello", http_method=["GET", "HEAD"], include_in_schema=False)
    async def hello() -> Response[dict[str, str]]:
        return Response({"message": "hello"})

    return [root, hello]


def _health(version: str, checks: StoreChecks, facts: HealthFacts) -> list[HTTPRouteHandler]:
    @get(["/health/liveliness", "/health/liveness"], tags=["health"], summary="The process is alive")
    async def liveness() -> Response[bytes]:
        return Response(b'"I\'m alive!"', media_type=MediaType.JSON)

    @get("/health/readiness", tags=["health"], summary="Whether requests can be served: both stores answer")
    async def readiness() -> Response[dict[str, Any]]:
        healthy, stores = await _ask(checks)
        body = {"status": "healthy" if healthy else "unhealthy", "db": stores["postgres"].partition(" ")[0], **stores}
        return Response(body, status_code=200 if healthy else 503)

    @get("/health", tags=["health"], summary="The stores, the models, and how each deployment does")
    async def health(request: Request[Any, Any, Any], access: NamedDependency[Access]) -> Response[dict[str, Any]]:
        """Without a key, or with one that may not read settings, deployments are counted and not named."""
        named = await _may_read(request, access)
        healthy, stores = await _ask(checks)
        state = "healthy" if healthy else "unhealthy"
        body = {"status": state, "version": version, "stores": stores, **await facts(named=named)}
        return Response(body, status_code=200 if healthy else 503)

    return [liveness, readiness, health]


def _metrics(registry: Callable[[], CollectorRegistry]) -> HTTPRouteHandler:
    @get("/metrics", tags=["health"], summary="Prometheus metrics; no key material in any label")
    async def metrics() -> Response[bytes]:
        return Response(generate_latest(registry()), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return metrics


async def _may_read(request: Request[Any, Any, Any], access: Access) -> bool:
    """Raises Unauthenticated for a key that is none."""
    if not find_credentials(request.scope["headers"]):
        return False
    try:
        await access.require_caller(request)
    except (Forbidden, StorageUnavailable):
        return False
    return True


async def _ask(checks: StoreChecks) -> tuple[bool, dict[str, str]]:
    found = {}
    for name, check in checks.items():
        try:
            await check()
        except Exception as error:  # noqa: BLE001  whatever a store says, the answer is that it is not there
            found[name] = f"disconnected ({type(error).__name__})"
        else:
            found[name] = "connected"
    return all(state == "connected" for state in found.values()), found
