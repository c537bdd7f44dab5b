"""The routes of access groups with the teams and keys they are assigned to, by LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, delete, get, post, put
from litestar.di import NamedDependency

from app.admin.assigned_groups import AssignedGroup, AssignedGroups, GroupTerms
from app.api.admin import fields
from app.api.admin.answers import answer
from app.api.admin.fields import MOST_BODY_BYTES, Readers, check_names, read_body, read_terms
from app.api.admin.queries import path_text, read_query
from app.api.admin.term_fields import require_text
from app.api.security import Access
from app.base.errors import Unprocessable
from app.storage.postgres.group_holders import Holder

AnyRequest = Request[Any, Any, Any]
HINT = "see GET /v1/access_group"
_TERMS: Readers = {
    "description": ("description", fields.read_text, None),
    "access_model_names": ("model_names", fields.read_texts, ()),
    "assigned_team_ids": ("team_ids", fields.read_texts, ()),
    "assigned_key_ids": ("keys", fields.read_texts, ()),
}
_NOT_ENFORCED = frozenset(
    {"access_agent_ids", "access_mcp_server_ids", "access_skill_names", "mcp_tool_permissions"}
)  # fmt: skip


class AssignedGroupRoutes(Controller):
    """Whoever reaches everything. The id of a group is its name."""

    path = "/v1/access_group"
    request_max_body_size = MOST_BODY_BYTES

    @post("", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], assigned_groups: NamedDependency[AssignedGroups]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {*_TERMS, "access_group_name"}, _NOT_ENFORCED)
        name = require_text(body, "access_group_name", HINT)
        return answer(_render(await assigned_groups.create(name, GroupTerms(**read_terms(body, _TERMS)), actor)))

    @get("")
    async def list_groups(
        self, request: AnyRequest, access: NamedDependency[Access], assigned_groups: NamedDependency[AssignedGroups]
    ) -> Response[bytes]:
        await access.require_admin(request)
        read_query(request, ())
        return answer([_render(found) for found in await assigned_groups.all()])

    @get("/{access_group_id:str}")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], assigned_groups: NamedDependency[AssignedGroups]
    ) -> Response[bytes]:
        await access.require_admin(request)
        return answer(_render(await assigned_groups.get(path_text(request, "access_group_id"))))

    @put("/{access_group_id:str}", status_code=200)
    async def update(
        self, request: AnyRequest, access: NamedDependency[Access], assigned_groups: NamedDependency[AssignedGroups]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        check_names(body, {*_TERMS, "access_group_name"}, _NOT_ENFORCED)
        name = path_text(request, "access_group_id")
        if not fields.is_null(body.get("access_group_name", b"null")):
            _check_same(fields.read_text("access_group_name", body["access_group_name"]), name)
        return answer(_render(await assigned_groups.update(name, GroupTerms(**read_terms(body, _TERMS)), actor)))

    @delete("/{access_group_id:str}", status_code=200)
    async def delete(
        self, request: AnyRequest, access: NamedDependency[Access], assigned_groups: NamedDependency[AssignedGroups]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        name = path_text(request, "access_group_id")
        await assigned_groups.delete(name, actor)
        return answer({"access_group_id": name, "message": f"the access group '{name}' is deleted"})


class UnifiedGroupRoutes(AssignedGroupRoutes):
    """The same by the other name that LiteLLM has for them."""

    path = "/v1/unified_access_group"


def _check_same(said: str, name: str) -> None:
    if said != name:
        raise Unprocessable(
            f'"access_group_name" of "{name}" cannot become "{said}": lists of models name the group by it; make '
            "another group, and assign that",
            param="access_group_name",
        )


def _render(found: AssignedGroup) -> dict[str, Any]:
    group = found.group
    return {
        "access_group_id": group.access_group,
        "access_group_name": group.access_group,
        "description": group.description,
        "access_model_names": group.model_names,
        "access_mcp_server_ids": [],
        "access_mcp_servers": [],
        "access_agent_ids": [],
        "access_agents": [],
        "access_skill_names": [],
        "mcp_tool_permissions": None,
        "assigned_team_ids": [team.holder_id for team in found.teams],
        "assigned_teams": [_resource(team) for team in found.teams],
        "assigned_key_ids": [key.holder_id for key in found.keys],
        "assigned_keys": [_resource(key) for key in found.keys],
        "created_at": group.created_at,
        "created_by": group.created_by,
        "updated_at": group.updated_at,
        "updated_by": group.updated_by,
    }


def _resource(holder: Holder) -> dict[str, Any]:
    return {"id": holder.holder_id, "name": holder.name}
