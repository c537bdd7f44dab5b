"""The fields of the user requests: which are enforced, which are known, and how each becomes a term."""

from typing import Any

import msgspec
from msgspec import UNSET

from app.admin.key_terms import KeyTerms
from app.admin.memberships import Member
from app.admin.users import TeamToJoin, UserTerms
from app.api.admin import fields
from app.api.admin.budget_fields import BUDGET, LIMITS
from app.api.admin.fields import Body, Readers, is_null, read_terms
from app.api.admin.team_fields import TEAM_ROLES
from app.api.admin.term_fields import read_budget, read_email, read_optional, read_role, refuse_spend, require_text
from app.base.errors import Unprocessable

USER_ROLES = (
    "proxy_admin", "proxy_admin_viewer", "internal_user", "internal_user_viewer", "org_admin", "auditor",
)  # fmt: skip
HINT = "see GET /user/list"


def _read_user_role(name: str, raw: bytes) -> str:
    return read_role(name, raw, USER_ROLES)


_COLUMNS: Readers = {
    "user_alias": ("user_alias", fields.read_text, None),
    "user_email": ("user_email", read_email, None),
    "user_role": ("user_role", _read_user_role, None),
    "models": ("models", fields.read_texts, ()),
    "blocked": ("blocked", fields.read_flag, UNSET),
    "metadata": ("metadata", fields.read_metadata, {}),
    "cost_center": ("cost_center", fields.read_cost_center, ""),
    **LIMITS,
}
# Of the key that is made with a new user.
_KEY_TERMS: Readers = {
    "key_alias": ("key_alias", fields.read_text, None),
    "duration": ("duration", fields.read_duration, None),
    "aliases": ("aliases", fields.read_text_map, {}),
    "team_id": ("team_id", fields.read_text, None),
}
_NOT_ENFORCED = frozenset(
    {
        "agent_id", "allowed_cache_controls", "budget_fallbacks", "config", "guardrails",
        "mcp_rpm_limit", "object_permission", "password",
        "permissions", "policies", "prompts", "send_invite_email", "sso_user_id", "tag_rpm_limit",
    }
)  # fmt: skip


def read_new_user(body: Body) -> tuple[UserTerms, KeyTerms | None]:
    """The user, and the key that is made with it. Raises Unprocessable."""
    further = {"user_id", "teams", "organizations", "auto_create_key", "spend"}
    fields.check_names(body, {*_COLUMNS, *BUDGET, *_KEY_TERMS, *further}, _NOT_ENFORCED)
    refuse_spend(body)
    columns = _columns(body)
    user_id = read_optional(body, "user_id")
    if user_id is not None:
        columns["user_id"] = user_id
    raw = body.get("organizations", b"null")
    organizations = () if is_null(raw) else fields.read_texts("organizations", raw)
    terms = UserTerms(columns, read_budget(body), _read_teams(body.get("teams", b"null")), organizations)
    raw = body.get("auto_create_key", b"null")
    wants_key = is_null(raw) or fields.read_flag("auto_create_key", raw)
    return terms, KeyTerms(**read_terms(body, _KEY_TERMS)) if wants_key else None


def read_user_update(body: Body) -> tuple[Member, UserTerms]:
    """The user meant, by id or else by address, and the terms that change. Raises Unprocessable."""
    fields.check_names(body, {*_COLUMNS, *BUDGET, "user_id"}, _NOT_ENFORCED | {*_KEY_TERMS, "spend"})
    columns = _columns(body)
    user_id = read_optional(body, "user_id")
    if user_id is None:
        email = columns.pop("user_email", None)
        if email is None:
            require_text(body, "user_id", HINT)
        return Member(user_email=email), UserTerms(columns, read_budget(body))
    return Member(user_id=user_id), UserTerms(columns, read_budget(body))


def _read_teams(raw: bytes) -> tuple[TeamToJoin, ...]:
    """Ids of teams, or objects of id, role and budget."""
    if is_null(raw):
        return ()
    try:
        entries = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unprocessable('"teams" must be a list of ids of teams', param="teams") from error
    if len(entries) > fields.MOST_ENTRIES:
        raise Unprocessable(f'"teams" has {len(entries)} entries; at most {fields.MOST_ENTRIES}', param="teams")
    joined = tuple(_read_team(bytes(entry)) for entry in entries)
    if len({team.team_id for team in joined}) < len(joined):
        raise Unprocessable('"teams" names a team twice', param="teams")
    return joined


def _read_team(raw: bytes) -> TeamToJoin:
    if not raw.lstrip().startswith(b"{"):
        return TeamToJoin(fields.read_text("teams", raw))
    body: Body = {name: bytes(value) for name, value in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items()}
    readers: Readers = {"max_budget_in_team": ("limit_nanousd", fields.read_amount, None)}
    fields.check_names(body, {"team_id", "user_role", *readers}, ())
    role = body.get("user_role", b"null")
    return TeamToJoin(
        require_text(body, "team_id", "see GET /team/list"),
        "user" if is_null(role) else read_role("user_role", role, TEAM_ROLES),
        read_budget(body, readers),
    )


def _columns(body: Body) -> dict[str, Any]:
    columns = read_terms(body, _COLUMNS)
    if "models" in columns:
        columns["models"] = list(columns["models"])
    return columns
