"""The routes that seal stored secrets anew under the present key, by LiteLLM's paths."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.resealing import Resealed, Resealing
from app.api.admin.answers import answer
from app.api.admin.queries import read_query, read_query_flag
from app.api.security import Access
from app.storage.postgres.sealed_rows import SEALED_KINDS

AnyRequest = Request[Any, Any, Any]


class ResealingRoutes(Controller):
    """Admins alone."""

    path = "/credentials/migrate-encryption"

    @post("", status_code=200)
    async def run(
        self, request: AnyRequest, access: NamedDependency[Access], resealing: NamedDependency[Resealing]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        dry_run = read_query_flag(read_query(request, ("dry_run",)), "dry_run", default=False)
        return answer(_render(await resealing.run(actor, dry_run=dry_run), dry_run=dry_run))

    @get("/check")
    async def check(
        self, request: AnyRequest, access: NamedDependency[Access], resealing: NamedDependency[Resealing]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        return answer(_render(await resealing.run(actor, dry_run=True), dry_run=True))


def _render(done: Resealed, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dry_run": dry_run,
        "key_id": done.key_id,
        "sealed_anew": {kind: done.sealed_anew[kind] for kind in SEALED_KINDS},
        "sealed_already": {kind: done.sealed_already[kind] for kind in SEALED_KINDS},
        "unreadable": [{"kind": kind, "id": row_id} for kind, row_id in done.unreadable],
    }
