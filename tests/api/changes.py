"""A request of each route that changes something, which succeeds in a world made for it. A new route needs its line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import insert, update

from app.base.clock import now
from app.base.ids import new_id
from app.domain.sign_in import mint_user_code
from app.storage.postgres.tables import alert_deliveries, device_authorizations
from tests.api.support import ADMIN, Answer, Door


@dataclass(frozen=True)
class World:
    """One of each kind, by names of its own; ``key``, ``model`` and the like by the ids that they were given.

    The delivery of ``alert`` to ``destination`` was given up; under each of the ``codes`` a program waits.
    """

    mark: str
    key: str
    model: str
    destination: str
    alert: str
    codes: tuple[str, str]

    def named(self, kind: str) -> str:
        return f"{kind}-{self.mark}"


Body = Callable[[World], object]
_GROUPS = ("access_group", "unified_access_group")
_HOOK = "https://93.184.215.14/hook"


@dataclass(frozen=True)
class ChangeRequest:
    """``path`` as in the route table; ``{…}`` in it is filled with what the world calls it."""

    method: str
    path: str
    body: Body

    def concrete(self, world: World) -> str:
        group = "unified_access_group" if "unified" in self.path else "access_group"
        names = {
            "access_group_id": world.named(group),
            "name": world.key, "model_id": world.model, "credential_name": world.named("credential"),
            "access_group": world.named("group"), "destination_id": world.destination, "event_id": world.alert,
        }  # fmt: skip
        return self.path.format(**names)


_KEYS: dict[str, Body] = {
    "/key/generate": lambda world: {"team_id": world.named("team"), "user_id": world.named("user"), "max_budget": 1},
    "/key/service-account/generate": lambda world: {"team_id": world.named("team")},
    "/key/update": lambda world: {"key": world.key, "rpm_limit": 3, "budget_duration": "7d"},
    "/key/block": lambda world: {"key": world.key},
    "/key/unblock": lambda world: {"key": world.key},
    "/key/{name}/reset_spend": lambda _: {"reset_to": 0},
    "/key/{name}/regenerate": lambda _: {},
    "/key/regenerate": lambda world: {"key": world.key, "tpm_limit": 9},
    "/key/delete": lambda world: {"keys": [world.key]},
}
_MEMBER: Body = lambda world: {"user_id": world.named("second"), "role": "user"}  # noqa: E731  one of many alike
_TEAMS: dict[str, Body] = {
    "/team/new": lambda world: {"team_alias": world.named("new team"), "max_budget": 5, "budget_duration": "30d"},
    "/team/update": lambda world: {"team_id": world.named("team"), "max_budget": 6, "metadata": {"a": 1}},
    "/team/model/add": lambda world: {"team_id": world.named("team"), "models": ["file-claude"]},
    "/team/model/delete": lambda world: {"team_id": world.named("team"), "models": ["file-claude"]},
    "/team/block": lambda world: {"team_id": world.named("team")},
    "/team/unblock": lambda world: {"team_id": world.named("team")},
    "/team/member_add": lambda world: {"team_id": world.named("team"), "member": _MEMBER(world)},
    "/team/member_update": lambda world: {
        "team_id": world.named("team"), "user_id": world.named("second"), "max_budget_in_team": 2,
    },
    "/team/member_delete": lambda world: {"team_id": world.named("team"), "user_id": world.named("second")},
}  # fmt: skip
_PROJECTS: dict[str, Body] = {
    "/project/new": lambda world: {"team_id": world.named("team"), "project_alias": "apollo", "max_budget": 4},
    "/project/update": lambda world: {"project_id": world.named("project"), "rpm_limit": 5, "models": ["file-claude"]},
}
_USERS: dict[str, Body] = {
    "/user/new": lambda world: {"user_email": f"{world.mark}@example.com", "teams": [world.named("team")]},
    "/user/update": lambda world: {"user_id": world.named("user"), "max_budget": 8},
}
_ORGANIZATIONS: dict[str, Body] = {
    "/organization/new": lambda world: {"organization_alias": world.named("new organization")},
    "/organization/update": lambda world: {"organization_id": world.named("organization"), "max_budget": 90},
    "/organization/member_add": lambda world: {
        "organization_id": world.named("organization"),
        "member": {"user_id": world.named("second"), "role": "internal_user"},
    },
    "/organization/member_update": lambda world: {
        "organization_id": world.named("organization"), "user_id": world.named("second"), "role": "org_admin",
    },
    "/organization/member_delete": lambda world: {
        "organization_id": world.named("organization"), "user_id": world.named("second"),
    },
}  # fmt: skip
_SETTINGS: dict[str, Body] = {
    "/budget/new": lambda world: {"budget_id": world.named("new budget"), "max_budget": 1, "budget_duration": "1d"},
    "/budget/update": lambda world: {"budget_id": world.named("budget"), "max_budget": 2},
    "/budget/delete": lambda world: {"id": world.named("budget")},
    "/customer/new": lambda world: {"user_id": world.named("new customer"), "alias": "Acme"},
    "/customer/update": lambda world: {"user_id": world.named("customer"), "alias": "Acme"},
    "/customer/block": lambda world: {"user_ids": [world.named("customer")]},
    "/customer/unblock": lambda world: {"user_ids": [world.named("customer")]},
    "/end_user/block": lambda world: {"user_ids": [world.named("customer")]},
    "/end_user/unblock": lambda world: {"user_ids": [world.named("customer")]},
    "/end_user/new": lambda world: {"user_id": world.named("new end user")},
    "/end_user/update": lambda world: {"user_id": world.named("customer"), "alias": "Acme & Co"},
    "/tag/new": lambda world: {"name": world.named("new tag"), "description": "Acme", "max_budget": 5},
    "/tag/update": lambda world: {"name": world.named("tag"), "max_budget": 6},
    "/tag/delete": lambda world: {"name": world.named("tag")},
    "/model/new": lambda world: {
        "model_name": world.named("new model"), "litellm_params": {"model": "openai/gpt-5", "api_key": "k"},
    },
    "/model/update": lambda world: {"model_info": {"id": world.model}, "litellm_params": {"rpm": 2}},
    "/model/block": lambda world: {"model_id": world.model},
    "/model/unblock": lambda world: {"model_id": world.model},
    "/access_group/new": lambda world: {"access_group": world.named("new group"), "model_names": ["file-claude"]},
    "/credentials/migrate-encryption": lambda _: None,
    "/credentials": lambda world: {"credential_name": world.named("new one"), "credential_values": {"api_key": "k"}},
}  # fmt: skip
_PRICES: dict[str, Body] = {
    "/price/new": lambda world: {
        "provider": "anthropic", "model": world.named("priced"), "input_cost_per_token": 0.000001,
        "output_cost_per_token": 0.000005,
    },
    "/price/withdraw": lambda world: {"provider": "anthropic", "model": world.named("priced")},
    "/price/import": lambda world: {
        "prices": {world.named("listed"): {"litellm_provider": "anthropic", "input_cost_per_token": 0.000001}},
    },
}  # fmt: skip
_ALERTS: dict[str, Body] = {
    "/alert/destination": lambda world: {
        "name": world.named("pager"), "kind": "webhook", "url": _HOOK, "secret": "long enough to sign",
        "events": ["key.expiring"], "team_id": world.named("team"),
    },
    "/alert/test": lambda world: {"destination_id": world.destination},
    "/alert/events/{event_id}/retry": lambda _: {},
}  # fmt: skip
_DEVICES: dict[str, Body] = {
    "/device/approve": lambda world: {
        "user_code": world.codes[0], "user_id": world.named("user"), "team_id": world.named("team"),
    },
    "/managed_settings/update": lambda world: {
        "team_id": world.named("team"), "settings": {"permissions": {"deny": ["WebFetch"]}},
    },
    "/device/deny": lambda world: {"user_code": world.codes[1]},
}  # fmt: skip
_DELETIONS: dict[str, Body] = {
    "/model/delete": lambda world: {"id": world.model},
    "/end_user/delete": lambda world: {"user_ids": [world.named("new end user")]},
    "/customer/delete": lambda world: {"user_ids": [world.named("customer")]},
    "/user/delete": lambda world: {"user_ids": [world.named("user")]},
    "/project/delete": lambda world: {"project_ids": [world.named("project")]},
    "/team/delete": lambda world: {"team_ids": [world.named("team")]},
    "/organization/delete": lambda world: {"organization_ids": [world.named("organization")]},
}
CHANGES: tuple[ChangeRequest, ...] = (
    *(
        ChangeRequest("POST", path, body)
        for path, body in (
            _KEYS | _TEAMS | _PROJECTS | _USERS | _ORGANIZATIONS | _SETTINGS | _PRICES | _ALERTS | _DEVICES
        ).items()
    ),
    ChangeRequest("PATCH", "/model/{model_id}/update", lambda _: {"litellm_params": {"tpm": 9}}),
    ChangeRequest("PATCH", "/credentials/{credential_name}", lambda _: {"credential_values": {"api_key": "other"}}),
    ChangeRequest("PUT", "/access_group/{access_group}/update", lambda _: {"model_names": ["file-claude"]}),
    ChangeRequest("PUT", "/access_group/{access_group}/budget", lambda _: {"max_budget": 5, "budget_duration": "1d"}),
    ChangeRequest("DELETE", "/access_group/{access_group}/budget", lambda _: None),
    ChangeRequest("DELETE", "/access_group/{access_group}/delete", lambda _: None),
    *(
        ChangeRequest(
            "POST",
            f"/v1/{kind}",
            lambda world: {
                "access_group_name": new_id("group"),
                "access_model_names": ["file-claude"],
                "description": "what we write with",
                "assigned_team_ids": [world.named("team")],
            },
        )
        for kind in _GROUPS
    ),
    *(ChangeRequest("PUT", f"/v1/{kind}/{{access_group_id}}", lambda _: {"assigned_key_ids": []}) for kind in _GROUPS),
    *(ChangeRequest("DELETE", f"/v1/{kind}/{{access_group_id}}", lambda _: None) for kind in _GROUPS),
    ChangeRequest("DELETE", "/alert/destination/{destination_id}", lambda _: None),
    *(ChangeRequest("POST", path, body) for path, body in _DELETIONS.items()),
    ChangeRequest("DELETE", "/credentials/{credential_name}", lambda _: None),
)
"""In an order in which each succeeds."""
READ_BY_POST = frozenset({"/budget/info", "/organization/info", "/spend/calculate", "/tag/info"})
SAME_AS_POST = frozenset(
    {
        ("PATCH", "/organization/update"), ("PATCH", "/organization/member_update"),
        ("DELETE", "/organization/member_delete"), ("DELETE", "/organization/delete"), ("DELETE", "/project/delete"),
    }
)  # fmt: skip
"""The same handlers by another method."""


async def make_world(door: Door, mark: str) -> World:
    """Through the routes themselves."""

    async def made(path: str, body: Mapping[str, object]) -> Any:
        answer = await door.post(path, body)
        assert answer.status == 200, f"{path}: {answer.text}"
        return answer.fields

    names = {kind: f"{kind}-{mark}" for kind in ("organization", "team", "user", "second", "customer", "budget")}
    organization = {"organization_id": names["organization"]}
    await made("/organization/new", {**organization, "organization_alias": names["organization"]})
    await made("/team/new", {"team_id": names["team"], "team_alias": names["team"], **organization})
    for user in (names["user"], names["second"]):
        await made("/user/new", {"user_id": user, "auto_create_key": False})
    await made("/team/member_add", {"team_id": names["team"], "member": {"user_id": names["user"], "role": "user"}})
    await made("/project/new", {"project_id": f"project-{mark}", "team_id": names["team"]})
    await made("/customer/new", {"user_id": names["customer"]})
    await made("/budget/new", {"budget_id": names["budget"], "max_budget": 1})
    await made("/tag/new", {"name": f"tag-{mark}"})
    await made("/credentials", {"credential_name": f"credential-{mark}", "credential_values": {"api_key": "k"}})
    await made("/access_group/new", {"access_group": f"group-{mark}", "model_names": ["file-claude"]})
    budget = await send(door, "PUT", f"/access_group/group-{mark}/budget", {"max_budget": 9})
    assert budget.status == 200, budget.text
    params = {"model": "anthropic/claude-haiku-4-5", "litellm_credential_name": f"credential-{mark}"}
    model = await made("/model/new", {"model_name": f"model-{mark}", "litellm_params": params})
    key = await made("/key/generate", {"team_id": names["team"], "user_id": names["user"], "max_budget": 1})
    for group in _GROUPS:
        assigned = {"assigned_team_ids": [names["team"]], "assigned_key_ids": [key["token"]]}
        asked = {"access_group_name": f"{group}-{mark}", "access_model_names": ["file-claude"], **assigned}
        await made(f"/v1/{group}", asked)
    alerted = await made("/alert/destination", {"name": f"pager-{mark}", "kind": "slack", "url": _HOOK})
    event = await made("/alert/test", {"destination_id": alerted["destination_id"]})
    async with door.engine.begin() as connection:
        given_up = update(alert_deliveries).where(alert_deliveries.c.event_id == event["event_id"])
        await connection.execute(given_up.values(state="dead"))
        codes = mint_user_code(), mint_user_code()
        for code in codes:
            waiting = {"client_name": "claude-code/2.1.329", "client_address": "198.51.100.7"}
            waiting |= {"authorization_id": new_id("device"), "user_code": code}
            waits = insert(device_authorizations).values(**waiting, device_digest=code.encode())
            await connection.execute(waits.values(expires_at=now() + timedelta(minutes=10)))
    return World(mark, key["token"], model["model_id"], alerted["destination_id"], event["event_id"], codes)


async def send(door: Door, method: str, path: str, body: object) -> Answer:
    """``body`` as it is when it is bytes, else as JSON; None is no body."""
    content = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
    response = await door.client.request(method, path, content=content, headers=dict(ADMIN))
    return Answer(response.status_code, response.headers, response.text)
