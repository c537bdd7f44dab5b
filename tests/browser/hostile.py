"""Names that would run as a script wherever a page forgot to escape, in every text that people and callers choose."""

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx

from app.api.ui.segments import segment

MARK = "<img src=x onerror=alert(1)>"
NAME = f"\"'>{MARK}<svg onload=alert(2)>{{{{7+7}}}}"
CENTER = "\"'><svg onload=alert(4)>{{7+7}}"
EMAIL = "<svg/onload=alert(3)>@halden.example"  # addresses hold no blanks


def plant(admin: httpx.Client) -> Mapping[str, str]:
    """Through the admin API, as an attacker would. What tests/browser/addresses.py writes in capitals."""

    def post(path: str, **fields: Any) -> Any:
        answer = admin.post(path, json=fields)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    post("/credentials", credential_name=NAME, credential_values={"api_key": "sk-none"}, credential_info={"note": NAME})
    post(
        "/model/new",
        model_name=NAME,
        litellm_params={"model": "demo/echo", "max_budget": 5, "region_name": NAME},
        model_info={"description": NAME, "id": "dep_hostile", "access_groups": [f"group {NAME}"]},
    )
    post("/budget/new", budget_id=NAME, max_budget=5)
    post("/organization/new", organization_id="org_hostile", organization_alias=NAME, metadata={"note": NAME})
    post(
        "/team/new",
        team_id="team_hostile",
        team_alias=NAME,
        organization_id="org_hostile",
        max_budget=50,
        metadata={"note": NAME},
        cost_center=CENTER,
    )
    project = post("/project/new", team_id="team_hostile", project_alias=NAME, description=NAME)
    user = {"user_id": "user_hostile", "user_email": EMAIL, "user_alias": NAME}
    post("/user/new", **user, metadata={"note": NAME}, auto_create_key=False, user_role="internal_user")
    post("/team/member_add", team_id="team_hostile", member={"user_id": "user_hostile", "role": "user"})
    post("/alert/destination", name=NAME, kind="webhook", url="https://hooks.example.com/keyhouse")
    post("/customer/new", user_id=NAME, alias=NAME, allowed_model_region=NAME)
    post("/tag/new", name=NAME, description=NAME)
    key = post(
        "/key/generate",
        key_alias=NAME,
        team_id="team_hostile",
        user_id="user_hostile",
        project_id=project["project_id"],
        models=[NAME, f"group {NAME}", "claude-sonnet-4-5"],
        budget_fallbacks={NAME: [NAME]},
        tags=[NAME],
        metadata={"note": NAME},
    )
    _call(admin, key["key"])
    key_id = key["token_id"]
    entry = admin.get("/audit", params={"object_id": key_id}).json()
    return {
        "AUDIT": entry["audit_logs"][0]["id"],
        "HOSTILEKEY": key_id,
        "HOSTILENAME": quote(NAME, safe=""),
        "HOSTILEPROJECT": project["project_id"],
        "HOSTILESEGMENT": segment(NAME),
        "REQUEST": _receipt_of(admin, key_id),
    }


def _call(admin: httpx.Client, key: str) -> None:
    """A call that says hostile things of itself, and a receipt that repeats them."""
    body = {
        "model": NAME,
        "max_tokens": 20,
        "messages": [{"role": "user", "content": NAME}],
        "metadata": {"user_id": NAME, "tags": [NAME]},
        "user": NAME,
    }
    headers = {"x-api-key": key, "x-claude-code-session-id": NAME, "user-agent": NAME}
    answer = httpx.post(f"{admin.base_url}/v1/messages", json=body, headers=headers, trust_env=False)
    assert answer.status_code == 200, answer.text


def _receipt_of(admin: httpx.Client, key_id: str) -> str:
    """As soon as it is booked."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = admin.get("/spend/logs", params={"api_key": key_id}).json()
        if found:
            return str(found[0]["request_id"])
        time.sleep(0.1)
    raise AssertionError("the receipt of the hostile call was not booked")
