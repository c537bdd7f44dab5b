"""What each role may do, and on whose rows: tables of data, and the tenant that a caller reaches by them."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Literal

Role = Literal[
    "proxy_admin", "proxy_admin_viewer", "auditor", "org_admin", "team_admin", "internal_user", "internal_user_viewer"
]
Reach = Literal["all", "organization", "team", "member", "own", "nothing"]
"""``team`` is of the teams one administers, ``member`` of those one is in."""

USER_ROLES: tuple[Role, ...] = (
    "proxy_admin", "proxy_admin_viewer", "auditor", "org_admin", "internal_user", "internal_user_viewer",
)  # fmt: skip
"""What ``users.user_role`` may hold; ``team_admin`` comes from a membership alone."""
DEFAULT_ROLE: Role = "internal_user_viewer"
"""Of a user without a role, and of a key without a user."""
_COLUMNS: tuple[Role, ...] = (
    "proxy_admin_viewer", "auditor", "org_admin", "team_admin", "internal_user", "internal_user_viewer",
)  # fmt: skip


def _row(*reaches: Reach) -> Mapping[Role, Reach]:
    return {"proxy_admin": "all", **dict(zip(_COLUMNS, reaches, strict=True))}


# fmt: off
# The master key and proxy_admin reach everything. Columns: proxy_admin_viewer (finance), auditor, org_admin,
# team_admin, internal_user, internal_user_viewer.
ACTIONS: Mapping[str, Mapping[Role, Reach]] = {
    "self.read":           _row("own",     "own",     "own",          "own",     "own",     "own"),
    "key.read":            _row("all",     "own",     "organization", "team",    "own",     "own"),
    "key.change":          _row("nothing", "nothing", "organization", "team",    "own",     "nothing"),
    "key.manage":          _row("nothing", "nothing", "organization", "team",    "nothing", "nothing"),
    "team.read":           _row("all",     "nothing", "organization", "team",    "nothing", "nothing"),
    "team.list":           _row("all",     "nothing", "organization", "nothing", "nothing", "nothing"),
    "team.change":         _row("nothing", "nothing", "organization", "nothing", "nothing", "nothing"),
    "team.members":        _row("nothing", "nothing", "organization", "team",    "nothing", "nothing"),
    "project.read":        _row("all",     "nothing", "organization", "team",    "member",  "member"),
    "project.change":      _row("nothing", "nothing", "organization", "team",    "nothing", "nothing"),
    "organization.members":_row("nothing", "nothing", "organization", "nothing", "nothing", "nothing"),
    "organization.read":   _row("all",     "nothing", "organization", "nothing", "nothing", "nothing"),
    "user.read":           _row("all",     "nothing", "own",          "own",     "own",     "own"),
    "tenancy.read":        _row("all",     "nothing", "nothing",      "nothing", "nothing", "nothing"),
    "tenancy.change":      _row("nothing", "nothing", "nothing",      "nothing", "nothing", "nothing"),
    "model.read":          _row("all",     "all",     "own",          "own",     "own",     "own"),
    "settings.read":       _row("all",     "all",     "nothing",      "nothing", "nothing", "nothing"),
    "settings.change":     _row("nothing", "nothing", "nothing",      "nothing", "nothing", "nothing"),
    "spend.logs":          _row("all",     "nothing", "organization", "team",    "own",     "own"),
    "spend.reports":       _row("all",     "nothing", "organization", "team",    "own",     "own"),
    "spend.exports":       _row("all",     "nothing", "nothing",      "nothing", "nothing", "nothing"),
    "spend.books":         _row("all",     "all",     "nothing",      "nothing", "nothing", "nothing"),
    "spend.calculate":     _row("all",     "all",     "all",          "all",     "all",     "all"),
    "alert.read":           _row("all",     "all",     "organization", "team",    "nothing", "nothing"),
    "alert.change":         _row("nothing", "nothing", "organization", "team",    "nothing", "nothing"),
    "device.approve":      _row("own",     "own",     "own",          "own",     "own",     "own"),
    "audit.read":          _row("all",     "all",     "nothing",      "nothing", "nothing", "nothing"),
}
# fmt: on


@dataclass(frozen=True, slots=True)
class Rule:
    """Which action a route is.

    ``named`` are the fields of query, body or path of which a caller with less than everything must give one: whose
    rows are meant. Where it is empty, the handler itself keeps to the caller's tenant.
    """

    method: str
    path: str
    action: str
    named: tuple[str, ...] = ()


_TEAM, _ORGANIZATION, _USER = ("team_id",), ("organization_id",), ("user_id",)
_CHANGES = ("POST", "PATCH", "PUT", "DELETE")
# The first that fits holds: ``*`` stands for any text. Every route has its rule here, or is the master key's alone.
RULES: tuple[Rule, ...] = (
    Rule("GET", "/key/self", "self.read"),
    Rule("GET", "/api/v1/key", "self.read"),
    Rule("GET", "/key/spend/report", "spend.reports"),
    Rule("GET", "/key/*", "key.read"),
    Rule("POST", "/key/unblock", "key.manage"),
    Rule("POST", "/key/service-account/generate", "key.manage"),
    Rule("POST", "/key/*/reset_spend", "key.manage"),
    Rule("POST", "/key/*", "key.change"),
    Rule("GET", "/team/info", "team.read", _TEAM),
    *(Rule("GET", f"/{kind}/daily/activity*", "spend.reports") for kind in ("user", "team", "organization")),
    Rule("GET", "/team/spend/*", "spend.reports"),
    Rule("GET", "/team/list", "team.list", _ORGANIZATION),
    Rule("GET", "/v2/team/list", "team.list", _ORGANIZATION),
    Rule("GET", "/team/*", "team.read", _TEAM),
    Rule("POST", "/team/new", "team.change", _ORGANIZATION),
    Rule("POST", "/team/*member*", "team.members", _TEAM),
    Rule("POST", "/team/*", "team.change", _TEAM),
    Rule("PATCH", "/team/*", "team.change", _TEAM),
    Rule("GET", "/project/*", "project.read"),
    *(Rule(method, "/project/*", "project.change") for method in _CHANGES),
    Rule("GET", "/organization/info", "organization.read", _ORGANIZATION),
    Rule("POST", "/organization/info", "organization.read", _ORGANIZATION),
    *(Rule(method, "/organization/member_*", "organization.members", _ORGANIZATION) for method in _CHANGES),
    Rule("GET", "/user/info", "user.read", _USER),
    Rule("GET", "/v2/user/info", "user.read", _USER),
    *(Rule("GET", f"/{kind}/daily/activity*", "spend.reports") for kind in ("customer", "end_user", "tag", "agent")),
    *(Rule("GET", f"/{kind}/spend/*", "spend.reports") for kind in ("user", "organization")),
    *(Rule("GET", f"/{kind}/*", "tenancy.read") for kind in ("user", "organization", "customer", "end_user")),
    Rule("GET", "/v2/organization/*", "tenancy.read"),
    Rule("GET", "/v2/user/*", "tenancy.read"),
    *(
        Rule(method, f"{version}/{kind}/*", "tenancy.change")
        for version in ("", "/v2")
        for kind in ("user", "organization", "customer", "end_user")
        for method in _CHANGES
    ),
    *(Rule("GET", f"{version}/model/info", "model.read") for version in ("", "/v1", "/v2")),
    Rule("GET", "/model_group/info", "model.read"),
    *(Rule("POST", f"/{kind}/info", "settings.read") for kind in ("budget", "tag")),
    *(
        Rule(method, f"/{kind}*", "settings.read" if method == "GET" else "settings.change")
        for kind in (
            "budget/",
            "tag/",
            "model/",
            "credentials",
            "access_group/",
            "v1/access_group",
            "v1/unified_access_group",
            "price/",
            "config/cost_",
            "managed_settings/",
            "provider/",
        )
        for method in ("GET", *_CHANGES)
    ),
    Rule("GET", "/spend/logs*", "spend.logs"),
    Rule("POST", "/spend/calculate", "spend.calculate"),
    *(Rule("GET", f"/spend/{what}*", "spend.books") for what in ("aggregates", "closes", "retention")),
    Rule("GET", "/spend/export*", "spend.exports"),
    Rule("GET", "/spend/*", "spend.reports"),
    *(Rule("POST", f"/spend/{what}", "settings.change") for what in ("aggregates/*", "close", "reprice", "retention")),
    Rule("POST", "/import/*", "settings.change"),
    Rule("GET", "/global/*", "spend.reports"),
    Rule("GET", "/alert/*", "alert.read", _TEAM),
    *(Rule(method, "/alert/*", "alert.change", _TEAM) for method in _CHANGES),
    Rule("GET", "/device/info", "device.approve"),
    Rule("POST", "/device/*", "device.approve"),
    Rule("GET", "/health", "settings.read"),
    Rule("GET", "/health/processes", "settings.read"),
    Rule("GET", "/audit", "audit.read"),
    Rule("GET", "/audit/*", "audit.read"),
)
PUBLIC_PATHS = (
    "/", "/api/hello", "/protocol", "/health", "/health/live*", "/health/readiness", "/metrics", "/docs", "/docs/*",
    "/.well-known/oauth-authorization-server", "/oauth/*",
)  # fmt: skip
"""Whoever asks is answered, without a key."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """Whose rows somebody may see or change: everything, or what belongs to any of these."""

    everything: bool = False
    organization_ids: frozenset[str] = frozenset()
    team_ids: frozenset[str] = frozenset()
    user_id: str | None = None
    key_id: str | None = None

    def may_hold_rows_of(self, user_id: str) -> bool:
        """Teams and organizations hold rows of people; else there are one's own."""
        return self.everything or bool(self.organization_ids or self.team_ids) or user_id == self.user_id


EVERYTHING = Tenant(everything=True)


@dataclass(frozen=True, slots=True)
class Standing:
    """Who a caller is: the role of its user, what it administers, and where it is a member.

    ``administered_teams`` holds the teams of the administered organizations too.
    """

    key_id: str | None = None
    user_id: str | None = None
    role: Role = DEFAULT_ROLE
    administered_organizations: frozenset[str] = frozenset()
    administered_teams: frozenset[str] = frozenset()
    teams_of_organizations: frozenset[str] = frozenset()
    member_of_teams: frozenset[str] = frozenset()

    @property
    def roles(self) -> tuple[Role, ...]:
        """All that it holds, the user's first."""
        further: list[Role] = []
        if self.administered_organizations and self.role != "org_admin":
            further.append("org_admin")
        if self.administered_teams:
            further.append("team_admin")
        return (self.role, *further)


MASTER = Standing(role="proxy_admin")


@lru_cache(maxsize=1_000)
def rule_for(method: str, path: str) -> Rule | None:
    """None for a route without a rule, which is the master key's alone."""
    asked = "GET" if method == "HEAD" else method
    return next((rule for rule in RULES if rule.method == asked and fnmatchcase(path, rule.path)), None)


def is_public(path: str) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in PUBLIC_PATHS)


def tenant_of(standing: Standing, action: str) -> Tenant | None:
    """What the caller reaches with this action, by all its roles together; None for nothing."""
    reaches = {ACTIONS[action][role] for role in standing.roles} - {"nothing"}
    if not reaches:
        return None
    if "all" in reaches:
        return EVERYTHING
    by_organization, own = "organization" in reaches, "own" in reaches
    teams = standing.administered_teams if "team" in reaches else frozenset[str]()
    if "member" in reaches:
        teams = teams | standing.member_of_teams
    if by_organization:
        teams = teams | standing.teams_of_organizations
    return Tenant(
        organization_ids=standing.administered_organizations if by_organization else frozenset(),
        team_ids=teams,
        user_id=standing.user_id if own else None,
        key_id=standing.key_id if own else None,
    )


def roles_that_may(action: str | None) -> list[Role]:
    """For the message of a refusal, the widest first."""
    if action is None:
        return ["proxy_admin"]
    return [role for role in ("proxy_admin", *_COLUMNS) if ACTIONS[action].get(role, "nothing") != "nothing"]
