"""The team routes, with LiteLLM's paths, fields and answers."""

from typing import Any

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency

from app.admin.teams import Teams, TeamTerms
from app.api.admin import fields
from app.api.admin.answers import answer, number
from app.api.admin.fields import MOST_BODY_BYTES, Body, is_null, read_body
from app.api.admin.key_answers import render_row
from app.api.admin.queries import read_query
from app.api.security import Access
from app.base.errors import Unprocessable
from app.storage.postgres.teams import StoredTeam

AnyRequest = Request[Any, Any, Any]

_READERS = {
    "team_id": fields.read_text,
    "team_alias": fields.read_text,
    "organization_id": fields.read_text,
    "models": fields.read_texts,
    "blocked": fields.read_flag,
    "metadata": fields.read_metadata,
}
_NOT_ENFORCED = frozenset(
    {
        "access_group_ids", "admins", "allowed_passthrough_routes", "allowed_vector_store_indexes", "budget_duration",
        "budget_limits", "default_estimated_output_tokens", "default_estimated_output_tokens_per_model",
        "default_team_member_models", "denied_passthrough_routes", "disable_global_guardrails",
        "enforced_batch_output_expires_after", "enforced_file_expires_after", "guardrails", "max_budget",
        "mcp_rpm_limit", "members", "members_with_roles", "model_aliases", "model_max_budget", "model_rpm_limit",
        "model_tpm_limit", "object_permission", "policies", "prompts", "require_trace_id", "router_settings",
        "rpm_limit", "rpm_limit_type", "secret_manager_settings", "soft_budget", "tags", "team_member_budget",
        "team_member_budget_duration", "team_member_key_duration", "team_member_model_max_budget",
        "team_member_permissions", "team_member_rpm_limit", "team_member_tpm_limit", "tpd_limit", "tpm_limit",
        "tpm_limit_type",
    }
)  # fmt: skip
_UNUSED = (
    "team_member_permissions",
    "tpm_limit",
    "rpm_limit",
    "tpd_limit",
    "max_budget",
    "soft_budget",
    "budget_duration",
    "budget_limits",
    "router_settings",
    "access_group_ids",
    "default_team_member_models",
    "max_parallel_requests",
    "budget_reset_at",
    "model_id",
    "policies",
    "litellm_model_table",
    "object_permission",
    "object_permission_id",
)


class TeamRoutes(Controller):
    """The master key's alone."""

    request_max_body_size = MOST_BODY_BYTES

    @post("/team/new", status_code=200)
    async def create(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        body = await read_body(request)
        fields.check_names(body, _READERS, _NOT_ENFORCED)
        terms: dict[str, Any] = {
            name: read(name, body[name]) for name, read in _READERS.items() if name in body and not is_null(body[name])
        }
        return answer(_render(await teams.create(TeamTerms(**terms), actor)))

    @post("/team/block", status_code=200)
    async def block(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        return answer(_render(await teams.block(_read_team_id(await read_body(request)), actor, blocked=True)))

    @post("/team/unblock", status_code=200)
    async def unblock(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        actor = await access.require_admin(request)
        return answer(_render(await teams.block(_read_team_id(await read_body(request)), actor, blocked=False)))

    @get("/team/info")
    async def info(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        await access.require_admin(request)
        team_id = read_query(request, ("team_id",)).get("team_id")
        if team_id is None:
            raise Unprocessable('"team_id" is missing; see GET /team/list', param="team_id")
        team, spent, keys = await teams.get(team_id)
        row = _render(team)
        row["spend"] = number(spent)
        shown = [render_row(view) for view in keys]
        return answer({"team_id": team.team_id, "team_info": row, "keys": shown, "team_memberships": []})

    @get("/team/list")
    async def list_teams(
        self, request: AnyRequest, access: NamedDependency[Access], teams: NamedDependency[Teams]
    ) -> Response[bytes]:
        await access.require_admin(request)
        found = await teams.list(read_query(request, ("organization_id",)).get("organization_id"))
        return answer([_render(team) for team in found])


def _read_team_id(body: Body) -> str:
    fields.check_names(body, {"team_id"}, ())
    raw = body.get("team_id", b"null")
    if is_null(raw):
        raise Unprocessable('"team_id" is missing; see GET /team/list', param="team_id")
    return fields.read_text("team_id", raw)


def _render(team: StoredTeam) -> dict[str, Any]:
    return {
        **dict.fromkeys(_UNUSED),
        "team_alias": team.team_alias,
        "team_id": team.team_id,
        "organization_id": team.organization_id,
        "admins": [],
        "members": [],
        "members_with_roles": [],
        "metadata": team.metadata,
        "models": team.models,
        "blocked": team.blocked,
        "model_spend": {},
        "model_max_budget": {},
        "allow_team_guardrail_config": False,
        "created_at": team.created_at,
        "updated_at": team.updated_at,
    }
