"""What the OpenAPI document says of routes, fields and parameters, each by its name: the same name means the same."""

from collections.abc import Mapping
from typing import Any

from app.providers.host_table import HOSTS

Schema = Mapping[str, Any]


def _text(meaning: str, example: str | None = None, **more: object) -> Schema:
    shown = {} if example is None else {"examples": [example]}
    return {"type": ["string", "null"], "minLength": 1, "maxLength": 256, "description": meaning, **shown, **more}


def _count(meaning: str) -> Schema:
    return {"type": ["integer", "null"], "minimum": 0, "maximum": 2**53 - 1, "description": meaning}


def _dollars(meaning: str) -> Schema:
    return {"type": ["number", "null"], "minimum": 0, "maximum": 9_000_000, "description": meaning}


def _flag(meaning: str) -> Schema:
    return {"type": ["boolean", "null"], "description": meaning}


def _texts(meaning: str) -> Schema:
    items = {"type": "string", "minLength": 1, "maxLength": 256}
    return {"type": ["array", "null"], "items": items, "maxItems": 1_000, "description": meaning}


def _map(meaning: str) -> Schema:
    return {"type": ["object", "null"], "description": meaning}


def _duration(meaning: str) -> Schema:
    return _text(f"{meaning}: a number and s, m, h, d, w or mo", "30d", pattern=r"^[1-9][0-9]*(s|m|h|d|w|mo)$")


_MEMBER: Schema = {
    "type": "object",
    "properties": {
        "user_id": _text("the user"), "user_email": _text("the user's address", "ada@example.com"),
        "role": _text("the role in the team or organization", "user"),
    },
    "additionalProperties": False,
}  # fmt: skip
_MEMBERS: Schema = {
    "description": "one member or a list of them; a user who is named for the first time is made",
    "anyOf": [_MEMBER, {"type": "array", "items": _MEMBER, "minItems": 1}],
}
_ROLES = ("proxy_admin", "proxy_admin_viewer", "auditor", "org_admin", "internal_user", "internal_user_viewer")

_ON_EXCEED: Schema = {
    "enum": ["finish", "cut", None],
    "description": "a running answer when the budget is full; null: the setting on_exceed",
}
_SHARE: Schema = {"description": "a share such as 0.05; a margin may also be {percentage, fixed_amount}"}
FIELDS: Mapping[str, Schema] = {
    **dict.fromkeys(("global", *HOSTS), _SHARE),
    "access_group_ids": _texts("the access groups among the models"),
    "allowed_model_region": _text("the region whose deployments alone may serve", "eu"),
    "access_group": _text("the name of a group of models"),
    "access_group_name": _text("the name of a group, which is its id"),
    "access_model_names": _texts("the models of the group"),
    "assigned_key_ids": _texts("all keys whose list of models is to hold the group"),
    "assigned_team_ids": _texts("all teams whose list of models is to hold the group"),
    "alias": _text("what people call it"),
    "aliases": {**_map("a model name asked for, and the one meant"), "additionalProperties": {"type": "string"}},
    "allowed_routes": _texts("paths, wildcards or groups of routes such as llm_api_routes; empty: all"),
    "auto_create_key": _flag("whether a key is made with the user"),
    "blocked": _flag("whether calls are refused"),
    "budget_duration": _duration("when the budget's window ends; without it, it never resets"),
    "budget_fallbacks": _map("a model, and a list of those that serve instead once its budget is spent"),
    "budget_id": _text("a shared budget, made by /budget/new"),
    "budget_limits": {"type": ["array", "null"], "items": {"type": "object"}, "description": "windows of one budget"},
    "budget_timezone": _text("in which zone days, weeks and months begin", "Europe/Berlin"),
    "budgets": _texts("ids of shared budgets"),
    "completion_response": _map("an answer of chat completions, priced by its usage"),
    "cost_center": _text("what reports charge its calls to, from the first month that is not closed", "4711"),
    "credential_info": _map("anything of yours about the credential"),
    "credential_name": _text("the credential's name"),
    "credential_values": _map("api_key, api_base and what the provider takes; secrets are never shown again"),
    "credential_values_to_delete": _texts("names of values to take away"),
    "dry_run": _flag("whether to tell only what would be done"),
    "duration": _duration("how long the key lives from now; \"-1\" in an update: for ever"),
    "end_date": _text("the last day, included", "2026-11-30", format="date"),
    "default_model": _text("the model that is asked where a call names none"),
    "description": _text("what it is for"),
    "destination_id": _text("a destination of alerts"),
    "effective_from": _text("an instant, from which it holds", "2026-12-01T00:00:00Z"),
    "email": _text("an address", "ada@example.com"),
    "events": _texts("kinds of alerts; empty: all"),
    "grace_period": _duration("how long the old key goes on working"),
    "id": _text("the id"),
    "key": _text("a key: itself, its id or its SHA-256; in /key/generate the key to be made"),
    "key_alias": _text("the key's name, which no other key bears"),
    "key_aliases": _texts("names of keys"),
    "key_type": _text("presets allowed_routes", enum=["default", "llm_api", "management", "read_only", None]),
    "keys": _texts("keys: themselves, their ids or their SHA-256"),
    "limits": {"type": ["array", "null"], "items": {"type": "object"}, "description": "limits over other spans"},
    "litellm_params": _map("model (provider/name), api_key, api_base, prices and limits, as in the file's model_list"),
    "litellm_params_to_remove": _texts("names of parameters to take away"),
    "max_budget": _dollars("dollars in each window of budget_duration; 0 refuses all that costs"),
    "max_budget_in_team": _dollars("what the member may spend in the team in each window"),
    "max_parallel_requests": _count("calls at once"),
    "member": _MEMBERS,
    "members_with_roles": {"type": ["array", "null"], "items": _MEMBER, "description": "the first members"},
    "messages": {"type": ["array", "null"], "items": {"type": "object"}, "description": "as of a chat completion"},
    "metadata": _map("anything of yours, up to 64 KB"),
    "model": _text("a model's name"),
    "model_id": _text("the id of a deployment: model_info.id"),
    "model_ids": _texts("ids of deployments"),
    "model_info": _map("id, access_groups, display_name, prices, and what else describes the model"),
    "model_max_budget": _map("budgets by model"),
    "model_rpm_limit": _map("requests a minute by model"),
    "model_tpm_limit": _map("tokens a minute by model"),
    "model_name": _text("what clients ask for"),
    "model_names": _texts("names of models"),
    "models": _texts("names, wildcards and access groups that may be used; empty: all"),
    "month": _text("a month of UTC", "2026-10"),
    "name": _text("a name"),
    "names": _texts("names"),
    "kind": _text("which kind"),
    "url": _text("an https address"),
    "secret": _text("with which what is sent is signed; never shown again"),
    "pooled": _flag("whether all who name the budget spend from one pot"),
    "recipients": _texts("addresses"),
    "price_id": _text("a price"),
    "prices": _map("prices by model, as in LiteLLM's model_prices_and_context_window.json"),
    "allow_large_changes": _flag("take prices that change tenfold, or become nothing"),
    "project_alias": _text("the project's name, one of it in a team"),
    "project_id": _text("the project: a part of a team's work"),
    "project_ids": _texts("projects"),
    "provider": _text("the provider", "anthropic"),
    "input_cost_per_token": _dollars("dollars for a token; the other classes by LiteLLM's names beside it"),
    "output_cost_per_token": _dollars("dollars for a token"),
    "new_key": _text("the new key, to be chosen by yourself"),
    "on_exceed": _ON_EXCEED,
    "organization_alias": _text("the organization's name"),
    "organization_id": _text("the organization"),
    "organization_ids": _texts("organizations"),
    "organizations": _texts("organizations"),
    "reset_to": {"type": "number", "const": 0, "description": "0: the budget counts anew"},
    "role": _text("the role in the team or organization"),
    "rpm_limit": _count("requests a minute"),
    "soft_budget": _dollars("above it people are told, and nothing is refused"),
    "spend": {"type": ["number", "null"], "maximum": 0, "minimum": 0, "description": "0: it is the sum of receipts"},
    "start_date": _text("the first day, included", "2026-11-01", format="date"),
    "tables": _map("rows of LiteLLM's tables, by their names"),
    "tags": _texts("labels that each receipt of the key bears"),
    "team_alias": _text("the team's name, one of it in an organization"),
    "team_id": _text("the team"),
    "team_ids": _texts("teams"),
    "team_member_budget": _dollars("what each member may spend who has nothing of its own"),
    "team_member_budget_duration": _duration("the window of team_member_budget"),
    "team_member_on_exceed": _ON_EXCEED,
    "team_member_rpm_limit": _count("requests a minute of each member who has no budget of its own in the team"),
    "team_member_tpm_limit": _count("tokens a minute of each such member"),
    "teams": {
        "type": ["array", "null"], "description": "teams to join, by id or with a budget and a role",
        "items": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "object"}]},
    },
    "temp_budget_expiry": _text("an instant until which temp_budget_increase holds", "2026-12-01T00:00:00Z"),
    "temp_budget_increase": _dollars("dollars more, for a while"),
    "tpd_limit": _count("tokens a day"),
    "tpm_limit": _count("tokens a minute"),
    "user_alias": _text("the user's name"),
    "user_email": _text("the user's address, which no other user has", "ada@example.com"),
    "settings": _map("settings of Claude Code, up to 64 KB; null takes them away"),
    "user_code": _text("the code that the program shows", "BCDF-GHJK"),
    "user_id": _text("the user; of a customer the name that callers give"),
    "user_ids": _texts("users, or customers"),
    "user_role": _text("what the user's keys may do", "internal_user", enum=[*_ROLES, None]),
    "window": _text("a window of a budget"),
}  # fmt: skip
REQUIRED: Mapping[str, tuple[str, ...]] = {
    "/device/approve": ("user_code",), "/device/deny": ("user_code",),
    "/access_group/new": ("access_group",), "/v1/access_group": ("access_group_name",),
    "/v1/unified_access_group": ("access_group_name",), "/budget/delete": ("id",), "/budget/info": ("budgets",),
    "/budget/update": ("budget_id",), "/credentials": ("credential_name", "credential_values"),
    "/key/{name}/reset_spend": ("reset_to",), "/model/block": ("model_id",), "/model/unblock": ("model_id",),
    "/model/delete": ("id",), "/model/new": ("model_name", "litellm_params"), "/model/update": ("model_info",),
    "/organization/new": ("organization_alias",), "/organization/update": ("organization_id",),
    "/organization/member_add": ("organization_id", "member"), "/organization/delete": ("organization_ids",),
    "/team/update": ("team_id",), "/team/block": ("team_id",), "/team/unblock": ("team_id",),
    "/team/model/add": ("team_id", "models"), "/team/model/delete": ("team_id", "models"),
    "/team/delete": ("team_ids",), "/team/member_add": ("team_id", "member"),
    "/team/member_update": ("team_id",), "/team/member_delete": ("team_id",), "/user/delete": ("user_ids",),
    "/organization/member_update": ("organization_id",), "/organization/member_delete": ("organization_id",),
    "/customer/new": ("user_id",), "/customer/update": ("user_id",), "/customer/delete": ("user_ids",),
    "/end_user/new": ("user_id",), "/end_user/update": ("user_id",), "/end_user/delete": ("user_ids",),
    "/spend/close": ("month",), "/key/update": ("key",), "/key/block": ("key",), "/key/unblock": ("key",),
    "/key/regenerate": ("key",), "/project/new": ("team_id",), "/project/update": ("project_id",),
    "/project/delete": ("project_ids",),
}  # fmt: skip
"""By path: what a body must have. Where one of two will do (user_id or user_email, keys or key_aliases) neither is."""

_DATE: Schema = {"type": "string", "format": "date", "examples": ["2026-11-01"]}
_NUMBER: Schema = {"type": "integer", "minimum": 1}
_BOOLEAN: Schema = {"type": "boolean"}
PARAMETERS: Mapping[str, Schema] = {
    "start_date": _DATE, "end_date": _DATE, "page": _NUMBER, "page_size": _NUMBER, "size": _NUMBER,
    "limit": _NUMBER, "key_limit": {"type": "integer", "minimum": 1, "maximum": 1_000}, "summarize": _BOOLEAN,
    "return_full_object": _BOOLEAN, "include_team_keys": _BOOLEAN, "include_created_by_keys": _BOOLEAN,
    "sort_order": {"type": "string", "enum": ["asc", "desc"]},
    "timezone": {"type": "string", "examples": ["Europe/Berlin"], "description": "an IANA name; else UTC"},
    "interval": {"type": "string", "enum": ["hour", "day", "week", "month"]},
    "format": {"type": "string", "enum": ["json", "csv", "focus"]},
}  # fmt: skip
"""Of a query; others are texts."""

_OF_CUSTOMERS = {
    "block": "Block customers",
    "delete": "Delete customers",
    "info": "One customer",
    "list": "Customers",
    "new": "Make a customer: somebody whom callers name in their requests",
    "unblock": "Unblock customers",
    "update": "Change a customer",
}
_DAILY = ("agent", "end_user", "customer", "organization", "tag", "team", "user")
SUMMARIES: Mapping[str, str] = {
    **{f"/{kind}/{verb}": text for kind in ("customer", "end_user") for verb, text in _OF_CUSTOMERS.items()},
    **{f"/{kind}/daily/activity": f"Spend and calls of each day, by {kind}" for kind in _DAILY},
    **{f"/{kind}/daily/activity/aggregated": f"The same of {kind}s, on one page" for kind in _DAILY},
    "/device/approve": "Let a program that waits under a code be signed in",
    "/device/deny": "Turn away a program that waits under a code",
    "/device/info": "Which program waits under a code",
    "/managed_settings/info": "What Claude Code is given as managed settings at a level, and with what stands above it",
    "/managed_settings/list": "The levels that give Claude Code settings",
    "/managed_settings/update": "Set what Claude Code is given for everybody, an organization or a team",
    "/global/activity": "Calls and tokens of each day",
    "/global/activity/model": "Calls and tokens of each day, by model",
    "/global/spend": "Spend of all time",
    **{f"/{kind}/spend/report": f"Spend of each {kind}" for kind in ("key", "organization", "team", "user")},
    "/team/spend/by_user": "Spend of each member of a team",
    "/global/spend/all_tag_names": "The tags that spent",
    "/global/spend/keys": "The keys that spent most",
    "/global/spend/logs": "Spend of each day",
    "/global/spend/models": "The models that cost most",
    "/global/spend/provider": "Spend by provider",
    "/global/spend/report": "Spend of each day, by team, customer or key",
    "/global/spend/tags": "Spend by tag",
    "/global/spend/teams": "Spend of each day, by team",
    "/access_group/list": "The access groups",
    "/access_group/new": "Make an access group: a name for several models",
    "/access_group/{access_group}/budget": "What all calls of the models in a group may cost",
    "/access_group/{access_group}/delete": "Delete an access group",
    "/access_group/{access_group}/info": "One access group",
    "/access_group/{access_group}/update": "Put other models into an access group",
    **{
        f"/v1/{kind}{more}": text
        for kind in ("access_group", "unified_access_group")
        for more, text in (
            ("", "Access groups with the teams and keys they are assigned to: make one, or list them"),
            ("/{access_group_id}", "One access group: read it, change it, or delete it and take it off all lists"),
        )
    },
    "/alert/destination": "Where alerts are sent: make one, or list them",
    "/alert/destination/{destination_id}": "Delete a destination of alerts",
    "/alert/events": "Alerts, and how their sending went",
    "/alert/events/{event_id}/retry": "Send an alert again",
    "/alert/test": "Send a test alert",
    "/audit": "Who changed what, newest first",
    "/audit/verify": "Whether the chain of the audit is whole",
    "/audit/{audit_id}": "One row of the audit",
    "/budget/delete": "Delete a shared budget that nothing uses",
    "/budget/info": "Shared budgets by their ids",
    "/budget/list": "The shared budgets",
    "/budget/new": "Make a budget that several may share",
    "/budget/settings": "The terms of a shared budget, one by one",
    "/budget/update": "Change a shared budget, for all that use it",
    "/config/cost_discount_config": "Discounts by provider",
    "/config/cost_margin_config": "Margins by provider",
    "/credentials": "Credentials of providers: make one, or list them with their secrets as stars",
    "/credentials/by_model/{model_id}": "The credential that a model uses",
    "/credentials/by_name/{credential_name}": "One credential, its secrets as stars",
    "/credentials/migrate-encryption": "Seal all stored secrets anew under the present key",
    "/credentials/migrate-encryption/check": "What would be sealed anew",
    "/credentials/{credential_name}": "Change or delete a credential",
    "/health/processes": "Which processes serve, since when, and where their settings differ",
    "/import/litellm": "Take over keys, people, budgets and spend from LiteLLM",
    "/key/aliases": "The names of keys",
    "/key/block": "Block a key",
    "/key/delete": "Delete keys",
    "/key/generate": "Make a key; its secret is in this answer alone",
    "/key/info": "One key",
    "/key/list": "Keys, in pages",
    "/key/regenerate": "Give a key a new secret",
    "/key/self": "What the calling key may know of itself, with the budgets and limits of every level above it",
    "/api/v1/key": "The same in short, as OpenRouter tells it",
    "/key/service-account/generate": "Make a key of a team that belongs to no person",
    "/key/unblock": "Unblock a key",
    "/key/update": "Change a key",
    "/key/{name}/regenerate": "Give a key a new secret",
    "/key/{name}/reset_spend": "Let a key's budget count anew",
    "/model/block": "Take a model out of service",
    "/model/delete": "Delete a model that was made at run time",
    "/model/info": "The deployments that the caller may use",
    "/model/new": "Make a model at run time",
    "/model/unblock": "Put a model back into service",
    "/model/update": "Change a model, named by model_info.id",
    "/model/{model_id}/update": "Change a model",
    "/model_group/info": "The models that the caller may use, each with its deployments together",
    "/organization/delete": "Delete organizations with their teams and keys",
    "/organization/info": "An organization, or several",
    "/organization/list": "Organizations",
    "/organization/member_add": "Add members to an organization",
    "/organization/member_delete": "Take a member out of an organization",
    "/organization/member_update": "Give a member of an organization another role",
    "/organization/new": "Make an organization",
    "/organization/update": "Change an organization",
    "/price/delete": "Delete a price that has not begun",
    "/price/import": "Put a public list of prices in force, or tell what it would change",
    "/price/info": "What a model costs, and by which price",
    "/price/list": "Prices that were written",
    "/provider/budgets": "Where the budgets of providers and deployments stand",
    "/price/new": "Write a price, from now or from an instant on",
    "/price/withdraw": "Go back to the bundled price, from now or from an instant on",
    "/project/delete": "Delete projects that have no keys",
    "/project/info": "A project, and where it stands",
    "/project/list": "Projects",
    "/project/new": "Make a project: a part of a team's work, with a budget and limits of its own",
    "/project/update": "Change a project",
    "/spend/reprice": "Book what other prices would have charged, as adjustments",
    "/spend/calculate": "What a call would cost",
    "/spend/close": "Close a month: its figures stand",
    "/spend/closes": "The months that are closed",
    "/spend/closes/{month}": "A closed month",
    "/spend/export": "Receipts of a month as a file",
    "/spend/exports": "The files that receipts went out to",
    "/spend/retention": "How long receipts are kept; drop those whose time is over",
    "/spend/keys": "Spend by key",
    "/spend/logs": "Receipts, or their sums by day",
    "/spend/logs/v2": "Receipts, in pages",
    "/spend/report": "Spend by any grouping, interval and zone, as JSON, CSV or FOCUS",
    "/spend/productivity": "What coding sessions cost, and the commits, pull requests and lines of them",
    "/spend/sessions": "Coding sessions, the last active or the dearest first",
    "/spend/sessions/{session_id}": "A session as the tree of its agents, with their turns",
    "/spend/tags": "Spend by tag",
    "/spend/users": "Spend by user",
    "/spend/aggregates": "From when to when there are sums",
    "/spend/aggregates/check": "Whether the sums are those of the receipts",
    "/spend/aggregates/rebuild": "Write the sums of some days anew from the receipts",
    "/tag/delete": "Delete a tag's budget and limits",
    "/tag/info": "Tags by their names",
    "/tag/list": "The tags that something is set for",
    "/tag/new": "Set a budget and limits for a tag",
    "/tag/update": "Change what is set for a tag",
    "/team/available": "Teams that may be joined",
    "/team/block": "Block all keys of a team",
    "/team/delete": "Delete teams with their keys",
    "/team/info": "A team, its keys and where its members stand",
    "/team/list": "Teams",
    "/team/member_add": "Add members to a team",
    "/team/member_delete": "Take a member out of a team, with its keys there",
    "/team/member_update": "Change a member's budget, limits or role",
    "/team/model/add": "Put models on a team's list",
    "/team/model/delete": "Take models off a team's list",
    "/team/new": "Make a team",
    "/team/unblock": "Unblock a team",
    "/team/update": "Change a team",
    "/user/delete": "Delete users with their keys",
    "/user/info": "A user with keys and teams",
    "/user/list": "Users, in pages",
    "/user/new": "Make a user, with a key",
    "/user/update": "Change a user",
    "/v1/model/info": "The deployments that the caller may use",
    "/v2/model/info": "The same in pages",
    "/v2/team/list": "Teams, in pages",
    "/v2/user/info": "A user alone",
}
