"""Every page there is, as the app's own routes say, each at an address that can be opened.

A page whose route has parameters needs an example here; one without is found by itself.
"""

import inspect
import re
from collections.abc import Mapping
from typing import Any
from unittest.mock import MagicMock

import httpx
from litestar.routes import HTTPRoute

from app.api.ui.routes import page_routes

NO_PAGES = (
    "/ui/static/{version:str}/{name:str}",
    "/ui/spend/download",
    "/ui/connect/check",
    "/ui/views/menu",
    "/ui/playground/receipt",
    "/ui/sso",
    "/ui/sso/callback",
    "/ui/sign-out",
    "/ui/signed-out",
    "/ui/forgot",
    "/ui/{rest:path}",
)
"""Files, parts of pages, what leads to an issuer of identities and back, what needs a mail server, and any other."""
_LABS = "/ui/organizations/org_halden_labs"
# Of the demo data; a word in capitals is looked up in the running gateway.
EXAMPLES: Mapping[str, str] = {
    "/ui/audit/{audit_id:str}": "/ui/audit/AUDIT",
    "/ui/budgets/shared/edit": "/ui/budgets/shared/edit?id=HOSTILENAME",
    "/ui/budgets/tags/edit": "/ui/budgets/tags/edit?name=production",
    "/ui/credentials/edit": "/ui/credentials/edit?name=anthropic-production",
    "/ui/customers/{customer:str}": "/ui/customers/customer_04",
    "/ui/customers/{customer:str}/edit": "/ui/customers/customer_04/edit",
    "/ui/invitation/{token:str}": "/ui/invitation/INVITATION",
    "/ui/keys/{key_id:str}": "/ui/keys/key_checkout_assistant",
    "/ui/keys/{key_id:str}/edit": "/ui/keys/key_checkout_assistant/edit",
    "/ui/models/edit": "/ui/models/edit?id=dep_anthropic_claude_sonnet_4_6",
    "/ui/models/one": "/ui/models/one?name=claude-sonnet-4-6",
    "/ui/months/{month:str}": "/ui/months/MONTH",
    "/ui/my-spend/session": "/ui/my-spend/session?id=SESSION",
    "/ui/organizations/{organization:str}": "/ui/organizations/org_halden",
    "/ui/organizations/{organization:str}/edit": "/ui/organizations/org_halden/edit",
    "/ui/organizations/{organization:str}/prices": "/ui/organizations/org_halden/prices",
    "/ui/organizations/{organization:str}/members/{user:str}": f"{_LABS}/members/user_ines_moreau",
    "/ui/people/{user:str}": "/ui/people/user_jonas_weber",
    "/ui/people/{user:str}/edit": "/ui/people/user_jonas_weber/edit",
    "/ui/projects/{project:str}": "/ui/projects/project_checkout",
    "/ui/projects/{project:str}/edit": "/ui/projects/project_checkout/edit",
    "/ui/requests/{request_id:str}": "/ui/requests/REQUEST",
    "/ui/teams/{team:str}": "/ui/teams/team_payments",
    "/ui/teams/{team:str}/edit": "/ui/teams/team_payments/edit",
    "/ui/teams/{team:str}/members/{user:str}": "/ui/teams/team_payments/members/user_jonas_weber",
}
# The same pages about what has a name that runs as a script where a page forgets to escape it (hostile.py).
HOSTILE_EXAMPLES: Mapping[str, str] = {
    "/ui/alerts": "/ui/alerts",
    "/ui/audit": "/ui/audit",
    "/ui/audit/{audit_id:str}": "/ui/audit/AUDIT",
    "/ui/budgets": "/ui/budgets?q=svg",
    "/ui/budgets/shared": "/ui/budgets/shared",
    "/ui/budgets/shared/edit": "/ui/budgets/shared/edit?id=HOSTILENAME",
    "/ui/budgets/tags": "/ui/budgets/tags",
    "/ui/budgets/tags/edit": "/ui/budgets/tags/edit?name=HOSTILENAME",
    "/ui/credentials": "/ui/credentials",
    "/ui/credentials/edit": "/ui/credentials/edit?name=HOSTILENAME",
    "/ui/customers": "/ui/customers?q=svg",
    "/ui/customers/{customer:str}": "/ui/customers/HOSTILESEGMENT",
    "/ui/customers/{customer:str}/edit": "/ui/customers/HOSTILESEGMENT/edit",
    "/ui/connect": "/ui/connect?key=HOSTILEKEY",
    "/ui/chargeback": "/ui/chargeback?month=MONTH&below=key",
    "/ui/keys": "/ui/keys",
    "/ui/keys/{key_id:str}": "/ui/keys/HOSTILEKEY",
    "/ui/keys/{key_id:str}/edit": "/ui/keys/HOSTILEKEY/edit",
    "/ui/models/edit": "/ui/models/edit?id=dep_hostile",
    "/ui/models/one": "/ui/models/one?name=HOSTILENAME",
    "/ui/organizations": "/ui/organizations?q=svg",
    "/ui/organizations/{organization:str}": "/ui/organizations/org_hostile",
    "/ui/organizations/{organization:str}/edit": "/ui/organizations/org_hostile/edit",
    "/ui/organizations/{organization:str}/prices": "/ui/organizations/org_hostile/prices",
    "/ui/my-spend/session": "/ui/my-spend/session?id=HOSTILENAME",
    "/ui/people": "/ui/people?q=svg",
    "/ui/people/{user:str}": "/ui/people/user_hostile",
    "/ui/people/{user:str}/edit": "/ui/people/user_hostile/edit",
    "/ui/projects": "/ui/projects?q=svg",
    "/ui/projects/{project:str}": "/ui/projects/HOSTILEPROJECT",
    "/ui/projects/{project:str}/edit": "/ui/projects/HOSTILEPROJECT/edit",
    "/ui/requests": "/ui/requests",
    "/ui/requests/{request_id:str}": "/ui/requests/REQUEST",
    "/ui/spend": "/ui/spend",
    "/ui/teams": "/ui/teams?q=svg",
    "/ui/teams/{team:str}": "/ui/teams/team_hostile",
    "/ui/teams/{team:str}/edit": "/ui/teams/team_hostile/edit",
    "/ui/teams/{team:str}/members/{user:str}": "/ui/teams/team_hostile/members/user_hostile",
}
SIGNED_OUT = ("/ui/sign-in", "/ui/owner", "/ui/invitation/{token:str}")
"""Pages of those who have not signed in."""
_LOOKED_UP = re.compile(r"\b[A-Z]{4,}\b")


def page_paths() -> tuple[str, ...]:
    """The templates of all GET routes of the pages, in order. What they stand on is not asked for anything."""
    anything: Any = page_routes
    router = anything(*(MagicMock() for _ in inspect.signature(page_routes).parameters))
    paths = {
        route.path
        for route in router.routes
        if isinstance(route, HTTPRoute) and any("GET" in handler.http_methods for handler in route.route_handlers)
    }
    return tuple(sorted(paths - set(NO_PAGES)))


def address_of(path: str) -> str | None:
    """None for a path with parameters of which there is no example."""
    return EXAMPLES.get(path, None if "{" in path else path)


def filled_in(address: str, found: Mapping[str, str]) -> str:
    return _LOOKED_UP.sub(lambda word: found.get(word[0], word[0]), address)


def latest_of(admin: httpx.Client, key_id: str) -> tuple[str, str]:
    """The latest request of a key of the demo data, and its session."""
    query = {"api_key": key_id, "page_size": "1", "start_date": "2020-01-01", "end_date": "2100-01-01"}
    [receipt] = admin.get("/spend/logs/v2", params=query).json()["data"]
    return str(receipt["request_id"]), str(receipt["session_id"])
