"""What people are told of the deployments: how each does, by the calls of this process and by the last health check."""

import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import ceil
from typing import Any

from app.base.errors import StorageUnavailable
from app.domain.catalog import Catalog, Deployment, Model
from app.domain.health import Health
from app.gateway.health_checks import HealthChecks, LastCheck
from app.gateway.ports import CatalogSource
from app.gateway.router import Router


class HealthReport:
    """``details``: whoever may read of a deployment reads also where it is, and what it said when it failed."""

    def __init__(
        self, router: Router, catalog: CatalogSource, checks: HealthChecks | None, *, details: bool = True
    ) -> None:
        self._router = router
        self._catalog = catalog
        self._checks = checks
        self._details = details

    def troubles(self) -> list[dict[str, Any]]:
        """The deployments in trouble. ``again_in_s`` is when the next call may try one that is put aside; every other
        deployment is healthy."""
        now_s = self._router.now()
        return [
            {
                "deployment": deployment.deployment_id,
                "provider": deployment.provider,
                "model": deployment.upstream_model,
                "state": health.state(now_s),
                "reason": health.reason,
                "failures_in_a_row": health.consecutive,
                "again_in_s": max(0, ceil(health.until_s - now_s)) if health.ejected else 0,
            }
            for deployment, health in self._troubled(self._catalog.current())
        ]

    async def facts(self, *, named: bool) -> dict[str, Any]:
        """How many models there are, and how many deployments do well; where ``named`` also which, in LiteLLM's two
        lists."""
        catalog = self._catalog.current()
        checks: Sequence[LastCheck] = ()
        if self._checks is not None:
            with contextlib.suppress(StorageUnavailable):
                checks = await self._checks.last()
        well, ill = self._two_lists(catalog, checks)
        facts: dict[str, Any] = {"models": len(catalog.models), "healthy_count": len(well), "unhealthy_count": len(ill)}
        if named:
            facts |= {"deployments": self.troubles(), "healthy_endpoints": well, "unhealthy_endpoints": ill}
        return facts

    def _two_lists(
        self, catalog: Catalog, checks: Sequence[LastCheck]
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The healthy ones, and the others: by the calls of this process and by the last health check."""
        well: list[dict[str, Any]] = []
        ill: list[dict[str, Any]] = []
        troubled: dict[str, Health] = {}
        for deployment, health in self._troubled(catalog):
            troubled.setdefault(_of_catalog(deployment.deployment_id, catalog), health)
        by_deployment = {one.deployment_id: one for one in checks}
        for model, deployment in _all(catalog):
            check, trouble = by_deployment.get(deployment.deployment_id), troubled.get(deployment.deployment_id)
            is_ill = trouble is not None or (check is not None and check.problem)
            (ill if is_ill else well).append(_entry(model, deployment, check, trouble, details=self._details))
        return well, ill

    def _troubled(self, catalog: Catalog) -> Iterator[tuple[Deployment, Health]]:
        """Of those that are still there."""
        for deployment, health in self._router.standings.troubled():
            if _of_catalog(deployment.deployment_id, catalog):
                yield deployment, health


def _entry(
    model: Model, deployment: Deployment, check: LastCheck | None, health: Health | None, *, details: bool
) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "model": f"{deployment.provider}/{deployment.upstream_model.removeprefix(f'{deployment.provider}/')}",
        "model_name": model.name,
        "model_id": deployment.deployment_id,
    }
    if health is not None:
        entry["reason"] = health.reason
    if check is not None:
        entry["checked_at"] = datetime.fromtimestamp(check.at_s, UTC).isoformat(timespec="seconds")
        entry["took_ms"] = check.took_ms
    if details:
        entry["api_base"] = deployment.api_base
        if check is not None and check.problem:
            entry["error"] = check.problem
    return entry


def _all(catalog: Catalog) -> Iterator[tuple[Model, Deployment]]:
    seen: set[str] = set()
    for model in catalog.models:
        for deployment in model.deployments:
            if deployment.provider != "demo" and deployment.deployment_id not in seen:
                seen.add(deployment.deployment_id)
                yield model, deployment


def _of_catalog(deployment_id: str, catalog: Catalog) -> str:
    """Its own id, or that of the wildcard that it fills in; empty for what was taken away."""
    known = catalog.deployment_ids
    if deployment_id in known:
        return deployment_id
    return next((one for one in known if deployment_id.startswith(f"{one}/")), "")
