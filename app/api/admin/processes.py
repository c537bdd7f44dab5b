"""The route that tells which processes serve."""

from typing import Any

from litestar import Controller, Request, Response, get
from litestar.di import NamedDependency

from app.admin.processes import Processes, RunningProcess
from app.api.admin.answers import answer
from app.api.security import Access


class ProcessRoutes(Controller):
    """For whoever may read settings."""

    path = "/health"

    @get("/processes")
    async def list_running(
        self,
        request: Request[Any, Any, Any],
        access: NamedDependency[Access],
        processes: NamedDependency[Processes],
    ) -> Response[bytes]:
        await access.require_admin(request)
        return answer({"processes": [_render(one) for one in await processes.list()]})


def _render(one: RunningProcess) -> dict[str, Any]:
    return {
        "process_id": one.process_id,
        "host": one.record.host,
        "pid": one.record.pid,
        "version": one.record.version,
        "started_at": one.record.started_at,
        "seen_s_ago": round(one.age_s, 1),
        "answers_this": one.is_this,
        "settings_digest": one.record.digest,
        "settings_that_differ": one.differs,
    }
