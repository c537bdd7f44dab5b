"""A request of each route that reads, which succeeds in the world of changes.py. A new route needs its line."""

from collections.abc import Mapping
from datetime import UTC, datetime

from tests.api.changes import World

Query = Mapping[str, str]
_TODAY = f"{datetime.now(UTC):%Y-%m-%d}"
_DAYS: Query = {"start_date": _TODAY, "end_date": _TODAY}
_ACTIVITY = tuple(
    f"/{kind}/daily/activity{more}"
    for kind in ("agent", "customer", "end_user", "organization", "tag", "team", "user")
    for more in ("", "/aggregated")
)


def read_requests(world: World, audit_id: str) -> list[tuple[str, str, Query]]:
    """The path, the path filled in, and the query."""
    organization, team, user = world.named("organization"), world.named("team"), world.named("user")
    queries: dict[str, Query] = {
        "/access_group/list": {},
        "/access_group/{access_group}/budget": {},
        "/access_group/{access_group}/info": {},
        "/v1/access_group": {},
        "/v1/access_group/{access_group_id}": {},
        "/v1/unified_access_group": {},
        "/v1/unified_access_group/{access_group_id}": {},
        "/alert/destination": {},
        "/alert/events": {"page_size": "1"},
        "/audit": {"page_size": "1"},
        "/audit/verify": {},
        "/audit/{audit_id}": {},
        "/budget/list": {"page_size": "1"},
        "/budget/settings": {"budget_id": world.named("budget")},
        "/config/cost_discount_config": {},
        "/config/cost_margin_config": {},
        "/credentials": {},
        "/credentials/by_model/{model_id}": {},
        "/credentials/by_name/{credential_name}": {},
        "/credentials/migrate-encryption/check": {},
        "/customer/info": {"end_user_id": world.named("customer")},
        "/customer/list": {"page_size": "1"},
        "/end_user/info": {"end_user_id": world.named("customer")},
        "/end_user/list": {"page_size": "1"},
        "/device/info": {"user_code": world.codes[1]},
        "/health/processes": {},
        "/key/aliases": {},
        "/key/info": {"key": world.key},
        "/key/list": {"return_full_object": "true", "size": "1"},
        "/key/self": {},
        "/api/v1/key": {},
        "/managed_settings/info": {"team_id": team},
        "/managed_settings/list": {},
        "/model/info": {"litellm_model_id": world.model},
        "/model_group/info": {"model_group": "file-claude"},
        "/organization/info": {"organization_id": organization},
        "/organization/list": {"org_id": organization},
        "/price/info": {"provider": "anthropic", "model": "claude-haiku-4-5"},
        "/provider/budgets": {},
        "/price/list": {"page_size": "1"},
        "/project/info": {"project_id": world.named("project")},
        "/project/list": {"team_id": team},
        "/spend/aggregates": {},
        "/spend/aggregates/check": _DAYS,
        "/spend/closes": {},
        "/spend/keys": {},
        "/spend/logs": {"api_key": world.key},
        "/spend/logs/v2": {"api_key": world.key, **_DAYS},
        "/spend/productivity": {**_DAYS, "group_by": "team,day"},
        "/spend/report": {**_DAYS, "group_by": "team,model"},
        "/spend/sessions": _DAYS,
        "/spend/sessions/{session_id}": {},
        "/spend/tags": {},
        "/spend/users": {},
        "/tag/list": {},
        "/team/available": {},
        "/team/info": {"team_id": team},
        "/team/list": {"team_id": team},
        "/user/info": {"user_id": user},
        "/user/list": {"user_ids": user},
        "/v1/model/info": {"litellm_model_id": world.model},
        "/v2/model/info": {"modelId": world.model},
        "/v2/team/list": {"team_id": team},
        "/v2/user/info": {"user_id": user},
        **dict.fromkeys(_ACTIVITY, _DAYS),
        "/global/activity": _DAYS,
        "/global/activity/model": _DAYS,
        "/global/spend": {},
        **{f"/{kind}/spend/report": _DAYS for kind in ("key", "organization", "team", "user")},
        "/team/spend/by_user": _DAYS,
        "/global/spend/all_tag_names": {},
        "/global/spend/keys": {},
        "/global/spend/logs": {},
        "/global/spend/models": {},
        "/global/spend/provider": {},
        "/global/spend/report": _DAYS,
        "/global/spend/tags": {},
        "/global/spend/teams": {},
    }
    names = {
        "audit_id": audit_id, "model_id": world.model, "credential_name": world.named("credential"),
        "access_group": world.named("group"), "access_group_id": world.named("access_group"),
        "session_id": world.named("session"),
    }  # fmt: skip
    further: list[tuple[str, Query]] = [
        ("/spend/logs", _DAYS),
        ("/global/spend/report", {**_DAYS, "group_by": "api_key"}),
        ("/spend/productivity", {**_DAYS, "group_by": "user"}),
        ("/spend/report", {**_DAYS, "group_by": "key"}),
        ("/key/list", {}),
        ("/organization/info", {"organization_id": organization}),
    ]
    return [(path, path.format(**names), query) for path, query in (*queries.items(), *further)]
