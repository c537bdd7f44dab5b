"""Background health checks: now and then one call of one token to each deployment, by one process of a fleet."""

import asyncio
import time
from collections.abc import Callable, Sequence

import msgspec

from app.base.logs import get_logger
from app.base.metrics import Metrics
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.failures import FailureKind
from app.gateway.connection_check import ConnectionCheck
from app.gateway.ports import CatalogSource, HealthBoard
from app.gateway.router import Router

TAG = "health-check"
"""Of the receipts of these calls, so that reports can tell what they cost."""
_AT_ONCE = 4


class LastCheck(msgspec.Struct, frozen=True, array_like=True):
    """Of one deployment. ``problem`` empty: it has answered. Fields may only be added at the end, with a default."""

    deployment_id: str
    at_s: float
    took_ms: int
    problem: str


class HealthChecks:
    """``routes``: what does not answer is put aside, and what answers comes back."""

    def __init__(
        self,
        catalog: CatalogSource,
        check: ConnectionCheck,
        router: Router,
        board: HealthBoard,
        metrics: Metrics,
        *,
        routes: bool,
    ) -> None:
        self._catalog = catalog
        self._check = check
        self._router = router
        self._board = board
        self._metrics = metrics
        self._routes = routes
        self.on_failure: Callable[[Deployment, str], None] | None = None
        """Told of each deployment that fails and did not before, with the kind of failure; it returns at once."""
        self._log = get_logger()

    async def run(self) -> None:
        """Ask all of them, and write down what they said. Raises StorageUnavailable."""
        places = asyncio.Semaphore(_AT_ONCE)
        known = {one.deployment_id: one for one in await self.last()}

        async def ask(model: Model, deployment: Deployment, deployment_id: str) -> LastCheck:
            async with places:
                checked = await self._check.check(model, deployment, None, (TAG,))
            last = LastCheck(deployment_id, time.time(), checked.took_ms, checked.problem or "")
            self._note(deployment, last, known.get(deployment_id), checked.kind or "unreadable")
            if self._routes and (checked.problem is None or checked.kind is not None):
                self._router.checked(model, deployment, checked.kind)
            return last

        found = await asyncio.gather(*(ask(*one) for one in self._to_ask(self._catalog.current())))
        await self._board.write(msgspec.msgpack.encode(found))

    async def last(self) -> Sequence[LastCheck]:
        """What the last round found, by whichever process. Raises StorageUnavailable."""
        return read_checks(await self._board.read())

    def _to_ask(self, catalog: Catalog) -> list[tuple[Model, Deployment, str]]:
        """Each deployment once, with a model that it serves and the id by which it is known; of a wildcard, what it was
        said to be checked by."""
        found: dict[str, tuple[Model, Deployment, str]] = {}
        for model in catalog.models:
            for place in model.deployments:
                deployment_id = place.deployment_id
                if not place.probed or deployment_id in found:
                    continue
                if "*" not in place.upstream_model:
                    found[deployment_id] = model, place, deployment_id
                elif place.probe_model and (meant := self._check.resolve(place.probe_model, deployment_id)):
                    found[deployment_id] = *meant, deployment_id
        return list(found.values())

    def _note(self, deployment: Deployment, last: LastCheck, before: LastCheck | None, kind: FailureKind) -> None:
        outcome = "failed" if last.problem else "answered"
        counter = self._metrics.health_checks
        self._metrics.child(counter, last.deployment_id, deployment.provider, outcome).inc()
        if last.problem and not (before and before.problem):
            self._log.warning("health check failed", deployment=last.deployment_id, problem=last.problem)
            if self.on_failure is not None:
                self.on_failure(deployment, kind)
        elif before is not None and before.problem and not last.problem:
            self._log.info("health check answered again", deployment=last.deployment_id)


def read_checks(said: bytes | None) -> Sequence[LastCheck]:
    try:
        return () if said is None else msgspec.msgpack.decode(said, type=list[LastCheck])
    except msgspec.DecodeError:
        return ()  # of a process of another version
