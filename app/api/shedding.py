"""What is given up first when a process is busy: reports and pages, so that model calls go on."""

from typing import Any

from litestar import Request
from litestar.types import BeforeRequestHookHandler

from app.base.metrics import Metrics
from app.gateway.overload import Gate, reads_refused

# Whether it lives, and how it is, is asked most of all then.
_ALWAYS = ("/health", "/metrics")


def shed_reads(gate: Gate, metrics: Metrics) -> BeforeRequestHookHandler:
    """For ``before_request`` of the app. A change is let through: it may be the one that blocks a runaway key."""

    async def shed(request: Request[Any, Any, Any]) -> None:
        if not gate.sheds_reads or request.method not in {"GET", "HEAD"}:
            return
        path = request.scope["path"]
        if path == "/" or path.startswith(_ALWAYS):
            return
        error = reads_refused()
        metrics.child(metrics.refusals, error.code).inc()
        raise error

    return shed
