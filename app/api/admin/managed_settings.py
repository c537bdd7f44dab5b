"""The routes of what Claude Code is given as managed settings, for everybody, an organization or a team."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.managed_settings import ManagedSettings, SettingsView
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, check_names, is_null, read_body, read_metadata
from app.api.admin.queries import read_query
from app.api.admin.term_fields import read_optional
from app.api.security import Access
from app.base.errors import Unprocessable
from app.domain.managed_settings import checksum_of

AnyRequest = Request[Any, Any, Any]
_OWNERS = ("organization_id", "team_id")


class ManagedSettingsRoutes(Controller):
    """Proxy admins alone: they may run commands on the machines of developers."""

    path = "/managed_settings"
    request_max_body_size = MOST_BODY_BYTES

    @post("/update", status_code=200)
    async def update(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        managed_settings: NamedDependency[ManagedSettings],
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {*_OWNERS, "settings"}, ())
        organization_id, team_id = (read_optional(body, name) for name in _OWNERS)
        _check_one(organization_id, team_id)
        if "settings" not in body:
            raise Unprocessable(
                '"settings" is missing: all that this level sets, as an object; null takes it away', param="settings"
            )
        settings = None if is_null(body["settings"]) else read_metadata("settings", body["settings"])
        return answer(_render(await managed_settings.write(organization_id, team_id, settings, actor)))

    @get("/info")
    async def info(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        managed_settings: NamedDependency[ManagedSettings],
    ) -> Response[bytes]:
        await access.require_admin(request)
        query = read_query(request, _OWNERS)
        organization_id, team_id = (query.get(name) for name in _OWNERS)
        _check_one(organization_id, team_id)
        return answer(_render(await managed_settings.find(organization_id, team_id)))

    @get("/list")
    async def list_all(
        self,
        request: AnyRequest,
        access: NamedDependency[Access],
        managed_settings: NamedDependency[ManagedSettings],
    ) -> Response[bytes]:
        await access.require_admin(request)
        read_query(request, ())
        levels = [
            {
                "organization_id": one.organization_id,
                "team_id": one.team_id,
                "checksum": checksum_of(one.settings),
                "updated_at": one.updated_at,
                "updated_by": one.updated_by,
            }
            for one in await managed_settings.list_all()
        ]
        return answer({"managed_settings": levels})


def _check_one(organization_id: str | None, team_id: str | None) -> None:
    if organization_id is not None and team_id is not None:
        raise Unprocessable(
            'give "team_id" or "organization_id", or neither for everybody: one level at a time', param="team_id"
        )


def _render(view: SettingsView) -> dict[str, Any]:
    own = view.own
    return {
        "organization_id": view.level.organization_id,
        "team_id": view.level.team_id,
        "settings": None if own is None else own.settings,
        "effective": view.effective,
        "updated_at": None if own is None else own.updated_at,
        "updated_by": None if own is None else own.updated_by,
    }
