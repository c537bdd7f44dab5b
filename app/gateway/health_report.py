"""What people are told of the deployments: which are in trouble, why, and since when they may be called again."""

from math import ceil
from typing import Any

from app.gateway.router import Router


def report(router: Router) -> list[dict[str, Any]]:
    """The deployments in trouble. ``again_in_s`` is when the next call may try one that is put aside; every other
    deployment is healthy."""
    now_s = router.now()
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
        for deployment, health in router.standings.troubled()
    ]
