"""The fields of the team requests: which are enforced, which are known, and how each becomes a term."""

from collections.abc import Collection
from typing import Any

from msgspec import UNSET

from app.admin.memberships import Member, MemberTerms
from app.admin.teams import TeamTerms
from app.api.admin import fields
from app.api.admin.budget_fields import BUDGET, LIMITS
from app.api.admin.fields import Body, Readers, is_null, read_terms
from app.api.admin.term_fields import read_budget, read_member, read_members, require_text
from app.api.admin.time_fields import read_period
from app.base.errors import Unprocessable

TEAM_ROLES = ("user", "admin")
HINT = "see GET /team/list"

_COLUMNS: Readers = {
    "team_alias": ("team_alias", fields.read_text, None),
    "organization_id": ("organization_id", fields.read_text, None),
    "models": ("models", fields.read_texts, ()),
    "allowed_model_region": ("allowed_model_region", fields.read_region, None),
    "blocked": ("blocked", fields.read_flag, UNSET),
    "metadata": ("metadata", fields.read_owner_metadata, {}),
    "cost_center": ("cost_center", fields.read_cost_center, ""),
    **LIMITS,
}
_GROUPS: Readers = {"access_group_ids": ("group_ids", fields.read_texts, UNSET)}
_MEMBER_BUDGET: Readers = {
    "team_member_budget": ("limit_nanousd", fields.read_amount, None),
    "team_member_budget_duration": ("duration", read_period, None),
    "team_member_on_exceed": ("on_exceed", fields.read_on_exceed, None),
    "team_member_rpm_limit": ("requests_per_minute", fields.read_count, None),
    "team_member_tpm_limit": ("tokens_per_minute", fields.read_count, None),
}
_NOT_ENFORCED = frozenset(
    {
        "admins", "allowed_passthrough_routes", "allowed_vector_store_indexes",
        "default_estimated_output_tokens", "default_estimated_output_tokens_per_model", "default_team_member_models",
        "denied_passthrough_routes", "disable_global_guardrails", "enforced_batch_output_expires_after",
        "enforced_file_expires_after", "guardrails", "mcp_rpm_limit", "members", "model_aliases",
        "object_permission", "policies", "prompts", "require_trace_id",
        "router_settings", "rpm_limit_type", "secret_manager_settings", "tags", "team_member_key_duration",
        "team_member_model_max_budget", "team_member_permissions",
        "tpm_limit_type",
    }
)  # fmt: skip
_MEMBER_BUDGET_FIELDS: Readers = {
    "max_budget_in_team": BUDGET["max_budget"],
    **{name: reader for name, reader in BUDGET.items() if name not in ("max_budget", "soft_budget")},
}
_MEMBER_NOT_ENFORCED = frozenset({"allowed_models"})


def read_new_team(body: Body) -> TeamTerms:
    """Raises Unprocessable."""
    further = {"team_id", "members_with_roles"}
    fields.check_names(body, {*_COLUMNS, *BUDGET, *_MEMBER_BUDGET, *_GROUPS, *further}, _NOT_ENFORCED)
    raw = body.get("members_with_roles", b"null")
    members = () if raw in (b"null", b"[]") else read_members("members_with_roles", raw, TEAM_ROLES)
    columns = _columns(body)
    if not is_null(body.get("team_id", b"null")):
        columns["team_id"] = fields.read_text("team_id", body["team_id"])
    groups = read_terms(body, _GROUPS)
    return TeamTerms(columns, read_budget(body), read_budget(body, _MEMBER_BUDGET), members, **groups)


def read_team_update(body: Body) -> tuple[str, TeamTerms]:
    """The team meant, and the terms that change. Raises Unprocessable."""
    not_enforced = _NOT_ENFORCED | {"members_with_roles"}
    fields.check_names(body, {*_COLUMNS, *BUDGET, *_MEMBER_BUDGET, *_GROUPS, "team_id"}, not_enforced)
    groups = read_terms(body, _GROUPS)
    terms = TeamTerms(_columns(body), read_budget(body), read_budget(body, _MEMBER_BUDGET), **groups)
    return require_text(body, "team_id", HINT), terms


def read_member_add(body: Body) -> tuple[str, tuple[Member, ...], MemberTerms]:
    """Raises Unprocessable."""
    _check_member_names(body, ("team_id", "member"))
    raw = body.get("member", b"null")
    members = () if is_null(raw) else read_members("member", raw, TEAM_ROLES)
    if not members:
        raise Unprocessable('"member" is missing: {"user_id": "…", "role": "user"}, or a list of such', param="member")
    return require_text(body, "team_id", HINT), members, _member_terms(body)


def read_member_update(body: Body) -> tuple[str, Member, MemberTerms]:
    """Raises Unprocessable."""
    _check_member_names(body, ("team_id", "user_id", "user_email", "role"))
    return require_text(body, "team_id", HINT), read_member(body, TEAM_ROLES), _member_terms(body)


def read_member_delete(body: Body) -> tuple[str, Member]:
    """Raises Unprocessable."""
    fields.check_names(body, ("team_id", "user_id", "user_email"), ())
    return require_text(body, "team_id", HINT), read_member(body, TEAM_ROLES)


def _check_member_names(body: Body, further: Collection[str]) -> None:
    fields.check_names(body, {*_MEMBER_BUDGET_FIELDS, *LIMITS, *further}, _MEMBER_NOT_ENFORCED)


def _member_terms(body: Body) -> MemberTerms:
    return MemberTerms(read_terms(body, LIMITS), read_budget(body, _MEMBER_BUDGET_FIELDS))


def _columns(body: Body) -> dict[str, Any]:
    columns = read_terms(body, _COLUMNS)
    if "models" in columns:
        columns["models"] = list(columns["models"])
    return columns
